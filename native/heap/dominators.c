#include "heap/dominators.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/vector.h"

#define POLL_EVERY 4096
#define WHAT "finding what keeps what alive"

/* Nodes are numbered from 1 on in the order in which a search first sees them; 0 is what holds the roots. All arrays
 * but `number` go by these numbers. */
struct search {
    const struct mt_flow *flow;
    struct mt_watch *watch;
    uint32_t *number;    /* by node; 0: not reached */
    uint32_t *order;     /* the node of a number, from index 1 on */
    uint32_t *ancestor;  /* the node's parent in the search, and later one further up, where paths were shortened */
    uint32_t *dominator; /* begins as the parent; 0: nothing but the roots */
    uint32_t *semi;      /* the lowest number from which a way leads here over higher ones only */
    uint32_t *label;     /* on the shortened path: the one with the lowest semi */
    uint32_t *first;     /* sources of references: those of a number are sources[first[number]] ... */
    uint32_t *sources;
    uint32_t reached;
    MT_VECTOR(uint32_t) path;
};

/* --- the graph ---------------------------------------------------------------------------------------------------- */

/* Of a node that has targets of its own; NULL: it has none. */
static const struct mt_flow_node *find_own(const struct mt_flow *flow, uint32_t node) {
    size_t low = 0, high = flow->own_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (flow->own[middle].node < node)
            low = middle + 1;
        else
            high = middle;
    }
    return low < flow->own_count && flow->own[low].node == node ? &flow->own[low] : NULL;
}

const uint32_t *mt_flow_targets(const struct mt_flow *flow, uint32_t node, uint32_t *ret_count) {
    const struct mt_flow_node *own = flow->own_count > 0 && node >= flow->own[0].node ? find_own(flow, node) : NULL;
    if (own) {
        *ret_count = own[1].first - own->first;
        return flow->own_targets + own->first;
    }
    *ret_count = node < flow->common ? flow->first[node + 1] - flow->first[node] : 0;
    return node < flow->common ? flow->targets + flow->first[node] : NULL;
}

/* --- the search --------------------------------------------------------------------------------------------------- */

/* Where the search stands in a node's targets. */
struct visit {
    uint32_t number;
    uint32_t next;
    uint32_t count;
    const uint32_t *targets;
};

struct visits {
    MT_VECTOR(struct visit) list;
};

static bool enter(struct search *search, struct visits *visits, uint32_t node, uint32_t parent) {
    if (search->number[node] != 0)
        return true;
    uint32_t number = ++search->reached;
    search->number[node] = number;
    search->order[number] = node;
    search->ancestor[number] = parent;
    struct visit visit = {.number = number};
    visit.targets = mt_flow_targets(search->flow, node, &visit.count);
    return visit.count == 0 || mt_vector_push(&visits->list, visit);
}

static struct mt_error *search_from(struct search *search, struct visits *visits, uint32_t root) {
    if (!enter(search, visits, root, 0))
        return &mt_error_no_memory;
    for (uint64_t steps = 1; visits->list.length > 0; steps++) {
        struct mt_error *error = steps % POLL_EVERY == 0 ? mt_watch_poll(search->watch, WHAT) : NULL;
        if (error)
            return error;
        struct visit *visit = &visits->list.data[visits->list.length - 1];
        if (visit->next == visit->count) {
            visits->list.length--;
            continue;
        }
        uint32_t node = visit->targets[visit->next++];
        if (!enter(search, visits, node, visit->number))
            return &mt_error_no_memory;
    }
    return NULL;
}

static struct mt_error *search_all(struct search *search) {
    struct visits visits = {0};
    struct mt_error *error = NULL;
    for (size_t i = 0; i < search->flow->root_count && !error; i++)
        error = search_from(search, &visits, search->flow->roots[i]);
    mt_vector_deinit(&visits.list);
    return error;
}

/* --- references backwards ----------------------------------------------------------------------------------------- */

/* Roots, wherever the search met them first, have nothing above them: their references need not be looked at. */
static void detach_roots(struct search *search) {
    for (size_t i = 0; i < search->flow->root_count; i++)
        search->dominator[search->number[search->flow->roots[i]]] = 0;
}

static bool is_detached(const struct search *search, uint32_t number) {
    return search->dominator[number] == 0;
}

/* A counting sort by target. */
static struct mt_error *turn_around(struct search *search) {
    uint32_t reached = search->reached;
    search->first = calloc((size_t)reached + 2, sizeof *search->first);
    if (!search->first)
        return &mt_error_no_memory;
    for (uint32_t i = 1; i <= reached; i++) {
        uint32_t count;
        const uint32_t *targets = mt_flow_targets(search->flow, search->order[i], &count);
        for (uint32_t k = 0; k < count; k++) {
            uint32_t target = search->number[targets[k]];
            search->first[target + 1] += !is_detached(search, target);
        }
        struct mt_error *error = i % POLL_EVERY == 0 ? mt_watch_poll(search->watch, WHAT) : NULL;
        if (error)
            return error;
    }
    for (uint32_t i = 1; i <= reached + 1; i++)
        search->first[i] += search->first[i - 1];
    search->sources = malloc(((size_t)search->first[reached + 1] + 1) * sizeof *search->sources);
    if (!search->sources)
        return &mt_error_no_memory;
    /* Filling moves each start to its end, which is the next one's start. */
    for (uint32_t i = 1; i <= reached; i++) {
        uint32_t count;
        const uint32_t *targets = mt_flow_targets(search->flow, search->order[i], &count);
        for (uint32_t k = 0; k < count; k++) {
            uint32_t target = search->number[targets[k]];
            if (!is_detached(search, target))
                search->sources[search->first[target]++] = i;
        }
        struct mt_error *error = i % POLL_EVERY == 0 ? mt_watch_poll(search->watch, WHAT) : NULL;
        if (error)
            return error;
    }
    memmove(search->first + 1, search->first, ((size_t)reached + 1) * sizeof *search->first);
    search->first[0] = 0;
    return NULL;
}

