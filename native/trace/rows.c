#define _GNU_SOURCE /* qsort_r */
#include "trace/rows.h"

#include <stdlib.h>

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

/* Rows in the making: one for each group. */
struct grouping {
    const struct mt_image *image;
    enum mt_group_by by;
    MT_VECTOR(struct mt_row) rows;
    struct mt_hash_map known; /* key -> index */
};

/* The row that an origin belongs to, made when it is new; NULL: no memory. Good until the next call. */
static struct mt_row *row_for(struct grouping *grouping, const struct mt_origin *origin) {
    uint32_t key = mt_group_key(grouping->image, grouping->by, origin);
    bool is_new;
    uint64_t *index = mt_hash_map_find_or_insert(&grouping->known, key, grouping->rows.length, &is_new);
    if (!index || (is_new && !mt_vector_push(&grouping->rows, ((struct mt_row){.key = key, .origin = *origin}))))
        return NULL;
    struct mt_row *row = &grouping->rows.data[*index];
    row->mixed_threads |= origin->thread != row->origin.thread;
    row->mixed_allocators |= origin->allocator != row->origin.allocator;
    row->mixed_generations |= origin->generation != row->origin.generation;
    return row;
}

/* Groups the sites, and says for each site which row it belongs to. */
static struct mt_error *group_sites(struct grouping *grouping, uint32_t since, uint32_t *row_of) {
    const struct mt_image *image = grouping->image;
    for (uint32_t i = 0; i < image->site_count; i++) {
        const struct mt_site *site = &image->sites[i];
        row_of[i] = NO_ROW;
        if (site->state == 0 || site->generation < since)
            continue;
        struct mt_origin origin = mt_origin_of(site);
        struct mt_row *row = row_for(grouping, &origin);
        if (!row)
            return &mt_error_no_memory;
        row_of[i] = (uint32_t)(row - grouping->rows.data);
        struct mt_amount peak = mt_site_at_peak(image, site);
        row->peak.bytes += peak.bytes;
        row->peak.blocks += peak.blocks;
    }
    return NULL;
}

struct side {
    struct mt_sum *sums;
    size_t count;
    int sign;
};

static struct mt_error *group_sums(struct grouping *grouping, const struct side *side) {
    for (size_t i = 0; i < side->count; i++) {
        const struct mt_sum *sum = &side->sums[i];
        struct mt_row *row = row_for(grouping, &sum->origin);
        if (!row)
            return &mt_error_no_memory;
        int64_t bytes = sum->bytes, blocks = sum->blocks;
        row->change.bytes = mt_change_add(row->change.bytes, side->sign < 0 ? mt_change_add(~bytes, 1) : bytes);
        row->change.blocks += side->sign * blocks;
    }
    return NULL;
}

/* The rows that blocks of generations [from, until) belong to. */
static void find_rows(const struct grouping *grouping, uint32_t from, uint32_t until, uint32_t *row_of) {
    const struct mt_image *image = grouping->image;
    for (uint32_t i = 0; i < image->site_count; i++) {
        const struct mt_site *site = &image->sites[i];
        row_of[i] = NO_ROW;
        if (site->state == 0 || site->generation < from || site->generation >= until)
            continue;
        struct mt_origin origin = mt_origin_of(site);
        const uint64_t *index = mt_hash_map_find(&grouping->known, mt_group_key(image, grouping->by, &origin));
        if (index)
            row_of[i] = (uint32_t)*index;
    }
}

struct count_context {
    struct mt_row *rows;
    const uint32_t *row_of;
};

static bool comes_first(const struct mt_block *a, const struct mt_block *b) {
    return a->size != b->size ? a->size > b->size : a->address < b->address;
}

