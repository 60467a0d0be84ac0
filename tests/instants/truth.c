#include "truth.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/hash_map.h"

#define OLDER_MAX 1024 /* bytes */

void truth_open(struct truth *truth, struct window *window) {
    *truth = (struct truth){.program_address = window_symbol(window, PROGRAM_BOARD_SYMBOL),
                            .below_address = window_symbol(window, BELOW_BOARD_SYMBOL)};
}

void truth_close(struct truth *truth) {
    mt_vector_deinit(&truth->others);
}

void truth_read(struct truth *truth, const struct tracee *tracee) {
    tracee_read(tracee, truth->program_address, &truth->program, sizeof truth->program);
    tracee_read(tracee, truth->below_address, &truth->below, sizeof truth->below);
}

bool truth_is_busy(const struct program_thread *thread) {
    return thread->begun != thread->ended;
}

static const struct below_counts *counts_of(const struct truth *truth, uint32_t tid) {
    static const struct below_counts none;
    for (unsigned i = 0; i < BELOW_THREADS; i++) {
        const struct below_thread *thread = &truth->below.thread[i];
        if (thread->tid == tid)
            return &thread->counts[thread->version & 1];
    }
    return &none; /* it has not called yet */
}

struct sums truth_below(const struct truth *truth) {
    struct sums sums = {0};
    for (unsigned i = 0; i < BELOW_THREADS; i++) {
        const struct below_thread *thread = &truth->below.thread[i];
        sums.bytes += thread->counts[thread->version & 1].bytes;
        sums.blocks += thread->counts[thread->version & 1].blocks;
    }
    return sums;
}

/* The difference (recorder minus below) that a worker allows besides none. false: it allows no other. */
static bool allowed(const struct truth *truth, unsigned worker, struct sums *ret) {
    const struct program_thread *thread = &truth->program.thread[worker];
    const struct operation *operation = &thread->operation;
    if (!truth_is_busy(thread) || operation->call == 0)
        return false;
    const struct below_counts *counts = counts_of(truth, thread->tid);
    bool counted = counts->calls - truth->calls_before[worker] >= operation->call;
    if (operation->is_free ? counted : !counted)
        return false;
    *ret = operation->is_free ? (struct sums){operation->bytes, operation->blocks}
                              : (struct sums){-counts->last_bytes, -counts->last_blocks};
    return ret->bytes != 0 || ret->blocks != 0;
}

bool truth_totals_hold(struct truth *truth, const struct view *view) {
    struct sums below = truth_below(truth), choices[WORKERS];
    below.bytes -= truth->older.bytes;
    below.blocks -= truth->older.blocks;
    unsigned count = 0;
    for (unsigned i = 0; i < truth->program.threads; i++)
        count += allowed(truth, i, &choices[count]);
    truth->undecided = count;
    bool live_holds = false, totals_hold = false;
    for (unsigned chosen = 0; chosen < 1u << count; chosen++) {
        struct sums sums = below;
        for (unsigned i = 0; i < count; i++) {
            sums.bytes += chosen >> i & 1 ? choices[i].bytes : 0;
            sums.blocks += chosen >> i & 1 ? choices[i].blocks : 0;
        }
        live_holds |= sums_equal(view->live, sums);
        totals_hold |= view->totals.bytes == sums.bytes;
    }
    if (live_holds && totals_hold)
        return true;
    fprintf(stderr,
            "live: %" PRId64 " bytes, %" PRId64 " blocks; the recorder's totals: %" PRId64 ", %" PRId64
            "; below: %" PRId64 ", %" PRId64 "; allowed differences:",
            view->live.bytes, view->live.blocks, view->totals.bytes, view->totals.blocks, below.bytes, below.blocks);
    for (unsigned i = 0; i < count; i++)
        fprintf(stderr, " (%" PRId64 ", %" PRId64 ")", choices[i].bytes, choices[i].blocks);
    fprintf(stderr, "%s\n", count == 0 ? " none" : "");
    return false;
}

/* --- blocks
 * ----------------------------------------------------------------------------------------------------------- */

/* Calls `each` for all places of all workers. */
static void each_place(const struct truth *truth,
                       void (*each)(void *context, uint64_t place_address, const struct held *held), void *context) {
    const struct program_board *board = &truth->program;
    for (unsigned i = 0; i < board->threads; i++) {
        const struct program_thread *thread = &board->thread[i];
        const struct held *lists[] = {thread->slots, thread->ranges, thread->cells};
        const unsigned lengths[] = {SLOTS, RANGES, CELLS};
        for (unsigned list = 0; list < 3; list++)
            for (unsigned j = 0; j < lengths[list]; j++)
                if (lists[list][j].address != 0)
                    each(context,
                         truth->program_address + (uint64_t)((const char *)&lists[list][j] - (const char *)board),
                         &lists[list][j]);
    }
}

struct expectation {
    const struct truth *truth;
    struct mt_hash_map held;  /* address -> size; what must be there */
    struct mt_hash_map maybe; /* address -> size; what an operation is about */
};

static bool is_touched(const struct truth *truth, uint64_t place) {
    for (unsigned i = 0; i < truth->program.threads; i++) {
        const struct program_thread *thread = &truth->program.thread[i];
        for (unsigned j = 0; j < TOUCHED && truth_is_busy(thread); j++)
            if (thread->operation.touched[j] == place)
                return true;
    }
    return false;
}

static void expect_place(void *context, uint64_t place, const struct held *held) {
    struct expectation *expectation = context;
    struct mt_hash_map *map = is_touched(expectation->truth, place) ? &expectation->maybe : &expectation->held;
    mt_hash_map_find_or_insert(map, held->address, held->size, NULL);
}

