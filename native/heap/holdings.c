#include "heap/holdings.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define POLL_EVERY 4096

struct reference {
    uint32_t group;
    uint32_t target;
};

/* The heap as a graph in which the references of groups lead through nodes of their own, behind the objects. */
struct build {
    struct mt_graph *graph;
    const struct mt_forward *forward;
    const struct mt_holding_question *question;
    struct mt_watch *watch;
    MT_VECTOR(struct mt_flow_node) own;
    MT_VECTOR(uint32_t) own_targets;
    MT_VECTOR(struct reference) references; /* of groups */
    MT_VECTOR(uint32_t) roots;
    /* while the edges of one object are read: */
    uint32_t object;
    const struct mt_type *type;
    size_t first, end; /* its sources */
    uint32_t at;       /* of its edges in `forward` */
    bool failed;
};

/* --- sources ------------------------------------------------------------------------------------------------------ */

static int by_object(const void *left, const void *right) {
    const struct mt_holding_source *a = left, *b = right;
    if (a->object != b->object)
        return a->object < b->object ? -1 : 1;
    return a->group < b->group ? -1 : a->group > b->group;
}

/* A reference to a group's node, once in a row. */
static bool lead_through(struct build *build, uint32_t group, uint32_t target) {
    uint32_t node = build->graph->census->count + group;
    size_t count = build->own_targets.length;
    bool is_new = count == build->own.data[build->own.length - 1].first || build->own_targets.data[count - 1] != node;
    return (!is_new || mt_vector_push(&build->own_targets, node)) &&
           mt_vector_push(&build->references, ((struct reference){group, target}));
}

/* The edges come in the order that `forward` has them in. */
static void take_edge(void *context, const struct mt_edge *edge) {
    struct build *build = context;
    const struct mt_forward *forward = build->forward;
    const struct mt_holding_question *question = build->question;
    if (!mt_edge_keeps(build->type, edge))
        return;
    uint32_t target = mt_census_find(build->graph->census, edge->target);
    if (target == MT_NO_OBJECT || build->at == forward->first[build->object + 1])
        return;
    build->at++;
    for (size_t i = build->first; i < build->end; i++) {
        if (!question->takes(question->context, &question->sources[i], edge))
            continue;
        build->failed |= !lead_through(build, question->sources[i].group, target);
        return;
    }
    build->failed |= !mt_vector_push(&build->own_targets, target);
}

static bool read_source(struct build *build) {
    const struct mt_census *census = build->graph->census;
    const struct mt_forward *forward = build->forward;
    build->type = mt_census_type(census, build->object);
    build->at = forward->first[build->object];
    if (!mt_vector_push(&build->own, ((struct mt_flow_node){build->object, (uint32_t)build->own_targets.length})))
        return false;
    mt_edges_visit(census->python, census->addresses[build->object], build->type, take_edge, build);
    /* Guesses stand behind the edges, and belong to no group. */
    for (; build->at < forward->first[build->object + 1]; build->at++)
        build->failed |= !mt_vector_push(&build->own_targets, forward->targets[build->at]);
    return !build->failed;
}

static struct mt_error *read_sources(struct build *build, const struct mt_marks *alive) {
    const struct mt_holding_question *question = build->question;
    for (size_t i = 0; i < question->source_count; i = build->end) {
        build->object = question->sources[i].object;
        build->first = build->end = i;
        while (build->end < question->source_count && question->sources[build->end].object == build->object)
            build->end++;
        struct mt_error *error = mt_watch_poll(build->watch, "reading what caches hold");
        if (error)
            return error;
        /* What waits for the collector keeps nothing alive, and must not seem to by what others of its group do. */
        if (mt_marks_has(alive, build->object) && !read_source(build))
            return &mt_error_no_memory;
    }
    return NULL;
}

/* --- groups ------------------------------------------------------------------------------------------------------- */

/* The nodes of the groups, behind those of the sources: a counting sort. */
static bool add_groups(struct build *build) {
    uint32_t count = build->graph->census->count;
    size_t start = build->own_targets.length, total = start + build->references.length;
    MT_AUTO_FREE uint32_t *next = calloc((size_t)build->question->group_count + 1, sizeof *next);
    if (!next || !mt_vector_reserve(&build->own_targets, total + 1))
        return false;
    for (size_t i = 0; i < build->references.length; i++)
        next[build->references.data[i].group + 1]++;
    next[0] = (uint32_t)start;
    for (uint32_t group = 0; group < build->question->group_count; group++) {
        if (!mt_vector_push(&build->own, ((struct mt_flow_node){count + group, next[group]})))
            return false;
        next[group + 1] += next[group];
    }
    for (size_t i = 0; i < build->references.length; i++)
        build->own_targets.data[next[build->references.data[i].group]++] = build->references.data[i].target;
    build->own_targets.length = total;
    return mt_vector_push(&build->own, ((struct mt_flow_node){UINT32_MAX, (uint32_t)total}));
}

