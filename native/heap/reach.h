/* What can be reached from where: what stays alive, and what only one thing keeps alive.
 *
 * Alive is what can be reached from roots over references that own and over guesses. Roots are frames, threads and
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
static inline void mt_marks_add(struct mt_marks *marks, uint32_t object) {
    marks->words[object / 64] |= 1ULL << object % 64;
}
/* None of `count` objects; false: no memory. */
bool mt_marks_init(struct mt_marks *marks, uint32_t count);
void mt_marks_deinit(struct mt_marks *marks);

/* --- forwards ----------------------------------------------------------------------------------------------------- */

/* The references that keep their targets alive, forwards: those of object i lead to targets[first[i]] to
 * targets[first[i + 1] - 1], in the order in which mt_edges_visit shows them, and guesses behind them. */
struct mt_forward {
    uint32_t *first; /* census->count + 1 */
    uint32_t *targets;
};

/* Does this reference of an object of `source` keep its target alive? Borrowed and weak ones don't; the values that a
 * dict shows of an instance (3.13+) are the instance's, and yet live as long as the dict. */
static inline bool mt_edge_keeps(const struct mt_type *source, const struct mt_edge *edge) {
    return edge->kind != MT_EDGE_WEAK && (edge->counted || source->kind == MT_KIND_DICT);
}

/* Made when first asked for, in one pass over the heap; the graph owns it. */
struct mt_error *mt_graph_forward(struct mt_graph *graph, struct mt_watch *watch, const struct mt_forward **ret);
void mt_forward_destroy(struct mt_forward *forward);

/* Calls `visit` for every root: what roots and guesses of roots lead to, and objects that are held from outside. An
 * object may come twice. Return false to stop: out of memory. */
typedef bool mt_reach_visit(void *context, uint32_t object);
struct mt_error *mt_reach_visit_roots(struct mt_graph *graph, struct mt_watch *watch, mt_reach_visit *visit,
                                      void *context);

/* --- sets of objects ---------------------------------------------------------------------------------------------- */

/* Everything alive when the references out of the `count` objects of `without` are not followed (they themselves may
 * be alive). NULL, 0: everything alive. */
struct mt_error *mt_reach_alive(struct mt_graph *graph, const uint32_t *without, size_t count, struct mt_watch *watch,
                                struct mt_marks *ret);
/* Everything that can be reached from `object`, itself included. Types, modules and the dicts of modules, by which
 * nearly everything can be reached, are neither passed through nor reached, unless `object` is one of them. */
struct mt_error *mt_reach_from(struct mt_graph *graph, uint32_t object, struct mt_watch *watch, struct mt_marks *ret);
/* What would be freed if `object` were: itself and what only it keeps alive. *ret_alive: false: nothing keeps it alive,
 * and `ret` is what waits for the collector and can be reached from it. */
struct mt_error *mt_reach_exclusive(struct mt_graph *graph, uint32_t object, struct mt_watch *watch,
                                    struct mt_marks *ret, bool *ret_alive);

struct mt_reach_sum {
    uint64_t objects;
    uint64_t bytes; /* of their blocks: headers, bodies, buffers */
};
/* Of the objects in `alive` and not in `without` (NULL: of all in `alive`): what was kept alive only by what `without`
 * left out. */
struct mt_error *mt_reach_difference(struct mt_graph *graph, const struct mt_marks *alive,
                                     const struct mt_marks *without, struct mt_watch *watch, struct mt_reach_sum *ret);
/* Bytes of all blocks of an object, its own and its buffers; shared ones are left out. */
uint64_t mt_object_total_size(struct mt_census *census, uint32_t object);

#endif
