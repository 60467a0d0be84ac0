/* Lists of regions: building one, keeping it in order, finding an address in it. */
#ifndef MEMTRACE_REGIONS_H
#define MEMTRACE_REGIONS_H

#include "base/string_table.h"
#include "target/target.h"

/* More regions than a process can have by the kernel's widest setting that we know of; a list that is longer lies. */
#define MT_REGIONS_MAX (1u << 22)

struct mt_regions {
    struct mt_region *data;
    size_t length;
    size_t capacity;
    struct mt_string_table paths; /* owns what the regions' paths point to */
};

#define MT_REGIONS_INIT                                                                                                \
    { 0 }

void mt_regions_deinit(struct mt_regions *regions);
/* Adds a region; `region.path` (NULL or `path_length` bytes) is copied. Empty regions are left out. */
struct mt_error *mt_regions_add(struct mt_regions *regions, struct mt_region region, size_t path_length);
/* Puts them in order. Where two overlap, the later one loses the part that they share. */
void mt_regions_settle(struct mt_regions *regions);
/* The index of the first settled region that ends above `address`; `count` when there is none. */
size_t mt_region_at_or_above(const struct mt_region *regions, size_t count, uint64_t address);
/* The settled region that contains `address`, or NULL. */
const struct mt_region *mt_region_of(const struct mt_region *regions, size_t count, uint64_t address);

#endif
