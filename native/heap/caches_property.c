/* Cached properties: which instances have a value of one. It stands in their __dict__ under the property's name. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "heap/caches_find.h"
#include "python/dict.h"

#define POLL_EVERY 4096

/* A property that a class has; those of one class are linked. */
struct property {
    uint32_t cache;
    uint64_t name; /* a str object: names of attributes are interned, so the address tells them apart */
    size_t next;   /* of the same class, into `list`, plus 1; 0: the last */
};

struct properties {
    struct mt_cache_search *search;
    struct mt_cache_groups *groups;
    MT_VECTOR(struct property) list;
    struct mt_hash_map of_class; /* address -> the first, plus 1 */
    /* while an instance is looked at: */
    const struct mt_type *type;
    uint32_t object;
    uint32_t dict; /* MT_NO_OBJECT: none */
    uint64_t name;
    bool failed;
};

static bool collect(struct properties *properties) {
    const struct mt_caches *found = &properties->search->found;
    for (uint32_t i = 0; i < found->caches.length; i++) {
        const struct mt_cache *cache = &found->caches.data[i];
        if (cache->kind != MT_CACHE_PROPERTY)
            continue;
        uint64_t *first = mt_hash_map_find_or_insert(&properties->of_class, cache->class->address, 0, NULL);
        if (!first || !mt_vector_push(&properties->list, ((struct property){i, cache->name, (size_t)*first})))
            return false;
        *first = properties->list.length;
    }
    return true;
}

/* --- instances ---------------------------------------------------------------------------------------------------- */

static bool add_group(struct properties *properties, uint32_t cache) {
    struct mt_cache_groups *groups = properties->groups;
    uint32_t group = (uint32_t)groups->caches.length;
    return mt_vector_push(&groups->caches, cache) &&
           mt_vector_push(&groups->sources, ((struct mt_holding_source){properties->object, group})) &&
           (properties->dict == MT_NO_OBJECT ||
            mt_vector_push(&groups->sources, ((struct mt_holding_source){properties->dict, group})));
}

static bool compare_class(void *context, uint64_t class) {
    struct properties *properties = context;
    const uint64_t *first = mt_hash_map_find(&properties->of_class, class);
    for (size_t i = first ? (size_t)*first : 0; i != 0; i = properties->list.data[i - 1].next) {
        const struct property *property = &properties->list.data[i - 1];
        if (property->name != properties->name)
            continue;
        properties->search->found.caches.data[property->cache].entries++;
        properties->failed |= !add_group(properties, property->cache);
        return false;
    }
    return true;
}

static bool take_attribute(void *context, uint64_t name, uint64_t value, uint64_t index) {
    struct properties *properties = context;
    properties->name = name;
    mt_cache_visit_mro(properties->search->python, properties->type, compare_class, properties);
    return !properties->failed;
}

static void take_instance(struct properties *properties, uint32_t object) {
    struct mt_cache_search *search = properties->search;
    struct mt_attributes attributes;
    properties->object = object;
    properties->type = mt_census_type(search->census, object);
    if (!mt_attributes_read(search->python, search->census->addresses[object], properties->type, &attributes))
        return;
    properties->dict = mt_census_find(search->census, attributes.dict);
    if (attributes.dict != 0)
        mt_dict_visit(search->python, attributes.dict, take_attribute, properties);
    else
        mt_attributes_visit(search->python, &attributes, take_attribute, properties);
}

/* --- types -------------------------------------------------------------------------------------------------------- */

struct choice {
    const struct mt_hash_map *of_class;
    bool has_properties;
};

static bool look_for_properties(void *context, uint64_t class) {
    struct choice *choice = context;
    choice->has_properties = mt_hash_map_find(choice->of_class, class) != NULL;
    return !choice->has_properties;
}

/* By index of the type: have its instances such properties? */
static bool *choose_types(const struct properties *properties) {
    struct mt_python *python = properties->search->python;
    size_t count = python->types->list.length;
    bool *chosen = calloc(count + 1, sizeof *chosen);
    for (uint32_t i = 0; chosen && i < count; i++) {
        struct choice choice = {.of_class = &properties->of_class};
        mt_cache_visit_mro(python, mt_types_at(python->types, i), look_for_properties, &choice);
        chosen[i] = choice.has_properties;
    }
    return chosen;
}

static struct mt_error *find_values(struct properties *properties) {
    const struct mt_census *census = properties->search->census;
    MT_AUTO_FREE bool *chosen = choose_types(properties);
    if (!chosen)
        return &mt_error_no_memory;
    for (uint32_t i = 0; i < census->count && !properties->failed; i++) {
        struct mt_error *error =
            i % POLL_EVERY == 0 ? mt_watch_poll(properties->search->watch, "looking for cached properties") : NULL;
        if (error)
            return error;
        if (chosen[census->types[i]])
            take_instance(properties, i);
    }
    return properties->failed ? &mt_error_no_memory : NULL;
}

struct mt_error *mt_cache_search_properties(struct mt_cache_search *search, struct mt_cache_groups *groups) {
    struct properties properties = {.search = search, .groups = groups};
    struct mt_error *error = collect(&properties) ? NULL : &mt_error_no_memory;
    if (!error && properties.list.length > 0)
        error = find_values(&properties);
    mt_vector_deinit(&properties.list);
    mt_hash_map_deinit(&properties.of_class);
    return error;
}
