#include "worker.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHECKED 64 /* bytes at a block's beginning that are filled and looked at again */

void fail(const char *what) {
    fprintf(stderr, "the program itself: %s\n", what);
    _exit(3);
}

unsigned below(struct worker *worker, unsigned limit) {
    worker->random ^= worker->random << 13;
    worker->random ^= worker->random >> 7;
    worker->random ^= worker->random << 17;
    return (unsigned)((worker->random >> 11) % limit);
}

/* --- CPython's tables -----------------------------------------------------------------------------------------------
 */

struct allocator {
    void *context;
    void *(*malloc)(void *context, size_t size);
    void *(*calloc)(void *context, size_t count, size_t size);
    void *(*realloc)(void *context, void *block, size_t size);
    void (*free)(void *context, void *block);
};

static void *domain_malloc(void *context, size_t size) {
    return malloc(size);
}

static void *domain_calloc(void *context, size_t count, size_t size) {
    return calloc(count, size);
}

static void *domain_realloc(void *context, void *block, size_t size) {
    return realloc(block, size);
}

static void domain_free(void *context, void *block) {
    free(block);
}

#define PLAIN                                                                                                          \
    { NULL, domain_malloc, domain_calloc, domain_realloc, domain_free }
static struct allocator domains[DOMAINS] = {PLAIN, PLAIN, PLAIN};

/* What the recorder looks for in a CPython that it knows. No thread has a state of the interpreter, so there are no
 * frames. */
extern const unsigned long Py_Version;
extern const char PyCode_Type, PyUnicode_Type, PyBytes_Type;
BOARD_EXPORT const unsigned long Py_Version = 0x030b02f0;
BOARD_EXPORT const char PyCode_Type, PyUnicode_Type, PyBytes_Type;
BOARD_EXPORT void *_PyThreadState_UncheckedGet(void);
BOARD_EXPORT void *PyGILState_GetThisThreadState(void);
BOARD_EXPORT void PyMem_GetAllocator(int domain, struct allocator *ret);
BOARD_EXPORT void PyMem_SetAllocator(int domain, const struct allocator *allocator);
BOARD_EXPORT int Py_IsInitialized(void);

void PyMem_GetAllocator(int domain, struct allocator *ret) {
    *ret = domains[domain];
}

void PyMem_SetAllocator(int domain, const struct allocator *allocator) {
    domains[domain] = *allocator;
}

int Py_IsInitialized(void) {
    return 1;
}

void *_PyThreadState_UncheckedGet(void) {
    return NULL;
}

void *PyGILState_GetThisThreadState(void) {
    return NULL;
}

/* --- announcements
 * ---------------------------------------------------------------------------------------------------- */

static void begin(struct worker *worker, const struct operation *operation) {
    struct program_thread *board = worker->board;
    board->operation = *operation;
    __atomic_store_n(&board->begun, board->begun + 1, __ATOMIC_RELEASE);
}

static void end(struct worker *worker) {
    __atomic_store_n(&worker->board->ended, worker->board->ended + 1, __ATOMIC_RELEASE);
}

/* --- contents
 * --------------------------------------------------------------------------------------------------------- */

static uint64_t spread(uint64_t seed) {
    return (seed ^ seed >> 31) * 0x9E3779B97F4A7C15u;
}

static size_t checked_bytes(uint64_t size) {
    return size < CHECKED ? size : CHECKED;
}

static void fill(const struct held *held) {
    memset((void *)held->address, (int)spread(held->seed) & 255, checked_bytes(held->size));
}

/* Only the first `size` bytes are as they were. */
static void check(const struct held *held, uint64_t size) {
    const unsigned char *bytes = (const unsigned char *)held->address;
    for (size_t i = 0; i < checked_bytes(size); i++)
        if (bytes[i] != (spread(held->seed) & 255))
            fail("a block does not hold what was put into it");
}

static void take(struct worker *worker, struct held *place, void *address, size_t size, enum domain domain) {
    if (address == NULL || address == MAP_FAILED)
        fail("out of memory");
    place->size = size;
    place->seed = spread(++worker->seeds);
    place->domain = domain;
    place->address = (uint64_t)address;
    fill(place);
}

static void let_go(struct worker *worker, struct held *place) {
    worker->checksum += spread(place->seed + 1);
    place->address = 0;
}

/* --- blocks
 * ------------------------------------------------------------------------------------------------------------- */

