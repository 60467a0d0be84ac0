/* What rows stand for: the ways in which origins of memory are put together, and the order of their names. */
#ifndef MEMTRACE_TRACE_GROUP_H
#define MEMTRACE_TRACE_GROUP_H

#include <stdint.h>

#include "trace/image.h"

enum mt_group_by { MT_BY_STACK, MT_BY_LINE, MT_BY_FUNCTION, MT_BY_FILE, MT_BY_THREAD, MT_BY_ALLOCATOR };

/* Where memory came from. */
struct mt_origin {
    uint32_t node;   /* index into the image's nodes */
    uint32_t thread; /* index into its threads; MT_THREAD_GONE */
    uint8_t allocator;
    uint32_t generation;
};
/* A thread whose slot belongs to another one by now: nothing is known about it. */
#define MT_THREAD_GONE UINT32_MAX

/* Of an in-use site of an image. */
static inline struct mt_origin mt_origin_of(const struct mt_site *site) {
    return (struct mt_origin){site->stack, site->thread, site->allocator, site->generation};
}

/* The group that an origin belongs to: an index into the image's nodes, places, functions or strings, a thread as in an
 * origin, or an allocator. */
uint32_t mt_group_key(const struct mt_image *image, enum mt_group_by by, const struct mt_origin *origin);
/* The order of two groups' names, as qsort() wants it; 0 only when the groups are one. */
int mt_group_compare(const struct mt_image *image, enum mt_group_by by, uint32_t a, uint32_t b);

#endif
