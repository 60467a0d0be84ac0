/* The code objects that stops and measurements are about, by the names that the slots of struct mt_python_stops give.
 * With the GIL held, at a safe point. */
#ifndef MEMTRACE_RECORDER_WATCHED_H
#define MEMTRACE_RECORDER_WATCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/thread.h"

struct mt_watched {
    uint64_t code; /* whose reference is held; 0: unused */
    uint32_t file, function, first_line;
    uint32_t line_slots;     /* bit n: slot n of the stops is about a line of it */
    uint32_t function_slots; /* ... about it as a function */
    bool is_measured;
    bool is_stepped; /* a step runs in it, or in what it calls */
};

/* Has a code object's events come (or no longer): the work of tracing.c or monitoring.c. */
typedef void mt_watch_events(uint64_t code, bool on);

void mt_watched_init(mt_watch_events *events);
/* NULL: it is none of them. */
struct mt_watched *mt_watched_find(uint64_t code);
/* Compares a code object with the slots; it is watched from then on if one is about it. NULL: none is. */
struct mt_watched *mt_watched_consider(struct mt_self *self, uint64_t code);
/* Watches it for a step. NULL: there are too many. */
struct mt_watched *mt_watched_step(struct mt_self *self, uint64_t code);
/* The step is over. */
void mt_watched_end_step(void);
/* Slots have changed: forgets whom they were about. mt_watched_consider() is to be asked about every code object, then
 * mt_watched_sweep() lets go of the others. */
void mt_watched_begin_anew(void);
void mt_watched_sweep(void);
void mt_watched_clear(void);
/* How many code objects a slot is about. */
uint32_t mt_watched_count(unsigned slot);
/* Slots whose line a watched code object has come to. */
uint32_t mt_watched_slots_at(const struct mt_watched *watched, uint32_t line);

#endif
