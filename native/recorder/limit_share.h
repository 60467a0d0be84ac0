/* How much memory the process may have: what a share of the heap limit is a share of. */
#ifndef MEMTRACE_RECORDER_LIMIT_SHARE_H
#define MEMTRACE_RECORDER_LIMIT_SHARE_H

#include <stdbool.h>
#include <stdint.h>

/* The lowest limit of the process's own memory cgroup and those above it (v2: memory.max, v1:
 * memory.limit_in_bytes); where there is none, RLIMIT_AS. false: no limit at all. */
bool mt_limit_of_surroundings(uint64_t *ret);

#endif
