/* Bulk reading of the image's arrays. Everything that the image says about their size is checked before memory is
 * taken. */
#ifndef MEMTRACE_TRACE_POOL_H
#define MEMTRACE_TRACE_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "image/image.h"
#include "target/target.h"
#include "base/watch.h"

/* Reads whole arrays of one target. `budget` is how many bytes may still be read: an honest image never asks for more
 * than the target holds, so a hostile one can't make us allocate more than that. */
struct mt_pool_reader {
    struct mt_target *target;
    struct mt_watch *watch;
    uint64_t budget;
};

/* How many bytes the target's mappings hold: the budget to start with. */
uint64_t mt_pool_budget(struct mt_target *target);

/* An error when `bytes` are more than the budget; takes them from it otherwise. `what` names the array. */
struct mt_error *mt_pool_spend(struct mt_pool_reader *reader, uint64_t bytes, const char *what);

/* All records of a pool, `record_size` bytes of each: the stride may be larger (a newer minor version), not smaller.
 * The caller frees *ret_records, which is NULL when there are none. */
struct mt_error *mt_pool_read(struct mt_pool_reader *reader, const struct mt_pool_ref *pool, size_t record_size,
                              const char *what, void **ret_records, size_t *ret_count);

#endif
