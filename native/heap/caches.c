#include "heap/caches.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "heap/caches_find.h"
#include "heap/size.h"
#include "python/dict.h"
#include "python/object.h"

#define POLL_EVERY 4096

/* --- rows --------------------------------------------------------------------------------------------------------- */

struct rows {
    struct mt_cache_search *search;
    struct mt_hash_map row_of; /* mt_cache_identity() -> row of caches without a name */
    mt_holding_source_list sources;
};

static bool is_lru(enum mt_cache_kind kind) {
    return kind == MT_CACHE_LRU || kind == MT_CACHE_PYTHON_LRU;
}

static bool add_source(struct rows *rows, uint32_t object, uint32_t row) {
    return object == MT_NO_OBJECT || mt_vector_push(&rows->sources, ((struct mt_holding_source){object, row}));
}

/* The row of a cache: its own, or that of its function. */
static bool choose_row(struct rows *rows, uint32_t index) {
    struct mt_cache_search *search = rows->search;
    struct mt_caches *found = &search->found;
    struct mt_cache *cache = &found->caches.data[index];
    uint64_t new_row = found->rows.length, *row = &new_row;
    if (cache->name == 0)
        row = mt_hash_map_find_or_insert(&rows->row_of, mt_cache_identity(search->python, cache->function), new_row,
                                         NULL);
    if (!row)
        return false;
    cache->row = (uint32_t)*row;
    struct mt_cache_row first = {.kind = cache->kind,
                                 .cache = index,
                                 .maxsize = cache->maxsize,
                                 .caches_method = is_lru(cache->kind) && cache->class};
    return (cache->row != new_row || mt_vector_push(&found->rows, first)) &&
           add_source(rows, cache->dict, cache->row) && add_source(rows, cache->root, cache->row);
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

static struct mt_error *make_rows(struct rows *rows) {
    struct mt_cache_search *search = rows->search;
    for (uint32_t i = 0; i < search->found.caches.length; i++)
        if (!choose_row(rows, i))
            return &mt_error_no_memory;
    struct mt_error *error = mt_cache_search_properties(search, &rows->sources);
    return error ? error : link_rows(&search->found);
}

/* --- what they keep ----------------------------------------------------------------------------------------------- */

static bool is_text(const struct mt_link *link, const char *text) {
    return link->form == MT_LINK_TEXT && strcmp(link->text, text) == 0;
}

/* Keys and values in a dict, the ring of a bounded cache; or the value that an instance has of a property. */
static bool takes(void *context, const struct mt_holding_source *source, const struct mt_edge *edge) {
    const struct mt_cache_search *search = context;
    const struct mt_cache_row *row = &search->found.rows.data[source->group];
    const struct mt_link *link = &edge->link;
    if (row->kind == MT_CACHE_PROPERTY)
        return (link->form == MT_LINK_ATTRIBUTE || link->form == MT_LINK_KEY) &&
               link->name == search->found.caches.data[row->cache].name;
    return link->form == MT_LINK_KEY || link->form == MT_LINK_INDEX || is_text(link, "key") || is_text(link, "root");
}

static void add_table(void *context, const struct mt_owned_block *block) {
    uint64_t *bytes = context;
    if (!block->shared && strcmp(block->what, "object") != 0)
        *bytes += block->size;
}

/* The table of a dict that would be emptied is freed as well. */
static uint64_t table_size(struct mt_cache_search *search, const struct mt_cache *cache) {
    uint64_t bytes = 0;
    if (cache->dict != MT_NO_OBJECT)
        mt_object_blocks(search->python, search->census->addresses[cache->dict],
                         mt_census_type(search->census, cache->dict), add_table, &bytes);
    return bytes;
}

static void take_kept(struct mt_cache_search *search, const struct mt_holdings *holdings) {
    struct mt_caches *found = &search->found;
    for (uint32_t i = 0; i < found->rows.length; i++)
        found->rows.data[i].kept = holdings->groups[i].kept;
    for (uint32_t i = 0; i < found->caches.length; i++) {
        const struct mt_cache *cache = &found->caches.data[i];
        if (holdings->of[cache->object] != MT_KEPT_BY_NOBODY)
            found->rows.data[cache->row].kept.bytes += table_size(search, cache);
    }
}

/* --- instances ---------------------------------------------------------------------------------------------------- */

static bool count_instance(mt_cache_instances_list *list, const struct mt_type *type) {
    for (size_t i = 0; i < list->length; i++) {
        if (list->data[i].type != type)
            continue;
        list->data[i].count++;
        return true;
    }
    return mt_vector_push(list, ((struct mt_cache_instances){type, 1}));
}

static int by_count(const void *left, const void *right) {
    const struct mt_cache_instances *a = left, *b = right;
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    return strcmp(a->type->qualified, b->type->qualified);
}

static void sort_instances(mt_cache_instances_list *list) {
    if (list->length > 0)
        qsort(list->data, list->length, sizeof *list->data, by_count);
}

/* While the keys of a method's cache are looked through. */
struct keys {
    struct mt_cache_search *search;
    const struct mt_holdings *holdings;
    struct mt_cache_row *row;
    uint32_t number;
    uint64_t class;
    const struct mt_type *last; /* that was found to derive from the class */
    struct mt_marks seen;
    uint64_t steps;
    struct mt_error *error;
};

/* The first argument: arguments are a tuple, or a list that knows its hash (_HashedSeq); a str or int that is the only
 * one stands for itself. */
static uint64_t first_argument(struct mt_python *python, uint64_t key) {
    const struct mt_type *type = mt_object_type(python, key);
    if (!type || mt_object_item_count(python, key, type) == 0)
        return 0;
    if (type->kind == MT_KIND_TUPLE)
        return mt_cache_member(python, key, MT_AT(&python->layout, PyTupleObject, ob_item));
    if (type->kind == MT_KIND_LIST)
        return mt_cache_member(python, mt_cache_member(python, key, MT_AT(&python->layout, PyListObject, ob_item)), 0);
    return 0;
}

static bool take_key(void *context, uint64_t key, uint64_t value, uint64_t index) {
    struct keys *keys = context;
    struct mt_cache_search *search = keys->search;
    if (keys->steps++ % POLL_EVERY == 0)
        keys->error = mt_watch_poll(search->watch, "looking through keys");
    uint32_t self = mt_census_find(search->census, first_argument(search->python, key));
    if (self == MT_NO_OBJECT || mt_marks_has(&keys->seen, self))
        return !keys->error;
    mt_marks_add(&keys->seen, self);
    const struct mt_type *type = mt_census_type(search->census, self);
    if (type != keys->last && !mt_cache_derives(search->python, type, keys->class))
        return !keys->error;
    keys->last = type;
    mt_cache_instances_list *list = mt_holdings_keeps(keys->holdings, keys->number, self) ? &keys->row->kept_instances
                                    : mt_holdings_keep_jointly(keys->holdings, self)      ? &keys->row->shared_instances
                                                                                          : NULL;
    if (!keys->error && list && !count_instance(list, type))
        keys->error = &mt_error_no_memory;
    return !keys->error;
}

/* The instances that a method's cache alone keeps alive. */
static struct mt_error *count_kept(struct mt_cache_search *search, const struct mt_holdings *holdings,
                                   uint32_t number) {
    struct mt_cache_row *row = &search->found.rows.data[number];
    const struct mt_cache *cache = &search->found.caches.data[row->cache];
    struct keys keys = {
        .search = search, .holdings = holdings, .row = row, .number = number, .class = cache->class->address};
    if (cache->dict == MT_NO_OBJECT)
        return NULL;
    if (!mt_marks_init(&keys.seen, search->census->count))
        return &mt_error_no_memory;
    mt_dict_visit(search->python, search->census->addresses[cache->dict], take_key, &keys);
    mt_marks_deinit(&keys.seen);
    sort_instances(&row->kept_instances);
    sort_instances(&row->shared_instances);
    return keys.error;
}

/* --- garbage ------------------------------------------------------------------------------------------------------ */

/* What waits for the collector and was reached from the caches of a row. */
struct garbage {
    struct mt_cache_search *search;
    const struct mt_holdings *holdings;
    const struct mt_forward *forward;
    struct mt_hash_map seen;
    MT_VECTOR(uint32_t) stack;
};

static bool reach_garbage(struct garbage *garbage, uint32_t object) {
    bool is_new;
    if (garbage->holdings->of[object] != MT_KEPT_BY_NOBODY)
        return true;
    return mt_hash_map_find_or_insert(&garbage->seen, object, 0, &is_new) &&
           (!is_new || mt_vector_push(&garbage->stack, object));
}

static struct mt_error *follow_garbage(struct garbage *garbage, struct mt_reach_sum *sum) {
    while (garbage->stack.length > 0) {
        uint32_t object = garbage->stack.data[--garbage->stack.length];
        struct mt_error *error = mt_watch_poll(garbage->search->watch, "following garbage");
        if (error)
            return error;
        sum->objects++;
        sum->bytes += mt_object_total_size(garbage->search->census, object);
        for (uint32_t i = garbage->forward->first[object]; i < garbage->forward->first[object + 1]; i++)
            if (!reach_garbage(garbage, garbage->forward->targets[i]))
                return &mt_error_no_memory;
    }
    return NULL;
}

/* Sorts out the caches of a row that are alive and those that wait; all of them are of functions. */
static struct mt_error *tell_apart(struct garbage *garbage, uint32_t number) {
    struct mt_cache_search *search = garbage->search;
    struct mt_cache_row *row = &search->found.rows.data[number];
    mt_hash_map_deinit(&garbage->seen);
    for (uint32_t i = row->cache; i != MT_NO_CACHE; i = search->found.caches.data[i].next) {
        const struct mt_cache *cache = &search->found.caches.data[i];
        bool waits = garbage->holdings->of[cache->object] == MT_KEPT_BY_NOBODY;
        if (waits && !reach_garbage(garbage, cache->object))
            return &mt_error_no_memory;
        row->waiting.caches += waits;
        row->waiting.entries += waits ? cache->entries : 0;
        if (cache->self != MT_NO_OBJECT && !count_instance(waits ? &row->waiting.instances : &row->instances,
                                                           mt_census_type(search->census, cache->self)))
            return &mt_error_no_memory;
    }
    sort_instances(&row->instances);
    sort_instances(&row->waiting.instances);
    return follow_garbage(garbage, &row->waiting.sum);
}

static struct mt_error *tell_all_apart(struct mt_cache_search *search, const struct mt_holdings *holdings) {
    struct garbage garbage = {.search = search, .holdings = holdings};
    struct mt_error *error = mt_graph_forward(search->graph, search->watch, &garbage.forward);
    for (uint32_t i = 0; i < search->found.rows.length && !error; i++)
        if (is_lru(search->found.rows.data[i].kind))
            error = tell_apart(&garbage, i);
    mt_hash_map_deinit(&garbage.seen);
    mt_vector_deinit(&garbage.stack);
    return error;
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

static bool is_listed(struct mt_cache_search *search, const struct mt_cache_row *row) {
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

/* Drops the rows that are not listed, once it is known which of the others are parts of one. */
static bool choose_rows(struct mt_cache_search *search, const struct mt_holdings *holdings) {
    struct mt_caches *found = &search->found;
    MT_AUTO_FREE bool *listed = calloc(found->rows.length + 1, sizeof *listed);
    if (!listed)
        return false;
    for (uint32_t i = 0; i < found->rows.length; i++)
        listed[i] = is_listed(search, &found->rows.data[i]);
    size_t count = 0;
    for (uint32_t i = 0; i < found->rows.length; i++) {
        struct mt_cache_row row = found->rows.data[i];
        if (!listed[i]) {
            row_deinit(&row);
            continue;
        }
        uint32_t outer = holdings->groups[i].outer;
        while (outer < holdings->group_count && !listed[outer])
            outer = holdings->groups[outer].outer;
        row.is_part = outer < holdings->group_count;
        found->rows.data[count++] = row;
    }
    found->rows.length = count;
    return true;
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

static void sort_rows(struct mt_caches *found) {
    if (found->rows.length > 0)
        qsort(found->rows.data, found->rows.length, sizeof *found->rows.data, by_kept);
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

/* Caches of functions, of which is asked what they keep together. False: that is what one of them keeps alone. */
static bool choose_joint(const struct mt_caches *found, bool *joint) {
    size_t count = 0;
    for (size_t i = 0; i < found->rows.length; i++) {
        joint[i] = is_lru(found->rows.data[i].kind);
        count += joint[i] && found->rows.data[i].entries > 0;
    }
    return count > 1;
}

static struct mt_error *measure(struct mt_cache_search *search, const mt_holding_source_list *sources) {
    struct mt_caches *found = &search->found;
    struct mt_holdings holdings;
    if (found->rows.length == 0)
        return NULL;
    MT_AUTO_FREE bool *joint = calloc(found->rows.length, sizeof *joint);
    if (!joint)
        return &mt_error_no_memory;
    struct mt_holding_question question = {.sources = sources->data,
                                           .source_count = sources->length,
                                           .group_count = (uint32_t)found->rows.length,
                                           .takes = takes,
                                           .context = search,
                                           .joint = choose_joint(found, joint) ? joint : NULL};
    struct mt_error *error = mt_holdings_find(search->graph, &question, search->watch, &holdings);
    if (error)
        return error;
    take_kept(search, &holdings);
    for (uint32_t i = 0; i < found->rows.length && !error; i++)
        if (found->rows.data[i].caches_method)
            error = count_kept(search, &holdings, i);
    if (!error)
        error = tell_all_apart(search, &holdings);
    if (!error && !choose_rows(search, &holdings))
        error = &mt_error_no_memory;
    mt_holdings_deinit(&holdings);
    sort_rows(found);
    return error;
}

struct mt_error *mt_caches_find(struct mt_graph *graph, struct mt_watch *watch, struct mt_caches *ret) {
    struct mt_cache_search search = {
        .graph = graph, .census = graph->census, .python = graph->census->python, .watch = watch};
    struct rows rows = {.search = &search};
    struct mt_error *error = mt_cache_search(&search);
    if (!error)
        error = make_rows(&rows);
    if (!error)
        error = measure(&search, &rows.sources);
    mt_vector_deinit(&search.classes);
    mt_vector_deinit(&search.modules);
    mt_hash_map_deinit(&search.cache_of);
    mt_hash_map_deinit(&search.namespaces);
    mt_hash_map_deinit(&search.is_wrapper);
    mt_hash_map_deinit(&rows.row_of);
    mt_vector_deinit(&rows.sources);
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
