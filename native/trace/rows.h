/* What the memory is made of, as rows: the sites of an image grouped by call path, line, function, file, thread or
 * allocator, at the peak, now, or as the difference of two moments. The same image gives the same rows in the same
 * order, wherever it was read. */
#ifndef MEMTRACE_TRACE_ROWS_H
#define MEMTRACE_TRACE_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "trace/blocks.h"
#include "trace/group.h"
#include "trace/image.h"
#include "trace/marks.h"
#include "base/watch.h"

#define MT_SAMPLE_BLOCKS 5

struct mt_amount {
    uint64_t bytes;
    uint64_t blocks;
};

/* From one moment to another. */
struct mt_change {
    int64_t bytes;
    int64_t blocks;
};

struct mt_row {
    uint32_t key; /* of the group: see mt_group_key() */
    struct mt_amount peak;
    struct mt_amount live;
    struct mt_change change;
    struct mt_origin origin; /* of any part of the row; the row's where mixed_... is false */
    bool mixed_threads, mixed_allocators, mixed_generations;
    struct mt_block sample[MT_SAMPLE_BLOCKS]; /* live blocks, biggest first, then lowest address */
    uint32_t sample_count;
};

struct mt_rows {
    enum mt_group_by by;
    struct mt_row *rows;
    size_t count;
    struct mt_amount peak; /* sums over all rows */
    struct mt_amount live;
    struct mt_change change;
    struct mt_block_gaps gaps;
};

enum mt_rows_of { MT_ROWS_PEAK, MT_ROWS_LIVE, MT_ROWS_CHANGE };

/* Rows with something in them at the peak (or now), ordered by those bytes, then blocks, then name. Only what was born
 * in generation `since` or later counts; 0: all. */
struct mt_error *mt_rows_load(const struct mt_image *image, struct mt_watch *watch, enum mt_rows_of of,
                              enum mt_group_by by, uint32_t since, struct mt_rows **ret);
/* Rows that changed between two moments, ordered by how much, be it more or less, then name. Their `live` and `sample`
 * are of the blocks that were born between the two and are alive now. */
struct mt_error *mt_rows_load_change(const struct mt_image *image, struct mt_watch *watch, const struct mt_marks *marks,
                                     const struct mt_moment *from, const struct mt_moment *to, enum mt_group_by by,
                                     struct mt_rows **ret);
void mt_rows_destroy(struct mt_rows *rows);

/* How much a change is, whatever its sign. */
static inline uint64_t mt_magnitude(int64_t change) {
    return change < 0 ? 0 - (uint64_t)change : (uint64_t)change;
}
/* A sum that wraps around: a damaged image may say anything. */
static inline int64_t mt_change_add(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a + (uint64_t)b);
}
/* Bytes and blocks of a site at the peak. */
struct mt_amount mt_site_at_peak(const struct mt_image *image, const struct mt_site *site);
/* Where a thread last allocated before the peak: a node of the image; 0: nowhere, or outside Python. */
uint32_t mt_thread_at_peak(const struct mt_image *image, uint32_t thread);

#endif
