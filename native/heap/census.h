/* Every live object: found by the collector's lists, pymalloc's pools, malloc's chunks, static types and the closure
 * over references, merged by address.
 *
 * Objects are numbered in the order of their addresses. Free slots, objects on free lists and half-built ones
 * (allocated, without a type) are left out and counted apart. */
#ifndef MEMTRACE_HEAP_CENSUS_H
#define MEMTRACE_HEAP_CENSUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allocators/glibc.h"
#include "allocators/pymalloc.h"
#include "base/error.h"
#include "base/hash_map.h"
#include "base/watch.h"
#include "python/python.h"
#include "python/types.h"

#define MT_NO_OBJECT UINT32_MAX

/* Objects of one page of 4 KiB: one bit for each 8 bytes. */
struct mt_census_page {
    uint64_t number; /* address >> 12 */
    uint64_t bits[8];
    uint16_t before[8]; /* objects of the page in front of those of each word */
    uint32_t first;     /* number of the page's first object */
};

/* Bits that are set, for processors whose own instruction the compiler may not use. */
static inline unsigned mt_bit_count(uint64_t word) {
    word -= word >> 1 & 0x5555555555555555ULL;
    word = (word & 0x3333333333333333ULL) + (word >> 2 & 0x3333333333333333ULL);
    return (unsigned)(((word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fULL) * 0x0101010101010101ULL >> 56);
}

struct mt_census {
    struct mt_python *python;
    struct mt_pymalloc *pymalloc; /* NULL: its arenas could not be found; pymalloc_problem tells why */
    struct mt_glibc *glibc;
    struct mt_error *pymalloc_problem; /* NULL: none */
    uint32_t count;
    uint64_t *addresses;          /* ascending */
    uint32_t *types;              /* index into python->types, of each object */
    struct mt_census_page *pages; /* ascending */
    size_t page_count;
    uint32_t *page_slots; /* hash: page number -> index into pages + 1 */
    size_t page_slot_mask;
    struct mt_pymalloc_totals pools;
    /* how they were found, for `types` and tests */
    uint64_t from_lists, from_pools, from_chunks, from_closure;
    uint64_t free_objects; /* dead ones on free lists, which look alive */
    uint64_t half_built;
    bool lists_damaged; /* a collector's list did not close (stopped inside a collection) */
};

struct mt_error *mt_census_create(struct mt_python *python, struct mt_watch *watch, struct mt_census **ret);
/* Of a few objects alone: the keys of `addresses`. Those that are none are left out. */
struct mt_error *mt_census_create_of(struct mt_python *python, const struct mt_hash_map *addresses,
                                     struct mt_watch *watch, struct mt_census **ret);
void mt_census_destroy(struct mt_census *census);

static inline uint32_t mt_census_find(const struct mt_census *census, uint64_t address) {
    uint64_t number = address >> 12, hash = number * 0x9e3779b97f4a7c15ULL >> 20;
    if (!census->page_slots)
        return MT_NO_OBJECT;
    for (size_t slot = hash & census->page_slot_mask;; slot = (slot + 1) & census->page_slot_mask) {
        uint32_t index = census->page_slots[slot];
        if (index == 0)
            return MT_NO_OBJECT;
        const struct mt_census_page *page = &census->pages[index - 1];
        if (page->number != number)
            continue;
        unsigned granule = (unsigned)(address >> 3 & 511), word = granule >> 6;
        uint64_t bit = 1ULL << (granule & 63);
        if ((address & 7) || !(page->bits[word] & bit))
            return MT_NO_OBJECT;
        return page->first + page->before[word] + mt_bit_count(page->bits[word] & (bit - 1));
    }
}

static inline const struct mt_type *mt_census_type(const struct mt_census *census, uint32_t object) {
    return mt_types_at(census->python->types, census->types[object]);
}

/* Is `address` the start of a block in use, and how large is it? C code has its blocks from malloc, or from pymalloc
 * where they are small. `census`: the census, as mt_edges_guess wants it. */
bool mt_census_block_size(void *census, uint64_t address, uint64_t *ret_size);

/* The object that owns the memory at `address`: whose block or buffer contains it (a linear search over all objects,
 * some seconds on the largest heaps). MT_NO_OBJECT: none. *ret_what: "object", "buffer" ... */
struct mt_error *mt_census_owner(struct mt_census *census, uint64_t address, struct mt_watch *watch, uint32_t *ret,
                                 const char **ret_what);

#endif
