#include "trace/pool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define MAX_STRIDE 65536
#define MAX_CHUNK_SHIFT 30
#define UNKNOWN_BUDGET (4ULL << 30) /* for a target whose mappings nobody knows */

uint64_t mt_pool_budget(struct mt_target *target) {
    const struct mt_region *regions;
    size_t count;
    uint64_t budget = 0;
    struct mt_error *error = mt_target_regions(target, &regions, &count);
    if (error) {
        mt_error_destroy(error);
        return UNKNOWN_BUDGET;
    }
    for (size_t i = 0; i < count; i++)
        if (__builtin_add_overflow(budget, regions[i].held, &budget))
            return UINT64_MAX;
    return budget > 0 ? budget : UNKNOWN_BUDGET;
}

struct mt_error *mt_pool_spend(struct mt_pool_reader *reader, uint64_t bytes, const char *what) {
    if (bytes > reader->budget)
        return mt_error_create(MT_ERROR_FORMAT,
                               "the recorder's image is damaged: its %s would take more bytes than the process holds",
                               what);
    reader->budget -= bytes;
    return NULL;
}

/* One chunk of `count` records into `records`. */
static struct mt_error *read_chunk(struct mt_pool_reader *reader, uint64_t address, size_t count, size_t stride,
                                   size_t record_size, char *records) {
    if (stride == record_size)
        return mt_target_read(reader->target, address, records, count * record_size);
    MT_AUTO_FREE char *chunk = malloc(count * stride);
    if (!chunk)
        return &mt_error_no_memory;
    struct mt_error *error = mt_target_read(reader->target, address, chunk, count * stride);
    for (size_t i = 0; !error && i < count; i++)
        memcpy(records + i * record_size, chunk + i * stride, record_size);
    return error;
}

struct mt_error *mt_pool_read(struct mt_pool_reader *reader, const struct mt_pool_ref *pool, size_t record_size,
                              const char *what, void **ret_records, size_t *ret_count) {
    if (pool->count == 0 || pool->directory == 0) {
        *ret_records = NULL;
        *ret_count = 0;
        return NULL;
    }
    if (pool->stride < record_size || pool->stride > MAX_STRIDE || pool->chunk_shift > MAX_CHUNK_SHIFT ||
        pool->count > UINT32_MAX)
        return mt_error_create(MT_ERROR_FORMAT,
                               "the recorder's image is damaged: %s of stride %" PRIu32 ", chunk shift %" PRIu32
                               ", count %" PRIu64,
                               what, pool->stride, pool->chunk_shift, pool->count);
    size_t count = pool->count, per_chunk = (size_t)1 << pool->chunk_shift;
    size_t chunks = (count + per_chunk - 1) >> pool->chunk_shift;
    struct mt_error *error = mt_pool_spend(reader, chunks * 8 + count * pool->stride, what);
    if (error)
        return error;
    MT_AUTO_FREE uint64_t *directory = malloc(chunks * sizeof *directory);
    MT_AUTO_FREE char *records = malloc(count * record_size);
    if (!directory || !records)
        return &mt_error_no_memory;
    error = mt_target_read(reader->target, pool->directory, directory, chunks * sizeof *directory);
    for (size_t i = 0; !error && i < chunks; i++) {
        size_t first = i << pool->chunk_shift, here = count - first < per_chunk ? count - first : per_chunk;
        error = mt_watch_poll(reader->watch, "reading the recorder's image");
        if (!error)
            error = read_chunk(reader, directory[i], here, pool->stride, record_size, records + first * record_size);
    }
    if (error)
        return error;
    *ret_records = records;
    *ret_count = count;
    records = NULL;
    return NULL;
}
