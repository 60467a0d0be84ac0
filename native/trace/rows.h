/* What the memory is made of, as rows: the sites of an image grouped by call path, line, function, file, thread or
 * allocator, at the peak and now. The same image gives the same rows in the same order, wherever it was read. */
#ifndef MEMTRACE_TRACE_ROWS_H
#define MEMTRACE_TRACE_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "trace/blocks.h"
#include "trace/image.h"
#include "trace/watch.h"

enum mt_group_by { MT_BY_STACK, MT_BY_LINE, MT_BY_FUNCTION, MT_BY_FILE, MT_BY_THREAD, MT_BY_ALLOCATOR };

#define MT_SAMPLE_BLOCKS 5

struct mt_amount {
    uint64_t bytes;
    uint64_t blocks;
};

struct mt_row {
    /* The group: an index into the image's nodes, places, functions, strings or threads, or an allocator. */
    uint32_t key;
    struct mt_amount peak;
    struct mt_amount live;
    /* Of any site of the row; the row's where mixed_... is false. */
    uint32_t site;
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
    struct mt_block_gaps gaps;
};

enum mt_rows_of { MT_ROWS_PEAK, MT_ROWS_LIVE };

/* Rows with something in them at the peak (or now), ordered by those bytes, then blocks, then name. */
struct mt_error *mt_rows_load(const struct mt_image *image, struct mt_watch *watch, enum mt_rows_of of,
                              enum mt_group_by by, struct mt_rows **ret);
void mt_rows_destroy(struct mt_rows *rows);

/* Bytes and blocks of a site at the peak. */
struct mt_amount mt_site_at_peak(const struct mt_image *image, const struct mt_site *site);
/* Where a thread last allocated before the peak: a node of the image; 0: nowhere, or outside Python. */
uint32_t mt_thread_at_peak(const struct mt_image *image, uint32_t thread);

#endif