static bool take_root(void *context, uint32_t object) {
    struct build *build = context;
    return mt_vector_push(&build->roots, object);
}

static struct mt_error *make_flow(struct build *build) {
    struct mt_marks alive;
    struct mt_error *error = mt_reach_alive(build->graph, NULL, 0, build->watch, &alive);
    if (error)
        return error;
    error = mt_graph_forward(build->graph, build->watch, &build->forward);
    if (!error)
        error = read_sources(build, &alive);
    mt_marks_deinit(&alive);
    if (!error && !add_groups(build))
        error = &mt_error_no_memory;
    mt_vector_deinit(&build->references);
    return error ? error : mt_reach_visit_roots(build->graph, build->watch, take_root, build);
}

/* What was built goes over to `holdings`, also after an error. */
static void hand_over(struct build *build, struct mt_holdings *holdings) {
    uint32_t count = build->graph->census->count;
    holdings->own = build->own.data;
    holdings->own_targets = build->own_targets.data;
    holdings->roots = build->roots.data;
    holdings->group_count = build->question->group_count;
    holdings->flow = (struct mt_flow){
        .count = count + holdings->group_count,
        .common = count,
        .first = build->forward ? build->forward->first : NULL,
        .targets = build->forward ? build->forward->targets : NULL,
        .own = build->own.data,
        .own_count = build->own.length > 0 ? build->own.length - 1 : 0,
        .own_targets = build->own_targets.data,
        .roots = build->roots.data,
        .root_count = build->roots.length,
    };
}

/* --- without some groups ------------------------------------------------------------------------------------------ */

struct otherwise {
    const struct mt_flow *flow;
    const bool *cut;
    struct mt_marks marks; /* of nodes */
    MT_VECTOR(uint32_t) stack;
};

static bool reach(struct otherwise *otherwise, uint32_t node) {
    uint32_t common = otherwise->flow->common;
    if (mt_marks_has(&otherwise->marks, node) || (node >= common && otherwise->cut[node - common]))
        return true;
    mt_marks_add(&otherwise->marks, node);
    return mt_vector_push(&otherwise->stack, node);
}

static struct mt_error *follow(struct otherwise *otherwise, struct mt_watch *watch) {
    for (uint64_t steps = 0; otherwise->stack.length > 0; steps++) {
        struct mt_error *error = steps % POLL_EVERY == 0 ? mt_watch_poll(watch, "following references") : NULL;
        if (error)
            return error;
        uint32_t count, node = otherwise->stack.data[--otherwise->stack.length];
        const uint32_t *targets = mt_flow_targets(otherwise->flow, node, &count);
        for (uint32_t i = 0; i < count; i++)
            if (!reach(otherwise, targets[i]))
                return &mt_error_no_memory;
    }
    return NULL;
}

struct mt_error *mt_holdings_otherwise(const struct mt_holdings *holdings, const bool *cut, struct mt_watch *watch,
                                       struct mt_marks *ret) {
    const struct mt_flow *flow = &holdings->flow;
    struct otherwise otherwise = {.flow = flow, .cut = cut};
    struct mt_error *error = mt_marks_init(&otherwise.marks, flow->count) ? NULL : &mt_error_no_memory;
    for (size_t i = 0; i < flow->root_count && !error; i++)
        if (!reach(&otherwise, flow->roots[i]))
            error = &mt_error_no_memory;
    if (!error)
        error = follow(&otherwise, watch);
    mt_vector_deinit(&otherwise.stack);
    if (error)
        mt_marks_deinit(&otherwise.marks);
    else
        *ret = otherwise.marks;
    return error;
}

/* --- sums --------------------------------------------------------------------------------------------------------- */

