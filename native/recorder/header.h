/* The one header object, exported as `memtrace_image`. Everything else hangs off it. */
#ifndef MEMTRACE_RECORDER_HEADER_H
#define MEMTRACE_RECORDER_HEADER_H

#include "image/image.h"

extern struct mt_image_header memtrace_image;

/* Debuggers put their breakpoint on it. */
void memtrace_stop_hook(const struct mt_stop_event *event);

static inline struct mt_shard *mt_shard(void) {
    return &memtrace_image.shards[0];
}

#endif