static enum domain domain_of(enum way way) {
    return way < BY_RAW_MALLOC ? MALLOC_FAMILY : (enum domain)((way - BY_RAW_MALLOC) / 3);
}

static void *call(enum way way, size_t size) {
    void *block = NULL;
    struct allocator *domain = way < BY_RAW_MALLOC ? NULL : &domains[domain_of(way)];
    switch (way) {
    case BY_MALLOC:
        return malloc(size);
    case BY_CALLOC:
        return calloc(size, 1);
    case BY_REALLOC:
        return realloc(NULL, size);
    case BY_REALLOCARRAY:
        return reallocarray(NULL, 1, size);
    case BY_POSIX_MEMALIGN:
        return posix_memalign(&block, 64, size) == 0 ? block : NULL;
    case BY_ALIGNED_ALLOC:
        return aligned_alloc(32, size);
    case BY_MEMALIGN:
        return memalign(128, size);
    case BY_VALLOC:
        return valloc(size);
    case BY_PVALLOC:
        return pvalloc(size);
    case BY_RAW_MALLOC:
    case BY_MEM_MALLOC:
    case BY_OBJ_MALLOC:
        return domain->malloc(domain->context, size);
    case BY_RAW_CALLOC:
    case BY_MEM_CALLOC:
    case BY_OBJ_CALLOC:
        return domain->calloc(domain->context, 1, size);
    case BY_RAW_REALLOC:
    case BY_MEM_REALLOC:
    case BY_OBJ_REALLOC:
        return domain->realloc(domain->context, NULL, size);
    case WAYS:
        break;
    }
    fail("no such way to allocate");
}

void allocate(struct worker *worker, struct held *place, enum way way, size_t size) {
    begin(worker, &(struct operation){.call = ++worker->calls,
                                      .new_size = size,
                                      .bytes = (int64_t)size,
                                      .blocks = 1,
                                      .touched = {(uint64_t)place}});
    take(worker, place, call(way, size), size, domain_of(way));
    end(worker);
}

static struct operation of_block(struct worker *worker, const struct held *place) {
    return (struct operation){
        .call = ++worker->calls, .old_address = place->address, .old_size = place->size, .touched = {(uint64_t)place}};
}

void release(struct worker *worker, struct held *place) {
    struct operation operation = of_block(worker, place);
    operation.is_free = 1;
    operation.bytes = -(int64_t)place->size;
    operation.blocks = -1;
    begin(worker, &operation);
    check(place, place->size);
    struct allocator *domain = place->domain < DOMAINS ? &domains[place->domain] : NULL;
    if (domain != NULL)
        domain->free(domain->context, (void *)place->address);
    else
        free((void *)place->address);
    let_go(worker, place);
    end(worker);
}

static void *reallocate(const struct held *place, size_t size) {
    struct allocator *domain = place->domain < DOMAINS ? &domains[place->domain] : NULL;
    void *old = (void *)place->address;
    return domain != NULL ? domain->realloc(domain->context, old, size) : realloc(old, size);
}

void move(struct worker *worker, struct held *from, struct held *to, size_t size) {
    struct operation operation = of_block(worker, from);
    operation.new_size = size;
    operation.bytes = (int64_t)size - (int64_t)from->size;
    operation.touched[1] = (uint64_t)to;
    begin(worker, &operation);
    struct held moved = *from;
    moved.address = (uint64_t)reallocate(from, size);
    if (moved.address == 0)
        fail("realloc failed");
    check(&moved, from->size < size ? from->size : size);
    moved.size = size;
    fill(&moved);
    from->address = 0;
    *to = moved;
    end(worker);
}

void move_in_vain(struct worker *worker, struct held *place) {
    static const volatile size_t too_much = (size_t)1 << 60;
    struct operation operation = of_block(worker, place);
    begin(worker, &operation);
    if (reallocate(place, too_much) != NULL)
        fail("there is more memory than there can be");
    check(place, place->size);
    end(worker);
}

void move_to_nothing(struct worker *worker, struct held *place) {
    struct operation operation = of_block(worker, place);
    operation.bytes = -(int64_t)place->size;
    operation.blocks = -1;
    begin(worker, &operation);
    check(place, place->size);
    if (realloc((void *)place->address, 0) != NULL)
        fail("realloc to nothing returned a block");
    let_go(worker, place);
    end(worker);
}

