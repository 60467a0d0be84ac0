/* Who refers to whom, backwards: the sources of each object's references; and what each reference count is made of. */
#ifndef MEMTRACE_HEAP_GRAPH_H
#define MEMTRACE_HEAP_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/vector.h"
#include "base/watch.h"
#include "heap/census.h"
#include "heap/edges.h"
#include "heap/roots.h"

struct mt_forward; /* heap/reach.h */

/* A reference from a root or by a guess, kept one by one: there are few of them. */
struct mt_root_edge {
    uint32_t target;
    struct mt_root root;
};

struct mt_graph {
    struct mt_census *census;
    /* Exact edges between objects (weak ones too, which the source's edges tell): the sources of object i are
     * sources[first[i]] to sources[first[i + 1] - 1], ascending; one entry for each reference. */
    uint32_t *first; /* census->count + 1 */
    uint32_t *sources;
    MT_VECTOR(struct mt_root_edge) roots; /* by target; roots first found exactly, then guesses that were wanted */
    /* Guesses between objects, only where references were missing: pairs by target. */
    struct {
        struct mt_guess_edge {
            uint32_t target, source;
        } * data;
        size_t length, capacity;
    } guesses;
    uint32_t *explained;        /* counted exact references (objects and roots) of each object */
    uint32_t *guessed;          /* guesses that fill what is missing after that */
    struct mt_forward *forward; /* references that keep alive, forwards; NULL: not asked for yet */
};

/* What an object's reference count is made of. */
struct mt_explanation {
    uint64_t refcount;
    bool immortal;
    uint64_t exact;   /* counted references found by exact edges and roots */
    uint64_t guessed; /* more of them by guesses; never more than were missing */
};

/* All edges of all objects, and all roots. `census` must outlive it. */
struct mt_error *mt_graph_create(struct mt_census *census, struct mt_watch *watch, struct mt_graph **ret);
void mt_graph_destroy(struct mt_graph *graph);
void mt_graph_explain(const struct mt_graph *graph, uint32_t object, struct mt_explanation *ret);

/* One way in which an object is held. */
struct mt_holder {
    enum mt_edge_kind kind;
    bool counted;
    uint32_t source;     /* an object; MT_NO_OBJECT: `root` */
    struct mt_root root; /* of a root */
    struct mt_link link; /* of an object; of a root it is in root.edge.link */
    uint64_t count;      /* references of this very link (1), or of all links folded into it */
};
struct mt_holders {
    MT_VECTOR(struct mt_holder) list;
};
/* Who holds `object`: exact holders first (in the order of their addresses), then roots, guesses, weak references. A
 * guess that would explain more than is missing is left out. */
struct mt_error *mt_graph_holders(struct mt_graph *graph, uint32_t object, struct mt_watch *watch,
                                  struct mt_holders *ret);
void mt_holders_deinit(struct mt_holders *holders);

#endif
