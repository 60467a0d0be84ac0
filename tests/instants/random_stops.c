#include "instants.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "truth.h"

#define OPERATIONS "120000"
#define PAUSE_MAX 60        /* microseconds between two stops */
#define STOPS_PER_PAUSE 5   /* the threads stay where they are, but for one that is moved on each time */
#define STEPS_MAX 24        /* of one thread after a stop */
#define STEPS_INTO 60       /* to get one into the recorder */
#define BLOCKS_EVERY 10     /* stops */
#define COMMANDS_EVERY 1000 /* stops */
#define FAILURES_MAX 10
#define LARGEST (20 * 4096 + 300000) /* more than any operation changes */

struct run {
    struct tracee tracee;
    struct window *window;
    struct truth truth;
    struct view view;
    block_list blocks;
    struct coverage *coverage;
    int64_t last_peak;
    uint64_t failures;
};

static const struct program_thread *worker_of(const struct truth *truth, pid_t tid) {
    for (unsigned i = 0; i < truth->program.threads; i++)
        if (truth->program.thread[i].tid == (uint32_t)tid)
            return &truth->program.thread[i];
    return NULL;
}

/* A stop by a timer falls on what takes long, and on where the kernel lets go. So one worker is moved on: always a few
 * instructions, and sometimes until it is in the recorder. */
static void move_on(struct run *run) {
    const struct tracee_thread *thread = &run->tracee.threads[chance(run->tracee.thread_count)];
    pid_t tid = thread->tid;
    const struct program_thread *worker = worker_of(&run->truth, tid);
    if (worker == NULL || worker->finished)
        return;
    for (uint64_t steps = chance(STEPS_MAX); steps > 0; steps--)
        if (tracee_waits(&run->tracee, tid) || !tracee_step(&run->tracee, tid))
            return;
    if (chance(4) != 0)
        return;
    for (unsigned steps = 0; steps < STEPS_INTO && !coverage_has(run->coverage, tracee_instruction(tid)); steps++)
        if (tracee_waits(&run->tracee, tid) || !tracee_step(&run->tracee, tid))
            return;
}

/* All that must hold at one stop. */
static bool look(struct run *run, bool with_blocks, bool with_commands) {
    truth_read(&run->truth, &run->tracee);
    if (!view_read(run->window, &run->view, &run->blocks))
        return false;
    const struct view *view = &run->view;
    bool holds = view_is_consistent(view, true) && truth_totals_hold(&run->truth, view);
    if (holds && view->peak.bytes < run->last_peak) {
        fprintf(stderr, "the peak fell from %" PRId64 " to %" PRId64 "\n", run->last_peak, view->peak.bytes);
        holds = false;
    }
    /* What is alive beyond the peak can only be of the event that is being recorded. */
    if (holds && view->live.bytes > view->peak.bytes &&
        (view->shard.lock == 0 || view->live.bytes - view->peak.bytes > LARGEST)) {
        fprintf(stderr, "more is alive (%" PRId64 ") than at the peak (%" PRId64 ")\n", view->live.bytes,
                view->peak.bytes);
        holds = false;
    }
    run->last_peak = view->peak.bytes;
    if (holds && with_blocks)
        holds = truth_blocks_hold(&run->truth, &run->blocks);
    if (holds && with_commands)
        holds = view_agrees_with_commands(&run->tracee, view);
    run->coverage->locked += view->shard.lock != 0;
    run->coverage->in_flight += view->in_flight;
    return holds;
}

static void describe(const struct run *run) {
    for (size_t i = 0; i < run->tracee.thread_count; i++) {
        pid_t tid = run->tracee.threads[i].tid;
        uint64_t instruction = tracee_instruction(tid);
        const struct program_thread *worker = worker_of(&run->truth, tid);
        fprintf(stderr, "  thread %d: ", (int)tid);
        if (coverage_has(run->coverage, instruction))
            fprintf(stderr, "recorder's code + %#" PRIx64, instruction - run->coverage->start);
        else
            fprintf(stderr, "elsewhere");
        if (worker != NULL && truth_is_busy(worker))
            fprintf(stderr, ", from %" PRIu64 " bytes at %#" PRIx64 " to %" PRIu64 "%s%s", worker->operation.old_size,
                    worker->operation.old_address, worker->operation.new_size,
                    worker->operation.is_free ? ", free" : "", worker->operation.is_range ? ", range" : "");
        fputc('\n', stderr);
    }
}

