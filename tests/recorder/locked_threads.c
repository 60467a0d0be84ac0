/* The recorder through its real hooks against the naive model: threads allocate, move, free, map and unmap at random,
 * one at a time under this test's lock, and after every event the totals and the whole composition of the peak are
 * compared; the live blocks every so often.  Run with the recorder preloaded and not started.
 *
 * usage: locked_threads EVENTS_PER_THREAD SEED */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image_reader.h"
#include "model.h"

#define THREADS 4
#define SLOTS 300
#define PAGE 4096u
#define COMPARE_BLOCKS 256 /* events from one comparison of all blocks to the next */
#define UNTOUCHED_ERRNO 4711

static volatile size_t too_much = (size_t)1 << 62; /* volatile: the compiler would warn of it */

static const enum mt_allocator allocators[] = {MT_MALLOC,  MT_CALLOC,         MT_REALLOC,  MT_REALLOCARRAY,
                                               MT_VALLOC,  MT_POSIX_MEMALIGN, MT_MEMALIGN, MT_ALIGNED_ALLOC,
                                               MT_PVALLOC, MT_MMAP,           MT_MREMAP};
#define ALLOCATORS (sizeof allocators / sizeof allocators[0])

struct slot {
    void *address;
    size_t size;
    int key;
};

static struct model model;
static struct slot slots[SLOTS];
static uint32_t tids[THREADS];
static uint64_t random_state;
static uint64_t events_per_thread;
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t gate;
static int actor; /* who holds the lock */

static unsigned below(unsigned limit) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)((random_state * 0x2545F4914F6CDD1Du >> 33) % limit);
}

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "event %llu: ", (unsigned long long)model.events);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    _exit(1);
}

static int key_of(int thread, enum mt_allocator allocator) {
    unsigned a = 0;
    while (a < ALLOCATORS && allocators[a] != allocator)
        a++;
    if (a == ALLOCATORS)
        fail("allocator %d was never called", (int)allocator);
    return thread * (int)ALLOCATORS + (int)a;
}

static int key_of_site(const struct mt_site *site) {
    const struct mt_thread *thread = image_record(&image_header()->threads, site->thread);
    for (int t = 0; t < THREADS; t++)
        if (tids[t] == thread->tid)
            return key_of(t, site->allocator);
    fail("thread %u was never seen here", thread->tid);
}

/* --- comparison
 * ------------------------------------------------------------------------------------------------------- */

static void compare_sums(void) {
    struct model_sum now[THREADS * ALLOCATORS] = {0}, peak[THREADS * ALLOCATORS] = {0};
    model_sum_image(key_of_site, now, peak);
    for (int key = 0; key < model.keys; key++)
        if (memcmp(&now[key], &model.now[key], sizeof now[key]) != 0 ||
            memcmp(&peak[key], &model.peak[key], sizeof peak[key]) != 0)
            fail("thread %d, allocator %d: %lld bytes in %lld blocks, at the peak %lld in %lld, instead of %lld, %lld, "
                 "%lld, "
                 "%lld",
                 key / (int)ALLOCATORS, allocators[key % (int)ALLOCATORS], (long long)now[key].bytes,
                 (long long)now[key].blocks, (long long)peak[key].bytes, (long long)peak[key].blocks,
                 (long long)model.now[key].bytes, (long long)model.now[key].blocks, (long long)model.peak[key].bytes,
                 (long long)model.peak[key].blocks);
}

static void compare_totals(void) {
    const struct mt_shard *shard = &image_header()->shards[0];
    if (shard->live_bytes != model.total || shard->live_blocks != model.blocks || shard->peak_bytes != model.maximum ||
        shard->events != model.events)
        fail("live %lld bytes, %lld blocks, peak %lld, %llu events instead of %lld, %lld, %lld, %llu",
             (long long)shard->live_bytes, (long long)shard->live_blocks, (long long)shard->peak_bytes,
             (unsigned long long)shard->events, (long long)model.total, (long long)model.blocks,
             (long long)model.maximum, (unsigned long long)model.events);
}

static bool compare_block(void *context, const struct block *block) {
    int *found = context;
    int key = key_of_site(image_site(block->site));
    (*found)++;
    for (int i = 0; i < SLOTS; i++)
        if ((uint64_t)slots[i].address == block->address && slots[i].size == block->size && slots[i].key == key)
            return true;
    for (int i = 0; i < model.range_count; i++)
        if (model.ranges[i].start == block->address && model.ranges[i].end - model.ranges[i].start == block->size &&
            model.ranges[i].key == key)
            return true;
    fail("no block of %llu bytes lives at %#llx", (unsigned long long)block->size, (unsigned long long)block->address);
}