/* Whether some worker's operation is about such a block. */
static bool is_in_flight(const struct truth *truth, const struct mt_block *block) {
    for (unsigned i = 0; i < truth->program.threads; i++) {
        const struct program_thread *thread = &truth->program.thread[i];
        const struct operation *operation = &thread->operation;
        uint64_t given = counts_of(truth, thread->tid)->last_address;
        if (!truth_is_busy(thread))
            continue;
        if (block->address == operation->old_address && block->size == operation->old_size)
            return true;
        if (block->address == given && block->size == operation->new_size)
            return true;
        if (operation->is_range && block->address >= operation->old_address &&
            block->address < operation->old_address + operation->old_size)
            return true;
    }
    return false;
}

bool truth_blocks_hold(const struct truth *truth, const block_list *blocks) {
    struct expectation expectation = {.truth = truth};
    each_place(truth, expect_place, &expectation);
    for (size_t i = 0; i < truth->others.length; i++)
        mt_hash_map_find_or_insert(&expectation.held, truth->others.data[i].address, truth->others.data[i].size, NULL);
    size_t missing = mt_hash_map_count(&expectation.held);
    bool holds = true;
    for (size_t i = 0; i < blocks->length && holds; i++) {
        const struct mt_block *block = &blocks->data[i];
        uint64_t *size = mt_hash_map_find(&expectation.held, block->address);
        const uint64_t *maybe = mt_hash_map_find(&expectation.maybe, block->address);
        if (size != NULL && *size == block->size) {
            *size = UINT64_MAX; /* seen */
            missing--;
        } else if (!is_in_flight(truth, block) && (maybe == NULL || *maybe != block->size)) {
            fprintf(stderr, "a block of %" PRIu64 " bytes at %#" PRIx64 " that %s\n", block->size, block->address,
                    size == NULL          ? "the program does not hold"
                    : *size == UINT64_MAX ? "was there before"
                                          : "has another size");
            holds = false;
        }
    }
    uint64_t address, size;
    for (size_t cursor = 0; holds && missing > 0 && mt_hash_map_next(&expectation.held, &cursor, &address, &size);) {
        if (size != UINT64_MAX) {
            fprintf(stderr, "the block of %" PRIu64 " bytes at %#" PRIx64 " is missing\n", size, address);
            holds = false;
        }
    }
    mt_hash_map_deinit(&expectation.held);
    mt_hash_map_deinit(&expectation.maybe);
    return holds;
}

void truth_begin(struct truth *truth, const struct tracee *tracee, const struct view *view, const block_list *blocks) {
    truth_read(truth, tracee);
    struct expectation expectation = {.truth = truth};
    each_place(truth, expect_place, &expectation);
    truth->others.length = 0;
    for (size_t i = 0; i < blocks->length; i++)
        if (mt_hash_map_find(&expectation.held, blocks->data[i].address) == NULL &&
            !mt_vector_push(&truth->others, blocks->data[i]))
            die("out of memory");
    mt_hash_map_deinit(&expectation.held);
    mt_hash_map_deinit(&expectation.maybe);
    for (unsigned i = 0; i < truth->program.threads; i++) {
        const struct program_thread *thread = &truth->program.thread[i];
        if (truth_is_busy(thread))
            die("a worker is at work when none should be");
        truth->calls_before[i] = counts_of(truth, thread->tid)->calls - thread->operation.call;
    }
    /* The loader's messages, when the recorder asked it for what is not there. */
    struct sums counted = truth_below(truth);
    truth->older = (struct sums){counted.bytes - view->live.bytes, counted.blocks - view->live.blocks};
    if (truth->older.bytes < 0 || truth->older.blocks < 0 || truth->older.bytes > OLDER_MAX)
        die("the recorder and the library below it differ from the beginning, by %lld bytes",
            (long long)truth->older.bytes);
}

/* --- the view alone
 * ----------------------------------------------------------------------------------------------------- */

bool view_is_consistent(const struct view *view, bool many_threads) {
    const char *wrong = NULL;
    /* With several threads, every change is made under the lock; with one there is none to take. */
    bool settled = view->shard.lock == 0 && (many_threads || view->in_flight == 0);
    if (view->gaps.unreadable_pages != 0 || view->gaps.strays != 0)
        wrong = "blocks without a site, or pages that can't be read";
    else if (view->dropped != 0)
        wrong = "events were dropped";
    else if (settled && (!sums_equal(view->live, view->totals) || !sums_equal(view->live, view->sites) ||
                         view->peak.bytes != view->peak_bytes))
        wrong = "the counts differ though nobody changes them";
    else if (view->peak.bytes > view->peak_bytes)
        wrong = "the composition of the peak is more than the peak";
    else if (view->peak.bytes != view->peak_bytes && view->peak_bytes != view->totals.bytes)
        wrong = "the composition of the peak is not the peak, and no new one is being set";
    if (wrong == NULL)
        return true;
    fprintf(stderr,
            "%s: live %" PRId64 "/%" PRId64 ", totals %" PRId64 "/%" PRId64 ", sites %" PRId64 "/%" PRId64
            ", peak %" PRId64 "/%" PRId64 " of %" PRId64 "; lock %" PRIu32 ", %zu in flight, %" PRIu64
            " strays, %" PRIu64 " unreadable, %" PRIu64 " dropped\n",
            wrong, view->live.bytes, view->live.blocks, view->totals.bytes, view->totals.blocks, view->sites.bytes,
            view->sites.blocks, view->peak.bytes, view->peak.blocks, view->peak_bytes, view->shard.lock,
            view->in_flight, view->gaps.strays, view->gaps.unreadable_pages, view->dropped);
    return false;
}
