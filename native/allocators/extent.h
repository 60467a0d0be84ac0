/* A stretch of a target's memory. */
#ifndef MEMTRACE_EXTENT_H
#define MEMTRACE_EXTENT_H

#include <stdint.h>

struct mt_extent {
    uint64_t start;
    uint64_t end;
};

#endif
