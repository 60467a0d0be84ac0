#include "heap/keepers.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash_map.h"
#include "base/vector.h"
#include "heap/dominators.h"
#include "heap/reach.h"
#include "python/dict.h"
#include "python/object.h"

#define POLL_EVERY 4096
/* A thing that says more is preferred when it keeps at least 3/4 as much as the biggest. */
#define WORTH_NUMERATOR 3
#define WORTH_DENOMINATOR 4

/* A variable of a running frame. Frames of 3.11 and later are no objects: each is a node behind all objects. */
struct local {
    uint32_t frame; /* index into frames */
    uint32_t object;
    uint64_t name; /* 0: a slot of the evaluation stack */
};

/* What is looked at at first, and what only when that says little. */
enum level { LEVEL_CACHE, LEVEL_VARIABLE, LEVEL_GENERATOR, LEVEL_FRAME, LEVELS };

struct search {
    struct mt_graph *graph;
    struct mt_python *python;
    struct mt_watch *watch;
    uint64_t *bytes;
    MT_VECTOR(uint64_t) frames;     /* their addresses */
    struct mt_hash_map frame_of;    /* address -> index into frames */
    MT_VECTOR(struct local) locals; /* by frame */
    struct mt_hash_map local_of;    /* object -> by how many variables it is held */
    MT_VECTOR(uint32_t) roots;
    struct mt_keeper best[LEVELS];
    /* of the namespace that is being read: */
    enum mt_keeper_form form;
    uint32_t owner;
    uint64_t frame; /* whose variables are being read */
};

/* --- the graph ------------------------------------------------------------------------------------------------------
 */

static bool add_local(struct search *search, const struct mt_root_edge *edge) {
    bool is_new;
    uint64_t *frame = mt_hash_map_find_or_insert(&search->frame_of, edge->root.where, search->frames.length, &is_new);
    if (!frame || (is_new && !mt_vector_push(&search->frames, edge->root.where)))
        return false;
    const struct mt_link *link = &edge->root.edge.link;
    struct local local = {
        .frame = (uint32_t)*frame, .object = edge->target, .name = link->form == MT_LINK_NAMED ? link->name : 0};
    uint64_t *count = mt_hash_map_find_or_insert(&search->local_of, edge->target, 0, NULL);
    if (!count || !mt_vector_push(&search->locals, local))
        return false;
    ++*count;
    return true;
}

static bool is_variable(const struct mt_root *root) {
    return root->form == MT_ROOT_LOCAL && root->edge.kind == MT_EDGE_ROOT;
}

/* Each root but the variables, which their frames hold. */
static bool take_root(void *context, uint32_t object) {
    struct search *search = context;
    uint64_t *by_locals = mt_hash_map_find(&search->local_of, object);
    if (by_locals && *by_locals > 0) {
        --*by_locals;
        return true;
    }
    return mt_vector_push(&search->roots, object);
}

static int by_frame(const void *left, const void *right) {
    const struct local *a = left, *b = right;
    return a->frame < b->frame ? -1 : a->frame > b->frame;
}

static struct mt_error *find_roots(struct search *search) {
    const struct mt_graph *graph = search->graph;
    for (size_t i = 0; i < graph->roots.length; i++)
        if (is_variable(&graph->roots.data[i].root) && !add_local(search, &graph->roots.data[i]))
            return &mt_error_no_memory;
    if (search->locals.length > 0)
        qsort(search->locals.data, search->locals.length, sizeof *search->locals.data, by_frame);
    struct mt_error *error = mt_reach_visit_roots(search->graph, search->watch, take_root, search);
    uint32_t count = graph->census->count;
    for (uint32_t i = 0; i < search->frames.length && !error; i++)
        if (!mt_vector_push(&search->roots, count + i))
            error = &mt_error_no_memory;
    return error;
}

