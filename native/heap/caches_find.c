/* Where caches are: wrappers among the objects, properties and dicts in the namespaces of classes and modules. */
#include "heap/caches_find.h"

#include <string.h>

#include "python/attribute.h"
#include "python/dict.h"
#include "python/object.h"

#define POLL_EVERY 4096
#define MAX_WRAPPERS 16 /* around a function */
#define MAX_NAMES 256   /* variables of a function that is looked at closely, classes of an MRO */

#define L (&search->python->layout)

/* --- helpers ------------------------------------------------------------------------------------------------------ */

void mt_cache_visit_mro(struct mt_python *python, const struct mt_type *type, mt_cache_visit_class *visit,
                        void *context) {
    uint64_t mro = mt_cache_member(python, type->address, MT_AT(&python->layout, PyTypeObject, tp_mro));
    uint64_t count = mt_cache_member(python, mro, MT_OB_SIZE);
    for (uint64_t i = 0; i < count && i < MAX_NAMES; i++)
        if (!visit(context,
                   mt_cache_member(python, mro,
                                   MT_AT(&python->layout, PyTupleObject, ob_item) + (int64_t)(i * sizeof(uint64_t)))))
            return;
}

struct comparison {
    uint64_t base;
    bool found;
};

static bool compare_class(void *context, uint64_t class) {
    struct comparison *comparison = context;
    comparison->found |= class == comparison->base;
    return !comparison->found;
}

bool mt_cache_derives(struct mt_python *python, const struct mt_type *type, uint64_t base) {
    struct comparison comparison = {.base = base};
    mt_cache_visit_mro(python, type, compare_class, &comparison);
    return comparison.found;
}

static bool is_dict(const struct mt_type *type) {
    return type &&
           (type->kind == MT_KIND_DICT || type->kind == MT_KIND_DEFAULTDICT || type->kind == MT_KIND_ORDERED_DICT);
}

static uint64_t count_entries(struct mt_python *python, uint64_t dict) {
    struct mt_dict read;
    return mt_dict_read(python, dict, &read) ? read.used : 0;
}

/* --- what a cache calls ------------------------------------------------------------------------------------------- */

/* What `callable` wraps; 0: nothing. */
static uint64_t unwrap(struct mt_cache_search *search, uint64_t callable, uint64_t *self) {
    struct mt_python *python = search->python;
    const struct mt_type *type = mt_object_type(python, callable);
    if (!type)
        return 0;
    switch (type->kind) {
    case MT_KIND_METHOD:
        *self = mt_cache_member(python, callable, MT_AT(L, PyMethodObject, im_self));
        return mt_cache_member(python, callable, MT_AT(L, PyMethodObject, im_func));
    case MT_KIND_PARTIAL:
        return mt_cache_member(python, callable, MT_AT(L, partialobject, fn));
    case MT_KIND_LRU_CACHE:
        return mt_cache_member(python, callable, MT_AT(L, lru_cache_object, func));
    case MT_KIND_STATICMETHOD:
        return mt_cache_member(python, callable, MT_AT(L, staticmethod, sm_callable));
    case MT_KIND_CLASSMETHOD:
        return mt_cache_member(python, callable, MT_AT(L, classmethod, cm_callable));
    case MT_KIND_FUNCTION: {
        uint64_t dict = mt_cache_member(python, callable, MT_AT(L, PyFunctionObject, func_dict));
        return dict ? mt_dict_get(python, dict, "__wrapped__") : 0;
    }
    default:
        return 0;
    }
}

/* The function inside of wrappers, partials and bound methods; *ret_self: of the outermost bound method, or 0. */
static uint64_t find_function(struct mt_cache_search *search, uint64_t callable, uint64_t *ret_self) {
    *ret_self = 0;
    for (unsigned i = 0; i < MAX_WRAPPERS; i++) {
        uint64_t self = 0, inner = unwrap(search, callable, &self);
        if (inner == 0)
            break;
        if (*ret_self == 0)
            *ret_self = self;
        callable = inner;
    }
    return callable;
}

