#include "heap/caches.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "heap/caches_find.h"
#include "python/object.h"

bool mt_cache_is_lru(enum mt_cache_kind kind) {
    return kind == MT_CACHE_LRU || kind == MT_CACHE_PYTHON_LRU;
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

/* The row of a cache: its own, or that of its function. `row_of`: mt_cache_identity() -> row of caches without a name.
 */
static bool choose_row(struct mt_cache_search *search, struct mt_hash_map *row_of, uint32_t index) {
    struct mt_caches *found = &search->found;
    struct mt_cache *cache = &found->caches.data[index];
    uint64_t new_row = found->rows.length, *row = &new_row;
    if (cache->name == 0)
        row = mt_hash_map_find_or_insert(row_of, mt_cache_identity(search->python, cache->function), new_row, NULL);
    if (!row)
        return false;
    cache->row = (uint32_t)*row;
    struct mt_cache_row first = {.kind = cache->kind,
                                 .cache = index,
                                 .maxsize = cache->maxsize,
                                 .caches_method = mt_cache_is_lru(cache->kind) && cache->class};
    return cache->row != new_row || mt_vector_push(&found->rows, first);
}

static void add_to_row(struct mt_cache_row *row, const struct mt_cache *cache) {
    row->count++;
    row->entries += cache->entries;
    row->hits += cache->hits;
    row->misses += cache->misses;
    if (cache->maxsize == MT_CACHE_UNBOUNDED || row->maxsize == MT_CACHE_UNBOUNDED)
        row->maxsize = MT_CACHE_UNBOUNDED;
    else if (cache->maxsize > row->maxsize)
        row->maxsize = cache->maxsize;
}

/* Sums up each row, and links its caches. */
static struct mt_error *link_rows(struct mt_caches *found) {
    MT_AUTO_FREE uint32_t *last = malloc((found->rows.length + 1) * sizeof *last);
    if (!last)
        return &mt_error_no_memory;
    for (uint32_t i = 0; i < found->caches.length; i++) {
        struct mt_cache *cache = &found->caches.data[i];
        struct mt_cache_row *row = &found->rows.data[cache->row];
        cache->next = MT_NO_CACHE;
        if (row->count > 0)
            found->caches.data[last[cache->row]].next = i;
        last[cache->row] = i;
        add_to_row(row, cache);
    }
    return NULL;
}

static struct mt_error *make_rows(struct mt_cache_search *search) {
    struct mt_hash_map row_of = MT_HASH_MAP_INIT;
    bool ok = true;
    for (uint32_t i = 0; i < search->found.caches.length && ok; i++)
        ok = choose_row(search, &row_of, i);
    mt_hash_map_deinit(&row_of);
    return ok ? link_rows(&search->found) : &mt_error_no_memory;
}

/* --- groups ------------------------------------------------------------------------------------------------------- */

static bool add_source(struct mt_cache_search *search, uint32_t object, uint32_t group) {
    return object == MT_NO_OBJECT ||
           mt_vector_push(&search->groups.sources, ((struct mt_holding_source){object, group}));
}

/* A group for each cache, by its number; that of a property stays empty. */
static struct mt_error *make_groups(struct mt_cache_search *search) {
    for (uint32_t i = 0; i < search->found.caches.length; i++) {
        const struct mt_cache *cache = &search->found.caches.data[i];
        if (!mt_vector_push(&search->groups.caches, i) || !add_source(search, cache->dict, i) ||
            !add_source(search, cache->root, i))
            return &mt_error_no_memory;
    }
    return mt_cache_search_properties(search, &search->groups);
}

/* --- which are listed --------------------------------------------------------------------------------------------- */

/* Dicts of the standard library that are caches: the names differ by version. */
static const struct known_dict {
    const char *module;
    const char *name;
} known_dicts[] = {{"re", "_cache"}, {"re", "_cache2"}, {"linecache", "cache"}};

static bool is_known(struct mt_cache_search *search, const struct mt_cache *cache) {
    struct mt_python *python = search->python;
    if (cache->module == MT_NO_OBJECT)
        return false;
    uint64_t module = mt_cache_member(python, search->census->addresses[cache->module],
                                      MT_AT(&python->layout, PyModuleObject, md_name));
    for (size_t i = 0; i < sizeof known_dicts / sizeof known_dicts[0]; i++)
        if (mt_str_equals(python, cache->name, known_dicts[i].name) &&
            mt_str_equals(python, module, known_dicts[i].module))
            return true;
    return false;
}

bool mt_cache_is_listed(struct mt_cache_search *search, const struct mt_cache_row *row) {
    switch (row->kind) {
    case MT_CACHE_LRU:
    case MT_CACHE_PYTHON_LRU:
        return true;
    case MT_CACHE_PROPERTY:
        return row->entries > 0;
    case MT_CACHE_DICT:
        return row->entries >= MT_CACHE_DICT_ENTRIES || row->kept.bytes >= MT_CACHE_DICT_BYTES ||
               is_known(search, &search->found.caches.data[row->cache]);
    }
    return false;
}

static void row_deinit(struct mt_cache_row *row) {
    mt_vector_deinit(&row->kept_instances);
    mt_vector_deinit(&row->shared_instances);
    mt_vector_deinit(&row->instances);
    mt_vector_deinit(&row->waiting.instances);
}

static void drop_rows(struct mt_cache_search *search) {
    struct mt_caches *found = &search->found;
    size_t count = 0;
    for (size_t i = 0; i < found->rows.length; i++) {
        struct mt_cache_row row = found->rows.data[i];
        if (mt_cache_is_listed(search, &row))
            found->rows.data[count++] = row;
        else
            row_deinit(&row);
    }
    found->rows.length = count;
}

static int by_kept(const void *left, const void *right) {
    const struct mt_cache_row *a = left, *b = right;
    uint64_t a_bytes = a->kept.bytes + a->waiting.sum.bytes, b_bytes = b->kept.bytes + b->waiting.sum.bytes;
    if (a_bytes != b_bytes)
        return a_bytes > b_bytes ? -1 : 1;
    if (a->entries != b->entries)
        return a->entries > b->entries ? -1 : 1;
    return a->cache < b->cache ? -1 : a->cache > b->cache;
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

static struct mt_error *find(struct mt_cache_search *search) {
    struct mt_error *error = mt_cache_search(search);
    if (!error && search->found.caches.length == 0)
        return NULL;
    if (!error)
        error = make_groups(search);
    if (!error)
        error = make_rows(search);
    if (!error)
        error = mt_cache_keep(search);
    if (error)
        return error;
    drop_rows(search);
    if (search->found.rows.length > 0)
        qsort(search->found.rows.data, search->found.rows.length, sizeof *search->found.rows.data, by_kept);
    return NULL;
}

struct mt_error *mt_caches_find(struct mt_graph *graph, struct mt_watch *watch, struct mt_caches *ret) {
    struct mt_cache_search search = {
        .graph = graph, .census = graph->census, .python = graph->census->python, .watch = watch};
    struct mt_error *error = find(&search);
    mt_vector_deinit(&search.classes);
    mt_vector_deinit(&search.modules);
    mt_hash_map_deinit(&search.cache_of);
    mt_hash_map_deinit(&search.namespaces);
    mt_hash_map_deinit(&search.is_wrapper);
    mt_vector_deinit(&search.groups.sources);
    mt_vector_deinit(&search.groups.caches);
    if (error) {
        mt_caches_deinit(&search.found);
        return error;
    }
    *ret = search.found;
    return NULL;
}

void mt_caches_deinit(struct mt_caches *caches) {
    for (size_t i = 0; i < caches->rows.length; i++)
        row_deinit(&caches->rows.data[i]);
    mt_vector_deinit(&caches->rows);
    mt_vector_deinit(&caches->caches);
}
