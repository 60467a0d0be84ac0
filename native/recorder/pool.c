#include "recorder/pool.h"

#include <string.h>

#include "recorder/memory.h"

void mt_pool_init(struct mt_pool_ref *pool, uint32_t stride, uint32_t chunk_shift) {
    *pool = (struct mt_pool_ref){.stride = stride, .chunk_shift = chunk_shift};
}

#define DIRECTORY_FIRST 16u

/* A directory doubles; its length follows from the number of chunks. */
static uint64_t directory_length(uint64_t chunks) {
    uint64_t length = DIRECTORY_FIRST;
    while (length < chunks)
        length *= 2;
    return length;
}

void *mt_pool_reserve(struct mt_pool_ref *pool) {
    uint64_t index = pool->count;
    uint64_t chunk = index >> pool->chunk_shift;
    if (index >= UINT32_MAX)
        return NULL;
    if ((index & (((uint64_t)1 << pool->chunk_shift) - 1)) == 0) {
        uint64_t *directory = (uint64_t *)pool->directory;
        if (directory == NULL || directory_length(chunk) != directory_length(chunk + 1)) {
            uint64_t *longer = mt_memory_bytes(directory_length(chunk + 1) * sizeof(uint64_t));
            if (longer == NULL)
                return NULL;
            if (directory != NULL)
                memcpy(longer, directory, chunk * sizeof(uint64_t));
            directory = longer;
            __atomic_store_n(&pool->directory, (uint64_t)directory, __ATOMIC_RELEASE);
        }
        if (directory[chunk] == 0) { /* a failed publication leaves its chunk behind for the next try */
            void *records = mt_memory_pages((size_t)pool->stride << pool->chunk_shift);
            if (records == NULL)
                return NULL;
            directory[chunk] = (uint64_t)records;
        }
    }
    return mt_pool_at(pool, (uint32_t)index);
}
