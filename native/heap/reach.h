/* What can be reached from where: what stays alive, and what only one thing keeps alive.
 *
 * Alive is what can be reached from roots over exact references that own and over guesses. Roots are frames, threads and
 * interpreters, what C code seems to hold, static objects, and objects that have more references than were found: who
 * holds them is not known, so they count as held. Everything else waits for the collector. */
#ifndef MEMTRACE_HEAP_REACH_H
#define MEMTRACE_HEAP_REACH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/watch.h"
#include "heap/graph.h"

/* A set of objects, one bit each. */
struct mt_marks {
    uint64_t *words;
    uint32_t count; /* objects in the heap */
};

static inline bool mt_marks_has(const struct mt_marks *marks, uint32_t object) {
    return marks->words[object / 64] >> object % 64 & 1;
}
void mt_marks_deinit(struct mt_marks *marks);

/* Everything alive when the references out of the `count` objects of `without` are not followed (they themselves may
 * be alive). NULL, 0: everything alive. */
struct mt_error *mt_reach_alive(struct mt_graph *graph, const uint32_t *without, size_t count, struct mt_watch *watch,
                                struct mt_marks *ret);
/* Everything that can be reached from `object`, itself included. Types and modules, by which nearly everything can be
 * reached, are not passed through. */
struct mt_error *mt_reach_from(struct mt_graph *graph, uint32_t object, struct mt_watch *watch, struct mt_marks *ret);

struct mt_reach_sum {
    uint64_t objects;
    uint64_t bytes; /* of their blocks: headers, bodies, buffers */
};
/* Of the objects in `alive` and not in `without`: what was kept alive only by what `without` left out. */
struct mt_error *mt_reach_difference(struct mt_graph *graph, const struct mt_marks *alive,
                                     const struct mt_marks *without, struct mt_watch *watch, struct mt_reach_sum *ret);
/* Bytes of all blocks of an object, its own and its buffers; shared ones are left out. */
uint64_t mt_object_total_size(struct mt_census *census, uint32_t object);

#endif
