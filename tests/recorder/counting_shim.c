/* An independent count of what the recorder should see: preloaded behind it, with its own hooks, guard and table.
 *
 * An event is the birth, the death or the move of a block, as the program asked for it: what an allocator does inside
 * to answer a call is not one.  Blocks that are not known at their free were never born here.  At exit one line of JSON
 * goes to the file that SHIM_OUT names: the shim's numbers and, read at the same instant, the recorder's.
 * SHIM_LEVEL=objects also counts CPython's three allocator domains, by their public tables. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "image/image.h"

#define EXPORT __attribute__((visibility("default")))
#define PAGE 4096u

/* --- the shim's own books: one chained hash table under one lock
 * -------------------------------------------------------- */

struct entry {
    uint64_t address; /* 0: free, on the free list */
    uint64_t size;
    struct entry *next;
};

#define BUCKETS (1u << 20)
#define ENTRIES_AT_ONCE 8192
#define RANGES_MAX 65536

struct range {
    uint64_t start, end; /* the program's own end, not a page's */
};

static struct entry **buckets;
static struct entry *free_entries;
static struct range ranges[RANGES_MAX];
static unsigned range_count;
static int book_lock;

static struct {
    uint64_t births, deaths, moves;
    int64_t bytes, blocks, peak;
    bool broken; /* out of room: the count is worth nothing */
} totals;

static __thread int depth __attribute__((tls_model("initial-exec")));

static void lock(void) {
    while (__atomic_exchange_n(&book_lock, 1, __ATOMIC_ACQUIRE) != 0)
        syscall(SYS_sched_yield);
}

static void unlock(void) {
    __atomic_store_n(&book_lock, 0, __ATOMIC_RELEASE);
}

