/* Inside heap/caches*.c: caches while they are looked for. */
#ifndef MEMTRACE_HEAP_CACHES_FIND_H
#define MEMTRACE_HEAP_CACHES_FIND_H

#include "base/hash_map.h"
#include "heap/caches.h"

/* The references that are the caches', in groups of which each lives and dies as a whole: of a property one for each
 * instance. */
struct mt_cache_groups {
    MT_VECTOR(struct mt_holding_source) sources;
    MT_VECTOR(uint32_t) caches; /* of each group: whose it is, into mt_caches.caches */
};

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
    struct mt_cache_groups groups; /* that of each cache has its number; then those of instances */
    bool failed;
};

/* Finds all caches. */
struct mt_error *mt_cache_search(struct mt_cache_search *search);
/* Finds the values of cached properties: adds them to the entries of these caches, and to the groups. */
struct mt_error *mt_cache_search_properties(struct mt_cache_search *search, struct mt_cache_groups *groups);
/* Says of all rows what they keep alive, and what of them waits for the collector. */
struct mt_error *mt_cache_keep(struct mt_cache_search *search);
/* Dicts that are small and not known as caches are not, and properties without values. */
bool mt_cache_is_listed(struct mt_cache_search *search, const struct mt_cache_row *row);
bool mt_cache_is_lru(enum mt_cache_kind kind);
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