static void count_block(void *context, const struct mt_block *block) {
    struct count_context *count = context;
    if (count->row_of[block->site] == NO_ROW)
        return;
    struct mt_row *row = &count->rows[count->row_of[block->site]];
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

struct order {
    const struct mt_image *image;
    enum mt_rows_of of;
    enum mt_group_by by;
};

static int compare_numbers(uint64_t a, uint64_t b) {
    return a < b ? -1 : a > b;
}

static int compare_amounts(const struct mt_amount *a, const struct mt_amount *b) {
    return a->bytes != b->bytes ? compare_numbers(b->bytes, a->bytes) : compare_numbers(b->blocks, a->blocks);
}

/* The bigger first, be it more or less; of equal ones what is more. */
static int compare_changes(const struct mt_change *a, const struct mt_change *b) {
    if (a->bytes != b->bytes) {
        int order = compare_numbers(mt_magnitude(b->bytes), mt_magnitude(a->bytes));
        return order != 0 ? order : a->bytes > b->bytes ? -1 : 1;
    }
    int order = compare_numbers(mt_magnitude(b->blocks), mt_magnitude(a->blocks));
    return order != 0 ? order : (a->blocks < b->blocks) - (a->blocks > b->blocks);
}

static int compare_rows(const void *a, const void *b, void *context) {
    const struct order *order = context;
    const struct mt_row *left = a, *right = b;
    int result = order->of == MT_ROWS_CHANGE ? compare_changes(&left->change, &right->change)
                 : order->of == MT_ROWS_PEAK ? compare_amounts(&left->peak, &right->peak)
                                             : compare_amounts(&left->live, &right->live);
    return result != 0 ? result : mt_group_compare(order->image, order->by, left->key, right->key);
}

static bool has_share(const struct mt_row *row, enum mt_rows_of of) {
    if (of == MT_ROWS_CHANGE)
        return row->change.bytes != 0 || row->change.blocks != 0;
    return of == MT_ROWS_PEAK ? row->peak.blocks > 0 : row->live.blocks > 0;
}

/* Counts the live blocks of rows, sums up, drops the rows without a share, sorts. Takes the rows over. */
static struct mt_error *finish(struct grouping *grouping, struct mt_watch *watch, enum mt_rows_of of,
                               const uint32_t *row_of, struct mt_rows **ret) {
    const struct mt_image *image = grouping->image;
    struct mt_rows *result = calloc(1, sizeof *result);
    if (!result)
        return &mt_error_no_memory;
    result->by = grouping->by;
    struct mt_row *rows = grouping->rows.data;
    struct mt_error *error =
        mt_blocks_visit(image, watch, count_block, &(struct count_context){rows, row_of}, &result->gaps);
    if (error) {
        free(result);
        return error;
    }
    for (size_t i = 0; i < grouping->rows.length; i++) {
        struct mt_row row = rows[i];
        result->peak.bytes += row.peak.bytes;
        result->peak.blocks += row.peak.blocks;
        result->live.bytes += row.live.bytes;
        result->live.blocks += row.live.blocks;
        result->change.bytes = mt_change_add(result->change.bytes, row.change.bytes);
        result->change.blocks += row.change.blocks;
        if (has_share(&row, of))
            rows[result->count++] = row;
    }
    if (rows && result->count > 0)
        qsort_r(rows, result->count, sizeof *rows, compare_rows,
                &(struct order){.image = image, .of = of, .by = grouping->by});
    result->rows = rows;
    grouping->rows.data = NULL;
    *ret = result;
    return NULL;
}

static void drop_grouping(struct grouping *grouping) {
    mt_vector_deinit(&grouping->rows);
    mt_hash_map_deinit(&grouping->known);
}

struct mt_error *mt_rows_load(const struct mt_image *image, struct mt_watch *watch, enum mt_rows_of of,
                              enum mt_group_by by, uint32_t since, struct mt_rows **ret) {
    struct grouping grouping = {.image = image, .by = by};
    MT_AUTO_FREE uint32_t *row_of = calloc(image->site_count + 1, sizeof *row_of);
    struct mt_error *error = row_of ? group_sites(&grouping, since, row_of) : &mt_error_no_memory;
    if (!error)
        error = finish(&grouping, watch, of, row_of, ret);
    drop_grouping(&grouping);
    return error;
}

struct mt_error *mt_rows_load_change(const struct mt_image *image, struct mt_watch *watch, const struct mt_marks *marks,
                                     const struct mt_moment *from, const struct mt_moment *to, enum mt_group_by by,
                                     struct mt_rows **ret) {
    struct grouping grouping = {.image = image, .by = by};
    struct side before = {.sign = -1}, after = {.sign = 1};
    MT_AUTO_FREE uint32_t *row_of = calloc(image->site_count + 1, sizeof *row_of);
    struct mt_error *error = row_of ? NULL : &mt_error_no_memory;
    if (!error)
        error = mt_moment_load(image, watch, marks, from, &before.sums, &before.count);
    if (!error)
        error = mt_moment_load(image, watch, marks, to, &after.sums, &after.count);
    if (!error)
        error = group_sums(&grouping, &before);
    if (!error)
        error = group_sums(&grouping, &after);
    if (!error) {
        find_rows(&grouping, from->generation, to->generation, row_of);
        error = finish(&grouping, watch, MT_ROWS_CHANGE, row_of, ret);
    }
    free(before.sums);
    free(after.sums);
    drop_grouping(&grouping);
    return error;
}

void mt_rows_destroy(struct mt_rows *rows) {
    if (rows)
        free(rows->rows);
    free(rows);
}
