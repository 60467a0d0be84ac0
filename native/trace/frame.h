/* One frame of a stack, as answers show it. The strings belong to the image. */
#ifndef MEMTRACE_TRACE_FRAME_H
#define MEMTRACE_TRACE_FRAME_H

#include <stdint.h>

struct mt_frame {
    const char *function;
    const char *file;
    uint32_t line; /* 0: unknown */
};

#endif