/* Replaces each node's dominator by the innermost group above it: dominators come first. */
static void name_groups(const struct mt_dominators *dominators, uint32_t count) {
    uint32_t *of = dominators->of;
    for (uint32_t i = 0; i < dominators->reached; i++) {
        uint32_t node = dominators->order[i], above = of[node];
        of[node] = above == MT_DOMINATOR_ROOTS ? MT_KEPT_OTHERWISE : above >= count ? above - count : of[above];
    }
}

/* What dominates a node and what keeps an object share two numbers. */
_Static_assert(MT_DOMINATOR_UNREACHED == MT_KEPT_BY_NOBODY, "an object that was not reached waits for the collector");

static void add(struct mt_reach_sum *sum, const struct mt_reach_sum *more) {
    sum->objects += more->objects;
    sum->bytes += more->bytes;
}

static struct mt_error *add_up(struct build *build, struct mt_holdings *holdings) {
    struct mt_census *census = build->graph->census;
    for (uint32_t i = 0; i < census->count; i++) {
        struct mt_error *error = i % POLL_EVERY == 0 ? mt_watch_poll(build->watch, "adding up") : NULL;
        if (error)
            return error;
        if (holdings->of[i] >= holdings->group_count)
            continue;
        struct mt_reach_sum one = {1, mt_object_total_size(census, i)};
        add(&holdings->groups[holdings->of[i]].kept, &one);
    }
    /* From the inside out. */
    for (uint32_t i = holdings->order_count; i-- > 0;) {
        const struct mt_holding *group = &holdings->groups[holdings->order[i]];
        if (group->outer < holdings->group_count)
            add(&holdings->groups[group->outer].kept, &group->kept);
    }
    return NULL;
}

static bool take_groups(const struct mt_dominators *dominators, struct mt_holdings *holdings) {
    uint32_t common = holdings->flow.common;
    holdings->groups = calloc((size_t)holdings->group_count + 1, sizeof *holdings->groups);
    holdings->order = malloc(((size_t)holdings->group_count + 1) * sizeof *holdings->order);
    if (!holdings->groups || !holdings->order)
        return false;
    for (uint32_t group = 0; group < holdings->group_count; group++)
        holdings->groups[group].outer = dominators->of[common + group];
    for (uint32_t i = 0; i < dominators->reached; i++)
        if (dominators->order[i] >= common)
            holdings->order[holdings->order_count++] = dominators->order[i] - common;
    return true;
}

static struct mt_error *measure(struct build *build, struct mt_holdings *holdings) {
    struct mt_dominators dominators;
    struct mt_error *error = mt_dominators_find(&holdings->flow, build->watch, &dominators);
    if (error)
        return error;
    name_groups(&dominators, holdings->flow.common);
    holdings->of = dominators.of;
    error = take_groups(&dominators, holdings) ? add_up(build, holdings) : &mt_error_no_memory;
    free(dominators.order);
    return error;
}

struct mt_error *mt_holdings_find(struct mt_graph *graph, const struct mt_holding_question *question,
                                  struct mt_watch *watch, struct mt_holdings *ret) {
    struct build build = {.graph = graph, .question = question, .watch = watch};
    struct mt_holdings holdings = {0};
    if (question->group_count >= MT_KEPT_BY_NOBODY - graph->census->count)
        return mt_error_create(MT_ERROR_UNSUPPORTED, "more than %u objects and caches", MT_KEPT_BY_NOBODY);
    if (question->source_count > 0)
        qsort(question->sources, question->source_count, sizeof *question->sources, by_object);
    struct mt_error *error = make_flow(&build);
    hand_over(&build, &holdings);
    if (!error)
        error = measure(&build, &holdings);
    if (error) {
        mt_holdings_deinit(&holdings);
        return error;
    }
    *ret = holdings;
    return NULL;
}

void mt_holdings_deinit(struct mt_holdings *holdings) {
    free(holdings->of);
    free(holdings->groups);
    free(holdings->order);
    free(holdings->own);
    free(holdings->own_targets);
    free(holdings->roots);
    *holdings = (struct mt_holdings){0};
}

void mt_holdings_inside(const struct mt_holdings *holdings, uint32_t group, bool *ret_inside) {
    memset(ret_inside, 0, holdings->group_count * sizeof *ret_inside);
    ret_inside[group] = true;
    for (uint32_t i = 0; i < holdings->order_count; i++) {
        uint32_t outer = holdings->groups[holdings->order[i]].outer;
        if (outer < holdings->group_count && ret_inside[outer])
            ret_inside[holdings->order[i]] = true;
    }
}