static void compare_blocks(void) {
    int found = 0, alive = model.range_count;
    for (int i = 0; i < SLOTS; i++)
        alive += slots[i].address != NULL;
    image_each_block(compare_block, &found);
    if (found != alive)
        fail("%d live blocks instead of %d", found, alive);
}

static void end_event(void) {
    model_end_event(&model);
    compare_totals();
    compare_sums();
    if (model.events % COMPARE_BLOCKS == 0)
        compare_blocks();
}

/* --- blocks
 * ------------------------------------------------------------------------------------------------------------ */

static size_t choose_size(void) {
    static const size_t sizes[] = {0, 1, 8, 24, 100, 127, 128, 129, 984, 4096, 30000};
    return below(3) ? sizes[below(sizeof sizes / sizeof sizes[0])] : below(3000);
}

static void fill(void *block, size_t size) {
    memset(block, actor + 1, size);
}

static void birth(struct slot *slot, void *address, size_t size, enum mt_allocator allocator) {
    if (address == NULL)
        fail("no memory");
    *slot = (struct slot){address, size, key_of(actor, allocator)};
    model_change(&model, slot->key, (int64_t)size, 1);
    fill(address, size);
    end_event();
}

static void death(struct slot *slot) {
    model_change(&model, slot->key, -(int64_t)slot->size, -1);
    slot->address = NULL;
    end_event();
}

static void allocate(struct slot *slot) {
    size_t size = choose_size();
    void *aligned = NULL;
    switch (below(12)) {
    case 0:
        birth(slot, calloc(size / 8, 8), size / 8 * 8, MT_CALLOC);
        break;
    case 1:
        birth(slot, realloc(NULL, size), size, MT_REALLOC);
        break;
    case 2:
        birth(slot, reallocarray(NULL, size, 1), size, MT_REALLOCARRAY);
        break;
    case 3:
        birth(slot, valloc(size), size, MT_VALLOC);
        break;
    case 4:
        if (posix_memalign(&aligned, 64, size) != 0)
            fail("no memory");
        birth(slot, aligned, size, MT_POSIX_MEMALIGN);
        break;
    case 5:
        birth(slot, memalign(256, size), size, MT_MEMALIGN);
        break;
    case 6:
        birth(slot, aligned_alloc(32, size), size, MT_ALIGNED_ALLOC);
        break;
    case 7:
        birth(slot, pvalloc(size), size, MT_PVALLOC);
        break;
    case 8: /* refused: no event */
        if (malloc(too_much) != NULL || calloc(too_much, 8) != NULL || posix_memalign(&aligned, 3, 8) == 0)
            fail("what can't be was given");
        break;
    default:
        birth(slot, malloc(size), size, MT_MALLOC);
    }
}

static void move(struct slot *slot) {
    size_t size = choose_size();
    struct slot old = *slot;
    switch (below(8)) {
    case 0: /* refused: nothing changes */
        if (realloc(old.address, too_much) != NULL || reallocarray(old.address, too_much, 8) != NULL)
            fail("what can't be was given");
        compare_totals();
        compare_blocks();
        return;
    case 1:
        if (realloc(old.address, 0) != NULL)
            fail("realloc to nothing returned a block");
        death(slot);
        return;
    case 2:
        size += size == 0;
        model_change(&model, old.key, -(int64_t)old.size, -1);
        birth(slot, reallocarray(old.address, size, 1), size, MT_REALLOCARRAY);
        return;
    default:
        size += size == 0;
        model_change(&model, old.key, -(int64_t)old.size, -1);
        birth(slot, realloc(old.address, size), size, MT_REALLOC);
    }
}

/* --- ranges
 * ------------------------------------------------------------------------------------------------------------ */

static uint64_t page_up(uint64_t address) {
    return (address + PAGE - 1) / PAGE * PAGE;
}

static bool is_mapped(uint64_t page) {
    for (int i = 0; i < model.range_count; i++)
        if (model.ranges[i].start <= page && page < page_up(model.ranges[i].end))
            return true;
    return false;
}

/* A random stretch of pages that are all ours: of one range, a part of one, or across neighbours. Never a page that
 * somebody else may have by now. */
static uint64_t choose_stretch(uint64_t *ret_pages) {
    const struct model_range *range = &model.ranges[below((unsigned)model.range_count)];
    uint64_t pages = (page_up(range->end) - range->start) / PAGE;
    uint64_t start = range->start + below((unsigned)pages) * (uint64_t)PAGE;
    uint64_t wanted = 1 + below(6);
    for (*ret_pages = 0; *ret_pages < wanted && is_mapped(start + *ret_pages * PAGE); ++*ret_pages)
        ;
    return start;
}

static void *map(void *where, size_t size, int more_flags) {
    return mmap(where, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | more_flags, -1, 0);
}

