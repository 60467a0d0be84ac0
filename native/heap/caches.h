/* Caches: functools' lru_cache, cached properties, big dicts of modules and classes; and what each alone keeps alive.
 *
 * Modules/_functoolsmodule.c (lru_cache_object), Lib/functools.py (the same in Python, where the C one is missing, and
 * cached_property), Lib/re, Lib/linecache.py. */
#ifndef MEMTRACE_HEAP_CACHES_H
#define MEMTRACE_HEAP_CACHES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/vector.h"
#include "base/watch.h"
#include "heap/graph.h"
#include "heap/holdings.h"

enum mt_cache_kind {
    MT_CACHE_LRU,        /* functools.lru_cache, functools.cache */
    MT_CACHE_PYTHON_LRU, /* ... written in Python: a function with its cells */
    MT_CACHE_PROPERTY,   /* a cached_property: the values that instances have of it */
    MT_CACHE_DICT,       /* a dict that is a global of a module or an attribute of a class */
};

#define MT_CACHE_UNBOUNDED (-1) /* as a maximum size */
#define MT_NO_CACHE UINT32_MAX

/* One cache. */
struct mt_cache {
    enum mt_cache_kind kind;
    uint32_t object; /* the wrapper, function, property or dict */
    uint32_t row;    /* while they are looked for */
    uint32_t next;   /* of the same row, into mt_caches.caches; MT_NO_CACHE: the last */
    uint32_t dict;   /* that has the entries; MT_NO_OBJECT: a property's are in its instances */
    uint32_t root;   /* what holds the ring of a bounded cache: the wrapper, or a list; MT_NO_OBJECT: nothing */
    uint32_t self;   /* of a cache around a bound method: whose; else MT_NO_OBJECT */
    uint64_t
        function; /* what is called for what is not in the cache, wrappers, partials and methods taken off; 0: none */
    uint64_t entries; /* of a property: instances that have its value */
    uint64_t hits, misses;
    int64_t maxsize;
    bool typed;
    const struct mt_type *class; /* whose attribute it is; NULL: of none */
    uint32_t module;             /* whose global it is; MT_NO_OBJECT: of none */
    uint64_t name;               /* of that attribute or global: a str object; 0: it has none */
};

struct mt_cache_instances {
    const struct mt_type *type;
    uint64_t count;
};
typedef MT_VECTOR(struct mt_cache_instances) mt_cache_instances_list;

/* Some caches of a row that nothing keeps alive any more: they wait for the collector. */
struct mt_cache_waiting {
    uint64_t caches;
    uint64_t entries;
    struct mt_reach_sum sum;           /* all garbage that they lead to */
    mt_cache_instances_list instances; /* whose methods they cache */
};

/* One cache; or all caches of one function that have no name: a cache for each instance, or for each call. */
struct mt_cache_row {
    enum mt_cache_kind kind;
    uint32_t cache; /* the first, into mt_caches.caches */
    uint64_t count; /* caches */
    uint64_t entries, hits, misses;
    int64_t maxsize;                          /* the largest; MT_CACHE_UNBOUNDED */
    bool caches_method;                       /* it is an attribute of a class: its keys begin with `self` */
    bool kept_is_known;                       /* false: there are too many rows that have to be measured one by one */
    struct mt_reach_sum kept;                 /* what its entries alone keep alive, and the tables that they stand in */
    mt_cache_instances_list kept_instances;   /* of its class, first arguments of its keys, which it alone keeps alive;
                                                 the most first */
    mt_cache_instances_list shared_instances; /* likewise, but it and other caches keep them, only together */
    mt_cache_instances_list instances;        /* alive, whose bound methods it caches */
    struct mt_cache_waiting waiting;
    bool is_part; /* another row alone keeps it alive, and has its bytes too */
};

struct mt_caches {
    MT_VECTOR(struct mt_cache) caches;
    MT_VECTOR(struct mt_cache_row) rows; /* what keeps most alive first */
};

/* A dict of a module or class is listed when it is known as a cache (re, linecache), has so many entries, or keeps so
 * many bytes alive. */
#define MT_CACHE_DICT_ENTRIES 10000
#define MT_CACHE_DICT_BYTES 1000000

struct mt_error *mt_caches_find(struct mt_graph *graph, struct mt_watch *watch, struct mt_caches *ret);
void mt_caches_deinit(struct mt_caches *caches);

#endif