/* --- dominators --------------------------------------------------------------------------------------------------- */

/* The lowest semi on the way up from `number` to, and without, the first that is lower than `limit`. Shortens the way.
 */
static bool lowest_semi(struct search *search, uint32_t number, uint32_t limit, uint32_t *ret) {
    uint32_t *ancestor = search->ancestor, *label = search->label, *semi = search->semi;
    if (ancestor[number] < limit) {
        *ret = semi[label[number]];
        return true;
    }
    search->path.length = 0;
    uint32_t top = number;
    for (; ancestor[top] >= limit; top = ancestor[top])
        if (!mt_vector_push(&search->path, top))
            return false;
    uint32_t best = label[top];
    for (size_t i = search->path.length; i-- > 0;) {
        uint32_t here = search->path.data[i];
        ancestor[here] = ancestor[top];
        if (semi[best] < semi[label[here]])
            label[here] = best;
        else
            best = label[here];
    }
    *ret = semi[label[number]];
    return true;
}

static struct mt_error *find_semis(struct search *search) {
    for (uint32_t number = search->reached; number > 0; number--) {
        struct mt_error *error = number % POLL_EVERY == 0 ? mt_watch_poll(search->watch, WHAT) : NULL;
        if (error)
            return error;
        uint32_t lowest = is_detached(search, number) ? 0 : search->ancestor[number], semi;
        for (uint32_t i = search->first[number]; i < search->first[number + 1]; i++) {
            if (!lowest_semi(search, search->sources[i], number + 1, &semi))
                return &mt_error_no_memory;
            if (semi < lowest)
                lowest = semi;
        }
        search->semi[number] = lowest;
    }
    return NULL;
}

/* The nearest ancestor that is not above what the semi says. Ancestors come first. */
static void climb(struct search *search) {
    for (uint32_t number = 1; number <= search->reached; number++) {
        uint32_t dominator = search->dominator[number];
        while (dominator > search->semi[number])
            dominator = search->dominator[dominator];
        search->dominator[number] = dominator;
    }
}

static bool begin(struct search *search) {
    size_t room = (size_t)search->flow->count + 1;
    search->number = calloc(room, sizeof *search->number);
    search->order = malloc(room * sizeof *search->order);
    search->ancestor = malloc(room * sizeof *search->ancestor);
    return search->number && search->order && search->ancestor;
}

static bool prepare(struct search *search) {
    size_t room = (size_t)search->reached + 1;
    search->dominator = malloc(room * sizeof *search->dominator);
    search->semi = malloc(room * sizeof *search->semi);
    search->label = malloc(room * sizeof *search->label);
    if (!search->dominator || !search->semi || !search->label)
        return false;
    search->ancestor[0] = 0;
    memcpy(search->dominator, search->ancestor, room * sizeof *search->dominator);
    for (uint32_t i = 0; i <= search->reached; i++)
        search->semi[i] = search->label[i] = i;
    return true;
}

/* By node instead of by number. The array of numbers becomes the answer. */
static void hand_out(struct search *search, struct mt_dominators *ret) {
    for (uint32_t node = 0; node < search->flow->count; node++) {
        uint32_t number = search->number[node];
        uint32_t dominator = number == 0 ? 0 : search->dominator[number];
        search->number[node] = number == 0      ? MT_DOMINATOR_UNREACHED
                               : dominator == 0 ? MT_DOMINATOR_ROOTS
                                                : search->order[dominator];
    }
    memmove(search->order, search->order + 1, (size_t)search->reached * sizeof *search->order);
    *ret = (struct mt_dominators){.of = search->number, .order = search->order, .reached = search->reached};
    search->number = search->order = NULL;
}

struct mt_error *mt_dominators_find(const struct mt_flow *flow, struct mt_watch *watch, struct mt_dominators *ret) {
    struct search search = {.flow = flow, .watch = watch};
    struct mt_error *error = begin(&search) ? search_all(&search) : &mt_error_no_memory;
    if (!error && !prepare(&search))
        error = &mt_error_no_memory;
    if (!error) {
        detach_roots(&search);
        error = turn_around(&search);
    }
    if (!error)
        error = find_semis(&search);
    if (!error) {
        climb(&search);
        hand_out(&search, ret);
    }
    free(search.number);
    free(search.order);
    free(search.ancestor);
    free(search.dominator);
    free(search.semi);
    free(search.label);
    free(search.first);
    free(search.sources);
    mt_vector_deinit(&search.path);
    return error;
}

void mt_dominators_deinit(struct mt_dominators *dominators) {
    free(dominators->of);
    free(dominators->order);
    *dominators = (struct mt_dominators){0};
}
