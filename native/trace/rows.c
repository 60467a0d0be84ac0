#define _GNU_SOURCE /* qsort_r */
#include "trace/rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash_map.h"
#include "base/vector.h"

#define NO_ROW UINT32_MAX

struct mt_amount mt_site_at_peak(const struct mt_image *image, const struct mt_site *site) {
    bool apart = site->epoch == mt_image_shard(image)->epoch;
    int64_t bytes = apart ? site->peak_bytes : site->bytes;
    return (struct mt_amount){bytes > 0 ? (uint64_t)bytes : 0, apart ? site->peak_blocks : site->blocks};
}

uint32_t mt_thread_at_peak(const struct mt_image *image, uint32_t thread) {
    const struct mt_thread *record = &image->threads[thread];
    uint32_t site = record->peak_epoch == mt_image_shard(image)->epoch ? record->peak_site : record->last_site;
    /* A site that was used again belongs to somebody else. */
    if (site >= image->site_count || image->sites[site].state == 0 || image->sites[site].thread != thread)
        return 0;
    return image->sites[site].stack;
}

static uint32_t key_of(const struct mt_image *image, enum mt_group_by by, const struct mt_site *site) {
    uint32_t place = image->nodes.data[site->stack].place;
    const struct mt_function *function = &image->functions.data[image->places.data[place].function];
    switch (by) {
    case MT_BY_STACK:
        return site->stack;
    case MT_BY_LINE:
        return place;
    case MT_BY_FUNCTION:
        return image->places.data[place].function;
    case MT_BY_FILE:
        return function->file;
    case MT_BY_THREAD:
        return site->thread;
    case MT_BY_ALLOCATOR:
        return site->allocator;
    }
    return 0;
}

/* One row for each group, and for each site the row that it belongs to. */
static struct mt_error *group(const struct mt_image *image, struct mt_rows *result, uint32_t *row_of) {
    MT_VECTOR(struct mt_row) rows = {0};
    struct mt_hash_map known = MT_HASH_MAP_INIT;
    struct mt_error *error = NULL;
    for (uint32_t i = 0; i < image->site_count && !error; i++) {
        const struct mt_site *site = &image->sites[i];
        row_of[i] = NO_ROW;
        if (site->state == 0)
            continue;
        uint32_t key = key_of(image, result->by, site);
        bool is_new;
        uint64_t *index = mt_hash_map_find_or_insert(&known, key, rows.length, &is_new);
        if (!index || (is_new && !mt_vector_push(&rows, ((struct mt_row){.key = key, .site = i})))) {
            error = &mt_error_no_memory;
            break;
        }
        row_of[i] = (uint32_t)*index;
        struct mt_row *row = &rows.data[*index];
        const struct mt_site *first = &image->sites[row->site];
        struct mt_amount peak = mt_site_at_peak(image, site);
        row->peak.bytes += peak.bytes;
        row->peak.blocks += peak.blocks;
        row->mixed_threads |= site->thread != first->thread;
        row->mixed_allocators |= site->allocator != first->allocator;
        row->mixed_generations |= site->generation != first->generation;
    }
    mt_hash_map_deinit(&known);
    result->rows = rows.data;
    result->count = rows.length;
    return error;
}

struct count_context {
    struct mt_rows *rows;
    const uint32_t *row_of;
};

static bool comes_first(const struct mt_block *a, const struct mt_block *b) {
    return a->size != b->size ? a->size > b->size : a->address < b->address;
}

static void count_block(void *context, const struct mt_block *block) {
    struct count_context *count = context;
    struct mt_row *row = &count->rows->rows[count->row_of[block->site]];
    row->live.bytes += block->size;
    row->live.blocks++;
    uint32_t at = row->sample_count;
    if (at == MT_SAMPLE_BLOCKS && !comes_first(block, &row->sample[at - 1]))
        return;
    if (at < MT_SAMPLE_BLOCKS)
        row->sample_count++;
    else
        at--;
    for (; at > 0 && comes_first(block, &row->sample[at - 1]); at--)
        row->sample[at] = row->sample[at - 1];
    row->sample[at] = *block;
}

static int compare_numbers(uint64_t a, uint64_t b) {
    return a < b ? -1 : a > b;
}

static int compare_frames(const struct mt_frame *a, const struct mt_frame *b) {
    int order = strcmp(a->function, b->function);
    if (order == 0)
        order = strcmp(a->file, b->file);
    return order != 0 ? order : compare_numbers(a->line, b->line);
}

