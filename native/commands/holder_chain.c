#include "commands/holder_chain.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "python/threads.h"
#include "python/types.h"

#define MOST_LEVELS (MT_CHAIN_MAX - 1)
#define MOST_SOURCES 4096 /* looked at for one that names */
#define POLL_EVERY 4096   /* objects between two looks at the clock */

enum mt_kind mt_chain_kind(const struct mt_climber *climber, uint32_t object) {
    return mt_census_type(climber->graph->census, object)->kind;
}

bool mt_link_is(const struct mt_link *link, enum mt_link_form form, const char *text) {
    return link->form == form && link->text && strcmp(link->text, text) == 0;
}

bool mt_link_is_namespace(const struct mt_link *link) {
    return mt_link_is(link, MT_LINK_TEXT, "md_dict") || mt_link_is(link, MT_LINK_TEXT, "tp_dict") ||
           mt_link_is(link, MT_LINK_ATTRIBUTE, "__dict__");
}

/* --- namespaces --------------------------------------------------------------------------------------------------- */

/* Offset of the dict that is the namespace of an object of this kind; -1: it has none that is found so. */
static int64_t namespace_offset(const struct mt_python_layout *layout, enum mt_kind kind) {
    switch (kind) {
    case MT_KIND_MODULE:
        return MT_AT(layout, PyModuleObject, md_dict);
    case MT_KIND_LRU_CACHE:
        return MT_AT(layout, lru_cache_object, cache);
    default:
        return -1;
    }
}

static struct mt_error *find_namespaces(struct mt_climber *climber, struct mt_watch *watch) {
    const struct mt_census *census = climber->graph->census;
    struct mt_python *python = census->python;
    for (uint32_t i = 0; i < census->count; i++) {
        if (i % POLL_EVERY == 0) {
            struct mt_error *error = mt_watch_poll(watch, "looking for namespaces");
            if (error)
                return error;
        }
        int64_t offset = namespace_offset(&python->layout, mt_chain_kind(climber, i));
        uint64_t dict;
        if (offset < 0 || !mt_view_u64(python->view, census->addresses[i] + (uint64_t)offset, &dict))
            continue;
        uint32_t object = mt_census_find(census, dict);
        if (object != MT_NO_OBJECT && !mt_hash_map_find_or_insert(&climber->namespaces, object, i, NULL))
            return &mt_error_no_memory;
    }
    return NULL;
}

uint32_t mt_climber_namespace_owner(const struct mt_climber *climber, uint32_t dict) {
    const uint64_t *owner = mt_hash_map_find(&climber->namespaces, dict);
    return owner ? (uint32_t)*owner : MT_NO_OBJECT;
}

/* --- frames that run ------------------------------------------------------------------------------------------------
 */

struct frames {
    struct mt_climber *climber;
    uint32_t thread;
    bool failed;
};

static bool take_frame(void *context, const struct mt_python_frame *frame, uint32_t number) {
    struct frames *frames = context;
    uint64_t numbers = (uint64_t)frames->thread << 32 | number;
    frames->failed = frame->frame_object != 0 &&
                     !mt_hash_map_find_or_insert(&frames->climber->running, frame->frame_object, numbers, NULL);
    return !frames->failed;
}

static struct mt_error *find_running_frames(struct mt_climber *climber, struct mt_watch *watch) {
    struct mt_python *python = climber->graph->census->python;
    struct mt_threads threads;
    struct mt_error *error = mt_threads_read(python, watch, &threads);
    if (error)
        return error;
    struct frames frames = {.climber = climber};
    for (size_t i = 0; i < threads.list.length && !frames.failed; i++) {
        frames.thread = threads.list.data[i].number;
        mt_frames_visit(python, &threads.list.data[i], take_frame, &frames);
    }
    mt_threads_deinit(&threads);
    return frames.failed ? &mt_error_no_memory : NULL;
}

bool mt_climber_running_frame(const struct mt_climber *climber, uint64_t address, uint32_t *ret_thread,
                              uint32_t *ret_frame) {
    const uint64_t *numbers = mt_hash_map_find(&climber->running, address);
    if (!numbers)
        return false;
    *ret_thread = (uint32_t)(*numbers >> 32);
    *ret_frame = (uint32_t)*numbers;
    return true;
}

/* --- one step up -------------------------------------------------------------------------------------------------- */

bool mt_climber_is_end(const struct mt_climber *climber, uint32_t object) {
    switch (mt_chain_kind(climber, object)) {
    case MT_KIND_TYPE:
    case MT_KIND_MODULE:
    case MT_KIND_FUNCTION:
    case MT_KIND_CODE:
    case MT_KIND_FRAME:
    case MT_KIND_GENERATOR:
    case MT_KIND_COROUTINE:
    case MT_KIND_ASYNC_GENERATOR:
    case MT_KIND_LRU_CACHE:
        return true;
    default:
        return false;
    }
}