/* The frames' references. One more than there are frames: where the last one's end. */
static struct mt_error *find_dominators(struct search *search, struct mt_dominators *ret) {
    uint32_t count = search->graph->census->count, frames = (uint32_t)search->frames.length;
    MT_AUTO_FREE struct mt_flow_node *own = calloc((size_t)frames + 1, sizeof *own);
    MT_AUTO_FREE uint32_t *own_targets = malloc((search->locals.length + 1) * sizeof *own_targets);
    const struct mt_forward *forward;
    if (!own || !own_targets)
        return &mt_error_no_memory;
    struct mt_error *error = mt_graph_forward(search->graph, search->watch, &forward);
    if (error)
        return error;
    size_t at = 0;
    for (uint32_t i = 0; i <= frames; i++) {
        own[i] = (struct mt_flow_node){.node = count + i, .first = (uint32_t)at};
        for (; at < search->locals.length && search->locals.data[at].frame == i; at++)
            own_targets[at] = search->locals.data[at].object;
    }
    struct mt_flow flow = {
        .count = count + frames,
        .common = count,
        .first = forward->first,
        .targets = forward->targets,
        .own = own,
        .own_count = frames,
        .own_targets = own_targets,
        .roots = search->roots.data,
        .root_count = search->roots.length,
    };
    return mt_dominators_find(&flow, search->watch, ret);
}

/* --- candidates -----------------------------------------------------------------------------------------------------
 */

static enum level level_of(enum mt_keeper_form form) {
    switch (form) {
    case MT_KEEPER_CACHE:
        return LEVEL_CACHE;
    case MT_KEEPER_GENERATOR:
        return LEVEL_GENERATOR;
    case MT_KEEPER_FRAME:
        return LEVEL_FRAME;
    default:
        return LEVEL_VARIABLE;
    }
}

static void consider(struct search *search, struct mt_keeper keeper) {
    struct mt_keeper *best = &search->best[level_of(keeper.form)];
    if (keeper.bytes > best->bytes)
        *best = keeper;
}

/* Modules, classes and functions hold what makes up the program, and by that nearly everything. */
static bool is_program(const struct mt_type *type) {
    switch (type->kind) {
    case MT_KIND_MODULE:
    case MT_KIND_TYPE:
    case MT_KIND_FUNCTION:
    case MT_KIND_CODE:
    case MT_KIND_FRAME:
        return true;
    default:
        return false;
    }
}

static void consider_value(struct search *search, enum mt_keeper_form form, uint32_t owner, uint32_t object,
                           uint64_t name, uint64_t frame) {
    const struct mt_type *type = mt_census_type(search->graph->census, object);
    if (!is_program(type))
        consider(search, (struct mt_keeper){.form = form,
                                            .object = object,
                                            .owner = owner,
                                            .name = name,
                                            .frame = frame,
                                            .bytes = search->bytes[object]});
}

static bool take_entry(void *context, uint64_t key, uint64_t value, uint64_t index) {
    struct search *search = context;
    uint32_t object = mt_census_find(search->graph->census, value);
    if (object != MT_NO_OBJECT)
        consider_value(search, search->form, search->owner, object, key, 0);
    return true;
}

static void consider_namespace(struct search *search, enum mt_keeper_form form, uint32_t owner, uint64_t dict) {
    search->form = form;
    search->owner = owner;
    if (dict != 0)
        mt_dict_visit(search->python, dict, take_entry, search);
}

static uint64_t dict_of_module(struct mt_python *python, uint64_t module) {
    uint64_t dict = 0;
    mt_view_u64(python->view, module + MT_OFFSET(python, PyModuleObject, md_dict), &dict);
    return dict;
}

static void take_variable(void *context, const struct mt_edge *edge) {
    struct search *search = context;
    uint32_t object = mt_census_find(search->graph->census, edge->target);
    if (object != MT_NO_OBJECT && edge->kind == MT_EDGE_EXACT && edge->link.form == MT_LINK_NAMED)
        consider_value(search, MT_KEEPER_LOCAL, MT_NO_OBJECT, object, edge->link.name, search->frame);
}

