/* Live small blocks by address: one 32-bit slot for every 16 bytes of heap (image.h describes the radix tree).
 * Dense heaps of small objects cost 4 bytes for each 16, and one cache line serves sixteen neighbours. */
#ifndef MEMTRACE_RECORDER_SHADOW_H
#define MEMTRACE_RECORDER_SHADOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/image.h"

extern uint64_t mt_shadow_root[MT_SHADOW_ENTRIES];

/* Sites above this can't be named by a slot; their blocks go to the table. */
#define MT_SHADOW_SITE_LIMIT (1u << (32 - MT_SHADOW_SIZE_BITS))

static inline bool mt_shadow_fits(uint64_t address, uint64_t size, uint32_t site) {
    return size <= MT_SHADOW_MAX && (address & 15) == 0 && address >> 47 == 0 && site < MT_SHADOW_SITE_LIMIT;
}

/* The bottom table that was used last, by the address bits above it: most events are near the one before. */
struct mt_shadow_recent {
    uint64_t region;
    uint64_t *bottom; /* NULL: none yet */
};
extern struct mt_shadow_recent mt_shadow_recent;

/* The bottom entry (leaf and live count) for `address`, or NULL when nothing near it was ever recorded. */
static inline uint64_t *mt_shadow_entry(uint64_t address) {
    if (__builtin_expect(address >> MT_SHADOW_BOTTOM_SHIFT == mt_shadow_recent.region, 1) &&
        mt_shadow_recent.bottom != NULL)
        return &mt_shadow_recent.bottom[address >> MT_SHADOW_LEAF_SHIFT & (MT_SHADOW_ENTRIES - 1)];
    if (address >> 47 != 0)
        return NULL;
    const uint64_t *middle = (const uint64_t *)mt_shadow_root[address >> MT_SHADOW_MIDDLE_SHIFT];
    if (middle == NULL)
        return NULL;
    uint64_t *bottom = (uint64_t *)middle[address >> MT_SHADOW_BOTTOM_SHIFT & (MT_SHADOW_ENTRIES - 1)];
    if (bottom == NULL)
        return NULL;
    mt_shadow_recent = (struct mt_shadow_recent){address >> MT_SHADOW_BOTTOM_SHIFT, bottom};
    return &bottom[address >> MT_SHADOW_LEAF_SHIFT & (MT_SHADOW_ENTRIES - 1)];
}

/* Makes the way down to the leaf. NULL when memory is out. */
uint64_t *mt_shadow_grow(uint64_t address);
/* Takes the leaf of an entry whose last slot was cleared. */
void mt_shadow_release(uint64_t *entry);
/* Forgets everything. */
void mt_shadow_clear(void);

static inline uint32_t *mt_shadow_slot(uint64_t entry, uint64_t address) {
    return (uint32_t *)MT_SHADOW_LEAF(entry) + (address >> 4 & (MT_SHADOW_LEAF_SLOTS - 1));
}

/* Enters a block and returns what the slot held before: 0, or a block whose death was missed.
 * *ret_ok is false when memory is out, and nothing was entered. */
static inline uint32_t mt_shadow_insert(uint64_t address, uint64_t size, uint32_t site, bool *ret_ok) {
    uint64_t *entry = mt_shadow_entry(address);
    if (__builtin_expect(entry == NULL || MT_SHADOW_LEAF(*entry) == 0, 0)) {
        entry = mt_shadow_grow(address);
        if (entry == NULL) {
            *ret_ok = false;
            return 0;
        }
    }
    uint32_t *slot = mt_shadow_slot(*entry, address);
    uint32_t before = *slot;
    *slot = site << MT_SHADOW_SIZE_BITS | (uint32_t)size;
    if (before == 0)
        *entry += (uint64_t)1 << 48;
    *ret_ok = true;
    return before;
}

/* The slot value of the block that starts at `address`; 0: none does. */
static inline uint32_t mt_shadow_find(uint64_t address) {
    const uint64_t *entry;
    if ((address & 15) != 0 || (entry = mt_shadow_entry(address)) == NULL || MT_SHADOW_LEAF(*entry) == 0)
        return 0;
    return *mt_shadow_slot(*entry, address);
}

/* Takes a block out: its slot value, or 0 when none starts at `address`. */
static inline uint32_t mt_shadow_remove(uint64_t address) {
    uint64_t *entry;
    if ((address & 15) != 0 || (entry = mt_shadow_entry(address)) == NULL || MT_SHADOW_LEAF(*entry) == 0)
        return 0;
    uint32_t *slot = mt_shadow_slot(*entry, address);
    uint32_t value = *slot;
    if (value != 0) {
        *slot = 0;
        *entry -= (uint64_t)1 << 48;
        if (*entry >> 48 == 0)
            mt_shadow_release(entry);
    }
    return value;
}

#endif