static void check_quiet(struct run *run, const char *when) {
    if (look(run, true, true) && run->truth.undecided == 0 && run->view.in_flight == 0)
        return;
    fprintf(stderr, "... %s, with nothing in flight\n", when);
    run->failures++;
}

/* The largest sum in the order of the calls below differs from the one in the recorder's order by what was in flight.
 */
static void check_peak(struct run *run) {
    int64_t difference = run->view.peak_bytes - run->truth.below.highest;
    if (difference >= -WORKERS * LARGEST && difference <= WORKERS * LARGEST)
        return;
    fprintf(stderr, "the peak is %" PRId64 ", below it was %" PRId64 "\n", run->view.peak_bytes,
            run->truth.below.highest);
    run->failures++;
}

/* One stop: a thread is moved on, and then everything must hold. */
static void stop_here(struct run *run, const struct plan *plan) {
    struct coverage *coverage = run->coverage;
    if (coverage->stops == plan->stops || run->tracee.ended)
        return;
    truth_read(&run->truth, &run->tracee);
    move_on(run);
    coverage_note(coverage, &run->tracee);
    if (look(run, coverage->stops % BLOCKS_EVERY == 0, coverage->stops % COMMANDS_EVERY == 0))
        return;
    fprintf(stderr, "... at stop %" PRIu64 "\n", coverage->stops);
    describe(run);
    run->failures++;
}

/* One run of the program from its beginning to its end. */
static uint64_t run_once(const struct plan *plan, uint64_t seed, struct coverage *coverage) {
    struct run run = {.coverage = coverage};
    struct result result;
    char number[24], expected[RESULT_BYTES];
    snprintf(number, sizeof number, "%" PRIu64, seed);
    char *bare[] = {(char *)plan->program, (char *)"bare", (char *)OPERATIONS, number, NULL};
    char *traced[] = {(char *)plan->program, (char *)"traced", (char *)OPERATIONS, number, NULL};
    run_bare(bare, expected);

    /* Every second time the C library gives an address of one thread to another at once. */
    const char *tunables = seed % 2 ? "GLIBC_TUNABLES=glibc.malloc.arena_max=1:glibc.malloc.tcache_count=0" : "NONE=";
    result_open(&result);
    start_recorded(&run.tracee, plan, traced, "objects", tunables, result.write_end);
    tracee_run_to_breakpoint(&run.tracee);
    if (run.tracee.ended)
        die("the program ended before it began");
    run.window = window_open(&run.tracee);
    window_recorder_text(run.window, &coverage->start, &coverage->end);
    truth_open(&run.truth, run.window);
    if (!view_read(run.window, &run.view, &run.blocks))
        die("the recording can't be read at its beginning");
    truth_begin(&run.truth, &run.tracee, &run.view, &run.blocks);
    check_quiet(&run, "at the beginning");
    while (run.failures < FAILURES_MAX) {
        bool enough = coverage->stops >= plan->stops;
        if (enough)
            tracee_run_to_breakpoint(&run.tracee);
        else
            tracee_run(&run.tracee, (unsigned)chance(PAUSE_MAX));
        if (run.tracee.ended || run.tracee.breakpoint != 0)
            break;
        for (unsigned i = 0; i < STOPS_PER_PAUSE; i++)
            stop_here(&run, plan);
    }
    if (run.failures == 0 && !run.tracee.ended) {
        check_quiet(&run, "at the end");
        check_peak(&run);
        while (!run.tracee.ended)
            tracee_run_to_breakpoint(&run.tracee);
    }
    tracee_kill(&run.tracee);
    result_close(&result);
    if (run.failures == 0 && (run.tracee.status != 0 || strcmp(result.text, expected) != 0)) {
        fprintf(stderr, "the program's status is %#x, its result %s instead of %s\n", (unsigned)run.tracee.status,
                result.text, expected);
        run.failures++;
    }
    truth_close(&run.truth);
    mt_vector_deinit(&run.blocks);
    window_close(run.window);
    return run.failures;
}

bool random_stops(const struct plan *plan) {
    struct coverage coverage = {0};
    uint64_t failures = 0, runs = 0;
    chance_seed(plan->seed);
    for (; coverage.stops < plan->stops && failures == 0; runs++)
        failures += run_once(plan, plan->seed + runs, &coverage);
    coverage_print(&coverage, "random stops of four threads");
    free(coverage.seen);
    return failures == 0;
}
