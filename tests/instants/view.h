/* What memtrace's own library reads in the stopped process, summed up. */
#ifndef MEMTRACE_TESTS_INSTANTS_VIEW_H
#define MEMTRACE_TESTS_INSTANTS_VIEW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/vector.h"
#include "image/image.h"
#include "trace/blocks.h"
#include "trace/image.h"

#include "tracee.h"

struct sums {
    int64_t bytes;
    int64_t blocks;
};

struct view {
    struct sums live;     /* every live block, enumerated: what `live` answers */
    struct sums totals;   /* what the recorder says itself */
    struct sums sites;    /* over the sites, now */
    struct sums peak;     /* over the sites, at the peak: what `peak` answers */
    int64_t peak_bytes;   /* what the recorder says itself */
    uint64_t fingerprint; /* of the live blocks' addresses and sizes, whatever their order */
    struct mt_shard shard;
    uint64_t dropped;
    uint64_t recorder_bytes;
    size_t in_flight;
    struct mt_block_gaps gaps;
    uint64_t pools[5]; /* counts: stacks, sites, codes, threads, bytes of strings */
};

typedef MT_VECTOR(struct mt_block) block_list;

struct window; /* the library's target for a process that the driver holds */
struct window *window_open(const struct tracee *tracee);
void window_close(struct window *window);
uint64_t window_symbol(struct window *window, const char *name);
uint64_t window_image(const struct window *window);
/* The recorder's code: [start, end). */
void window_recorder_text(struct window *window, uint64_t *ret_start, uint64_t *ret_end);

/* Reads all. false and the reason on stderr when the library gives an error. `blocks` (may be NULL) is filled anew. */
bool view_read(struct window *window, struct view *ret, block_list *blocks);

/* The same process through memtrace's own door: `peak`, `live` and `status` are asked, and must answer with the view's
 * numbers. */
bool view_agrees_with_commands(const struct tracee *tracee, const struct view *view);

static inline bool sums_equal(struct sums a, struct sums b) {
    return a.bytes == b.bytes && a.blocks == b.blocks;
}

#endif
