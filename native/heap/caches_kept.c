/* What caches keep alive, and what of them waits for the collector. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "heap/caches_find.h"
#include "heap/size.h"
#include "python/dict.h"
#include "python/object.h"

#define POLL_EVERY 4096
#define MOST_PASSES 32 /* over the whole heap, for rows of more than one group */

/* --- which references are whose ----------------------------------------------------------------------------------- */

static bool is_text(const struct mt_link *link, const char *text) {
    return link->form == MT_LINK_TEXT && strcmp(link->text, text) == 0;
}

/* Keys and values in a dict, the ring of a bounded cache; or the value that an instance has of a property. */
static bool takes(void *context, const struct mt_holding_source *source, const struct mt_edge *edge) {
    const struct mt_cache_search *search = context;
    const struct mt_cache *cache = &search->found.caches.data[search->groups.caches.data[source->group]];
    const struct mt_link *link = &edge->link;
    if (cache->kind == MT_CACHE_PROPERTY)
        return (link->form == MT_LINK_ATTRIBUTE || link->form == MT_LINK_KEY) && link->name == cache->name;
    return link->form == MT_LINK_KEY || link->form == MT_LINK_INDEX || is_text(link, "key") || is_text(link, "root");
}

static uint32_t row_of_group(const struct mt_cache_search *search, uint32_t group) {
    return search->found.caches.data[search->groups.caches.data[group]].row;
}

/* --- sums --------------------------------------------------------------------------------------------------------- */

struct keeping {
    struct mt_cache_search *search;
    struct mt_holdings *holdings;
    bool *cut; /* by group; between two questions for any use */
};

static bool waits(const struct mt_holdings *holdings, const struct mt_cache *cache) {
    return holdings->of[cache->object] == MT_KEPT_BY_NOBODY;
}

static void add_table(void *context, const struct mt_owned_block *block) {
    uint64_t *bytes = context;
    if (!block->shared && strcmp(block->what, "object") != 0)
        *bytes += block->size;
}

/* The table of a dict that would be emptied is freed as well. */
static void add_tables(struct keeping *keeping) {
    struct mt_cache_search *search = keeping->search;
    for (size_t i = 0; i < search->found.caches.length; i++) {
        const struct mt_cache *cache = &search->found.caches.data[i];
        if (cache->dict != MT_NO_OBJECT && !waits(keeping->holdings, cache))
            mt_object_blocks(search->python, search->census->addresses[cache->dict],
                             mt_census_type(search->census, cache->dict), add_table,
                             &search->found.rows.data[cache->row].kept.bytes);
    }
}

/* What several groups keep together: what is alive, and not without them. */
static struct mt_error *measure_together(struct keeping *keeping, uint32_t row) {
    struct mt_cache_search *search = keeping->search;
    struct mt_reach_sum *sum = &search->found.rows.data[row].kept;
    struct mt_marks otherwise;
    for (uint32_t group = 0; group < search->groups.caches.length; group++)
        keeping->cut[group] = row_of_group(search, group) == row;
    struct mt_error *error = mt_holdings_otherwise(keeping->holdings, keeping->cut, search->watch, &otherwise);
    if (error)
        return error;
    for (uint32_t i = 0; i < search->census->count && !error; i++) {
        if (i % POLL_EVERY == 0)
            error = mt_watch_poll(search->watch, "adding up");
        if (keeping->holdings->of[i] == MT_KEPT_BY_NOBODY || mt_marks_has(&otherwise, i))
            continue;
        sum->objects++;
        sum->bytes += mt_object_total_size(search->census, i);
    }
    mt_marks_deinit(&otherwise);
    return error;
}

/* Rows that need a pass of their own, those with most entries first. */
struct passes {
    struct pass {
        uint64_t entries;
        uint32_t row;
    } * list;
    size_t count;
};

