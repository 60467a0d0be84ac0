/* By which ways roots lead to an object: the shortest chain of references from each root.
 *
 * The search goes backwards from the object, breadth first, over references that keep their targets alive. It ends at
 * the dicts of modules in sys.modules and at running frames, which are named and lead everywhere, and at all else that
 * holds and is no object (heap/roots.h). Guesses between objects are followed when all else was. */
#ifndef MEMTRACE_HEAP_PATH_H
#define MEMTRACE_HEAP_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash_map.h"
#include "base/vector.h"
#include "base/watch.h"
#include "heap/graph.h"

/* What a path begins at, the best first. */
enum mt_path_form {
    MT_PATH_GLOBAL,   /* a global of a module that is in sys.modules */
    MT_PATH_LOCAL,    /* a variable of a running frame */
    MT_PATH_ROOT,     /* anything else that is known to hold */
    MT_PATH_IMMORTAL, /* nothing: the first object lives for ever */
    MT_PATH_GUESS,    /* a word in C memory, or a path over such */
    MT_PATH_UNKNOWN,  /* the first object has more references than were found */
};

/* Where the search ended. */
struct mt_path_end {
    enum mt_path_form form;
    uint32_t object;            /* that the root holds */
    uint32_t holder;            /* of a global: the module's dict; up to 3.10, of a local: the frame object;
                                   else MT_NO_OBJECT */
    uint32_t ordinal;           /* of several references of `holder` to `object`, which one */
    uint32_t length;            /* references on the way, the root's among them */
    uint64_t name, module;      /* of a global: the key in sys.modules, and the module there (objects) */
    const struct mt_root *root; /* owned by the graph; NULL: of globals, immortal ones, unknown holders */
};

/* How an object holds the next one. */
struct mt_path_link {
    struct mt_link link;
    bool is_guess;
};

struct mt_paths {
    struct mt_graph *graph;
    uint32_t object;
    MT_VECTOR(struct mt_path_end) ends; /* the best form first (a local is as good as a global), then the shortest */
    bool complete;                      /* all roots were found, not only as many as were wanted */
    /* private */
    uint32_t *nexts;          /* of each object that was seen: the next one on its way, plus 1; 0: not seen */
    struct mt_hash_map links; /* object -> index into link_list: how it holds the next one */
    MT_VECTOR(struct mt_path_link) link_list;
};

/* One object on a way. */
struct mt_path_step {
    uint32_t object;
    struct mt_link link; /* by which the object before holds it, or the root (which may have none: TEXT "") */
    bool is_guess;
};
struct mt_path {
    MT_VECTOR(struct mt_path_step) steps; /* from what the root holds to the object itself */
};

/* Searches until `wanted` ends of the first three forms are found. Guesses, and what comes behind them, are only told
 * where nothing better was found. `wanted` SIZE_MAX: all there are, of every form. */
struct mt_error *mt_paths_find(struct mt_graph *graph, uint32_t object, size_t wanted, struct mt_watch *watch,
                               struct mt_paths *ret);
void mt_paths_deinit(struct mt_paths *paths);

/* The steps of the way from one of the ends; free it with mt_path_deinit. */
struct mt_error *mt_paths_read(struct mt_paths *paths, const struct mt_path_end *end, struct mt_path *ret);
void mt_path_deinit(struct mt_path *path);

#endif