static bool is_weak_reference(enum mt_kind kind) {
    switch (kind) {
    case MT_KIND_WEAKREF:
    case MT_KIND_WEAKREF_REFERENCE:
    case MT_KIND_WEAKPROXY:
    case MT_KIND_WEAKREF_PROXY:
    case MT_KIND_WEAKCALLABLEPROXY:
    case MT_KIND_WEAKREF_CALLABLE_PROXY:
        return true;
    default:
        return false;
    }
}

/* The first exact root of an object; *ret_count: how many it has. */
static const struct mt_root *find_root(const struct mt_graph *graph, uint32_t object, size_t *ret_count) {
    size_t low = 0, high = graph->roots.length;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (graph->roots.data[middle].target < object)
            low = middle + 1;
        else
            high = middle;
    }
    const struct mt_root *first = NULL;
    size_t count = 0;
    for (; low < graph->roots.length && graph->roots.data[low].target == object; low++) {
        const struct mt_root *root = &graph->roots.data[low].root;
        if (root->edge.kind == MT_EDGE_GUESS)
            continue;
        if (!first)
            first = root;
        count++;
    }
    *ret_count = count;
    return first;
}

/* Decides who names `step->object`. */
static void choose(const struct mt_climber *climber, struct mt_climb_step *step) {
    const struct mt_graph *graph = climber->graph;
    enum mt_kind kind = mt_chain_kind(climber, step->object);
    if (mt_climber_is_end(climber, step->object))
        return;
    step->source = mt_climber_namespace_owner(climber, step->object);
    if (step->source != MT_NO_OBJECT)
        return;
    size_t roots, distinct = 0;
    const struct mt_root *root = find_root(graph, step->object, &roots);
    uint32_t only = MT_NO_OBJECT, instance = MT_NO_OBJECT;
    uint32_t begin = graph->first[step->object], end = graph->first[step->object + 1];
    for (uint32_t i = begin; i < end && i - begin < MOST_SOURCES; i++) {
        uint32_t source = graph->sources[i];
        const struct mt_type *type = mt_census_type(graph->census, source);
        if (source == only || source == step->object || is_weak_reference(type->kind) ||
            (roots > 0 && type->kind == MT_KIND_FRAME))
            continue;
        if (mt_climber_namespace_owner(climber, source) != MT_NO_OBJECT ||
            (kind == MT_KIND_DICT && type->kind == MT_KIND_TYPE)) {
            step->source = source;
            return;
        }
        if (instance == MT_NO_OBJECT && type->is_python_class)
            instance = source;
        only = source;
        distinct++;
    }
    bool all_seen = end - begin <= MOST_SOURCES;
    if (roots == 0 && distinct == 1 && all_seen) {
        step->source = only;
    } else if (roots == 1 && distinct == 0) {
        step->root = root;
    } else if (kind == MT_KIND_DICT) {
        step->source = instance;
        step->only_as_namespace = true;
    }
}

/* --- the links of many steps at once ------------------------------------------------------------------------------ */

struct walk {
    struct mt_climber *climber;
    uint32_t source;
};

static void take_link(void *context, const struct mt_edge *edge) {
    const struct walk *walk = context;
    uint32_t target = mt_census_find(walk->climber->graph->census, edge->target);
    if (target == MT_NO_OBJECT || edge->kind == MT_EDGE_WEAK)
        return;
    const uint64_t *index = mt_hash_map_find(&walk->climber->step_of, target);
    if (!index)
        return;
    struct mt_climb_step *step = &walk->climber->steps.data[*index];
    bool is_namespace = mt_link_is_namespace(&edge->link);
    if (step->source != walk->source || (step->linked && !is_namespace) || (step->only_as_namespace && !is_namespace))
        return;
    step->link = edge->link;
    step->linked = true;
}

static int compare_numbers(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

/* Finds the links of all steps from `first` on. */
static struct mt_error *find_links(struct mt_climber *climber, size_t first, struct mt_watch *watch) {
    const struct mt_census *census = climber->graph->census;
    size_t count = 0;
    MT_AUTO_FREE uint32_t *sources = malloc((climber->steps.length - first + 1) * sizeof *sources);
    if (!sources)
        return &mt_error_no_memory;
    for (size_t i = first; i < climber->steps.length; i++)
        if (climber->steps.data[i].source != MT_NO_OBJECT)
            sources[count++] = climber->steps.data[i].source;
    qsort(sources, count, sizeof *sources, compare_numbers);
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && sources[i] == sources[i - 1])
            continue;
        struct mt_error *error = mt_watch_poll(watch, "naming holders");
        if (error)
            return error;
        struct walk walk = {climber, sources[i]};
        mt_edges_visit(census->python, census->addresses[sources[i]], mt_census_type(census, sources[i]), take_link,
                       &walk);
    }
    return NULL;
}

