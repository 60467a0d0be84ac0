#include "commands/searched_holders.h"

#include "base/vector.h"
#include "commands/address.h"
#include "commands/holder_chain.h"
#include "commands/session.h"
#include "python/types.h"

#define MOST_ROUNDS 12

typedef MT_VECTOR(uint64_t) addresses;

/* Are all references to an object that was searched for accounted for? */
static bool is_proven(const struct mt_graph *graph, uint32_t object) {
    struct mt_explanation explanation;
    mt_graph_explain(graph, object, &explanation);
    return !explanation.immortal && explanation.exact == explanation.refcount;
}

static bool want(struct mt_searched *searched, const struct mt_graph *graph, uint32_t object, addresses *wanted) {
    uint64_t address = graph->census->addresses[object];
    return mt_searched_has(searched, address) || mt_vector_push(wanted, address);
}

/* The objects whose holders decide how those of `object` are named, and are not known yet. */
static bool list_wanted(struct mt_searched *searched, const struct mt_climber *climber, addresses *wanted) {
    const struct mt_graph *graph = climber->graph;
    bool ok = true;
    for (size_t i = 0; i < climber->steps.length && ok; i++) {
        uint32_t object = climber->steps.data[i].object;
        if (mt_climber_is_end(climber, object))
            continue;
        ok = want(searched, graph, object, wanted);
        /* A dict may be the namespace of a module. */
        for (uint32_t at = graph->first[object]; at < graph->first[object + 1] && ok; at++)
            if (mt_chain_kind(climber, graph->sources[at]) == MT_KIND_DICT)
                ok = want(searched, graph, graph->sources[at], wanted);
    }
    return ok;
}

static struct mt_error *climb(struct mt_call *call, struct mt_searched *searched, struct mt_graph *graph,
                              uint32_t object, addresses *wanted) {
    struct mt_climber climber;
    struct mt_error *error = mt_climber_init(&climber, graph, &call->watch);
    if (error)
        return error;
    error = mt_climber_climb(&climber, graph->sources + graph->first[object],
                             graph->first[object + 1] - graph->first[object], &call->watch);
    if (!error && !list_wanted(searched, &climber, wanted))
        error = &mt_error_no_memory;
    mt_climber_deinit(&climber);
    return error;
}

/* Whatever was searched for must be proven. */
static bool all_proven(const struct mt_searched *searched, const struct mt_graph *graph) {
    for (uint32_t i = 0; i < graph->census->count; i++)
        if (mt_searched_has(searched, graph->census->addresses[i]) && !is_proven(graph, i))
            return false;
    return true;
}

static struct mt_error *find(struct mt_call *call, struct mt_searched *searched, uint64_t address, bool climbs,
                             struct mt_graph **ret) {
    addresses wanted = {0};
    struct mt_error *error = mt_vector_push(&wanted, address) ? NULL : &mt_error_no_memory;
    struct mt_graph *graph = NULL;
    bool given_up = false;
    for (unsigned round = 0; !error && wanted.length > 0 && !given_up; round++) {
        given_up = round == MOST_ROUNDS;
        for (size_t i = 0; i < wanted.length && !error && !given_up; i++)
            if (!mt_searched_has(searched, wanted.data[i]))
                error = mt_searched_holders(searched, wanted.data[i], &given_up);
        wanted.length = 0;
        if (!error && !given_up)
            error = mt_searched_graph(searched, &graph);
        if (error || given_up)
            break;
        uint32_t object = mt_census_find(graph->census, address);
        given_up = object == MT_NO_OBJECT || !all_proven(searched, graph);
        if (!given_up && climbs)
            error = climb(call, searched, graph, object, &wanted);
    }
    mt_vector_deinit(&wanted);
    if (!error && !given_up)
        *ret = graph;
    return error;
}

/* The address that the argument means; 0: only the census can tell, or has told before. */
static struct mt_error *address_of(struct mt_call *call, struct mt_python **ret_python, uint64_t *ret) {
    struct mt_target *target;
    struct mt_address given;
    *ret = 0;
    struct mt_error *error = mt_call_target(call, &target);
    if (error || target->info.kind != MT_TARGET_REMOTE || mt_session_known_census(call->session) ||
        call->argument[0] == '\0')
        return error;
    error = mt_address_parse(call, call->argument, &given);
    if (!error)
        error = mt_call_python(call, ret_python);
    if (!error && given.live_blocks == 0)
        *ret = given.value;
    return error;
}

struct mt_error *mt_searched_holders_find(struct mt_call *call, bool climbs, struct mt_searched **ret_searched,
                                          struct mt_graph **ret_graph) {
    struct mt_python *python = NULL;
    uint64_t address;
    struct mt_searched *searched = NULL;
    struct mt_graph *graph = NULL;
    *ret_searched = NULL;
    *ret_graph = NULL;
    struct mt_error *error = address_of(call, &python, &address);
    if (error || address == 0)
        return error;
    error = mt_searched_create(python, &call->watch, &searched);
    if (!error)
        error = find(call, searched, address, climbs, &graph);
    if (error || !graph) {
        mt_searched_destroy(searched);
        searched = NULL;
        /* Then the whole heap is read, which tells what is wrong with it. */
        if (error && error->code != MT_ERROR_INTERRUPTED && error->code != MT_ERROR_NO_MEMORY) {
            mt_error_destroy(error);
            error = NULL;
        }
    }
    *ret_searched = searched;
    *ret_graph = error ? NULL : graph;
    return error;
}