/* The variables of the frame at `frame`, which the object is or has in it. */
static void consider_variables(struct search *search, uint32_t object, uint64_t frame) {
    const struct mt_census *census = search->graph->census;
    search->frame = frame;
    mt_edges_visit(search->python, census->addresses[object], mt_census_type(census, object), take_variable, search);
}

/* Up to 3.10 frames are objects. */
static void consider_frame_object(struct search *search, uint32_t object) {
    uint64_t address = search->graph->census->addresses[object];
    if (search->python->minor > 10)
        return;
    consider_variables(search, object, address);
    consider(search, (struct mt_keeper){.form = MT_KEEPER_FRAME,
                                        .object = MT_NO_OBJECT,
                                        .owner = MT_NO_OBJECT,
                                        .frame = address,
                                        .bytes = search->bytes[object]});
}

/* Later they lie in the generator. */
static void consider_generator(struct search *search, uint32_t object) {
    const struct mt_python_layout *layout = &search->python->layout;
    if (MT_HAS(layout, PyGenObject, gi_iframe))
        consider_variables(search, object,
                           search->graph->census->addresses[object] + (uint64_t)MT_AT(layout, PyGenObject, gi_iframe));
    consider_value(search, MT_KEEPER_GENERATOR, MT_NO_OBJECT, object, 0, 0);
}

static void consider_object(struct search *search, uint32_t object) {
    const struct mt_type *type = mt_census_type(search->graph->census, object);
    uint64_t address = search->graph->census->addresses[object];
    switch (type->kind) {
    case MT_KIND_LRU_CACHE:
        consider_value(search, MT_KEEPER_CACHE, MT_NO_OBJECT, object, 0, 0);
        break;
    case MT_KIND_MODULE:
        consider_namespace(search, MT_KEEPER_GLOBAL, object, dict_of_module(search->python, address));
        break;
    case MT_KIND_TYPE:
        if (mt_types_get(search->python->types, address))
            consider_namespace(search, MT_KEEPER_ATTRIBUTE, object,
                               mt_type_dict(search->python->types, mt_types_get(search->python->types, address)));
        break;
    case MT_KIND_GENERATOR:
    case MT_KIND_COROUTINE:
    case MT_KIND_ASYNC_GENERATOR:
        consider_generator(search, object);
        break;
    case MT_KIND_FRAME:
        consider_frame_object(search, object);
        break;
    default:
        break;
    }
}

static struct mt_error *consider_all(struct search *search, const struct mt_dominators *dominators,
                                     const uint64_t *frame_bytes) {
    for (uint32_t i = 0; i < search->graph->census->count; i++) {
        struct mt_error *error = i % POLL_EVERY == 0 ? mt_watch_poll(search->watch, "looking for keepers") : NULL;
        if (error)
            return error;
        if (dominators->of[i] != MT_DOMINATOR_UNREACHED)
            consider_object(search, i);
    }
    for (size_t i = 0; i < search->locals.length; i++) {
        const struct local *local = &search->locals.data[i];
        if (local->name != 0)
            consider_value(search, MT_KEEPER_LOCAL, MT_NO_OBJECT, local->object, local->name,
                           search->frames.data[local->frame]);
    }
    for (size_t i = 0; i < search->frames.length; i++)
        consider(search, (struct mt_keeper){.form = MT_KEEPER_FRAME,
                                            .object = MT_NO_OBJECT,
                                            .owner = MT_NO_OBJECT,
                                            .frame = search->frames.data[i],
                                            .bytes = frame_bytes[i]});
    return NULL;
}

static void choose(const struct search *search, struct mt_keeper *ret) {
    uint64_t most = 0;
    for (int level = 0; level < LEVELS; level++)
        most = search->best[level].bytes > most ? search->best[level].bytes : most;
    for (int level = 0; level < LEVELS; level++) {
        const struct mt_keeper *best = &search->best[level];
        if (best->form != MT_KEEPER_NONE && best->bytes >= most / WORTH_DENOMINATOR * WORTH_NUMERATOR) {
            *ret = *best;
            return;
        }
    }
}

/* --- sums -----------------------------------------------------------------------------------------------------------
 */

