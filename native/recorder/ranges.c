#include "recorder/ranges.h"

#include <stddef.h>

#include "recorder/header.h"
#include "recorder/memory.h"
#include "recorder/pool.h"

/* Tree links are record index + 1; 0: none. LEFT and RIGHT index struct mt_range.links. */
enum { LEFT, RIGHT };

static uint32_t root;
static uint32_t free_list; /* through links[LEFT] */

/* What the event that is being recorded changes; empty between events. The pieces that one cut leaves are two at most,
 * and an event cuts twice at most and enters one range. */
#define ARRIVING_MAX 5
static uint32_t leaving; /* through links[LEFT] */
static uint32_t arriving[ARRIVING_MAX];
static unsigned arriving_count;

static uint64_t random_state = 0x9E3779B97F4A7C15u;

static inline uint64_t page_up(uint64_t value) {
    return (value + MT_PAGE - 1) & ~(uint64_t)(MT_PAGE - 1);
}

static inline struct mt_range *range_at(uint32_t link) {
    return mt_pool_at(&mt_shard()->ranges, link - 1);
}

static uint64_t next_priority(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Splits by start: everything below `key` to *ret_below, the rest to *ret_rest. Iterative: trees are never walked by
 * recursion. */
static void tree_split(uint32_t tree, uint64_t key, uint32_t *ret_below, uint32_t *ret_rest) {
    while (tree != 0) {
        struct mt_range *range = range_at(tree);
        if (range->start < key) {
            *ret_below = tree;
            ret_below = &range->links[RIGHT];
            tree = range->links[RIGHT];
        } else {
            *ret_rest = tree;
            ret_rest = &range->links[LEFT];
            tree = range->links[LEFT];
        }
    }
    *ret_below = 0;
    *ret_rest = 0;
}

/* All of `below` lies under all of `rest`. */
static uint32_t tree_join(uint32_t below, uint32_t rest) {
    uint32_t result = 0, *place = &result;
    while (below != 0 && rest != 0) {
        struct mt_range *low = range_at(below), *high = range_at(rest);
        if (low->priority > high->priority) {
            *place = below;
            place = &low->links[RIGHT];
            below = *place;
        } else {
            *place = rest;
            place = &high->links[LEFT];
            rest = *place;
        }
    }
    *place = below != 0 ? below : rest;
    return result;
}

static uint32_t take_record(void) {
    uint32_t link = free_list;
    if (link != 0) {
        free_list = range_at(link)->links[LEFT];
        return link;
    }
    struct mt_pool_ref *pool = &mt_shard()->ranges;
    if (mt_pool_reserve(pool) == NULL)
        return 0;
    mt_pool_publish(pool);
    return (uint32_t)pool->count;
}

static void return_record(uint32_t link) {
    struct mt_range *range = range_at(link);
    range->state = MT_RANGE_UNUSED;
    range->links[LEFT] = free_list;
    free_list = link;
}

/* A range that counts from the commit on; it is in no tree yet. 0 when memory is out. */
static uint32_t arrive(uint64_t start, uint64_t end, uint32_t site) {
    uint32_t link = arriving_count < ARRIVING_MAX ? take_record() : 0;
    if (link == 0)
        return 0;
    struct mt_range *range = range_at(link);
    *range = (struct mt_range){.start = start, .end = end, .site = site, .priority = next_priority()};
    __atomic_store_n(&range->state, MT_RANGE_ARRIVING, __ATOMIC_RELEASE);
    arriving[arriving_count++] = link;
    return link;
}

/* A range that counts until the commit; it is in no tree any more. */
static void leave(uint32_t link) {
    struct mt_range *range = range_at(link);
    if (range->state == MT_RANGE_ARRIVING) { /* by this very event: nobody has seen it */
        for (unsigned i = 0; i < arriving_count; i++)
            if (arriving[i] == link)
                arriving[i] = arriving[--arriving_count];
        return_record(link);
        return;
    }
    range->state = MT_RANGE_LEAVING;
    range->links[LEFT] = leaving;
    leaving = link;
}

bool mt_ranges_insert(uint64_t start, uint64_t size, uint32_t site) {
    uint32_t link = arrive(start, start + size, site);
    if (link == 0)
        return false;
    uint32_t below, rest;
    tree_split(root, start, &below, &rest);
    root = tree_join(tree_join(below, link), rest);
    return true;
}

/* Ends a range that [start, end) touches. What is left of it on either side goes on as records of its own, in the trees
 * of those sides. */
static void cut(uint32_t link, uint64_t start, uint64_t end, uint32_t *below, uint32_t *above, mt_range_change *change,
                void *context) {
    const struct mt_range range = *range_at(link);
    uint64_t kept = 0;
    int32_t pieces = -1;
    leave(link);
    if (range.start < start) {
        uint32_t piece = arrive(range.start, start, range.site);
        *below = tree_join(*below, piece);
        pieces += piece != 0;
        kept += piece != 0 ? start - range.start : 0;
        memtrace_image.dropped[MT_DROP_MEMORY] += piece == 0;
    }
    if (range.end > end) {
        uint32_t piece = arrive(end, range.end, range.site);
        *above = tree_join(piece, *above);
        pieces += piece != 0;
        kept += piece != 0 ? range.end - end : 0;
        memtrace_image.dropped[MT_DROP_MEMORY] += piece == 0;
    }
    change(context, range.site, -(int64_t)(range.end - range.start - kept), pieces);
}

void mt_ranges_remove(uint64_t start, uint64_t size, mt_range_change *change, void *context) {
    uint64_t end = start + page_up(size);
    uint32_t below, touched, above;
    if (root == 0 || end <= start)
        return;
    tree_split(root, end, &touched, &above);
    tree_split(touched, start, &below, &touched);

    /* The last range that begins below may reach in, or through. */
    uint32_t *place = &below;
    while (*place != 0 && range_at(*place)->links[RIGHT] != 0)
        place = &range_at(*place)->links[RIGHT];
    uint32_t link = *place;
    if (link != 0 && range_at(link)->end > start) {
        *place = range_at(link)->links[LEFT];
        cut(link, start, end, &below, &above, change, context);
    }
    /* The smallest first: a node without a left child is taken off the tree's left spine. */
    while (touched != 0) {
        place = &touched;
        while (range_at(*place)->links[LEFT] != 0)
            place = &range_at(*place)->links[LEFT];
        link = *place;
        *place = range_at(link)->links[RIGHT];
        cut(link, start, end, &below, &above, change, context);
    }
    root = tree_join(below, above);
}

/* Sets the word that readers go by; nothing that is said before or after moves across. */
static void set_changed(uint32_t changed) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&mt_shard()->ranges_changed, changed, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

void mt_ranges_commit(void) {
    set_changed(1);
    while (leaving != 0) {
        uint32_t link = leaving;
        leaving = range_at(link)->links[LEFT];
        return_record(link);
    }
    while (arriving_count > 0)
        range_at(arriving[--arriving_count])->state = MT_RANGE_LIVE;
    set_changed(0);
}

void mt_ranges_clear(void) {
    struct mt_pool_ref *pool = &mt_shard()->ranges;
    root = free_list = 0;
    for (uint32_t i = 0; i < pool->count; i++)
        return_record(i + 1);
}