static void map_new(void) {
    size_t size = 1 + below(5 * PAGE);
    void *address = map(NULL, size, 0);
    if (address == MAP_FAILED)
        fail("no memory");
    fill(address, size);
    model_map(&model, (uint64_t)address, size, key_of(actor, MT_MMAP));
    end_event();
}

static void map_over(void) {
    uint64_t pages, start = choose_stretch(&pages);
    size_t size = pages * PAGE - below(PAGE);
    if (map((void *)start, size, MAP_FIXED) != (void *)start)
        fail("mmap over a map of ours failed");
    model_cut(&model, start, size);
    model_map(&model, start, size, key_of(actor, MT_MMAP));
    end_event();
}

static void unmap(void) {
    uint64_t pages, start = choose_stretch(&pages);
    if (munmap((void *)(start + 1), PAGE) == 0)
        fail("an unaligned munmap succeeded");
    if (munmap((void *)start, pages * PAGE - below(PAGE)) != 0)
        fail("munmap failed");
    model_cut(&model, start, pages * PAGE);
    end_event();
}

static void remap(void) {
    uint64_t pages, start = choose_stretch(&pages);
    size_t size = 1 + below(8 * PAGE);
    void *result = mremap((void *)start, pages * PAGE, size, MREMAP_MAYMOVE);
    if (result == MAP_FAILED) { /* across maps that the kernel keeps apart */
        compare_totals();
        return;
    }
    model_cut(&model, start, pages * PAGE);
    model_map(&model, (uint64_t)result, size, key_of(actor, MT_MREMAP));
    end_event();
}

/* Reservations and file maps are outside the totals. */
static void map_outside(void) {
    void *reserved = mmap(NULL, 10 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (reserved == MAP_FAILED || munmap(reserved, 10 * PAGE) != 0)
        fail("a reservation failed");
    compare_totals();
}

static void random_event(void) {
    struct slot *slot = &slots[below(SLOTS)];
    unsigned kind = below(40);
    errno = UNTOUCHED_ERRNO;
    if (kind < 6 && model.range_count < 200)
        map_new();
    else if (kind < 9 && model.range_count > 0)
        unmap();
    else if (kind < 11 && model.range_count > 0)
        map_over();
    else if (kind < 13 && model.range_count > 0)
        remap();
    else if (kind == 13)
        map_outside();
    else if (slot->address == NULL)
        allocate(slot);
    else if (below(2)) {
        int expected = errno;
        free(slot->address);
        if (errno != expected)
            fail("free changed errno to %d", errno);
        death(slot);
    } else
        move(slot);
}

/* --- threads
 * ----------------------------------------------------------------------------------------------------------- */

static void *work(void *argument) {
    int me = (int)(intptr_t)argument;
    tids[me] = (uint32_t)gettid();
    free(malloc(100)); /* this thread's arena is made before anything is recorded */
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&gate); /* recording has begun */
    for (uint64_t i = 0; i < events_per_thread; i++) {
        pthread_mutex_lock(&one_at_a_time);
        actor = me;
        random_event();
        pthread_mutex_unlock(&one_at_a_time);
    }
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&gate); /* recording is over: what a thread frees at its end is not in the model */
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS];
    struct mt_image_header *header = image_header();
    if (argc != 3 || header == NULL || header->state != MT_RECORDING_NEVER) {
        fprintf(stderr, "usage: LD_PRELOAD=recorder, not started; locked_threads EVENTS SEED\n");
        return 2;
    }
    events_per_thread = strtoull(argv[1], NULL, 0);
    random_state = strtoull(argv[2], NULL, 0) * 0x9E3779B97F4A7C15u + 1;
    model.keys = THREADS * (int)ALLOCATORS;
    pthread_barrier_init(&gate, NULL, THREADS + 1);
    void *older[2] = {malloc(10), malloc(10)};
    for (intptr_t t = 0; t < THREADS; t++)
        if (pthread_create(&threads[t], NULL, work, (void *)t) != 0)
            return 2;
    pthread_barrier_wait(&gate);
    header->request_argument = MT_LEVEL_HEAP;
    header->request = MT_REQUEST_START;
    free(older[0]); /* an event of no consequence, at whose entry the request is obeyed */
    if (header->state != MT_RECORDING_ON)
        fail("recording did not begin");
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&gate);
    compare_blocks();
    header->request = MT_REQUEST_STOP;
    free(older[1]);
    if (header->state != MT_RECORDING_STOPPED)
        fail("recording did not stop");
    compare_totals();
    compare_sums();
    compare_blocks();
    pthread_barrier_wait(&gate);
    for (int t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    for (unsigned kind = 0; kind < MT_DROP_KINDS; kind++)
        if (header->dropped[kind] != 0)
            fail("%llu events dropped", (unsigned long long)header->dropped[kind]);
    printf("{\"events\":%llu,\"peak_bytes\":%lld}\n", (unsigned long long)model.events, (long long)model.maximum);
    return 0;
}
