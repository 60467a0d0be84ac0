/* The live blocks of an image, each exactly once, wherever the recorder keeps them: shadow, block table, ranges, and
 * the descriptors of threads that stand inside an event. */
#ifndef MEMTRACE_TRACE_BLOCKS_H
#define MEMTRACE_TRACE_BLOCKS_H

#include <stdint.h>

#include "base/error.h"
#include "trace/image.h"
#include "base/watch.h"

struct mt_block {
    uint64_t address;
    uint64_t size; /* requested bytes */
    uint32_t site; /* of an in-use site of the image */
};

typedef void mt_block_visitor(void *context, const struct mt_block *block);

/* What could not be told, for the answer's warnings. */
struct mt_block_gaps {
    uint64_t unreadable_pages; /* of the recorder's tables: a truncated core */
    uint64_t strays;           /* slots that name no site in use; left out */
};

/* Calls `visit` for every live block, in no particular order. */
struct mt_error *mt_blocks_visit(const struct mt_image *image, struct mt_watch *watch, mt_block_visitor *visit,
                                 void *context, struct mt_block_gaps *ret_gaps);

#endif