static void *pages(size_t size) {
    void *got = (void *)syscall(SYS_mmap, NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return got == MAP_FAILED ? NULL : got;
}

static struct entry **bucket_of(uint64_t address) {
    if (buckets == NULL)
        buckets = pages(BUCKETS * sizeof *buckets);
    uint64_t mixed = (address >> 3) * 0xff51afd7ed558ccdu;
    return &buckets[mixed >> 44];
}

static void insert(uint64_t address, uint64_t size) {
    if (free_entries == NULL) {
        struct entry *fresh = pages(ENTRIES_AT_ONCE * sizeof *fresh);
        for (int i = 0; fresh != NULL && i < ENTRIES_AT_ONCE; i++) {
            fresh[i].next = free_entries;
            free_entries = &fresh[i];
        }
        if (fresh == NULL) {
            totals.broken = true;
            return;
        }
    }
    struct entry *entry = free_entries, **bucket = bucket_of(address);
    free_entries = entry->next;
    *entry = (struct entry){address, size, *bucket};
    *bucket = entry;
}

static bool take_out(uint64_t address, uint64_t *ret_size) {
    for (struct entry **link = bucket_of(address); *link != NULL; link = &(*link)->next) {
        struct entry *entry = *link;
        if (entry->address != address)
            continue;
        *link = entry->next;
        *ret_size = entry->size;
        entry->next = free_entries;
        free_entries = entry;
        return true;
    }
    return false;
}

static void change(int64_t bytes, int64_t blocks) {
    totals.bytes += bytes;
    totals.blocks += blocks;
    if (totals.bytes > totals.peak)
        totals.peak = totals.bytes;
}

static void birth(void *block, size_t size) {
    uint64_t missed;
    if (block == NULL)
        return;
    lock();
    bool replaced = take_out((uint64_t)block, &missed);
    insert((uint64_t)block, size);
    totals.births++;
    change((int64_t)size - (replaced ? (int64_t)missed : 0), !replaced);
    unlock();
}

static void death(void *block) {
    uint64_t size;
    lock();
    if (take_out((uint64_t)block, &size)) {
        totals.deaths++;
        change(-(int64_t)size, -1);
    }
    unlock();
}

/* A move takes the old block out before the real call, so that nobody can be given its address while it is still in the
 * books. */
struct moving {
    bool known;
    uint64_t old_size;
};

static struct moving begin_move(void *old) {
    struct moving moving = {0};
    lock();
    moving.known = old != NULL && take_out((uint64_t)old, &moving.old_size);
    unlock();
    return moving;
}

static void end_move(struct moving moving, void *old, void *block, size_t size, bool freed) {
    uint64_t missed = 0;
    lock();
    if (block != NULL) {
        bool replaced = take_out((uint64_t)block, &missed);
        insert((uint64_t)block, size);
        if (moving.known)
            totals.moves++;
        else
            totals.births++;
        change((int64_t)size - (int64_t)moving.old_size - (int64_t)missed,
               1 - (int64_t)moving.known - (int64_t)replaced);
    } else if (moving.known && freed) {
        totals.deaths++;
        change(-(int64_t)moving.old_size, -1);
    } else if (moving.known) {
        insert((uint64_t)old, moving.old_size);
    }
    unlock();
}

static void add_range(uint64_t start, uint64_t end) {
    if (range_count == RANGES_MAX)
        totals.broken = true;
    else
        ranges[range_count++] = (struct range){start, end};
}

/* Under the lock; the change of the totals. */
static int64_t cut_ranges(uint64_t start, uint64_t size, int64_t *ret_blocks) {
    uint64_t end = start + (size + PAGE - 1) / PAGE * PAGE;
    int64_t bytes = 0;
    *ret_blocks = 0;
    for (unsigned i = 0; i < range_count;) {
        struct range range = ranges[i];
        if (range.end <= start || range.start >= end) {
            i++;
            continue;
        }
        ranges[i] = ranges[--range_count];
        --*ret_blocks;
        bytes -= (int64_t)(range.end - range.start);
        if (range.start < start) {
            add_range(range.start, start);
            ++*ret_blocks;
            bytes += (int64_t)(start - range.start);
        }
        if (range.end > end) {
            add_range(end, range.end);
            ++*ret_blocks;
            bytes += (int64_t)(range.end - end);
        }
    }
    return bytes;
}

static void map_event(uint64_t start, uint64_t size, bool counts) {
    int64_t blocks, bytes;
    lock();
    bytes = cut_ranges(start, size, &blocks);
    if (counts) {
        add_range(start, start + size);
        totals.births++;
        change(bytes + (int64_t)size, blocks + 1);
    } else if (bytes != 0) {
        totals.deaths++;
        change(bytes, blocks);
    }
    unlock();
}

/* --- the malloc family
 * ----------------------------------------------------------------------------------------------------- */

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*aligned_alloc)(size_t, size_t);
    void *(*memalign)(size_t, size_t);
    void *(*valloc)(size_t);
    void *(*pvalloc)(size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    int (*posix_memalign)(void **, size_t, size_t);
    void *(*mmap)(void *, size_t, int, int, int, off_t);
    int (*munmap)(void *, size_t);
    void *(*mremap)(void *, size_t, size_t, int, ...);
} real;

/* For what dlsym() allocates while the real functions are looked for; never given back. */
static _Alignas(16) char early[8192];
static size_t early_used;

static void *early_block(size_t size) {
    void *block = &early[early_used];
    early_used += (size + 15) & ~(size_t)15;
    return early_used <= sizeof early ? block : NULL;
}

static bool is_early(void *block) {
    return (char *)block >= early && (char *)block < early + sizeof early;
}

/* All at once, when there is one thread. false: being looked for at this moment. */
static bool resolve(void) {
    static enum { NOT_YET, LOOKING, FOUND } state;
    if (state != NOT_YET)
        return state == FOUND;
    state = LOOKING;
#define RESOLVE(name) *(void **)&real.name = dlsym(RTLD_NEXT, #name)
    RESOLVE(malloc);
    RESOLVE(calloc);
    RESOLVE(aligned_alloc);
    RESOLVE(memalign);
    RESOLVE(valloc);
    RESOLVE(pvalloc);
    RESOLVE(realloc);
    RESOLVE(free);
    RESOLVE(posix_memalign);
    RESOLVE(mmap);
    RESOLVE(munmap);
    RESOLVE(mremap);
#undef RESOLVE
    state = FOUND;
    return true;
}

