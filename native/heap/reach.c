#include "heap/reach.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "heap/size.h"
#include "python/object.h"

#define POLL_EVERY 4096
#define MAX_EDGES (UINT32_MAX - 1)

bool mt_marks_init(struct mt_marks *marks, uint32_t count) {
    marks->words = calloc((size_t)count / 64 + 1, sizeof *marks->words);
    marks->count = count;
    return marks->words != NULL;
}

void mt_marks_deinit(struct mt_marks *marks) {
    free(marks->words);
    *marks = (struct mt_marks){0};
}

/* --- forwards ----------------------------------------------------------------------------------------------------- */

struct turning {
    const struct mt_census *census;
    const struct mt_type *source; /* the type of the object whose edges are read */
    MT_VECTOR(uint32_t) targets;
    bool failed;
};

static void take_edge(void *context, const struct mt_edge *edge) {
    struct turning *turning = context;
    if (!mt_edge_keeps(turning->source, edge))
        return;
    uint32_t target = mt_census_find(turning->census, edge->target);
    if (target != MT_NO_OBJECT && !mt_vector_push(&turning->targets, target))
        turning->failed = true;
}

static int by_source(const void *left, const void *right) {
    const struct mt_guess_edge *a = left, *b = right;
    return a->source < b->source ? -1 : a->source > b->source;
}

/* A copy of the guesses, in the order of their sources. */
static struct mt_guess_edge *sort_guesses(const struct mt_graph *graph) {
    size_t count = graph->guesses.length;
    struct mt_guess_edge *guesses = malloc((count + 1) * sizeof *guesses);
    if (guesses && count > 0) {
        memcpy(guesses, graph->guesses.data, count * sizeof *guesses);
        qsort(guesses, count, sizeof *guesses, by_source);
    }
    return guesses;
}

static struct mt_error *turn_forwards(struct mt_graph *graph, struct mt_watch *watch, uint32_t *first,
                                      struct turning *turning) {
    const struct mt_census *census = graph->census;
    MT_AUTO_FREE struct mt_guess_edge *guesses = sort_guesses(graph);
    if (!guesses)
        return &mt_error_no_memory;
    size_t guess = 0;
    for (uint32_t i = 0; i < census->count; i++) {
        struct mt_error *error = i % POLL_EVERY == 0 ? mt_watch_poll(watch, "reading references forwards") : NULL;
        if (error)
            return error;
        first[i] = (uint32_t)turning->targets.length;
        turning->source = mt_census_type(census, i);
        mt_edges_visit(census->python, census->addresses[i], turning->source, take_edge, turning);
        for (; guess < graph->guesses.length && guesses[guess].source == i; guess++)
            turning->failed |= !mt_vector_push(&turning->targets, guesses[guess].target);
        if (turning->failed)
            return &mt_error_no_memory;
        if (turning->targets.length > MAX_EDGES)
            return mt_error_create(MT_ERROR_UNSUPPORTED, "more than %u references", MAX_EDGES);
    }
    first[census->count] = (uint32_t)turning->targets.length;
    return NULL;
}

struct mt_error *mt_graph_forward(struct mt_graph *graph, struct mt_watch *watch, const struct mt_forward **ret) {
    struct turning turning = {.census = graph->census};
    if (graph->forward) {
        *ret = graph->forward;
        return NULL;
    }
    struct mt_forward *forward = calloc(1, sizeof *forward);
    if (!forward)
        return &mt_error_no_memory;
    forward->first = malloc(((size_t)graph->census->count + 1) * sizeof *forward->first);
    /* As many as there are backwards, or a little fewer. */
    size_t expected = (size_t)graph->first[graph->census->count] + graph->guesses.length + 1;
    struct mt_error *error = &mt_error_no_memory;
    if (forward->first && mt_vector_reserve(&turning.targets, expected))
        error = turn_forwards(graph, watch, forward->first, &turning);
    forward->targets = turning.targets.data;
    if (error) {
        mt_forward_destroy(forward);
        return error;
    }
    *ret = graph->forward = forward;
    return NULL;
}