static int by_entries(const void *left, const void *right) {
    const struct pass *a = left, *b = right;
    if (a->entries != b->entries)
        return a->entries > b->entries ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

static struct mt_error *measure_rows(struct keeping *keeping, struct passes *passes) {
    struct mt_caches *found = &keeping->search->found;
    for (uint32_t i = 0; i < found->rows.length; i++) {
        struct mt_cache_row *row = &found->rows.data[i];
        bool has_one_group = row->count == 1 && row->kind != MT_CACHE_PROPERTY;
        row->kept_is_known = true;
        if (has_one_group)
            row->kept = keeping->holdings->groups[row->cache].kept;
        else if (row->entries > row->waiting.entries)
            passes->list[passes->count++] = (struct pass){row->entries, i};
    }
    if (passes->count > 0)
        qsort(passes->list, passes->count, sizeof *passes->list, by_entries);
    struct mt_error *error = NULL;
    for (size_t i = 0; i < passes->count && !error; i++) {
        if (i < MOST_PASSES)
            error = measure_together(keeping, passes->list[i].row);
        else
            found->rows.data[passes->list[i].row].kept_is_known = false;
    }
    return error;
}

static struct mt_error *measure(struct keeping *keeping) {
    struct passes passes = {.list = calloc(keeping->search->found.rows.length + 1, sizeof *passes.list)};
    struct mt_error *error = passes.list ? measure_rows(keeping, &passes) : &mt_error_no_memory;
    free(passes.list);
    if (!error)
        add_tables(keeping);
    return error;
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
    const bool *inside;               /* by group: what the cache alone keeps */
    const struct mt_marks *otherwise; /* alive without all caches of functions */
    struct mt_cache_row *row;
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

/* By whom the instance is kept; NULL: not by caches alone. */
static mt_cache_instances_list *list_of(const struct keys *keys, uint32_t instance) {
    uint32_t group = keys->holdings->of[instance];
    if (group < keys->holdings->group_count && keys->inside[group])
        return &keys->row->kept_instances;
    bool is_alive = group != MT_KEPT_BY_NOBODY;
    return is_alive && !mt_marks_has(keys->otherwise, instance) ? &keys->row->shared_instances : NULL;
}

static bool take_key(void *context, uint64_t key, uint64_t value, uint64_t index) {
    struct keys *keys = context;
    struct mt_cache_search *search = keys->search;
    if (keys->steps++ % POLL_EVERY == 0)
        keys->error = mt_watch_poll(search->watch, "looking through keys");
    uint32_t self = mt_census_find(search->census, first_argument(search->python, key));
    if (keys->error || self == MT_NO_OBJECT || mt_marks_has(&keys->seen, self))
        return !keys->error;
    mt_marks_add(&keys->seen, self);
    const struct mt_type *type = mt_census_type(search->census, self);
    if (type != keys->last && !mt_cache_derives(search->python, type, keys->class))
        return true;
    keys->last = type;
    mt_cache_instances_list *list = list_of(keys, self);
    if (list && !count_instance(list, type))
        keys->error = &mt_error_no_memory;
    return !keys->error;
}

/* The instances that a method's cache keeps alive. */
static struct mt_error *count_kept(struct keeping *keeping, const struct mt_marks *otherwise,
                                   struct mt_cache_row *row) {
    struct mt_cache_search *search = keeping->search;
    const struct mt_cache *cache = &search->found.caches.data[row->cache];
    struct keys keys = {.search = search,
                        .holdings = keeping->holdings,
                        .inside = keeping->cut,
                        .otherwise = otherwise,
                        .row = row,
                        .class = cache->class->address};
    if (!mt_marks_init(&keys.seen, search->census->count))
        return &mt_error_no_memory;
    mt_holdings_inside(keeping->holdings, row->cache, keeping->cut);
    mt_dict_visit(search->python, search->census->addresses[cache->dict], take_key, &keys);
    mt_marks_deinit(&keys.seen);
    sort_instances(&row->kept_instances);
    sort_instances(&row->shared_instances);
    return keys.error;
}

static bool has_keys_of_methods(const struct mt_cache_search *search, const struct mt_cache_row *row) {
    return row->caches_method && row->entries > 0 && search->found.caches.data[row->cache].dict != MT_NO_OBJECT;
}

static struct mt_error *count_all_kept(struct keeping *keeping) {
    struct mt_cache_search *search = keeping->search;
    struct mt_caches *found = &search->found;
    struct mt_marks otherwise;
    size_t count = 0;
    for (size_t i = 0; i < found->rows.length; i++)
        count += has_keys_of_methods(search, &found->rows.data[i]);
    if (count == 0)
        return NULL;
    for (uint32_t group = 0; group < search->groups.caches.length; group++)
        keeping->cut[group] = mt_cache_is_lru(found->caches.data[search->groups.caches.data[group]].kind);
    struct mt_error *error = mt_holdings_otherwise(keeping->holdings, keeping->cut, search->watch, &otherwise);
    if (error)
        return error;
    for (size_t i = 0; i < found->rows.length && !error; i++)
        if (has_keys_of_methods(search, &found->rows.data[i]))
            error = count_kept(keeping, &otherwise, &found->rows.data[i]);
    mt_marks_deinit(&otherwise);
    return error;
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
        bool is_garbage = waits(garbage->holdings, cache);
        if (is_garbage && !reach_garbage(garbage, cache->object))
            return &mt_error_no_memory;
        row->waiting.caches += is_garbage;
        row->waiting.entries += is_garbage ? cache->entries : 0;
        if (cache->self != MT_NO_OBJECT && !count_instance(is_garbage ? &row->waiting.instances : &row->instances,
                                                           mt_census_type(search->census, cache->self)))
            return &mt_error_no_memory;
    }
    sort_instances(&row->instances);
    sort_instances(&row->waiting.instances);
    return follow_garbage(garbage, &row->waiting.sum);
}

static struct mt_error *tell_all_apart(struct keeping *keeping) {
    struct mt_cache_search *search = keeping->search;
    struct garbage garbage = {.search = search, .holdings = keeping->holdings};
    struct mt_error *error = mt_graph_forward(search->graph, search->watch, &garbage.forward);
    for (uint32_t i = 0; i < search->found.rows.length && !error; i++)
        if (mt_cache_is_lru(search->found.rows.data[i].kind))
            error = tell_apart(&garbage, i);
    mt_hash_map_deinit(&garbage.seen);
    mt_vector_deinit(&garbage.stack);
    return error;
}

/* --- parts -------------------------------------------------------------------------------------------------------- */

/* The nearest group above that is of another row, one that is listed; a number beyond the groups: there is none.
 * `above` has that already of all groups that keep this one. */
static uint32_t find_above(const struct keeping *keeping, const bool *listed, const uint32_t *above, uint32_t group) {
    const struct mt_cache_search *search = keeping->search;
    uint32_t row = row_of_group(search, group), outer = keeping->holdings->groups[group].outer;
    while (outer < keeping->holdings->group_count) {
        uint32_t outer_row = row_of_group(search, outer);
        if (outer_row != row && listed[outer_row])
            break;
        /* Of an own row, this is the answer; of one that is not listed, it may be of our own again: once more. */
        outer = above[outer];
    }
    return outer;
}

/* A row is a part of others when all of its groups are. */
static struct mt_error *find_parts(struct keeping *keeping, const bool *listed) {
    struct mt_cache_search *search = keeping->search;
    struct mt_caches *found = &search->found;
    const struct mt_holdings *holdings = keeping->holdings;
    MT_AUTO_FREE uint32_t *above = malloc(((size_t)holdings->group_count + 1) * sizeof *above);
    if (!above)
        return &mt_error_no_memory;
    for (size_t i = 0; i < found->rows.length; i++)
        found->rows.data[i].is_part = true;
    for (uint32_t i = 0; i < holdings->order_count; i++) {
        uint32_t group = holdings->order[i];
        above[group] = find_above(keeping, listed, above, group);
        if (above[group] >= holdings->group_count)
            found->rows.data[row_of_group(search, group)].is_part = false;
    }
    return NULL;
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

static struct mt_error *keep(struct keeping *keeping) {
    struct mt_error *error = tell_all_apart(keeping);
    if (!error)
        error = measure(keeping);
    if (!error)
        error = count_all_kept(keeping);
    if (error)
        return error;
    struct mt_caches *found = &keeping->search->found;
    MT_AUTO_FREE bool *listed = calloc(found->rows.length + 1, sizeof *listed);
    if (!listed)
        return &mt_error_no_memory;
    for (size_t i = 0; i < found->rows.length; i++)
        listed[i] = mt_cache_is_listed(keeping->search, &found->rows.data[i]);
    return find_parts(keeping, listed);
}

struct mt_error *mt_cache_keep(struct mt_cache_search *search) {
    struct mt_holdings holdings;
    struct mt_holding_question question = {.sources = search->groups.sources.data,
                                           .source_count = search->groups.sources.length,
                                           .group_count = (uint32_t)search->groups.caches.length,
                                           .takes = takes,
                                           .context = search};
    struct mt_error *error = mt_holdings_find(search->graph, &question, search->watch, &holdings);
    if (error)
        return error;
    struct keeping keeping = {.search = search, .holdings = &holdings};
    keeping.cut = calloc((size_t)question.group_count + 1, sizeof *keeping.cut);
    error = keeping.cut ? keep(&keeping) : &mt_error_no_memory;
    free(keeping.cut);
    mt_holdings_deinit(&holdings);
    return error;
}
