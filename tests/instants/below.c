/* Preloaded behind the recorder: every call that the recorder lets through is done here and counted exactly. The size
 * of a block stands in a header before it, maps in a table of the thread; no lock, and no code shared with the
 * recorder. */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "board.h"

#define HOOK __attribute__((visibility("default")))
#define PAGE 4096u
#define MAPS 2048

BOARD_EXPORT struct below_board instants_below_board;

struct map {
    uint64_t start;
    uint64_t end; /* as requested, not a page's */
};

struct books {
    struct below_thread *board;
    struct map maps[MAPS];
    unsigned map_count;
};

static struct books books_of[BELOW_THREADS];
static __thread struct books *own __attribute__((tls_model("initial-exec")));

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    void *(*mmap)(void *, size_t, int, int, int, off_t);
    int (*munmap)(void *, size_t);
    void *(*mremap)(void *, size_t, size_t, int, ...);
} real;

/* What dlsym() may ask for while the real functions are looked for; never given back. */
static _Alignas(16) char early[4096];
static size_t early_used;

static bool resolve(void) {
    static enum { NOT_YET, LOOKING, FOUND } state;
    if (state != NOT_YET)
        return state == FOUND;
    state = LOOKING;
#define RESOLVE(name) *(void **)&real.name = dlsym(RTLD_NEXT, #name)
    RESOLVE(malloc);
    RESOLVE(calloc);
    RESOLVE(realloc);
    RESOLVE(free);
    RESOLVE(mmap);
    RESOLVE(munmap);
    RESOLVE(mremap);
#undef RESOLVE
    state = FOUND;
    return true;
}

static void *early_block(size_t size) {
    size = (size + 15) & ~(size_t)15;
    if (size > sizeof early - early_used)
        return NULL;
    early_used += size;
    return early + early_used - size;
}

static struct books *self(void) {
    if (own == NULL) {
        uint64_t index = __atomic_fetch_add(&instants_below_board.threads, 1, __ATOMIC_RELAXED);
        if (index >= BELOW_THREADS)
            abort();
        own = &books_of[index];
        own->board = &instants_below_board.thread[index];
        own->board->tid = (uint32_t)gettid();
    }
    return own;
}

