/* Chosen operations, instruction by instruction. The program runs twice, with the same addresses: first whole, to learn
 * at which operations the recorder grows; then these, and those that are always of interest, are stepped through. After
 * every instruction of the recorder the whole image is read. Within one event the answers change once at most, from
 * what they were before to what they are after. */
#include "instants.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "truth.h"

#define OPERATIONS_MAX 16384
#define SAME_MAX 1 /* operations with the same label in which the same things grow */
#define FULLY 4000 /* instructions of an operation; of longer ones only each so many is looked at (struct plan) */
#define FAILURES_MAX 10

/* What grows. Each is a bit of `grown`. */
enum growth {
    TABLE_PAGES,
    SHADOW_LEAVES,
    SHADOW_LEAVES_FEWER,
    SHADOW_TABLES,
    POOL_DIRECTORIES,
    STACK_INDEX,
    MAPPED, /* the recorder asks the kernel for memory */
    GROWTHS
};
static const char *const growth_names[GROWTHS] = {"table pages",   "shadow leaves",    "shadow leaves given back",
                                                  "shadow tables", "pool directories", "stack index",
                                                  "mapped"};

struct size {
    uint64_t numbers[GROWTHS];
};

struct run {
    const struct plan *plan;
    struct tracee tracee;
    struct result result;
    struct window *window;
    bool has_truth;
    struct truth truth;
    struct coverage *coverage;
    uint64_t failures;
    /* of the operation being stepped through */
    char label[40];
    struct view last;
    unsigned live_changes, peak_changes, totals_changes; /* since the last instant without an event */
};

/* --- what the recorder holds
 * ------------------------------------------------------------------------------------------ */

static void count_shadow(const struct tracee *tracee, uint64_t table, unsigned level, uint64_t *leaves,
                         uint64_t *tables) {
    uint64_t entries[MT_SHADOW_ENTRIES];
    tracee_read(tracee, table, entries, sizeof entries);
    ++*tables;
    for (unsigned i = 0; i < MT_SHADOW_ENTRIES; i++) {
        if (level < 2 && entries[i] != 0)
            count_shadow(tracee, entries[i], level + 1, leaves, tables);
        else if (MT_SHADOW_LEAF(entries[i]) != 0)
            ++*leaves;
    }
}

static struct size read_size(const struct run *run) {
    struct size size = {0};
    struct mt_image_header header;
    tracee_read(&run->tracee, window_image(run->window), &header, sizeof header);
    const struct mt_shard *shard = &header.shards[0];
    size.numbers[TABLE_PAGES] = shard->table_pages.count;
    count_shadow(&run->tracee, shard->shadow_root, 0, &size.numbers[SHADOW_LEAVES], &size.numbers[SHADOW_TABLES]);
    const struct mt_pool_ref *const pools[] = {&header.codes, &header.stacks, &header.sites,      &header.threads,
                                               &header.marks, &shard->ranges, &shard->table_pages};
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++)
        size.numbers[POOL_DIRECTORIES] += pools[i]->directory * (2 * i + 1); /* another sum when one is another */
    /* An index doubles when three quarters of its 1024 slots, and twice as many, are taken. */
    while (header.stacks.count > 1 + (768u << size.numbers[STACK_INDEX]))
        size.numbers[STACK_INDEX]++;
    size.numbers[MAPPED] = header.recorder_bytes;
    return size;
}

static unsigned what_grew(const struct size *before, const struct size *after) {
    unsigned grown = 0;
    for (unsigned i = 0; i < GROWTHS; i++)
        if (i == POOL_DIRECTORIES ? after->numbers[i] != before->numbers[i] : after->numbers[i] > before->numbers[i])
            grown |= 1u << i;
    if (after->numbers[SHADOW_LEAVES] < before->numbers[SHADOW_LEAVES])
        grown |= 1u << SHADOW_LEAVES_FEWER;
    return grown;
}

/* --- one run
 * ------------------------------------------------------------------------------------------------------------ */

static void open_run(struct run *run, const struct plan *plan, struct coverage *coverage) {
    char *steps[] = {(char *)plan->program, (char *)"steps", NULL};
    char *script[] = {(char *)plan->program, (char *)"-IS", (char *)plan->script, (char *)"steps", NULL};
    *run = (struct run){.plan = plan, .has_truth = plan->below != NULL, .coverage = coverage};
    result_open(&run->result);
    start_recorded(&run->tracee, plan, plan->script != NULL ? script : steps, plan->script != NULL ? "heap" : "objects",
                   "NONE=", run->result.write_end);
}

