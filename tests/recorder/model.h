/* What the recorder's books must say, kept the naive way: everything is summed and copied at every event.
 * A key stands for one (stack, thread, allocator, generation); the test numbers them. */
#ifndef MEMTRACE_TESTS_MODEL_H
#define MEMTRACE_TESTS_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"

#define MODEL_KEYS (1 << 17)
#define MODEL_RANGES 4096

struct model_sum {
    int64_t bytes;
    int64_t blocks;
};

struct model_range {
    uint64_t start, end; /* requested end */
    int key;
};

struct model {
    struct model_sum now[MODEL_KEYS];
    struct model_sum peak[MODEL_KEYS]; /* the last instant at the maximum */
    int keys;                          /* used ones: 0 .. keys - 1 */
    int64_t total, maximum, blocks;
    uint64_t events;
    struct model_range ranges[MODEL_RANGES];
    int range_count;
};

void model_clear(struct model *model);

/* One event: any number of changes, then its end. */
void model_change(struct model *model, int key, int64_t bytes, int64_t blocks);
void model_end_event(struct model *model);

/* The same sums as the image has them: of its sites, which `key_of` tells apart. The arrays are zeroed by the caller.
 */
void model_sum_image(int (*key_of)(const struct mt_site *site), struct model_sum *now, struct model_sum *peak);

/* Changes of ranges, inside an event. `size` of a cut is rounded up to pages; returns whether anything was there. */
bool model_cut(struct model *model, uint64_t start, uint64_t size);
void model_map(struct model *model, uint64_t start, uint64_t size, int key);

#endif
