/* What must be so at a stop: the boards of the program and of the library below the recorder, against the view.
 *
 * A worker in the middle of an operation may have been counted below and not yet by the recorder (or, for a free, the
 * other way round). So each worker allows a difference of nothing or of exactly its one operation, and the difference
 * of the totals must be the sum of such choices. */
#ifndef MEMTRACE_TESTS_INSTANTS_TRUTH_H
#define MEMTRACE_TESTS_INSTANTS_TRUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "board.h"
#include "view.h"

struct truth {
    uint64_t program_address, below_address;
    struct program_board program;
    struct below_board below;
    /* When the program says that it is ready: blocks of the C library and of threads, which stay. */
    block_list others;
    struct sums older; /* what was given before the recorder recorded, so that it counts below alone */
    uint64_t calls_before[WORKERS];
    unsigned undecided; /* workers that allowed a difference, at the last check */
};

void truth_open(struct truth *truth, struct window *window);
void truth_close(struct truth *truth);
void truth_read(struct truth *truth, const struct tracee *tracee);
/* Now, while no worker is in an operation, is the beginning. */
void truth_begin(struct truth *truth, const struct tracee *tracee, const struct view *view, const block_list *blocks);

/* After truth_read(). What is wrong goes to stderr. */
bool truth_totals_hold(struct truth *truth, const struct view *view);
/* Every block that the program holds is there once, with its size, and nothing else is. */
bool truth_blocks_hold(const struct truth *truth, const block_list *blocks);
bool truth_is_busy(const struct program_thread *thread);
/* What the library below counts in all. */
struct sums truth_below(const struct truth *truth);

/* What needs no truth from elsewhere: the view's numbers among each other. `many_threads`: the recorder takes its lock.
 */
bool view_is_consistent(const struct view *view, bool many_threads);

#endif