uint64_t mt_cache_identity(struct mt_python *python, uint64_t function) {
    const struct mt_type *type = mt_object_type(python, function);
    int64_t code_at = MT_AT(&python->layout, PyFunctionObject, func_code);
    uint64_t code = type && type->kind == MT_KIND_FUNCTION ? mt_cache_member(python, function, code_at) : 0;
    return code ? code : function;
}

static void add_cache(struct mt_cache_search *search, const struct mt_cache *cache) {
    uint64_t index = search->found.caches.length;
    if (!mt_vector_push(&search->found.caches, *cache) ||
        !mt_hash_map_find_or_insert(&search->cache_of, search->census->addresses[cache->object], index, NULL))
        search->failed = true;
}

/* One without entries, and without a name. */
static struct mt_cache new_cache(enum mt_cache_kind kind, uint32_t object) {
    return (struct mt_cache){.kind = kind,
                             .object = object,
                             .dict = MT_NO_OBJECT,
                             .root = MT_NO_OBJECT,
                             .self = MT_NO_OBJECT,
                             .maxsize = MT_CACHE_UNBOUNDED,
                             .module = MT_NO_OBJECT};
}

/* --- lru_cache ---------------------------------------------------------------------------------------------------- */

static void take_wrapper(struct mt_cache_search *search, uint32_t object) {
    struct mt_python *python = search->python;
    uint64_t address = search->census->addresses[object], self;
    uint64_t dict = mt_cache_member(python, address, MT_AT(L, lru_cache_object, cache));
    uint64_t function = mt_cache_member(python, address, MT_AT(L, lru_cache_object, func));
    int32_t typed = 0;
    mt_view_i32(python->view, address + MT_OFFSET(python, lru_cache_object, typed), &typed);
    struct mt_cache cache = new_cache(MT_CACHE_LRU, object);
    cache.dict = mt_census_find(search->census, dict);
    cache.root = object;
    cache.function = find_function(search, function, &self);
    cache.self = mt_census_find(search->census, self);
    cache.entries = count_entries(python, dict);
    cache.hits = mt_cache_member(python, address, MT_AT(L, lru_cache_object, hits));
    cache.misses = mt_cache_member(python, address, MT_AT(L, lru_cache_object, misses));
    cache.maxsize = (int64_t)mt_cache_member(python, address, MT_AT(L, lru_cache_object, maxsize));
    if (cache.maxsize < 0)
        cache.maxsize = MT_CACHE_UNBOUNDED;
    cache.typed = typed != 0;
    add_cache(search, &cache);
}

/* --- lru_cache in Python ------------------------------------------------------------------------------------------ */

/* Names of the free variables of a function: items of a tuple, of which the last `count` are theirs. */
struct free_names {
    uint64_t items;
    uint64_t count;
};

static struct free_names free_names(struct mt_cache_search *search, uint64_t code, uint64_t count) {
    struct mt_python *python = search->python;
    uint64_t names = mt_cache_member(python, code, MT_AT(L, PyCodeObject, co_freevars));
    if (names == 0) /* 3.11+: the last of all names of variables */
        names = mt_cache_member(python, code, MT_AT(L, PyCodeObject, co_localsplusnames));
    uint64_t total = mt_cache_member(python, names, MT_OB_SIZE);
    if (names == 0 || count > total || total > MAX_NAMES)
        return (struct free_names){0};
    uint64_t items = names + MT_OFFSET(python, PyTupleObject, ob_item);
    return (struct free_names){items + (total - count) * sizeof(uint64_t), count};
}

/* What the free variable `name` of a function holds; 0: it has none of that name. */
static uint64_t free_variable(struct mt_cache_search *search, uint64_t function, const char *name) {
    struct mt_python *python = search->python;
    uint64_t closure = mt_cache_member(python, function, MT_AT(L, PyFunctionObject, func_closure));
    uint64_t code = mt_cache_member(python, function, MT_AT(L, PyFunctionObject, func_code));
    uint64_t count = mt_cache_member(python, closure, MT_OB_SIZE);
    struct free_names names = free_names(search, code, count);
    for (uint64_t i = 0; i < names.count; i++) {
        uint64_t here = mt_cache_member(python, names.items, (int64_t)(i * sizeof here));
        if (!mt_str_equals(python, here, name))
            continue;
        uint64_t cell =
            mt_cache_member(python, closure, MT_AT(L, PyTupleObject, ob_item) + (int64_t)(i * sizeof(uint64_t)));
        return mt_cache_member(python, cell, MT_AT(L, PyCellObject, ob_ref));
    }
    return 0;
}

