/* Address ranges got from the kernel: mmap, mremap, sbrk. They can be cut anywhere (munmap of a head, a tail, a middle,
 * across two maps), so they live in an interval tree: a treap over records that never move. Readers scan the records
 * and never follow the tree. The recorder's lock is held. */
#ifndef MEMTRACE_RECORDER_RANGES_H
#define MEMTRACE_RECORDER_RANGES_H

#include <stdbool.h>
#include <stdint.h>

/* Bytes and pieces that an operation took from, or gave to, one site. */
typedef void mt_range_change(void *context, uint32_t site, int64_t bytes, int32_t blocks);

/* Readers see nothing of what these two do until mt_ranges_commit(), and then all at one instant. */

/* Enters [start, start + size), which must overlap no range. false when memory is out. */
bool mt_ranges_insert(uint64_t start, uint64_t size, uint32_t site);

/* Takes [start, start + size) out of whatever ranges it touches, and tells of each. `size` is rounded up to pages, as
 * the kernel does. Bytes of a range are its requested ones: the rest of its last page counts nothing. A piece that is
 * left when memory is out is forgotten, and counted as dropped. */
void mt_ranges_remove(uint64_t start, uint64_t size, mt_range_change *change, void *context);

void mt_ranges_commit(void);

void mt_ranges_clear(void);

#endif
