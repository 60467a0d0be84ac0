/* The books: every recorded birth, death and move of a block, the totals, and the exact peak.
 *
 * The peak costs O(1) an event. Before an event changes a site, the site's numbers are kept aside once an epoch; a new
 * maximum (or a tie: the last instant at the maximum counts) begins a new epoch, which makes all kept numbers void at a
 * stroke: a site's share of the peak is its kept number if that is of this epoch, else its current one. image.h tells
 * readers the same.
 *
 * All take the lock themselves and keep errno. `dense`: the block comes from an allocator of small objects (shadow),
 * else it goes to the table. */
#ifndef MEMTRACE_RECORDER_ACCOUNT_H
#define MEMTRACE_RECORDER_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"
#include "recorder/thread.h"

bool mt_account_init(void); /* false when memory is out */
void mt_account_clear(void);
/* Works out anew what live bytes are compared with: mt_window_counts has changed. The lock is held. */
void mt_account_watch_live_bytes(void);

void mt_record_birth(struct mt_self *self, uint64_t address, uint64_t size, enum mt_allocator allocator, bool dense);
void mt_record_death(struct mt_self *self, uint64_t address);
/* Inside another event of the same thread, of which nothing is touched: a guest's birth (recorder/inner.h), under the
 * stack of no frames; and the end of a block under this very address, if there is one. */
void mt_record_guest_birth(struct mt_self *self, uint64_t address, uint64_t size, enum mt_allocator allocator);
void mt_record_guest_map(struct mt_self *self, uint64_t address, uint64_t size);
void mt_record_hidden_death(struct mt_self *self, uint64_t address);

/* A realloc in three steps. Begin takes the old block out of the tables into the thread's descriptor, where it goes on
 * counting; false when it was never recorded. Then either settle (one event with the net change; for an unknown old
 * block a birth), or restore after a failure, or end when it turned out to be a free. */
bool mt_record_move_begin(struct mt_self *self, uint64_t address);
void mt_record_move_settle(struct mt_self *self, uint64_t address, uint64_t size, enum mt_allocator allocator,
                           bool dense);
void mt_record_move_restore(struct mt_self *self);
void mt_record_move_end(struct mt_self *self);

/* In the child of a fork: threads that were inside an event did not come along, and their events will never end.
 * `self`: the one thread that did; NULL: it is not registered. */
void mt_record_abandoned(const struct mt_self *self);

/* Ranges. `map` replaces whatever recorded ranges lay there (MAP_FIXED). */
void mt_record_map(struct mt_self *self, uint64_t address, uint64_t size, enum mt_allocator allocator);
void mt_record_unmap(struct mt_self *self, uint64_t address, uint64_t size);

/* These make the system call themselves, under the lock: the address that it gives up can be in use again, and
 * recorded, before a later event of ours. They return what the call did. */
typedef int mt_munmap_call(void *address, size_t size);
typedef void *mt_mremap_call(void *address, size_t old_size, size_t new_size, int flags, ...);
int mt_record_munmap(struct mt_self *self, void *address, size_t size, mt_munmap_call *call);
void *mt_record_mremap(struct mt_self *self, void *address, size_t old_size, size_t new_size, int flags, void *wanted,
                       mt_mremap_call *call);

#endif
