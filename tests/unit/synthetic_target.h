/* A target whose memory a test makes up. Out of memory fails the test. */
#ifndef MEMTRACE_TESTS_SYNTHETIC_TARGET_H
#define MEMTRACE_TESTS_SYNTHETIC_TARGET_H

#include "target/target.h"

enum { MT_SYNTHETIC_READ = 1, MT_SYNTHETIC_WRITE = 2, MT_SYNTHETIC_EXECUTE = 4 };

struct mt_target *mt_synthetic_target_create(void);
/* Adds a region with a copy of `size` bytes (NULL: zeros). Regions may touch, not overlap. Returns the copy, which the
 * test may change and which lives as long as the target. `path` may be NULL. */
void *mt_synthetic_target_add(struct mt_target *target, uint64_t address, const void *bytes, size_t size,
                              unsigned access, const char *path);
void mt_synthetic_target_add_symbol(struct mt_target *target, const char *name, uint64_t address);
/* How many reads the target has served. */
size_t mt_synthetic_target_reads(const struct mt_target *target);

#endif