#define ALLOCATOR(name, parameters, arguments, size)                                                                   \
    EXPORT void *name parameters {                                                                                     \
        if (!resolve())                                                                                                \
            return early_block(size);                                                                                  \
        depth++;                                                                                                       \
        void *block = real.name arguments;                                                                             \
        if (--depth == 0)                                                                                              \
            birth(block, size);                                                                                        \
        return block;                                                                                                  \
    }

ALLOCATOR(malloc, (size_t size), (size), size)
ALLOCATOR(calloc, (size_t count, size_t each), (count, each), count *each)
ALLOCATOR(aligned_alloc, (size_t alignment, size_t size), (alignment, size), size)
ALLOCATOR(memalign, (size_t alignment, size_t size), (alignment, size), size)
ALLOCATOR(valloc, (size_t size), (size), size)
ALLOCATOR(pvalloc, (size_t size), (size), size)

EXPORT int posix_memalign(void **ret, size_t alignment, size_t size) {
    if (!resolve())
        return ENOMEM;
    depth++;
    int error = real.posix_memalign(ret, alignment, size);
    if (--depth == 0 && error == 0)
        birth(*ret, size);
    return error;
}

EXPORT void *realloc(void *old, size_t size) {
    if (!resolve() || is_early(old)) {
        void *block = malloc(size);
        return block != NULL && old != NULL ? memcpy(block, old, size) : block;
    }
    if (depth > 0)
        return real.realloc(old, size);
    struct moving moving = begin_move(old);
    depth++;
    void *block = real.realloc(old, size);
    depth--;
    end_move(moving, old, block, size, size == 0);
    return block;
}

EXPORT void *reallocarray(void *old, size_t count, size_t each) {
    size_t size;
    if (__builtin_mul_overflow(count, each, &size)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(old, size);
}

EXPORT void free(void *block) {
    if (block == NULL || is_early(block) || !resolve())
        return;
    death(block); /* a known block dies wherever it is freed */
    depth++;
    real.free(block);
    depth--;
}

/* --- memory maps
 * ------------------------------------------------------------------------------------------------------------- */

EXPORT void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset) {
    resolve();
    void *map = real.mmap(address, size, protection, flags, fd, offset);
    bool counts = (flags & MAP_ANONYMOUS) != 0 && protection != PROT_NONE;
    if (map != MAP_FAILED && depth == 0 && (counts || (flags & MAP_FIXED) != 0))
        map_event((uint64_t)map, size, counts);
    return map;
}

EXPORT void *mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset) {
    return mmap(address, size, protection, flags, fd, offset);
}

EXPORT int munmap(void *address, size_t size) {
    int64_t blocks, bytes;
    resolve();
    lock(); /* across the call: the addresses may be somebody's again right after it */
    int result = real.munmap(address, size);
    if (result == 0 && (bytes = cut_ranges((uint64_t)address, size, &blocks)) != 0) {
        totals.deaths++;
        change(bytes, blocks);
    }
    unlock();
    return result;
}

EXPORT void *mremap(void *address, size_t old_size, size_t new_size, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    void *wanted = flags & MREMAP_FIXED ? va_arg(arguments, void *) : NULL;
    va_end(arguments);
    int64_t blocks, bytes;
    resolve();
    lock();
    void *map = real.mremap(address, old_size, new_size, flags, wanted);
    if (map != MAP_FAILED && (bytes = cut_ranges((uint64_t)address, old_size, &blocks)) != 0) {
        add_range((uint64_t)map, (uint64_t)map + new_size);
        totals.moves++;
        change(bytes + (int64_t)new_size, blocks + 1);
    }
    unlock();
    return map;
}

/* --- CPython's domains
 * ------------------------------------------------------------------------------------------------------- */