/* Innermost frame first; the path that ends earlier comes first. */
static int compare_stacks(const struct mt_image *image, uint32_t a, uint32_t b) {
    const struct mt_node *nodes = image->nodes.data;
    for (; a != b; a = nodes[a].parent, b = nodes[b].parent) {
        if (a == 0 || b == 0)
            return a == 0 ? -1 : 1;
        if (nodes[a].place == nodes[b].place)
            continue;
        struct mt_frame left = mt_image_frame(image, nodes[a].place), right = mt_image_frame(image, nodes[b].place);
        int order = compare_frames(&left, &right);
        if (order != 0)
            return order;
    }
    return 0;
}

static int compare_names(const struct mt_image *image, enum mt_group_by by, uint32_t a, uint32_t b) {
    const struct mt_function *functions = image->functions.data;
    switch (by) {
    case MT_BY_STACK:
        return compare_stacks(image, a, b);
    case MT_BY_LINE: {
        struct mt_frame left = mt_image_frame(image, a), right = mt_image_frame(image, b);
        return compare_frames(&left, &right);
    }
    case MT_BY_FUNCTION: {
        struct mt_frame left = {mt_string_table_get(&image->strings, functions[a].function),
                                mt_string_table_get(&image->strings, functions[a].file), 0};
        struct mt_frame right = {mt_string_table_get(&image->strings, functions[b].function),
                                 mt_string_table_get(&image->strings, functions[b].file), 0};
        return compare_frames(&left, &right);
    }
    case MT_BY_FILE:
        return strcmp(mt_string_table_get(&image->strings, a), mt_string_table_get(&image->strings, b));
    case MT_BY_THREAD:
        if (image->threads[a].tid != image->threads[b].tid)
            return compare_numbers(image->threads[a].tid, image->threads[b].tid);
        break;
    case MT_BY_ALLOCATOR:
        break;
    }
    return compare_numbers(a, b);
}

struct order {
    const struct mt_image *image;
    enum mt_rows_of of;
    enum mt_group_by by;
};

static const struct mt_amount *amount_of(const struct mt_row *row, enum mt_rows_of of) {
    return of == MT_ROWS_PEAK ? &row->peak : &row->live;
}

static int compare_rows(const void *a, const void *b, void *context) {
    const struct order *order = context;
    const struct mt_amount *left = amount_of(a, order->of), *right = amount_of(b, order->of);
    if (left->bytes != right->bytes)
        return compare_numbers(right->bytes, left->bytes);
    if (left->blocks != right->blocks)
        return compare_numbers(right->blocks, left->blocks);
    return compare_names(order->image, order->by, ((const struct mt_row *)a)->key, ((const struct mt_row *)b)->key);
}

/* Sums up, drops the rows without a share, sorts. */
static void finish(const struct mt_image *image, enum mt_rows_of of, struct mt_rows *result) {
    size_t kept = 0;
    for (size_t i = 0; i < result->count; i++) {
        const struct mt_row *row = &result->rows[i];
        result->peak.bytes += row->peak.bytes;
        result->peak.blocks += row->peak.blocks;
        result->live.bytes += row->live.bytes;
        result->live.blocks += row->live.blocks;
        if (amount_of(row, of)->blocks > 0)
            result->rows[kept++] = *row;
    }
    result->count = kept;
    if (kept > 0)
        qsort_r(result->rows, kept, sizeof *result->rows, compare_rows,
                &(struct order){.image = image, .of = of, .by = result->by});
}

struct mt_error *mt_rows_load(const struct mt_image *image, struct mt_watch *watch, enum mt_rows_of of,
                              enum mt_group_by by, struct mt_rows **ret) {
    struct mt_rows *result = calloc(1, sizeof *result);
    MT_AUTO_FREE uint32_t *row_of = calloc(image->site_count + 1, sizeof *row_of);
    if (!result || !row_of) {
        free(result);
        return &mt_error_no_memory;
    }
    result->by = by;
    struct mt_error *error = group(image, result, row_of);
    if (!error)
        error = mt_blocks_visit(image, watch, count_block, &(struct count_context){result, row_of}, &result->gaps);
    if (error) {
        mt_rows_destroy(result);
        return error;
    }
    finish(image, of, result);
    *ret = result;
    return NULL;
}

void mt_rows_destroy(struct mt_rows *rows) {
    if (rows)
        free(rows->rows);
    free(rows);
}
