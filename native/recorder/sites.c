#include "recorder/sites.h"

#include <string.h>

#include "recorder/thread.h"

#define SWEEP_FIRST 4096u

static uint32_t free_list;              /* site + 1, through `next` */
static uint64_t sweep_at = SWEEP_FIRST; /* when the pool has this many records */

struct mt_site_memo mt_site_memos[1 << MT_SITE_MEMO_BITS];

void mt_sites_forget(void) {
    memset(mt_site_memos, 0, sizeof mt_site_memos);
}

bool mt_sites_init(void) {
    mt_pool_init(&memtrace_image.sites, sizeof(struct mt_site), MT_SITE_CHUNK_SHIFT);
    if (mt_pool_reserve(&memtrace_image.sites) == NULL)
        return false;
    mt_pool_publish(&memtrace_image.sites); /* record 0 is never used */
    return true;
}

static void unlink_site(uint32_t site) {
    uint32_t *link = &mt_stack_at(mt_site_at(site)->stack)->sites;
    while (*link != 0 && *link != site + 1)
        link = &mt_site_at(*link - 1)->next;
    if (*link != 0)
        *link = mt_site_at(site)->next;
}

static void recycle(uint32_t index) {
    struct mt_site *site = mt_site_at(index);
    struct mt_self *thread = mt_thread_at(site->thread);
    unlink_site(index);
    if (thread->image.last_site == index)
        thread->image.last_site = 0;
    if (thread->image.peak_site == index)
        thread->image.peak_site = 0;
    thread->site_count--;
    site->state = 0;
    site->next = free_list;
    free_list = index + 1;
}

/* What threads last did is shown by site, so those stay; but not for ever: a million threads that are gone would keep a
 * million sites, and their slots with them. */
static bool is_named_by_thread(uint32_t index) {
    const struct mt_self *thread = mt_thread_at(mt_site_at(index)->thread);
    return (thread->image.last_site == index || thread->image.peak_site == index) && !mt_thread_is_dead(thread);
}

/* Costs a pass over all sites, and comes only when they have doubled since the last one. */
static void sweep(void) {
    mt_sites_forget();
    uint32_t kept = 0, count = (uint32_t)memtrace_image.sites.count;
    uint64_t epoch = mt_shard()->epoch;
    for (uint32_t i = 1; i < count; i++) {
        const struct mt_site *site = mt_site_at(i);
        if (site->state == 0)
            continue;
        if (site->blocks == 0 && site->bytes == 0 && (site->epoch != epoch || site->peak_blocks == 0) &&
            !is_named_by_thread(i))
            recycle(i);
        else
            kept++;
    }
    sweep_at = kept * 2 > SWEEP_FIRST ? kept * 2 : SWEEP_FIRST;
    if (sweep_at < count && free_list == 0)
        sweep_at = count + SWEEP_FIRST;
}

static uint32_t create(struct mt_self *self, uint32_t stack, enum mt_allocator allocator) {
    struct mt_pool_ref *sites = &memtrace_image.sites;
    if (free_list == 0 && sites->count >= sweep_at)
        sweep();
    uint32_t index = free_list != 0 ? free_list - 1 : (uint32_t)sites->count;
    struct mt_site *site = free_list != 0 ? mt_site_at(index) : mt_pool_reserve(sites);
    if (site == NULL)
        return 0;
    bool is_new = free_list == 0;
    if (!is_new)
        free_list = site->next;
    struct mt_stack_node *node = mt_stack_at(stack);
    *site = (struct mt_site){
        .stack = stack,
        .thread = (uint16_t)self->index,
        .allocator = (uint8_t)allocator,
        .generation = memtrace_image.generation,
        .next = node->sites,
    };
    __atomic_store_n(&site->state, 1, __ATOMIC_RELEASE);
    if (is_new)
        mt_pool_publish(sites);
    node->sites = index + 1;
    self->site_count++;
    return index;
}

uint32_t mt_site_find(struct mt_self *self, uint32_t stack, enum mt_allocator allocator) {
    for (uint32_t link = mt_stack_at(stack)->sites; link != 0;) {
        const struct mt_site *site = mt_site_at(link - 1);
        if (site->thread == self->index && site->allocator == allocator &&
            site->generation == memtrace_image.generation)
            return link - 1;
        link = site->next;
    }
    return create(self, stack, allocator);
}

void mt_sites_clear(void) {
    mt_sites_forget();
    uint32_t count = (uint32_t)memtrace_image.sites.count;
    for (uint32_t i = 0; i < memtrace_image.threads.count; i++) {
        struct mt_self *thread = mt_thread_at(i);
        thread->site_count = 0;
        thread->image.start_event = 0; /* events are counted anew */
        thread->image.last_site = thread->image.peak_site = 0;
    }
    free_list = 0;
    for (uint32_t i = count; i-- > 1;) {
        struct mt_site *site = mt_site_at(i);
        mt_stack_at(site->stack)->sites = 0;
        *site = (struct mt_site){.next = free_list};
        free_list = i + 1;
    }
}
