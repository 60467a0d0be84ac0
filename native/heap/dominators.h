/* Dominators of a graph: the last node through which every way from the roots to a node leads. What a node dominates is
 * what would be lost with it.
 *
 * By the algorithm of Lengauer and Tarjan in the form that Georgiadis calls Semi-NCA, on numbers of 32 bits: about 24
 * bytes a node and 4 a reference. */
#ifndef MEMTRACE_HEAP_DOMINATORS_H
#define MEMTRACE_HEAP_DOMINATORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/watch.h"

/* References of one node, in place of those that the flow's common table has. */
struct mt_flow_node {
    uint32_t node;
    uint32_t first; /* into mt_flow.own_targets; they end where those of the next one begin */
};

/* A graph. Nodes up to `common` have their targets in a table (those of node i are targets[first[i]] to
 * targets[first[i + 1] - 1]), but for those in `own`, and all nodes from `common` on. */
struct mt_flow {
    uint32_t count; /* nodes, fewer than UINT32_MAX - 1 */
    uint32_t common;
    const uint32_t *first;
    const uint32_t *targets;
    const struct mt_flow_node *own; /* ascending, and one more behind the last, which only says where that ends */
    size_t own_count;
    const uint32_t *own_targets;
    const uint32_t *roots; /* in any order, also more than once */
    size_t root_count;
};

/* The targets of a node. */
const uint32_t *mt_flow_targets(const struct mt_flow *flow, uint32_t node, uint32_t *ret_count);

#define MT_DOMINATOR_ROOTS UINT32_MAX           /* nothing but the roots themselves */
#define MT_DOMINATOR_UNREACHED (UINT32_MAX - 1) /* no root leads there */

struct mt_dominators {
    uint32_t *of;    /* of each node: the node that dominates it immediately, or one of the above */
    uint32_t *order; /* nodes that are reached, each behind its dominator */
    uint32_t reached;
};

struct mt_error *mt_dominators_find(const struct mt_flow *flow, struct mt_watch *watch, struct mt_dominators *ret);
void mt_dominators_deinit(struct mt_dominators *dominators);

#endif
