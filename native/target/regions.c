#include "target/regions.h"

#include <stdlib.h>

#include "base/vector.h"

void mt_regions_deinit(struct mt_regions *regions) {
    mt_vector_deinit(regions);
    mt_string_table_deinit(&regions->paths);
}

struct mt_error *mt_regions_add(struct mt_regions *regions, struct mt_region region, size_t path_length) {
    if (region.start >= region.end)
        return NULL;
    if (regions->length >= MT_REGIONS_MAX)
        return mt_error_create(MT_ERROR_FORMAT, "more than %u mappings", MT_REGIONS_MAX);
    if (region.path) {
        uint32_t number;
        if (!mt_string_table_add(&regions->paths, region.path, path_length, &number))
            return &mt_error_no_memory;
        region.path = mt_string_table_get(&regions->paths, number);
    }
    return mt_vector_push(regions, region) ? NULL : &mt_error_no_memory;
}

static int by_start(const void *left, const void *right) {
    const struct mt_region *a = left, *b = right;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    return a->end < b->end ? -1 : a->end > b->end;
}

void mt_regions_settle(struct mt_regions *regions) {
    if (!regions->length)
        return;
    qsort(regions->data, regions->length, sizeof(*regions->data), by_start);
    size_t kept = 0;
    uint64_t end = 0;
    for (size_t i = 0; i < regions->length; i++) {
        struct mt_region region = regions->data[i];
        if (region.end <= end)
            continue;
        if (region.start < end) {
            uint64_t cut = end - region.start;
            region.start = end;
            region.file_offset += cut;
            region.held = region.held > cut ? region.held - cut : 0;
        }
        end = region.end;
        regions->data[kept++] = region;
    }
    regions->length = kept;
}

size_t mt_region_at_or_above(const struct mt_region *regions, size_t count, uint64_t address) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (regions[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct mt_region *mt_region_of(const struct mt_region *regions, size_t count, uint64_t address) {
    size_t i = mt_region_at_or_above(regions, count, address);
    return i < count && regions[i].start <= address ? &regions[i] : NULL;
}
