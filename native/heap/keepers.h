/* The one thing that alone keeps most of a heap alive, of those that have a name: a cache, a variable, a module's
 * global, an attribute of a class.
 *
 * What a thing alone keeps alive is what it dominates (heap/dominators.h): every way from the roots leads through it.
 */
#ifndef MEMTRACE_HEAP_KEEPERS_H
#define MEMTRACE_HEAP_KEEPERS_H

#include <stdint.h>

#include "base/error.h"
#include "base/watch.h"
#include "heap/graph.h"

enum mt_keeper_form {
    MT_KEEPER_NONE,
    MT_KEEPER_CACHE,     /* a functools cache: `object` is its wrapper */
    MT_KEEPER_GLOBAL,    /* a value in the dict of a module, `owner`, by `name` */
    MT_KEEPER_ATTRIBUTE, /* the same of a class */
    MT_KEEPER_LOCAL,     /* a variable `name` of the frame at `frame` */
    MT_KEEPER_GENERATOR, /* a suspended generator or coroutine */
    MT_KEEPER_FRAME,     /* all variables of the frame at `frame` together */
};

struct mt_keeper {
    enum mt_keeper_form form;
    uint32_t object; /* MT_NO_OBJECT: none (a frame) */
    uint32_t owner;  /* of globals and attributes; else MT_NO_OBJECT */
    uint64_t name;   /* a str object; 0: none */
    uint64_t frame;  /* as mt_root.where; 0: none */
    uint64_t bytes;
    uint64_t objects;
};

struct mt_keepers {
    struct mt_keeper biggest; /* form MT_KEEPER_NONE: nothing that has a name keeps anything */
    uint64_t garbage_bytes;   /* of objects that nothing keeps alive: they wait for the collector */
    uint64_t garbage_objects;
};

/* `bytes`: of each object of the census; on success it is, for each that is alive, with all that only it keeps alive.
 */
struct mt_error *mt_keepers_find(struct mt_graph *graph, uint64_t *bytes, struct mt_watch *watch,
                                 struct mt_keepers *ret);

#endif