/* Lib/functools.py, _lru_cache_wrapper: the inner function has the cache, the counters and the cached function as free
 * variables. All functions of one code are alike. */
static bool is_python_wrapper(struct mt_cache_search *search, uint64_t function) {
    struct mt_python *python = search->python;
    uint64_t code = mt_cache_member(python, function, MT_AT(L, PyFunctionObject, func_code));
    bool is_new;
    if (mt_cache_member(python, function, MT_AT(L, PyFunctionObject, func_closure)) == 0 || code == 0)
        return false;
    uint64_t *known = mt_hash_map_find_or_insert(&search->is_wrapper, code, false, &is_new);
    if (!known) {
        search->failed = true;
        return false;
    }
    if (is_new && mt_str_equals(python, mt_cache_member(python, code, MT_AT(L, PyCodeObject, co_name)), "wrapper"))
        *known = free_variable(search, function, "cache") != 0 && free_variable(search, function, "hits") != 0 &&
                 free_variable(search, function, "misses") != 0 &&
                 free_variable(search, function, "user_function") != 0;
    return *known;
}

static uint64_t counter(struct mt_cache_search *search, uint64_t function, const char *name) {
    int64_t value;
    uint64_t variable = free_variable(search, function, name);
    return variable && mt_int_value(search->python, variable, &value) && value > 0 ? (uint64_t)value : 0;
}

static void take_python_wrapper(struct mt_cache_search *search, uint32_t object) {
    struct mt_python *python = search->python;
    uint64_t address = search->census->addresses[object], self, dict = free_variable(search, address, "cache");
    uint64_t maxsize = free_variable(search, address, "maxsize"), typed = free_variable(search, address, "typed");
    int64_t value;
    if (!is_dict(mt_object_type(python, dict)))
        return;
    struct mt_cache cache = new_cache(MT_CACHE_PYTHON_LRU, object);
    cache.dict = mt_census_find(search->census, dict);
    cache.root = mt_census_find(search->census, free_variable(search, address, "root"));
    cache.function = find_function(search, free_variable(search, address, "user_function"), &self);
    cache.self = mt_census_find(search->census, self);
    cache.entries = count_entries(python, dict);
    cache.hits = counter(search, address, "hits");
    cache.misses = counter(search, address, "misses");
    if (maxsize && mt_int_value(python, maxsize, &value) && value >= 0)
        cache.maxsize = value;
    cache.typed = typed && mt_int_value(python, typed, &value) && value != 0;
    add_cache(search, &cache);
}

/* --- namespaces --------------------------------------------------------------------------------------------------- */

static void take_object(struct mt_cache_search *search, uint32_t object) {
    switch (mt_census_type(search->census, object)->kind) {
    case MT_KIND_LRU_CACHE:
        take_wrapper(search, object);
        break;
    case MT_KIND_FUNCTION:
        if (is_python_wrapper(search, search->census->addresses[object]))
            take_python_wrapper(search, object);
        break;
    case MT_KIND_TYPE:
        search->failed |= !mt_vector_push(&search->classes, object);
        break;
    case MT_KIND_MODULE:
        search->failed |= !mt_vector_push(&search->modules, object);
        break;
    default:
        break;
    }
}

/* Whose names are looked through. */
struct namespace {
    struct mt_cache_search *search;
    const struct mt_type *class; /* NULL: a module's */
    uint32_t module;
};

static bool is_property(const struct mt_type *type) {
    const char *last = type->is_python_class ? strrchr(type->qualified, '.') : NULL;
    return last && strcmp(last + 1, "cached_property") == 0;
}

static void put_name(struct mt_cache *cache, const struct namespace *namespace, uint64_t name) {
    cache->class = namespace->class;
    cache->module = namespace->module;
    cache->name = name;
}