/* Adds to each node what it dominates; nodes come behind their dominators in the order. */
static void add_up(struct search *search, const struct mt_dominators *dominators, uint64_t *frame_bytes) {
    uint32_t count = search->graph->census->count;
    for (uint32_t i = dominators->reached; i-- > 0;) {
        uint32_t node = dominators->order[i], dominator = dominators->of[node];
        uint64_t bytes = node < count ? search->bytes[node] : frame_bytes[node - count];
        if (dominator < count)
            search->bytes[dominator] += bytes;
        else if (dominator < count + search->frames.length)
            frame_bytes[dominator - count] += bytes;
    }
}

static void add_garbage(const struct search *search, const struct mt_dominators *dominators, struct mt_keepers *ret) {
    for (uint32_t i = 0; i < search->graph->census->count; i++) {
        if (dominators->of[i] != MT_DOMINATOR_UNREACHED)
            continue;
        ret->garbage_objects++;
        ret->garbage_bytes += search->bytes[i];
    }
}

/* The node that stands for a keeper. */
static uint32_t node_of(const struct search *search, const struct mt_keeper *keeper) {
    if (keeper->form != MT_KEEPER_FRAME)
        return keeper->object;
    const uint64_t *frame = mt_hash_map_find(&search->frame_of, keeper->frame);
    return frame ? search->graph->census->count + (uint32_t)*frame
                 : mt_census_find(search->graph->census, keeper->frame);
}

/* How many objects it keeps alive, itself included. */
static struct mt_error *count_objects(const struct search *search, const struct mt_dominators *dominators,
                                      struct mt_keeper *keeper) {
    struct mt_marks below;
    uint32_t top = node_of(search, keeper), nodes = search->graph->census->count + (uint32_t)search->frames.length;
    if (!mt_marks_init(&below, nodes))
        return &mt_error_no_memory;
    if (top < nodes)
        mt_marks_add(&below, top);
    for (uint32_t i = 0; i < dominators->reached; i++) {
        uint32_t node = dominators->order[i], dominator = dominators->of[node];
        if (dominator < nodes && mt_marks_has(&below, dominator))
            mt_marks_add(&below, node);
        keeper->objects += node < search->graph->census->count && mt_marks_has(&below, node);
    }
    mt_marks_deinit(&below);
    return NULL;
}

static struct mt_error *find(struct search *search, struct mt_dominators *dominators, struct mt_keepers *ret) {
    struct mt_error *error = find_roots(search);
    MT_AUTO_FREE uint64_t *frame_bytes = calloc(search->frames.length + 1, sizeof *frame_bytes);
    if (!error && !frame_bytes)
        error = &mt_error_no_memory;
    if (!error)
        error = find_dominators(search, dominators);
    if (error)
        return error;
    struct mt_keepers keepers = {.biggest = {.object = MT_NO_OBJECT, .owner = MT_NO_OBJECT}};
    add_garbage(search, dominators, &keepers);
    add_up(search, dominators, frame_bytes);
    error = consider_all(search, dominators, frame_bytes);
    if (!error) {
        choose(search, &keepers.biggest);
        if (keepers.biggest.form != MT_KEEPER_NONE)
            error = count_objects(search, dominators, &keepers.biggest);
    }
    if (!error)
        *ret = keepers;
    return error;
}

struct mt_error *mt_keepers_find(struct mt_graph *graph, uint64_t *bytes, struct mt_watch *watch,
                                 struct mt_keepers *ret) {
    struct search search = {.graph = graph, .python = graph->census->python, .watch = watch, .bytes = bytes};
    struct mt_dominators dominators = {0};
    struct mt_error *error = find(&search, &dominators, ret);
    mt_dominators_deinit(&dominators);
    mt_vector_deinit(&search.frames);
    mt_vector_deinit(&search.locals);
    mt_vector_deinit(&search.roots);
    mt_hash_map_deinit(&search.frame_of);
    mt_hash_map_deinit(&search.local_of);
    return error;
}
