#include "recorder/marks.h"

#include <stdbool.h>
#include <string.h>

#include "recorder/memory.h"
#include "recorder/sites.h"

static bool make_records(void) {
    struct mt_pool_ref *marks = &memtrace_image.marks;
    if (marks->stride == 0)
        mt_pool_init(marks, sizeof(struct mt_mark), 5);
    while (marks->count < MT_MARKS_KEPT) {
        if (mt_pool_reserve(marks) == NULL)
            return false;
        mt_pool_publish(marks);
    }
    return true;
}

/* Room for `count` sums in place of what the mark held. Capacities double, so a steady live set reuses the same pages
 * for ever. */
static struct mt_mark_sum *make_room(struct mt_mark *mark, uint64_t count) {
    if (count <= mark->sum_capacity)
        return (struct mt_mark_sum *)mark->sums;
    uint64_t capacity = MT_PAGE / sizeof(struct mt_mark_sum);
    while (capacity < count)
        capacity *= 2;
    struct mt_mark_sum *sums = mt_memory_pages(capacity * sizeof *sums);
    if (sums == NULL)
        return NULL;
    size_t old = (mark->sum_capacity * sizeof *sums + MT_PAGE - 1) / MT_PAGE * MT_PAGE;
    if (mark->sums != 0)
        memset((void *)mark->sums, 0, old);
    for (size_t page = 0; mark->sums != 0 && page < old; page += MT_PAGE)
        mt_memory_return_page((char *)mark->sums + page);
    mark->sums = (uint64_t)sums;
    mark->sum_capacity = capacity;
    return sums;
}

/* Copies what is alive into the record of mark `generation`. */
static bool keep(uint32_t generation) {
    const struct mt_shard *shard = mt_shard();
    uint32_t site_count = (uint32_t)memtrace_image.sites.count;
    if (!make_records())
        return false;
    struct mt_mark *mark = mt_pool_at(&memtrace_image.marks, generation % MT_MARKS_KEPT);
    __atomic_store_n(&mark->generation, 0, __ATOMIC_RELEASE);
    uint64_t count = 0;
    for (uint32_t i = 1; i < site_count; i++)
        count += mt_site_at(i)->state != 0 && mt_site_at(i)->blocks != 0;
    struct mt_mark_sum *sums = make_room(mark, count);
    if (sums == NULL)
        return false;
    for (uint32_t i = 1; i < site_count; i++) {
        const struct mt_site *site = mt_site_at(i);
        if (site->state == 0 || site->blocks == 0)
            continue;
        *sums++ = (struct mt_mark_sum){
            .stack = site->stack,
            .thread = site->thread,
            .allocator = site->allocator,
            .generation = site->generation,
            .blocks = site->blocks,
            .bytes = site->bytes,
        };
    }
    mark->sum_count = count;
    mark->event = shard->events;
    mark->time = memtrace_image.clock_monotonic = mt_clock_monotonic();
    mark->live_bytes = shard->live_bytes;
    mark->live_blocks = shard->live_blocks;
    memcpy(mark->name, memtrace_image.request_name, sizeof mark->name);
    mark->name[sizeof mark->name - 1] = '\0';
    __atomic_store_n(&mark->generation, generation, __ATOMIC_RELEASE);
    return true;
}

void mt_mark_set(void) {
    uint32_t generation = memtrace_image.generation + 1;
    if (!keep(generation))
        memtrace_image.dropped[MT_DROP_MEMORY]++;
    mt_sites_forget();
    /* Last: until then the request stands, and a reader takes what is alive for the mark. */
    __atomic_store_n(&memtrace_image.generation, generation, __ATOMIC_RELEASE);
}

void mt_marks_clear(void) {
    for (uint32_t i = 0; i < memtrace_image.marks.count; i++)
        ((struct mt_mark *)mt_pool_at(&memtrace_image.marks, i))->generation = 0;
}
