/* Inside heap/caches*.c: caches while they are looked for. */
#ifndef MEMTRACE_HEAP_CACHES_FIND_H
#define MEMTRACE_HEAP_CACHES_FIND_H

#include "base/hash_map.h"
#include "heap/caches.h"

struct mt_cache_search {
    struct mt_graph *graph;
    struct mt_census *census;
    struct mt_python *python;
    struct mt_watch *watch;
    struct mt_caches found;
    MT_VECTOR(uint32_t) classes; /* all type objects */
    MT_VECTOR(uint32_t) modules;
    struct mt_hash_map cache_of;   /* lru_cache wrapper or dict, an address -> cache */
    struct mt_hash_map namespaces; /* dicts of modules, and sys.modules: addresses */
    struct mt_hash_map is_wrapper; /* code object -> is it that of the lru_cache in Python? */
    bool failed;
};

/* Finds all caches. */
struct mt_error *mt_cache_search(struct mt_cache_search *search);
/* Finds the values of cached properties: adds them to the entries of these caches, and the objects that have them to
 * `sources`. */
typedef MT_VECTOR(struct mt_holding_source) mt_holding_source_list;
struct mt_error *mt_cache_search_properties(struct mt_cache_search *search, mt_holding_source_list *sources);
/* What caches of one function have in common, an address: its code; of what has none, the callable itself. */
uint64_t mt_cache_identity(struct mt_python *python, uint64_t function);

/* --- what both look at -------------------------------------------------------------------------------------------- */

/* Is `base` one of the classes that `type` derives from, or itself? */
bool mt_cache_derives(struct mt_python *python, const struct mt_type *type, uint64_t base);
/* Calls `visit` with the classes along the MRO; return false to stop. */
typedef bool mt_cache_visit_class(void *context, uint64_t class);
void mt_cache_visit_mro(struct mt_python *python, const struct mt_type *type, mt_cache_visit_class *visit,
                        void *context);
/* The pointer at `offset` of the struct at `address`; 0: unreadable, or there is no such member. */
static inline uint64_t mt_cache_member(struct mt_python *python, uint64_t address, int64_t offset) {
    uint64_t value = 0;
    return address != 0 && offset >= 0 && mt_view_u64(python->view, address + (uint64_t)offset, &value) ? value : 0;
}

#endif