void mt_forward_destroy(struct mt_forward *forward) {
    if (!forward)
        return;
    free(forward->first);
    free(forward->targets);
    free(forward);
}

/* --- roots -------------------------------------------------------------------------------------------------------- */

/* Held by something that is no object, or by something that was not found. */
static bool is_held_from_outside(const struct mt_graph *graph, uint32_t object) {
    struct mt_explanation explanation;
    mt_graph_explain(graph, object, &explanation);
    return explanation.immortal || explanation.refcount > explanation.exact + explanation.guessed;
}

struct mt_error *mt_reach_visit_roots(struct mt_graph *graph, struct mt_watch *watch, mt_reach_visit *visit,
                                      void *context) {
    for (size_t i = 0; i < graph->roots.length; i++)
        if (graph->roots.data[i].root.edge.kind != MT_EDGE_WEAK && !visit(context, graph->roots.data[i].target))
            return &mt_error_no_memory;
    for (uint32_t i = 0; i < graph->census->count; i++) {
        struct mt_error *error = i % POLL_EVERY == 0 ? mt_watch_poll(watch, "looking for roots") : NULL;
        if (error)
            return error;
        if (is_held_from_outside(graph, i) && !visit(context, i))
            return &mt_error_no_memory;
    }
    return NULL;
}

/* --- traversals --------------------------------------------------------------------------------------------------- */

struct traversal {
    const struct mt_forward *forward;
    struct mt_watch *watch;
    struct mt_marks marks;  /* reached */
    struct mt_marks stops;  /* references out of these are not followed; words NULL: none */
    struct mt_marks hidden; /* these are not even reached; words NULL: none */
    MT_VECTOR(uint32_t) stack;
};

static bool reach(void *context, uint32_t object) {
    struct traversal *traversal = context;
    if (mt_marks_has(&traversal->marks, object) ||
        (traversal->hidden.words && mt_marks_has(&traversal->hidden, object)))
        return true;
    mt_marks_add(&traversal->marks, object);
    return mt_vector_push(&traversal->stack, object);
}

static struct mt_error *follow(struct traversal *traversal) {
    const struct mt_forward *forward = traversal->forward;
    for (uint64_t steps = 0; traversal->stack.length > 0; steps++) {
        uint32_t object = traversal->stack.data[--traversal->stack.length];
        struct mt_error *error =
            steps % POLL_EVERY == 0 ? mt_watch_poll(traversal->watch, "following references") : NULL;
        if (error)
            return error;
        if (traversal->stops.words && mt_marks_has(&traversal->stops, object))
            continue;
        for (uint32_t i = forward->first[object]; i < forward->first[object + 1]; i++)
            if (!reach(traversal, forward->targets[i]))
                return &mt_error_no_memory;
    }
    return NULL;
}

static struct mt_error *begin(struct traversal *traversal, struct mt_graph *graph, struct mt_watch *watch) {
    *traversal = (struct traversal){.watch = watch};
    struct mt_error *error = mt_graph_forward(graph, watch, &traversal->forward);
    if (!error && !mt_marks_init(&traversal->marks, graph->census->count))
        error = &mt_error_no_memory;
    return error;
}

/* Lets go of everything but the marks, which are handed out on success. */
static struct mt_error *finish(struct traversal *traversal, struct mt_error *error, struct mt_marks *ret) {
    mt_vector_deinit(&traversal->stack);
    mt_marks_deinit(&traversal->stops);
    mt_marks_deinit(&traversal->hidden);
    if (error)
        mt_marks_deinit(&traversal->marks);
    else
        *ret = traversal->marks;
    return error;
}

struct mt_error *mt_reach_alive(struct mt_graph *graph, const uint32_t *without, size_t count, struct mt_watch *watch,
                                struct mt_marks *ret) {
    struct traversal traversal;
    struct mt_error *error = begin(&traversal, graph, watch);
    if (!error && count > 0 && !mt_marks_init(&traversal.stops, graph->census->count))
        error = &mt_error_no_memory;
    for (size_t i = 0; !error && i < count; i++)
        mt_marks_add(&traversal.stops, without[i]);
    if (!error)
        error = mt_reach_visit_roots(graph, watch, reach, &traversal);
    if (!error)
        error = follow(&traversal);
    return finish(&traversal, error, ret);
}

