/* From a holder upwards to something that has a name: `[3]` of a list, which is `.sinks` of a Context, which is the
 * global `CTX` of a module.
 *
 * One step leads from an object to the one holder that names it: the module, class, instance or cache whose namespace
 * it is; a module's or a cache's dict that it stands in, whoever else holds it; else its only holder. All references of
 * a holder are walked once for all objects that are climbed from at the same time, so that the holders of a million
 * instances are named in seconds. */
#ifndef MEMTRACE_COMMANDS_HOLDER_CHAIN_H
#define MEMTRACE_COMMANDS_HOLDER_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash_map.h"
#include "base/vector.h"
#include "base/watch.h"
#include "heap/graph.h"

/* How `object` is held by the next one. */
struct mt_climb_step {
    uint32_t object;
    uint32_t source;            /* MT_NO_OBJECT: `root`, or nothing that names it */
    const struct mt_root *root; /* NULL: `source`, or nothing */
    struct mt_link link;        /* of `source`; a root's is root->edge.link */
    bool linked;                /* `link` was found */
    bool only_as_namespace;     /* other links than that to its namespace don't name it: it has other holders */
};

struct mt_climber {
    struct mt_graph *graph;
    struct mt_hash_map namespaces; /* dict of a module or an lru_cache -> that object */
    struct mt_hash_map step_of;    /* object -> index into steps */
    struct mt_hash_map running;    /* frame object -> thread << 32 | frame, of frames that run */
    MT_VECTOR(struct mt_climb_step) steps;
};

/* `graph` must outlive it. */
struct mt_error *mt_climber_init(struct mt_climber *climber, struct mt_graph *graph, struct mt_watch *watch);
void mt_climber_deinit(struct mt_climber *climber);
/* Finds the ways up from these objects. */
struct mt_error *mt_climber_climb(struct mt_climber *climber, const uint32_t *objects, size_t count,
                                  struct mt_watch *watch);
/* The object whose namespace a dict is: a module or an lru_cache; MT_NO_OBJECT: no such. */
uint32_t mt_climber_namespace_owner(const struct mt_climber *climber, uint32_t dict);

/* Does a frame object stand for a frame that runs? Its numbers then. */
bool mt_climber_running_frame(const struct mt_climber *climber, uint64_t address, uint32_t *ret_thread,
                              uint32_t *ret_frame);

#define MT_CHAIN_MAX 8

struct mt_chain_link {
    uint32_t source;
    struct mt_link link;
};

/* A holder and the way up from it. */
struct mt_chain {
    struct mt_chain_link links[MT_CHAIN_MAX]; /* the holder's own first */
    size_t count;                             /* 0: `root` itself is the holder */
    const struct mt_root *root;               /* that holds the last source; NULL: none is known */
};

/* The chain of an object that holds by `link`, as far up as it was climbed. When nothing up there has a name it ends at
 * the first instance of a Python class, which tells more than what happens to hold that. */
void mt_chain_of_object(const struct mt_climber *climber, uint32_t source, const struct mt_link *link,
                        struct mt_chain *ret);
/* Of any holder; a root's chain points into `holder`. */
void mt_chain_of(const struct mt_climber *climber, const struct mt_holder *holder, struct mt_chain *ret);

/* The kind of a source's type. */
enum mt_kind mt_chain_kind(const struct mt_climber *climber, uint32_t object);
/* Is it something that is named by itself, or by where its code is? No chain goes on from there. */
bool mt_climber_is_end(const struct mt_climber *climber, uint32_t object);
/* Is this link called `text`, whatever its form? */
bool mt_link_is(const struct mt_link *link, enum mt_link_form form, const char *text);
/* Does `link` lead from a module, class or instance to the dict of its names? */
bool mt_link_is_namespace(const struct mt_link *link);

#endif
