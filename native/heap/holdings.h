/* What groups of references alone keep alive: the contents of every cache, all at once.
 *
 * A group is a set of references that could be cut: the keys and values of a cache. What would be freed if those of one
 * group were cut, and no other, is what the group dominates when its references are made to lead through a node of its
 * own. So groups may share what they hold (then none of them alone keeps it), and one may lie in what another keeps.
 * This is exact when the objects that a group's references come from live and die together. What several groups keep
 * together is asked of all objects anew (mt_holdings_otherwise). */
#ifndef MEMTRACE_HEAP_HOLDINGS_H
#define MEMTRACE_HEAP_HOLDINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/watch.h"
#include "heap/dominators.h"
#include "heap/graph.h"
#include "heap/reach.h"

/* Some references of an object belong to a group. */
struct mt_holding_source {
    uint32_t object;
    uint32_t group;
};

/* Is this reference of the object, which was said to have some of the group's, one of them? */
typedef bool mt_holding_takes(void *context, const struct mt_holding_source *source, const struct mt_edge *edge);

#define MT_KEPT_OTHERWISE UINT32_MAX       /* no group alone keeps it */
#define MT_KEPT_BY_NOBODY (UINT32_MAX - 1) /* it waits for the collector */

struct mt_holding {
    struct mt_reach_sum kept; /* all that it alone keeps alive, what it does as a part of `outer` included */
    uint32_t outer;           /* the group that alone keeps this one alive; or one of the above */
};

struct mt_holdings {
    uint32_t *of; /* of each object: the innermost group that alone keeps it alive, or one of the above */
    struct mt_holding *groups;
    uint32_t group_count;
    uint32_t *order; /* groups that have references of something alive, each behind its `outer` */
    uint32_t order_count;
    /* private: the graph with the groups' nodes, and what of it is not the heap's own */
    struct mt_flow flow;
    struct mt_flow_node *own;
    uint32_t *own_targets;
    uint32_t *roots;
};

struct mt_holding_question {
    struct mt_holding_source *sources; /* in any order; they are sorted */
    size_t source_count;
    uint32_t group_count; /* groups are numbered from 0 on */
    mt_holding_takes *takes;
    void *context;
};

struct mt_error *mt_holdings_find(struct mt_graph *graph, const struct mt_holding_question *question,
                                  struct mt_watch *watch, struct mt_holdings *ret);
void mt_holdings_deinit(struct mt_holdings *holdings);
/* By group, is it this one, or one that this one alone keeps alive? The objects that it keeps are theirs. */
void mt_holdings_inside(const struct mt_holdings *holdings, uint32_t group, bool *ret_inside);
/* What stays alive without any of the groups that `cut` says, by group. */
struct mt_error *mt_holdings_otherwise(const struct mt_holdings *holdings, const bool *cut, struct mt_watch *watch,
                                       struct mt_marks *ret);

#endif
