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
/* 0 when memory is out. */
uint32_t mt_site_create(struct mt_self *self, uint32_t stack, enum mt_allocator allocator);

#define MT_SITE_CHUNK_SHIFT 8

static inline struct mt_site *mt_site_at(uint32_t site) {
    return mt_pool_at_fixed(&memtrace_image.sites, site, sizeof(struct mt_site), MT_SITE_CHUNK_SHIFT);
}

static inline uint32_t mt_site_for(struct mt_self *self, uint32_t stack, enum mt_allocator allocator) {
    for (uint32_t link = mt_stack_at(stack)->sites; link != 0;) {
        const struct mt_site *site = mt_site_at(link - 1);
        if (site->thread == self->index && site->allocator == allocator &&
            site->generation == memtrace_image.generation)
            return link - 1;
        link = site->next;
    }
    return mt_site_create(self, stack, allocator);
}

#endif