/* A dict or a property that has this name. */
static void take_named(const struct namespace *namespace, enum mt_cache_kind kind, uint32_t object, uint64_t name) {
    struct mt_cache_search *search = namespace->search;
    uint64_t address = search->census->addresses[object], self;
    struct mt_cache cache = new_cache(kind, object);
    put_name(&cache, namespace, name);
    if (kind == MT_CACHE_DICT) {
        cache.dict = object;
        cache.entries = count_entries(search->python, address);
        if (cache.entries == 0)
            return;
    } else {
        cache.function = find_function(search, mt_attribute_own(search->python, address, "func"), &self);
    }
    add_cache(search, &cache);
}

static bool take_name(void *context, uint64_t name, uint64_t value, uint64_t index) {
    struct namespace *namespace = context;
    struct mt_cache_search *search = namespace->search;
    uint32_t object = mt_census_find(search->census, value);
    if (object == MT_NO_OBJECT)
        return true;
    const struct mt_type *type = mt_census_type(search->census, object);
    const uint64_t *known = mt_hash_map_find(&search->cache_of, value);
    struct mt_cache *cache = known ? &search->found.caches.data[*known] : NULL;
    /* An attribute of a class says more than a global does. */
    if (cache && (cache->name == 0 || (namespace->class && !cache->class)))
        put_name(cache, namespace, name);
    else if (cache)
        return true;
    else if (is_dict(type) && !mt_hash_map_find(&search->namespaces, value))
        take_named(namespace, MT_CACHE_DICT, object, name);
    else if (namespace->class && is_property(type))
        take_named(namespace, MT_CACHE_PROPERTY, object, name);
    return !search->failed;
}

static uint64_t module_dict(struct mt_cache_search *search, uint32_t module) {
    return mt_cache_member(search->python, search->census->addresses[module], MT_AT(L, PyModuleObject, md_dict));
}

/* Dicts that are no caches of anything: what modules are made of. */
static bool note_namespaces(struct mt_cache_search *search) {
    for (size_t i = 0; i < search->modules.length; i++) {
        uint64_t dict = module_dict(search, search->modules.data[i]);
        uint64_t name = mt_cache_member(search->python, search->census->addresses[search->modules.data[i]],
                                        MT_AT(L, PyModuleObject, md_name));
        if (!mt_hash_map_find_or_insert(&search->namespaces, dict, true, NULL))
            return false;
        uint64_t modules =
            mt_str_equals(search->python, name, "sys") ? mt_dict_get(search->python, dict, "modules") : 0;
        if (modules && !mt_hash_map_find_or_insert(&search->namespaces, modules, true, NULL))
            return false;
    }
    return true;
}

static struct mt_error *look_through_classes(struct mt_cache_search *search) {
    for (size_t i = 0; i < search->classes.length && !search->failed; i++) {
        struct mt_error *error = mt_watch_poll(search->watch, "looking for caches");
        if (error)
            return error;
        struct namespace namespace = {.search = search, .module = MT_NO_OBJECT};
        namespace.class = mt_types_get(search->python->types, search->census->addresses[search->classes.data[i]]);
        uint64_t dict = namespace.class ? mt_type_dict(search->python->types, namespace.class) : 0;
        if (dict != 0)
            mt_dict_visit(search->python, dict, take_name, &namespace);
    }
    return NULL;
}

static struct mt_error *look_through_modules(struct mt_cache_search *search) {
    for (size_t i = 0; i < search->modules.length && !search->failed; i++) {
        struct mt_error *error = mt_watch_poll(search->watch, "looking for caches");
        if (error)
            return error;
        struct namespace namespace = {.search = search, .module = search->modules.data[i]};
        mt_dict_visit(search->python, module_dict(search, namespace.module), take_name, &namespace);
    }
    return NULL;
}

struct mt_error *mt_cache_search(struct mt_cache_search *search) {
    for (uint32_t i = 0; i < search->census->count && !search->failed; i++) {
        struct mt_error *error = i % POLL_EVERY == 0 ? mt_watch_poll(search->watch, "looking for caches") : NULL;
        if (error)
            return error;
        take_object(search, i);
    }
    if (search->failed || !note_namespaces(search))
        return &mt_error_no_memory;
    struct mt_error *error = look_through_modules(search);
    if (!error)
        error = look_through_classes(search);
    return !error && search->failed ? &mt_error_no_memory : error;
}