struct domain {
    void *context;
    void *(*malloc)(void *context, size_t size);
    void *(*calloc)(void *context, size_t count, size_t each);
    void *(*realloc)(void *context, void *old, size_t size);
    void (*free)(void *context, void *block);
};

static struct domain below[3];

static void *domain_malloc(void *context, size_t size) {
    struct domain *under = context;
    depth++;
    void *block = under->malloc(under->context, size);
    if (--depth == 0)
        birth(block, size);
    return block;
}

static void *domain_calloc(void *context, size_t count, size_t each) {
    struct domain *under = context;
    depth++;
    void *block = under->calloc(under->context, count, each);
    if (--depth == 0)
        birth(block, count * each);
    return block;
}

static void *domain_realloc(void *context, void *old, size_t size) {
    struct domain *under = context;
    if (depth > 0)
        return under->realloc(under->context, old, size);
    struct moving moving = begin_move(old);
    depth++;
    void *block = under->realloc(under->context, old, size);
    depth--;
    end_move(moving, old, block, size, false);
    return block;
}

static void domain_free(void *context, void *block) {
    struct domain *under = context;
    if (block != NULL)
        death(block);
    depth++;
    under->free(under->context, block);
    depth--;
}

__attribute__((constructor)) static void wrap_domains(void) {
    const char *level = getenv("SHIM_LEVEL");
    void (*get)(int, struct domain *) = (void (*)(int, struct domain *))dlsym(RTLD_DEFAULT, "PyMem_GetAllocator");
    void (*set)(int, struct domain *) = (void (*)(int, struct domain *))dlsym(RTLD_DEFAULT, "PyMem_SetAllocator");
    if (level == NULL || strcmp(level, "objects") != 0 || get == NULL || set == NULL)
        return;
    for (int which = 0; which < 3; which++) {
        get(which, &below[which]);
        set(which, &(struct domain){&below[which], domain_malloc, domain_calloc, domain_realloc, domain_free});
    }
}

/* A thread that was joined may still be inside its last free, seen by the recorder and not yet by us. */
static void wait_for_other_threads(void) {
    struct stat tasks;
    for (int i = 0; i < 1000 && stat("/proc/self/task", &tasks) == 0 && tasks.st_nlink > 2 + 1; i++)
        usleep(1000);
}

__attribute__((destructor)) static void write_out(void) {
    const char *path = getenv("SHIM_OUT");
    const struct mt_image_header *header = dlsym(RTLD_DEFAULT, MT_IMAGE_SYMBOL);
    if (path == NULL || header == NULL)
        return;
    wait_for_other_threads();
    const struct mt_shard *shard = &header->shards[0];
    uint64_t dropped = 0;
    for (int kind = 0; kind < MT_DROP_KINDS; kind++)
        dropped += header->dropped[kind];
    char text[1024];
    int length =
        snprintf(text, sizeof text,
                 "{\"broken\":%d,\"shim\":{\"events\":%llu,\"births\":%llu,\"deaths\":%llu,\"moves\":%llu,"
                 "\"live_bytes\":%lld,\"live_blocks\":%lld,\"peak_bytes\":%lld},"
                 "\"recorder\":{\"events\":%llu,\"dropped\":%llu,\"live_bytes\":%lld,\"live_blocks\":%lld,"
                 "\"peak_bytes\":%lld,\"recorder_bytes\":%llu,\"frees_ignored\":%llu,\"level\":%u}}\n",
                 totals.broken, (unsigned long long)(totals.births + totals.deaths + totals.moves),
                 (unsigned long long)totals.births, (unsigned long long)totals.deaths, (unsigned long long)totals.moves,
                 (long long)totals.bytes, (long long)totals.blocks, (long long)totals.peak,
                 (unsigned long long)shard->events, (unsigned long long)dropped, (long long)shard->live_bytes,
                 (long long)shard->live_blocks, (long long)shard->peak_bytes,
                 (unsigned long long)header->recorder_bytes, (unsigned long long)shard->frees_ignored, header->level);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, text, (size_t)length) != length)
        _exit(99);
    close(fd);
}