/* Adds a step for `object`; false: memory is out. */
static bool add_step(struct mt_climber *climber, uint32_t object) {
    bool is_new;
    if (!mt_hash_map_find_or_insert(&climber->step_of, object, climber->steps.length, &is_new))
        return false;
    if (!is_new)
        return true;
    struct mt_climb_step step = {.object = object, .source = MT_NO_OBJECT};
    choose(climber, &step);
    return mt_vector_push(&climber->steps, step);
}

struct mt_error *mt_climber_climb(struct mt_climber *climber, const uint32_t *objects, size_t count,
                                  struct mt_watch *watch) {
    size_t first = climber->steps.length;
    for (size_t i = 0; i < count; i++) {
        struct mt_error *error = i % POLL_EVERY == 0 ? mt_watch_poll(watch, "naming holders") : NULL;
        if (!error && !add_step(climber, objects[i]))
            error = &mt_error_no_memory;
        if (error)
            return error;
    }
    for (size_t level = 0; level < MOST_LEVELS && first < climber->steps.length; level++) {
        struct mt_error *error = find_links(climber, first, watch);
        if (error)
            return error;
        size_t end = climber->steps.length;
        for (; first < end; first++) {
            const struct mt_climb_step *step = &climber->steps.data[first];
            if (step->linked && !add_step(climber, step->source))
                return &mt_error_no_memory;
        }
    }
    return NULL;
}

struct mt_error *mt_climber_init(struct mt_climber *climber, struct mt_graph *graph, struct mt_watch *watch) {
    *climber = (struct mt_climber){.graph = graph};
    struct mt_error *error = find_namespaces(climber, watch);
    if (!error)
        error = find_running_frames(climber, watch);
    if (error)
        mt_climber_deinit(climber);
    return error;
}

void mt_climber_deinit(struct mt_climber *climber) {
    mt_hash_map_deinit(&climber->namespaces);
    mt_hash_map_deinit(&climber->step_of);
    mt_hash_map_deinit(&climber->running);
    mt_vector_deinit(&climber->steps);
}

/* --- chains ------------------------------------------------------------------------------------------------------- */

static const struct mt_climb_step *step_from(const struct mt_climber *climber, uint32_t object) {
    const uint64_t *index = mt_hash_map_find(&climber->step_of, object);
    return index ? &climber->steps.data[*index] : NULL;
}

static bool contains(const struct mt_chain *chain, uint32_t object) {
    for (size_t i = 0; i < chain->count; i++)
        if (chain->links[i].source == object)
            return true;
    return false;
}

/* Leaves out what stands above the first instance of a Python class. */
static void cut_at_instance(const struct mt_climber *climber, struct mt_chain *chain) {
    const struct mt_census *census = climber->graph->census;
    if (chain->root || mt_climber_is_end(climber, chain->links[chain->count - 1].source))
        return;
    for (size_t i = 0; i < chain->count; i++)
        if (mt_census_type(census, chain->links[i].source)->is_python_class)
            chain->count = i + 1;
}

void mt_chain_of_object(const struct mt_climber *climber, uint32_t source, const struct mt_link *link,
                        struct mt_chain *ret) {
    *ret = (struct mt_chain){.links = {{source, *link}}, .count = 1};
    /* An instance of a class is not named here: there may be a million of them. */
    bool is_instance = mt_link_is(link, MT_LINK_TEXT, "ob_type");
    while (!is_instance && !ret->root && ret->count < MT_CHAIN_MAX) {
        const struct mt_climb_step *step = step_from(climber, ret->links[ret->count - 1].source);
        if (!step || !(step->root || step->linked) || (step->linked && contains(ret, step->source)))
            break;
        ret->root = step->root;
        if (step->linked)
            ret->links[ret->count++] = (struct mt_chain_link){step->source, step->link};
    }
    cut_at_instance(climber, ret);
}

void mt_chain_of(const struct mt_climber *climber, const struct mt_holder *holder, struct mt_chain *ret) {
    if (holder->source == MT_NO_OBJECT)
        *ret = (struct mt_chain){.root = &holder->root};
    else
        mt_chain_of_object(climber, holder->source, &holder->link, ret);
}