/* Marks types, modules and the dicts of modules. */
static struct mt_error *mark_scenery(struct mt_graph *graph, struct mt_watch *watch, struct mt_marks *marks) {
    const struct mt_census *census = graph->census;
    struct mt_python *python = census->python;
    for (uint32_t i = 0; i < census->count; i++) {
        struct mt_error *error = i % POLL_EVERY == 0 ? mt_watch_poll(watch, "looking for modules") : NULL;
        if (error)
            return error;
        enum mt_kind kind = mt_census_type(census, i)->kind;
        uint64_t dict;
        if (kind == MT_KIND_TYPE || kind == MT_KIND_MODULE)
            mt_marks_add(marks, i);
        if (kind != MT_KIND_MODULE ||
            !mt_view_u64(python->view, census->addresses[i] + MT_OFFSET(python, PyModuleObject, md_dict), &dict))
            continue;
        uint32_t namespace = mt_census_find(census, dict);
        if (namespace != MT_NO_OBJECT)
            mt_marks_add(marks, namespace);
    }
    return NULL;
}

struct mt_error *mt_reach_from(struct mt_graph *graph, uint32_t object, struct mt_watch *watch, struct mt_marks *ret) {
    struct traversal traversal;
    struct mt_error *error = begin(&traversal, graph, watch);
    if (!error && !reach(&traversal, object))
        error = &mt_error_no_memory;
    if (!error && !mt_marks_init(&traversal.hidden, graph->census->count))
        error = &mt_error_no_memory;
    if (!error)
        error = mark_scenery(graph, watch, &traversal.hidden);
    if (!error)
        error = follow(&traversal);
    return finish(&traversal, error, ret);
}

struct mt_error *mt_reach_exclusive(struct mt_graph *graph, uint32_t object, struct mt_watch *watch,
                                    struct mt_marks *ret, bool *ret_alive) {
    struct mt_marks without;
    struct mt_error *error = mt_reach_alive(graph, &object, 1, watch, &without);
    if (error)
        return error;
    bool alive = mt_marks_has(&without, object);
    struct traversal traversal;
    error = begin(&traversal, graph, watch);
    /* What is alive without it is held by others too. */
    traversal.hidden = without;
    if (!error) {
        traversal.hidden.words[object / 64] &= ~(1ULL << object % 64);
        error = reach(&traversal, object) ? follow(&traversal) : &mt_error_no_memory;
    }
    error = finish(&traversal, error, ret);
    if (!error)
        *ret_alive = alive;
    return error;
}

/* --- sizes -------------------------------------------------------------------------------------------------------- */

static void add_block(void *context, const struct mt_owned_block *block) {
    uint64_t *sum = context;
    if (!block->shared)
        *sum += block->size;
}

uint64_t mt_object_total_size(struct mt_census *census, uint32_t object) {
    uint64_t sum = 0;
    mt_object_blocks(census->python, census->addresses[object], mt_census_type(census, object), add_block, &sum);
    return sum;
}

struct mt_error *mt_reach_difference(struct mt_graph *graph, const struct mt_marks *alive,
                                     const struct mt_marks *without, struct mt_watch *watch, struct mt_reach_sum *ret) {
    struct mt_reach_sum sum = {0};
    for (uint32_t word = 0; word <= graph->census->count / 64; word++) {
        struct mt_error *error = word % 64 == 0 ? mt_watch_poll(watch, "adding up") : NULL;
        if (error)
            return error;
        for (uint64_t left = alive->words[word] & ~(without ? without->words[word] : 0); left != 0; left &= left - 1) {
            sum.objects++;
            sum.bytes += mt_object_total_size(graph->census, word * 64 + (uint32_t)__builtin_ctzll(left));
        }
    }
    *ret = sum;
    return NULL;
}