static void close_run(struct run *run) {
    tracee_kill(&run->tracee);
    result_close(&run->result);
    if (run->failures == 0 && run->tracee.status != 0) {
        fprintf(stderr, "the program ended with status %#x\n", (unsigned)run->tracee.status);
        run->failures++;
    }
    truth_close(&run->truth);
    if (run->window != NULL)
        window_close(run->window);
}

static void begin_truth(struct run *run) {
    struct view view;
    block_list blocks = {0};
    truth_open(&run->truth, run->window);
    if (!view_read(run->window, &view, &blocks))
        die("the recording can't be read at its beginning");
    truth_begin(&run->truth, &run->tracee, &view, &blocks);
    mt_vector_deinit(&blocks);
}

/* On to the next operation, or past it; false when the program has ended. */
static bool next(struct run *run) {
    tracee_run_to_breakpoint(&run->tracee);
    if (run->tracee.ended)
        return false;
    if (run->window == NULL) {
        run->window = window_open(&run->tracee);
        window_recorder_text(run->window, &run->coverage->start, &run->coverage->end);
        if (run->has_truth)
            begin_truth(run);
    }
    if (run->has_truth)
        truth_read(&run->truth, &run->tracee);
    snprintf(run->label, sizeof run->label, "%s", run->has_truth ? run->truth.program.label : "a line of Python");
    return true;
}

/* The operation that is labelled so obeys the request. */
static void request_mark(struct run *run) {
    const char name[MT_MARK_NAME] = "every instant";
    const uint32_t request = MT_REQUEST_MARK;
    uint64_t image = window_image(run->window);
    if (strcmp(run->label, "mark") != 0)
        return;
    tracee_write(&run->tracee, image + offsetof(struct mt_image_header, request_name), name, sizeof name);
    tracee_write(&run->tracee, image + offsetof(struct mt_image_header, request), &request, sizeof request);
}

/* Which operations are worth it, and what grows in them. */
static size_t survey(const struct plan *plan, unsigned grown[OPERATIONS_MAX], struct coverage *coverage) {
    struct run run;
    size_t count = 0;
    open_run(&run, plan, coverage);
    while (next(&run)) {
        if (count == OPERATIONS_MAX)
            die("too many operations");
        struct size before = read_size(&run);
        request_mark(&run);
        if (!next(&run))
            die("the program ended in the middle of an operation");
        struct size after = read_size(&run);
        grown[count++] = what_grew(&before, &after);
    }
    close_run(&run);
    return run.failures == 0 ? count : 0;
}

/* --- after every instruction
 * --------------------------------------------------------------------------------------------- */

/* A mark that says that it is whole is whole. */
static bool marks_hold(const struct run *run) {
    struct mt_image_header header;
    tracee_read(&run->tracee, window_image(run->window), &header, sizeof header);
    for (uint64_t i = 0; i < header.marks.count; i++) {
        uint64_t chunk;
        struct mt_mark mark;
        int64_t bytes = 0, blocks = 0;
        tracee_read(&run->tracee, header.marks.directory + 8 * (i >> header.marks.chunk_shift), &chunk, sizeof chunk);
        tracee_read(&run->tracee, chunk + (i & ((1u << header.marks.chunk_shift) - 1)) * header.marks.stride, &mark,
                    sizeof mark);
        if (mark.generation == 0)
            continue;
        for (uint64_t j = 0; j < mark.sum_count; j++) {
            struct mt_mark_sum sum;
            tracee_read(&run->tracee, mark.sums + j * sizeof sum, &sum, sizeof sum);
            bytes += sum.bytes;
            blocks += sum.blocks;
        }
        if (bytes != mark.live_bytes || blocks != mark.live_blocks) {
            fprintf(stderr, "mark %" PRIu32 " is of %" PRId64 " bytes, its sums are %" PRId64 "\n", mark.generation,
                    mark.live_bytes, bytes);
            return false;
        }
    }
    return true;
}

static bool look(struct run *run) {
    struct view view;
    if (!view_read(run->window, &view, NULL))
        return false;
    run->live_changes += view.fingerprint != run->last.fingerprint || !sums_equal(view.live, run->last.live);
    run->peak_changes += !sums_equal(view.peak, run->last.peak);
    run->totals_changes += view.totals.bytes != run->last.totals.bytes;
    run->last = view;
    bool holds = view_is_consistent(&view, false) && marks_hold(run);
    if (run->live_changes > 1 || run->peak_changes > 1 || run->totals_changes > 1) {
        fprintf(stderr, "within one event the live blocks changed %u times, the peak %u times, the totals %u times\n",
                run->live_changes, run->peak_changes, run->totals_changes);
        holds = false;
    }
    if (view.in_flight == 0 && view.shard.lock == 0)
        run->live_changes = run->peak_changes = run->totals_changes = 0;
    run->coverage->locked += view.shard.lock != 0;
    run->coverage->in_flight += view.in_flight;
    return holds;
}