/* The end of a call: all its counts become valid by the one store of the version. */
static void count(int64_t bytes, int64_t blocks, const void *address) {
    struct below_thread *board = self()->board;
    const struct below_counts *before = &board->counts[board->version & 1];
    board->counts[(board->version + 1) & 1] = (struct below_counts){
        .bytes = before->bytes + bytes,
        .blocks = before->blocks + blocks,
        .calls = before->calls + 1,
        .last_bytes = bytes,
        .last_blocks = blocks,
        .last_address = (uint64_t)address,
    };
    int64_t total = __atomic_add_fetch(&instants_below_board.total, bytes, __ATOMIC_RELAXED);
    int64_t highest = __atomic_load_n(&instants_below_board.highest, __ATOMIC_RELAXED);
    while (total > highest && !__atomic_compare_exchange_n(&instants_below_board.highest, &highest, total, true,
                                                           __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
    __atomic_store_n(&board->version, board->version + 1, __ATOMIC_RELEASE);
}

/* --- blocks ------------------------------------------------------------------------------------------------------- */

#define MAGIC 0x62656c6f77212121u

struct header {
    void *base;
    size_t size;
    uint64_t magic;
    uint64_t unused;
};

static struct header *header_of(void *block) {
    return (struct header *)block - 1;
}

/* `room`: what the C library gave, for `size` bytes at an address that is a multiple of `alignment`. */
static void *dress(void *room, size_t alignment, size_t size) {
    if (room == NULL)
        return NULL;
    uint64_t start = ((uint64_t)room + sizeof(struct header) + alignment - 1) / alignment * alignment;
    void *block = (void *)start;
    *header_of(block) = (struct header){.base = room, .size = size, .magic = MAGIC};
    return block;
}

/* Bytes to ask for; a request that can't be fulfilled stays one. */
static size_t room_for(size_t alignment, size_t size) {
    size_t room;
    return __builtin_add_overflow(size, sizeof(struct header) + (alignment > 16 ? alignment : 0), &room) ? SIZE_MAX
                                                                                                         : room;
}

static void *born(void *block, size_t size) {
    count(block != NULL ? (int64_t)size : 0, block != NULL, block);
    return block;
}

HOOK void *malloc(size_t size) {
    if (!resolve())
        return early_block(size);
    return born(dress(real.malloc(room_for(16, size)), 16, size), size);
}

HOOK void *calloc(size_t number, size_t each) {
    size_t size;
    if (__builtin_mul_overflow(number, each, &size))
        size = SIZE_MAX;
    if (!resolve())
        return early_block(size);
    return born(dress(real.calloc(1, room_for(16, size)), 16, size), size);
}

static void *aligned(size_t alignment, size_t size) {
    if (!resolve())
        return NULL;
    return born(dress(real.malloc(room_for(alignment, size)), alignment, size), size);
}

HOOK int posix_memalign(void **ret, size_t alignment, size_t size) {
    void *block = aligned(alignment, size);
    if (block != NULL)
        *ret = block;
    return block != NULL ? 0 : ENOMEM;
}

HOOK void *aligned_alloc(size_t alignment, size_t size) {
    return aligned(alignment, size);
}

HOOK void *memalign(size_t alignment, size_t size) {
    return aligned(alignment, size);
}

HOOK void *valloc(size_t size) {
    return aligned(PAGE, size);
}

HOOK void *pvalloc(size_t size) {
    return aligned(PAGE, size);
}

HOOK void free(void *block) {
    if (block == NULL || ((char *)block >= early && (char *)block < early + sizeof early))
        return;
    resolve();
    struct header *header = header_of(block);
    if (header->magic != MAGIC) { /* older than this library */
        real.free(block);
        return;
    }
    size_t size = header->size;
    header->magic = 0;
    real.free(header->base);
    count(-(int64_t)size, -1, NULL);
}

HOOK void *realloc(void *old, size_t size) {
    if (old == NULL)
        return malloc(size);
    if (size == 0) {
        free(old);
        return NULL;
    }
    resolve();
    struct header *header = header_of(old);
    size_t old_size = header->size;
    void *block;
    if ((char *)header->base + sizeof *header == (char *)old) { /* as the C library will: in place, or moved */
        block = dress(real.realloc(header->base, room_for(16, size)), 16, size);
    } else {
        block = dress(real.malloc(room_for(16, size)), 16, size);
        if (block != NULL) {
            memcpy(block, old, old_size < size ? old_size : size);
            real.free(header->base);
        }
    }
    count(block != NULL ? (int64_t)size - (int64_t)old_size : 0, 0, block);
    return block;
}

HOOK void *reallocarray(void *old, size_t number, size_t each) {
    size_t size;
    return realloc(old, __builtin_mul_overflow(number, each, &size) ? SIZE_MAX : size);
}

/* --- maps -----------------------------------------------------------------------------------------------------------
 */

struct change {
    int64_t bytes;
    int64_t blocks;
};

static void add_map(struct books *books, uint64_t start, uint64_t end) {
    if (books->map_count == MAPS)
        abort();
    books->maps[books->map_count++] = (struct map){start, end};
}

/* Takes [start, start + size) out of the thread's maps: no worker touches another's. */
static struct change cut(struct books *books, uint64_t start, uint64_t size) {
    struct change change = {0};
    uint64_t end = start + (size + PAGE - 1) / PAGE * PAGE;
    for (unsigned i = 0; i < books->map_count;) {
        struct map map = books->maps[i];
        if (map.end <= start || map.start >= end) {
            i++;
            continue;
        }
        books->maps[i] = books->maps[--books->map_count];
        change.bytes -= (int64_t)(map.end - map.start);
        change.blocks--;
        if (map.start < start) {
            add_map(books, map.start, start);
            change.bytes += (int64_t)(start - map.start);
            change.blocks++;
        }
        if (map.end > end) {
            add_map(books, end, map.end);
            change.bytes += (int64_t)(map.end - end);
            change.blocks++;
        }
    }
    return change;
}

HOOK void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset) {
    struct change change = {0};
    resolve();
    void *map = real.mmap(address, size, protection, flags, fd, offset);
    if (map != MAP_FAILED) {
        change = cut(self(), (uint64_t)map, size);
        if ((flags & MAP_ANONYMOUS) != 0 && protection != PROT_NONE) {
            add_map(self(), (uint64_t)map, (uint64_t)map + size);
            change.bytes += (int64_t)size;
            change.blocks++;
        }
    }
    count(change.bytes, change.blocks, map);
    return map;
}

HOOK int munmap(void *address, size_t size) {
    struct change change = {0};
    resolve();
    int result = real.munmap(address, size);
    if (result == 0)
        change = cut(self(), (uint64_t)address, size);
    count(change.bytes, change.blocks, NULL);
    return result;
}

HOOK void *mremap(void *address, size_t old_size, size_t new_size, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    void *wanted = (flags & MREMAP_FIXED) != 0 ? va_arg(arguments, void *) : NULL;
    va_end(arguments);
    struct change change = {0};
    resolve();
    void *map = real.mremap(address, old_size, new_size, flags, wanted);
    if (map != MAP_FAILED) {
        change = cut(self(), (uint64_t)address, old_size);
        add_map(self(), (uint64_t)map, (uint64_t)map + new_size);
        change.bytes += (int64_t)new_size;
        change.blocks++;
    }
    count(change.bytes, change.blocks, map);
    return map;
}
