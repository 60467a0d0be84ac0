/* Sites: what one (stack, thread, allocator, generation) has alive, now and at the peak. A site is recycled when
 * nothing of it lives and the peak does not need it. The recorder's lock is held. */
#ifndef MEMTRACE_RECORDER_SITES_H
#define MEMTRACE_RECORDER_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/image.h"
#include "recorder/header.h"
#include "recorder/pool.h"
#include "recorder/stacks.h"
#include "recorder/thread.h"

bool mt_sites_init(void);
/* Forgets all sites (the stacks stay). */
void mt_sites_clear(void);
#define MT_SITE_CHUNK_SHIFT 8

static inline struct mt_site *mt_site_at(uint32_t site) {
    return mt_pool_at_fixed(&memtrace_image.sites, site, sizeof(struct mt_site), MT_SITE_CHUNK_SHIFT);
}

/* Recently used sites by (stack, thread, allocator); those of the present generation only. */
struct mt_site_memo {
    uint64_t key;
    uint64_t site;
};
#define MT_SITE_MEMO_BITS 9
extern struct mt_site_memo mt_site_memos[1 << MT_SITE_MEMO_BITS];

/* To be called when a generation begins: its sites are others. */
void mt_sites_forget(void);
/* The way to a site that is not remembered: the node's own list, or a new one. 0 when memory is out. */
uint32_t mt_site_find(struct mt_self *self, uint32_t stack, enum mt_allocator allocator);

static inline uint32_t mt_site_for(struct mt_self *self, uint32_t stack, enum mt_allocator allocator) {
    uint64_t key = (uint64_t)stack << 32 | (uint64_t)self->index << 8 | (uint64_t)allocator;
    struct mt_site_memo *memo = &mt_site_memos[key * 0x9E3779B97F4A7C15u >> (64 - MT_SITE_MEMO_BITS)];
    if (__builtin_expect(memo->key != key, 0)) {
        uint32_t site = mt_site_find(self, stack, allocator);
        if (site == 0)
            return 0;
        *memo = (struct mt_site_memo){key, site};
    }
    return (uint32_t)memo->site;
}

#endif
