/* Growing arrays of records that never move, in the shape that image.h gives to readers (struct mt_pool_ref). */
#ifndef MEMTRACE_RECORDER_POOL_H
#define MEMTRACE_RECORDER_POOL_H

#include <stdbool.h>

#include "image/image.h"

/* chunk of 1 << chunk_shift records; their bytes should be whole pages. */
void mt_pool_init(struct mt_pool_ref *pool, uint32_t stride, uint32_t chunk_shift);

/* Makes room for record `count` without counting it: a record is filled first and published by mt_pool_publish().
 * NULL when memory is out. */
void *mt_pool_reserve(struct mt_pool_ref *pool);

static inline void mt_pool_publish(struct mt_pool_ref *pool) {
    __atomic_store_n(&pool->count, pool->count + 1, __ATOMIC_RELEASE);
}

static inline void *mt_pool_at(const struct mt_pool_ref *pool, uint32_t index) {
    const uint64_t *directory = (const uint64_t *)pool->directory;
    uint64_t mask = ((uint64_t)1 << pool->chunk_shift) - 1;
    return (void *)(directory[index >> pool->chunk_shift] + (index & mask) * pool->stride);
}

/* The same for a pool whose shape is known where it is used, on the path of every event. */
static inline void *mt_pool_at_fixed(const struct mt_pool_ref *pool, uint32_t index, uint32_t stride,
                                     uint32_t chunk_shift) {
    const uint64_t *directory = (const uint64_t *)pool->directory;
    return (void *)(directory[index >> chunk_shift] + (uint64_t)(index & ((1u << chunk_shift) - 1)) * stride);
}

#endif
