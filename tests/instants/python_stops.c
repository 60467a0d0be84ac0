#include "instants.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "truth.h"

#define ROUNDS "60000"
#define PAUSE_MAX 2000  /* microseconds between two stops */
#define STEPS_INTO 3000 /* to get a thread into the recorder */
#define STEPS_MAX 200
#define COMMANDS_EVERY 200
#define FAILURES_MAX 10

/* A timer's stop falls on what takes long. So one thread is moved on into the recorder, unless it waits for another. */
static void move_on(struct tracee *tracee, const struct coverage *coverage) {
    pid_t tid = tracee->threads[chance(tracee->thread_count)].tid;
    for (unsigned steps = 0; steps < STEPS_INTO && !coverage_has(coverage, tracee_instruction(tid)); steps++)
        if (tracee_waits(tracee, tid) || !tracee_step(tracee, tid) || tracee->ended)
            return;
    for (uint64_t steps = chance(STEPS_MAX); steps > 0; steps--)
        if (tracee_waits(tracee, tid) || !tracee_step(tracee, tid) || tracee->ended)
            return;
}

static bool look(const struct tracee *tracee, struct window *window, struct coverage *coverage, int64_t *last_peak) {
    struct view view;
    if (!view_read(window, &view, NULL) || !view_is_consistent(&view, true))
        return false;
    coverage->locked += view.shard.lock != 0;
    coverage->in_flight += view.in_flight;
    int64_t blocks = view.live.blocks - view.totals.blocks;
    if (view.peak.bytes < *last_peak || blocks < -1 || blocks > 1 ||
        (view.shard.lock == 0 && view.peak.bytes < view.live.bytes)) {
        fprintf(stderr,
                "peak %" PRId64 " after %" PRId64 ", live %" PRId64 "/%" PRId64 " and %" PRId64 "/%" PRId64 "\n",
                view.peak.bytes, *last_peak, view.live.bytes, view.live.blocks, view.totals.bytes, view.totals.blocks);
        return false;
    }
    *last_peak = view.peak.bytes;
    return coverage->stops % COMMANDS_EVERY != 0 || view_agrees_with_commands(tracee, &view);
}

static uint64_t run_once(const struct plan *plan, struct coverage *coverage) {
    struct tracee tracee;
    struct result result;
    struct window *window = NULL;
    char expected[RESULT_BYTES];
    char *command[] = {(char *)plan->program, (char *)plan->script, (char *)"stops", (char *)ROUNDS, NULL};
    uint64_t failures = 0;
    int64_t last_peak = 0;
    run_bare(command, expected);
    result_open(&result);
    start_recorded(&tracee, plan, command, "objects", "NONE=", result.write_end);
    while (tracee.thread_count < 5 && !tracee.ended) /* up to its threads it has one, and takes no lock */
        tracee_run(&tracee, 1000);
    while (!tracee.ended && coverage->stops < plan->stops && failures < FAILURES_MAX) {
        if (window == NULL) {
            window = window_open(&tracee);
            window_recorder_text(window, &coverage->start, &coverage->end);
        }
        move_on(&tracee, coverage);
        if (tracee.ended || tracee.thread_count < 5)
            break;
        coverage_note(coverage, &tracee);
        if (!look(&tracee, window, coverage, &last_peak)) {
            fprintf(stderr, "... at stop %" PRIu64 "\n", coverage->stops);
            failures++;
        }
        tracee_run(&tracee, (unsigned)chance(PAUSE_MAX));
    }
    while (!tracee.ended && failures == 0)
        tracee_run_to_breakpoint(&tracee);
    tracee_kill(&tracee);
    result_close(&result);
    if (failures == 0 && (tracee.status != 0 || strcmp(result.text, expected) != 0)) {
        fprintf(stderr, "the program's status is %#x, its result %s instead of %s\n", (unsigned)tracee.status,
                result.text, expected);
        failures++;
    }
    if (window != NULL)
        window_close(window);
    return failures;
}

bool python_stops(const struct plan *plan) {
    struct coverage coverage = {0};
    uint64_t failures = 0;
    chance_seed(plan->seed);
    while (coverage.stops < plan->stops && failures == 0)
        failures += run_once(plan, &coverage);
    coverage_print(&coverage, "random stops of Python");
    free(coverage.seen);
    return failures == 0;
}
