/* What one thread allocates and frees between two moments, and how far the process's memory rose meanwhile.
 *
 * The counting goes on only while somebody measures (`mt_window_counts`): an event that nobody measures pays for one
 * look at that, when a block is born. Windows are opened, paused and closed by the thread that they are about, with the
 * GIL held, while its own work is hidden. */
#ifndef MEMTRACE_RECORDER_WINDOW_H
#define MEMTRACE_RECORDER_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "image/python_stops.h"
#include "recorder/thread.h"

extern bool mt_window_counts;
extern uint64_t mt_window_looks; /* how often the shard's window_peak_bytes began anew */
/* Whether a block of this size, which the thread has just got, may be CPython's own for our sake, although other blocks
 * are born before that can be told. NULL: none is. */
extern bool (*mt_window_suspects)(const struct mt_self *self, uint64_t size);
void mt_window_count(struct mt_self *self, bool counts); /* changes it; takes the lock itself */

struct mt_window {
    uint64_t allocated, freed;           /* up to the last pause */
    uint64_t base_allocated, base_freed; /* the thread's counters when it was last resumed */
    int64_t live_at_start;               /* of the process */
    int64_t highest;                     /* live bytes up to the last look at the shard's window_peak_bytes */
};

/* Under the recorder's lock, at the end of an event. */
static inline void mt_window_note(struct mt_shard *shard, struct mt_self *self, int64_t net) {
    if (net > 0)
        self->allocated += (uint64_t)net;
    else
        self->freed += (uint64_t)-net;
    if (shard->live_bytes > shard->window_peak_bytes)
        shard->window_peak_bytes = shard->live_bytes;
}

/* Under the recorder's lock, before the event is counted. */
void mt_window_note_birth(const struct mt_shard *shard, struct mt_self *self, uint64_t address, uint64_t size);

/* Of a block that moved, commit() sees the net change alone. */
static inline void mt_window_note_move(struct mt_self *self, uint64_t old_size, uint64_t new_size) {
    uint64_t both = old_size < new_size ? old_size : new_size;
    self->allocated += both;
    self->freed += both;
}

/* A block that the thread has got is not the program's: takes it out of the books and of all that was counted since. Of
 * several the last one comes first. */
void mt_window_disown(struct mt_self *self, struct mt_birth *birth);

/* Begins anew, paused. */
void mt_window_start(struct mt_window *window);
void mt_window_resume(struct mt_window *window, const struct mt_self *self);
void mt_window_pause(struct mt_window *window, const struct mt_self *self);
/* Of a paused window. */
struct mt_python_window mt_window_result(const struct mt_window *window);
/* What a window within it has seen, it has seen too. */
void mt_window_include(struct mt_window *window, const struct mt_window *inner);

/* The highest that live bytes were since the last call; they begin anew. */
int64_t mt_window_take_highest(struct mt_self *self);
void mt_window_see(struct mt_window *window, int64_t highest);

#endif
