#include "heap/reach.h"

#include <stdlib.h>
#include <string.h>

#include "heap/size.h"
#include "python/object.h"

#define POLL_EVERY 4096

struct traversal {
    struct mt_graph *graph;
    struct mt_watch *watch;
    struct mt_marks marks;
    struct mt_marks stops; /* references out of these are not followed; words NULL: none */
    struct {
        struct by_source {
            uint32_t source, target;
        } * data;
        size_t length;
    } guesses; /* by source */
    MT_VECTOR(uint32_t) stack;
    bool skips_types; /* types and modules are not passed through */
    bool failed;
};

static bool marks_init(struct mt_marks *marks, uint32_t count) {
    marks->words = calloc((size_t)count / 64 + 1, sizeof *marks->words);
    marks->count = count;
    return marks->words != NULL;
}

void mt_marks_deinit(struct mt_marks *marks) {
    free(marks->words);
    *marks = (struct mt_marks){0};
}

static void set(struct mt_marks *marks, uint32_t object) {
    marks->words[object / 64] |= 1ULL << object % 64;
}

static void reach(struct traversal *traversal, uint32_t object) {
    if (mt_marks_has(&traversal->marks, object))
        return;
    set(&traversal->marks, object);
    if (!mt_vector_push(&traversal->stack, object))
        traversal->failed = true;
}

static void reach_target(void *context, const struct mt_edge *edge) {
    struct traversal *traversal = context;
    if (edge->kind == MT_EDGE_WEAK)
        return;
    uint32_t target = mt_census_find(traversal->graph->census, edge->target);
    if (target != MT_NO_OBJECT)
        reach(traversal, target);
}

static void reach_guessed(struct traversal *traversal, uint32_t source) {
    size_t low = 0, high = traversal->guesses.length;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (traversal->guesses.data[middle].source < source)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < traversal->guesses.length && traversal->guesses.data[low].source == source; low++)
        reach(traversal, traversal->guesses.data[low].target);
}

static bool is_passed(const struct traversal *traversal, uint32_t object, const struct mt_type *type) {
    if (traversal->stops.words && mt_marks_has(&traversal->stops, object))
        return false;
    return !traversal->skips_types || (type->kind != MT_KIND_TYPE && type->kind != MT_KIND_MODULE);
}

static struct mt_error *follow(struct traversal *traversal) {
    const struct mt_census *census = traversal->graph->census;
    for (uint64_t steps = 0; traversal->stack.length > 0; steps++) {
        uint32_t object = traversal->stack.data[--traversal->stack.length];
        const struct mt_type *type = mt_census_type(census, object);
        if (steps % POLL_EVERY == 0) {
            struct mt_error *error = mt_watch_poll(traversal->watch, "following what is alive");
            if (error)
                return error;
        }
        if (!is_passed(traversal, object, type))
            continue;
        mt_edges_visit(census->python, census->addresses[object], type, reach_target, traversal);
        if (mt_edges_has_guesses(type))
            reach_guessed(traversal, object);
        if (traversal->failed)
            return &mt_error_no_memory;
    }
    return traversal->failed ? &mt_error_no_memory : NULL;
}

static int by_source(const void *left, const void *right) {
    const struct by_source *a = left, *b = right;
    return a->source < b->source ? -1 : a->source > b->source;
}

static struct mt_error *begin(struct traversal *traversal) {
    const struct mt_graph *graph = traversal->graph;
    size_t count = graph->guesses.length;
    traversal->guesses.data = malloc((count ? count : 1) * sizeof *traversal->guesses.data);
    if (!traversal->guesses.data || !marks_init(&traversal->marks, graph->census->count))
        return &mt_error_no_memory;
    for (size_t i = 0; i < count; i++)
        traversal->guesses.data[i] =
            (struct by_source){.source = graph->guesses.data[i].source, .target = graph->guesses.data[i].target};
    traversal->guesses.length = count;
    if (count > 0)
        qsort(traversal->guesses.data, count, sizeof *traversal->guesses.data, by_source);
    return NULL;
}

/* Lets go of everything but the marks, which are handed out on success. */
static struct mt_error *finish(struct traversal *traversal, struct mt_error *error, struct mt_marks *ret) {
    free(traversal->guesses.data);
    mt_vector_deinit(&traversal->stack);
    mt_marks_deinit(&traversal->stops);
    if (error)
        mt_marks_deinit(&traversal->marks);
    else
        *ret = traversal->marks;
    return error;
}

/* Held by something that is no object, or by something that was not found. */
static bool is_held_from_outside(const struct mt_graph *graph, uint32_t object) {
    struct mt_explanation explanation;
    mt_graph_explain(graph, object, &explanation);
    return explanation.immortal || explanation.refcount > explanation.exact + explanation.guessed;
}

static struct mt_error *reach_roots(struct traversal *traversal) {
    const struct mt_graph *graph = traversal->graph;
    for (size_t i = 0; i < graph->roots.length; i++)
        if (graph->roots.data[i].root.edge.kind != MT_EDGE_WEAK)
            reach(traversal, graph->roots.data[i].target);
    for (uint32_t i = 0; i < graph->census->count; i++) {
        if (i % POLL_EVERY == 0) {
            struct mt_error *error = mt_watch_poll(traversal->watch, "looking for roots");
            if (error)
                return error;
        }
        if (!mt_marks_has(&traversal->marks, i) && is_held_from_outside(graph, i))
            reach(traversal, i);
    }
    return NULL;
}

struct mt_error *mt_reach_alive(struct mt_graph *graph, const uint32_t *without, size_t count, struct mt_watch *watch,
                                struct mt_marks *ret) {
    struct traversal traversal = {.graph = graph, .watch = watch};
    struct mt_error *error = begin(&traversal);
    if (!error && count > 0 && !marks_init(&traversal.stops, graph->census->count))
        error = &mt_error_no_memory;
    for (size_t i = 0; !error && i < count; i++)
        set(&traversal.stops, without[i]);
    if (!error)
        error = reach_roots(&traversal);
    if (!error)
        error = follow(&traversal);
    return finish(&traversal, error, ret);
}

struct mt_error *mt_reach_from(struct mt_graph *graph, uint32_t object, struct mt_watch *watch, struct mt_marks *ret) {
    struct traversal traversal = {.graph = graph, .watch = watch, .skips_types = true};
    struct mt_error *error = begin(&traversal);
    if (!error) {
        reach(&traversal, object);
        error = follow(&traversal);
    }
    return finish(&traversal, error, ret);
}

/* --- sizes
 * ------------------------------------------------------------------------------------------------------------ */

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
        if (word % 64 == 0) {
            struct mt_error *error = mt_watch_poll(watch, "adding up");
            if (error)
                return error;
        }
        for (uint64_t left = alive->words[word] & ~without->words[word]; left != 0; left &= left - 1) {
            sum.objects++;
            sum.bytes += mt_object_total_size(graph->census, word * 64 + (uint32_t)__builtin_ctzll(left));
        }
    }
    *ret = sum;
    return NULL;
}
