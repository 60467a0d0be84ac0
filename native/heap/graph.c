#include "heap/graph.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash_map.h"
#include "heap/reach.h"
#include "python/object.h"

#define POLL_EVERY 4096 /* objects between two looks at the clock */
#define MAX_EDGES (UINT32_MAX - 1)

/* While the graph is made: the targets of all exact edges, in the order of their sources. */
struct build {
    struct mt_graph *graph;
    const struct mt_census *census;
    struct mt_python *python;
    uint32_t *degrees; /* edges out of each object */
    struct {
        uint32_t *data;
        size_t length, capacity;
    } targets;
    struct mt_hash_map claimed; /* shared keys table -> the object that was seen first to have it */
    uint32_t source;
    bool failed; /* memory is out */
};

/* --- exact edges ----------------------------------------------------------------------------------------------------
 */

static bool is_first_to_share(struct build *build, const struct mt_edge *edge) {
    bool is_new;
    if (edge->shared == 0)
        return true;
    uint64_t *owner = mt_hash_map_find_or_insert(&build->claimed, edge->shared, build->source, &is_new);
    if (!owner)
        build->failed = true;
    return owner && *owner == build->source;
}

static void take_edge(void *context, const struct mt_edge *edge) {
    struct build *build = context;
    uint32_t target = mt_census_find(build->census, edge->target);
    if (target == MT_NO_OBJECT)
        return;
    if (!mt_vector_push(&build->targets, target)) {
        build->failed = true;
        return;
    }
    build->degrees[build->source]++;
    if (edge->counted && is_first_to_share(build, edge))
        build->graph->explained[target]++;
}

static struct mt_error *collect_edges(struct build *build, struct mt_watch *watch) {
    for (uint32_t i = 0; i < build->census->count; i++) {
        if (i % POLL_EVERY == 0) {
            struct mt_error *error = mt_watch_poll(watch, "reading references");
            if (error)
                return error;
        }
        build->source = i;
        mt_edges_visit(build->python, build->census->addresses[i], mt_census_type(build->census, i), take_edge, build);
        if (build->failed)
            return &mt_error_no_memory;
        if (build->targets.length > MAX_EDGES)
            return mt_error_create(MT_ERROR_UNSUPPORTED, "more than %u references", MAX_EDGES);
    }
    return NULL;
}

/* Turns targets by source into sources by target: a counting sort. */
static struct mt_error *turn_around(struct build *build) {
    struct mt_graph *graph = build->graph;
    uint32_t count = build->census->count;
    size_t edges = build->targets.length;
    graph->first = calloc((size_t)count + 1, sizeof *graph->first);
    graph->sources = malloc((edges ? edges : 1) * sizeof *graph->sources);
    if (!graph->first || !graph->sources)
        return &mt_error_no_memory;
    for (size_t i = 0; i < edges; i++)
        graph->first[build->targets.data[i]]++;
    uint32_t sum = 0;
    for (uint32_t i = 0; i <= count; i++) {
        uint32_t here = graph->first[i];
        graph->first[i] = sum;
        sum += here;
    }
    /* Filling moves each start to its end, which is the next one's start. */
    size_t at = 0;
    for (uint32_t source = 0; source < count; source++)
        for (uint32_t i = 0; i < build->degrees[source]; i++)
            graph->sources[graph->first[build->targets.data[at++]]++] = source;
    memmove(graph->first + 1, graph->first, (size_t)count * sizeof *graph->first);
    graph->first[0] = 0;
    return NULL;
}

/* --- roots and guesses
 * ------------------------------------------------------------------------------------------------ */

/* References of `object` that nothing explains yet. */
static uint64_t missing(const struct mt_graph *graph, uint32_t object) {
    struct mt_explanation explanation;
    mt_graph_explain(graph, object, &explanation);
    uint64_t found = explanation.exact + explanation.guessed;
    return explanation.immortal || explanation.refcount <= found ? 0 : explanation.refcount - found;
}

static void take_root(void *context, const struct mt_root *root) {
    struct build *build = context;
    uint32_t target = mt_census_find(build->census, root->edge.target);
    if (target == MT_NO_OBJECT)
        return;
    if (root->edge.kind == MT_EDGE_GUESS) {
        if (missing(build->graph, target) == 0)
            return;
        build->graph->guessed[target]++;
    } else if (root->edge.counted && (root->form != MT_ROOT_DATA || missing(build->graph, target) > 0)) {
        /* Extensions let others borrow the reference that a static object begins with. */
        build->graph->explained[target]++;
    }
    if (!mt_vector_push(&build->graph->roots, ((struct mt_root_edge){.target = target, .root = *root})))
        build->failed = true;
}