void give(struct worker *worker, struct held *from, struct held *cell) {
    begin(worker, &(struct operation){.touched = {(uint64_t)from, (uint64_t)cell}});
    cell->size = from->size;
    cell->seed = from->seed;
    cell->domain = from->domain;
    __atomic_store_n(&cell->address, from->address, __ATOMIC_RELEASE);
    from->address = 0;
    end(worker);
}

/* --- maps
 * ----------------------------------------------------------------------------------------------------------------- */

static struct operation of_range(struct worker *worker, const struct held *place) {
    struct operation operation = of_block(worker, place);
    operation.is_range = 1;
    return operation;
}

static void *map_pages(void *where, size_t size, int more_flags) {
    return mmap(where, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | more_flags, -1, 0);
}

void map(struct worker *worker, struct held *place, size_t size) {
    struct operation operation = of_range(worker, place);
    operation.old_address = 0;
    operation.new_size = size;
    operation.bytes = (int64_t)size;
    operation.blocks = 1;
    begin(worker, &operation);
    take(worker, place, map_pages(NULL, size, 0), size, MALLOC_FAMILY);
    end(worker);
}

void map_over(struct worker *worker, struct held *place, struct held *over, size_t offset, size_t size) {
    struct operation operation = of_range(worker, place);
    operation.new_size = size;
    operation.bytes = (int64_t)size - (int64_t)(place->size - offset);
    operation.blocks = offset != 0;
    operation.touched[1] = (uint64_t)over;
    begin(worker, &operation);
    uint64_t start = place->address + offset;
    if ((uint64_t)map_pages((void *)start, size, MAP_FIXED) != start)
        fail("mmap did not map where it was told to");
    place->size = offset;
    if (offset == 0)
        let_go(worker, place);
    take(worker, over, (void *)start, size, MALLOC_FAMILY);
    end(worker);
}

static void give_back(uint64_t start, size_t size) {
    if (munmap((void *)start, size) != 0)
        fail("munmap failed");
}

void unmap(struct worker *worker, struct held *place, size_t offset, size_t size, struct held *rest) {
    struct operation operation = of_range(worker, place);
    size_t end_of_hole = offset + size;
    bool has_rest = place->size > end_of_hole;
    size_t gone = has_rest ? size : place->size - offset;
    operation.bytes = -(int64_t)gone;
    operation.blocks = (offset != 0) + has_rest - 1;
    operation.touched[1] = (uint64_t)rest;
    begin(worker, &operation);
    struct held tail = {place->address + end_of_hole, place->size - end_of_hole, place->seed, place->domain};
    give_back(place->address + offset, size);
    if (offset != 0)
        place->size = offset;
    else
        let_go(worker, place);
    if (has_rest) {
        tail.seed += offset != 0;
        fill(&tail);
        *rest = tail;
    }
    end(worker);
}

void unmap_across(struct worker *worker, struct held *low, size_t offset, struct held *high, size_t size) {
    struct operation operation = of_range(worker, low);
    if (low->address + (low->size + PAGE - 1) / PAGE * PAGE != high->address || size >= high->size)
        fail("two maps that should be neighbours are not");
    operation.old_size = high->address + high->size - low->address;
    operation.bytes = -(int64_t)(low->size - offset) - (int64_t)size;
    operation.touched[1] = (uint64_t)high;
    begin(worker, &operation);
    give_back(low->address + offset, high->address + size - low->address - offset);
    low->size = offset;
    high->address += size;
    high->size -= size;
    fill(high);
    end(worker);
}

void unmap_in_vain(struct worker *worker, struct held *place) {
    struct operation operation = of_range(worker, place);
    begin(worker, &operation);
    if (munmap((void *)(place->address + 1), PAGE) == 0)
        fail("munmap took an address inside a page");
    end(worker);
}

void remap(struct worker *worker, struct held *place, size_t size) {
    struct operation operation = of_range(worker, place);
    operation.new_size = size;
    operation.bytes = (int64_t)size - (int64_t)place->size;
    begin(worker, &operation);
    void *moved = mremap((void *)place->address, place->size, size, MREMAP_MAYMOVE);
    if (moved == MAP_FAILED)
        fail("mremap failed");
    struct held held = *place;
    held.address = (uint64_t)moved;
    check(&held, held.size < size ? held.size : size);
    held.size = size;
    fill(&held);
    *place = held;
    end(worker);
}