static void complain(struct run *run, pid_t tid, const char *when) {
    fprintf(stderr, "... %s %s, at the recorder's code + %#" PRIx64 "\n", when, run->label,
            tracee_instruction(tid) - run->coverage->start);
    run->failures++;
}

/* From one breakpoint to the next. */
static void step_through(struct run *run) {
    pid_t tid = run->tracee.breakpoint;
    bool was_inside = false;
    uint64_t looks = 0;
    request_mark(run);
    if (!view_read(run->window, &run->last, NULL) || !view_is_consistent(&run->last, false))
        complain(run, tid, "before");
    struct view before = run->last;
    run->live_changes = run->peak_changes = run->totals_changes = 0;
    run->tracee.breakpoint = 0;
    while (run->tracee.breakpoint == 0 && !run->tracee.ended && run->failures < FAILURES_MAX) {
        if (!tracee_step(&run->tracee, tid))
            die("%s: a single step waits for another thread", run->label);
        bool inside = coverage_has(run->coverage, tracee_instruction(tid));
        if (inside && (looks + 1 < FULLY || (looks + 1) % run->plan->stride == 0))
            coverage_note(run->coverage, &run->tracee);
        looks += inside || was_inside;
        bool due = looks < FULLY || looks % run->plan->stride == 0 || !inside;
        if ((inside || was_inside) && due && !look(run))
            complain(run, tid, "in");
        was_inside = inside;
    }
    if (run->tracee.ended)
        die("the program ended in the middle of an operation");
    if (!run->has_truth || run->failures > 0)
        return;
    truth_read(&run->truth, &run->tracee);
    const struct operation *operation = NULL;
    for (unsigned i = 0; i < run->truth.program.threads; i++)
        if (run->truth.program.thread[i].tid == (uint32_t)tid)
            operation = &run->truth.program.thread[i].operation;
    if (operation == NULL || run->last.live.bytes != before.live.bytes + operation->bytes ||
        run->last.live.blocks != before.live.blocks + operation->blocks ||
        !truth_totals_hold(&run->truth, &run->last) || run->truth.undecided != 0)
        complain(run, tid, "after");
}

/* --- both runs
 * ------------------------------------------------------------------------------------------------------------ */

struct seen {
    char label[40];
    unsigned grown;
    unsigned times;
};

static bool seen_enough(struct seen *list, size_t *count, const char *label, unsigned grown) {
    size_t i = 0;
    while (i < *count && (strcmp(list[i].label, label) != 0 || list[i].grown != grown))
        i++;
    if (i == *count) {
        snprintf(list[i].label, sizeof list[i].label, "%s", label);
        list[i].grown = grown;
        list[i].times = 0;
        ++*count;
    }
    return list[i].times++ >= SAME_MAX;
}

static void print_grown(unsigned grown) {
    for (unsigned i = 0; i < GROWTHS; i++)
        if (grown >> i & 1)
            printf("{\"grown\":\"%s\"}\n", growth_names[i]);
}

bool single_steps(const struct plan *plan) {
    static unsigned grown[OPERATIONS_MAX];
    static struct seen seen[OPERATIONS_MAX];
    struct coverage coverage = {0};
    size_t count = survey(plan, grown, &coverage), seen_count = 0, at = 0;
    unsigned all = 0;
    struct run run;
    open_run(&run, plan, &coverage);
    for (; next(&run) && run.failures < FAILURES_MAX; at++) {
        bool always = run.has_truth && run.truth.program.each != 0;
        if (at == count)
            die("the program does not do twice what it did once");
        if (always || (grown[at] != 0 && !seen_enough(seen, &seen_count, run.label, grown[at]))) {
            struct size before = read_size(&run), after;
            step_through(&run);
            after = read_size(&run);
            all |= what_grew(&before, &after);
            if (what_grew(&before, &after) != grown[at])
                die("%s: not what grew the first time", run.label);
        } else if (!next(&run)) {
            die("the program ended in the middle of an operation");
        }
    }
    close_run(&run);
    print_grown(all);
    coverage_print(&coverage, plan->script != NULL ? "single steps of Python" : "single steps");
    free(coverage.seen);
    return count > 0 && run.failures == 0;
}