static void take_guess(void *context, const struct mt_edge *edge) {
    struct build *build = context;
    uint32_t target = mt_census_find(build->census, edge->target);
    if (target == MT_NO_OBJECT || missing(build->graph, target) == 0)
        return;
    build->graph->guessed[target]++;
    if (!mt_vector_push(&build->graph->guesses, ((struct mt_guess_edge){.target = target, .source = build->source})))
        build->failed = true;
}

static struct mt_error *collect_guesses(struct build *build, struct mt_watch *watch) {
    for (uint32_t i = 0; i < build->census->count; i++) {
        const struct mt_type *type = mt_census_type(build->census, i);
        if (!mt_edges_has_guesses(type))
            continue;
        struct mt_error *error = mt_watch_poll(watch, "guessing what C code holds");
        if (error)
            return error;
        build->source = i;
        mt_edges_guess(build->python, build->census->addresses[i], type, mt_census_block_size, (void *)build->census,
                       take_guess, build);
        if (build->failed)
            return &mt_error_no_memory;
    }
    return NULL;
}

static int by_target(const void *left, const void *right) {
    const struct mt_root_edge *a = left, *b = right;
    return a->target < b->target ? -1 : a->target > b->target;
}

static int by_guessed_target(const void *left, const void *right) {
    const struct mt_guess_edge *a = left, *b = right;
    if (a->target != b->target)
        return a->target < b->target ? -1 : 1;
    return a->source < b->source ? -1 : a->source > b->source;
}

static struct mt_error *collect_roots(struct build *build, struct mt_watch *watch) {
    struct mt_graph *graph = build->graph;
    struct mt_error *error = mt_roots_visit(build->python, watch, take_root, build);
    if (!error)
        error = mt_roots_guess(build->python, MT_ROOTS_STATIC, watch, take_root, build);
    if (!error)
        error = collect_guesses(build, watch);
    if (!error)
        error = mt_roots_guess(build->python, MT_ROOTS_STACKS, watch, take_root, build);
    if (!error && build->failed)
        error = &mt_error_no_memory;
    if (!error && graph->roots.length > 0)
        qsort(graph->roots.data, graph->roots.length, sizeof *graph->roots.data, by_target);
    if (!error && graph->guesses.length > 0)
        qsort(graph->guesses.data, graph->guesses.length, sizeof *graph->guesses.data, by_guessed_target);
    return error;
}

/* --- the graph
 * -------------------------------------------------------------------------------------------------------- */

struct mt_error *mt_graph_create(struct mt_census *census, struct mt_watch *watch, struct mt_graph **ret) {
    struct mt_graph *graph = calloc(1, sizeof *graph);
    if (!graph)
        return &mt_error_no_memory;
    size_t count = census->count ? census->count : 1;
    graph->census = census;
    graph->explained = calloc(count, sizeof *graph->explained);
    graph->guessed = calloc(count, sizeof *graph->guessed);
    struct build build = {.graph = graph, .census = census, .python = census->python};
    build.degrees = calloc(count, sizeof *build.degrees);
    struct mt_error *error = NULL;
    if (!graph->explained || !graph->guessed || !build.degrees)
        error = &mt_error_no_memory;
    if (!error)
        error = collect_edges(&build, watch);
    if (!error)
        error = turn_around(&build);
    mt_vector_deinit(&build.targets);
    free(build.degrees);
    if (!error)
        error = collect_roots(&build, watch);
    mt_hash_map_deinit(&build.claimed);
    if (error) {
        mt_graph_destroy(graph);
        return error;
    }
    *ret = graph;
    return NULL;
}

void mt_graph_destroy(struct mt_graph *graph) {
    if (!graph)
        return;
    free(graph->first);
    free(graph->sources);
    free(graph->explained);
    free(graph->guessed);
    mt_forward_destroy(graph->forward);
    mt_vector_deinit(&graph->roots);
    mt_vector_deinit(&graph->guesses);
    free(graph);
}

