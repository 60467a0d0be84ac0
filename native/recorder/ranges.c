#include "recorder/ranges.h"

#include <stddef.h>

#include "recorder/header.h"
#include "recorder/memory.h"
#include "recorder/pool.h"

/* Tree links are record index + 1; 0: none. LEFT and RIGHT index struct mt_range.links. */
enum { LEFT, RIGHT };

static uint32_t root;
static uint32_t free_list; /* through links[LEFT] */
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
    range->state = 0;
    range->links[LEFT] = free_list;
    free_list = link;
}

bool mt_ranges_can_cut(void) {
    if (free_list != 0)
        return true;
    uint32_t link = take_record();
    if (link != 0)
        return_record(link);
    return link != 0;
}

bool mt_ranges_insert(uint64_t start, uint64_t size, uint32_t site) {
    uint32_t link = take_record();
    if (link == 0)
        return false;
    struct mt_range *range = range_at(link);
    *range = (struct mt_range){.start = start, .end = start + size, .site = site, .priority = next_priority()};
    __atomic_store_n(&range->state, 1, __ATOMIC_RELEASE);
    uint32_t below, rest;
    tree_split(root, start, &below, &rest);
    root = tree_join(tree_join(below, link), rest);
    return true;
}

void mt_ranges_remove(uint64_t start, uint64_t size, mt_range_change *change, void *context) {
    uint64_t end = start + page_up(size);
    uint32_t below, touched, above;
    if (root == 0 || end <= start)
        return;
    tree_split(root, end, &touched, &above);
    tree_split(touched, start, &below, &touched);

    /* A range that begins below may reach in, or through. */
    uint32_t last = below;
    while (last != 0 && range_at(last)->links[RIGHT] != 0)
        last = range_at(last)->links[RIGHT];
    uint32_t beyond = 0;
    if (last != 0 && page_up(range_at(last)->end) > start) {
        struct mt_range *range = range_at(last);
        uint64_t old_end = range->end;
        uint64_t cut_end = old_end < end ? old_end : end;
        int64_t bytes = cut_end > start ? (int64_t)(cut_end - start) : 0;
        int32_t pieces = 0;
        if (old_end > end) {
            beyond = take_record();
            if (beyond != 0) {
                struct mt_range *rest = range_at(beyond);
                *rest =
                    (struct mt_range){.start = end, .end = old_end, .site = range->site, .priority = next_priority()};
                __atomic_store_n(&rest->state, 1, __ATOMIC_RELEASE);
                pieces = 1;
            } else {
                bytes += (int64_t)(old_end - end);
                memtrace_image.dropped[MT_DROP_MEMORY]++;
            }
        }
        if (old_end > start)
            range->end = start;
        if (bytes != 0 || pieces != 0)
            change(context, range->site, -bytes, pieces);
    }

    while (touched != 0) {
        /* the smallest first: a node without a left child is taken off the tree's left spine */
        uint32_t *place = &touched;
        while (range_at(*place)->links[LEFT] != 0)
            place = &range_at(*place)->links[LEFT];
        uint32_t link = *place;
        struct mt_range *range = range_at(link);
        *place = range->links[RIGHT];
        if (range->end > end) { /* its tail survives */
            uint64_t bytes = end - range->start;
            struct mt_range rest = *range;
            range->start = end;
            range->links[LEFT] = range->links[RIGHT] = 0;
            change(context, rest.site, -(int64_t)bytes, 0);
            above = tree_join(link, above);
        } else {
            uint32_t site = range->site;
            uint64_t bytes = range->end - range->start;
            return_record(link);
            change(context, site, -(int64_t)bytes, -1);
        }
    }
    root = tree_join(below, beyond != 0 ? tree_join(beyond, above) : above);
}

void mt_ranges_clear(void) {
    struct mt_pool_ref *pool = &mt_shard()->ranges;
    root = free_list = 0;
    for (uint32_t i = 0; i < pool->count; i++)
        return_record(i + 1);
}