void mt_graph_explain(const struct mt_graph *graph, uint32_t object, struct mt_explanation *ret) {
    struct mt_refcount refcount = {0};
    mt_object_refcount(graph->census->python, graph->census->addresses[object], &refcount);
    *ret = (struct mt_explanation){
        .refcount = refcount.count,
        .immortal = refcount.immortal,
        .exact = graph->explained[object],
        .guessed = graph->guessed[object],
    };
}

/* --- holders
 * ---------------------------------------------------------------------------------------------------------- */

struct search {
    struct mt_holders *holders;
    uint64_t target; /* an address */
    uint32_t source;
    enum mt_edge_kind kind;
    bool failed;
};

static void take_holder(void *context, const struct mt_edge *edge) {
    struct search *search = context;
    if (edge->target != search->target || (edge->kind == MT_EDGE_WEAK) != (search->kind == MT_EDGE_WEAK))
        return;
    struct mt_holder holder = {
        .kind = edge->kind, .counted = edge->counted, .source = search->source, .link = edge->link, .count = 1};
    if (!mt_vector_push(&search->holders->list, holder))
        search->failed = true;
}

static struct mt_error *find_sources(struct mt_graph *graph, uint32_t object, enum mt_edge_kind kind,
                                     struct mt_watch *watch, struct mt_holders *holders) {
    struct mt_census *census = graph->census;
    struct search search = {.holders = holders, .target = census->addresses[object], .kind = kind};
    uint32_t before = MT_NO_OBJECT;
    for (uint32_t i = graph->first[object]; i < graph->first[object + 1]; i++) {
        search.source = graph->sources[i];
        if (search.source == before)
            continue;
        before = search.source;
        struct mt_error *error = mt_watch_poll(watch, "naming references");
        if (error)
            return error;
        mt_edges_visit(census->python, census->addresses[search.source], mt_census_type(census, search.source),
                       take_holder, &search);
        if (search.failed)
            return &mt_error_no_memory;
    }
    return NULL;
}

/* The first of `count` edges, `size` bytes each and sorted by the target that each begins with, that leads to `object`.
 */
static size_t first_edge(const void *edges, size_t count, size_t size, uint32_t object) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        uint32_t target;
        memcpy(&target, (const char *)edges + middle * size, sizeof target);
        if (target < object)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool find_roots(const struct mt_graph *graph, uint32_t object, bool guesses, struct mt_holders *holders) {
    size_t at = first_edge(graph->roots.data, graph->roots.length, sizeof *graph->roots.data, object);
    for (; at < graph->roots.length && graph->roots.data[at].target == object; at++) {
        const struct mt_root *root = &graph->roots.data[at].root;
        if ((root->edge.kind == MT_EDGE_GUESS) != guesses)
            continue;
        struct mt_holder holder = {
            .kind = root->edge.kind, .counted = root->edge.counted, .source = MT_NO_OBJECT, .root = *root, .count = 1};
        if (!mt_vector_push(&holders->list, holder))
            return false;
    }
    return true;
}

static bool find_guesses(const struct mt_graph *graph, uint32_t object, struct mt_holders *holders) {
    size_t at = first_edge(graph->guesses.data, graph->guesses.length, sizeof *graph->guesses.data, object);
    for (; at < graph->guesses.length && graph->guesses.data[at].target == object; at++) {
        struct mt_holder holder = {.kind = MT_EDGE_GUESS,
                                   .counted = true,
                                   .source = graph->guesses.data[at].source,
                                   .link = {.form = MT_LINK_TEXT, .text = "a word in the memory"},
                                   .count = 1};
        if (!mt_vector_push(&holders->list, holder))
            return false;
    }
    return true;
}

struct mt_error *mt_graph_holders(struct mt_graph *graph, uint32_t object, struct mt_watch *watch,
                                  struct mt_holders *ret) {
    struct mt_holders holders = {0};
    struct mt_error *error = find_sources(graph, object, MT_EDGE_EXACT, watch, &holders);
    if (!error && (!find_roots(graph, object, false, &holders) || !find_guesses(graph, object, &holders) ||
                   !find_roots(graph, object, true, &holders)))
        error = &mt_error_no_memory;
    if (!error)
        error = find_sources(graph, object, MT_EDGE_WEAK, watch, &holders);
    if (error) {
        mt_holders_deinit(&holders);
        return error;
    }
    *ret = holders;
    return NULL;
}

void mt_holders_deinit(struct mt_holders *holders) {
    mt_vector_deinit(&holders->list);
}
