/* What a worker of the allocating program does: one call to an allocator at a time, announced on the program's board
 * before and after. Contents are filled and checked, so that a block that the recorder spoiled is noticed. */
#ifndef MEMTRACE_TESTS_INSTANTS_WORKER_H
#define MEMTRACE_TESTS_INSTANTS_WORKER_H

#include <stddef.h>
#include <stdint.h>

#include "board.h"

#define PAGE 4096u

/* CPython's three allocator domains, which this program has tables of like CPython's: the recorder wraps them, and
 * keeps their small blocks in the shadow. What is behind them is malloc. */
enum domain { DOMAIN_RAW, DOMAIN_MEM, DOMAIN_OBJ, DOMAINS, MALLOC_FAMILY = DOMAINS };

enum way {
    BY_MALLOC,
    BY_CALLOC,
    BY_REALLOC,
    BY_REALLOCARRAY,
    BY_POSIX_MEMALIGN,
    BY_ALIGNED_ALLOC,
    BY_MEMALIGN,
    BY_VALLOC,
    BY_PVALLOC,
    BY_RAW_MALLOC,
    BY_RAW_CALLOC,
    BY_RAW_REALLOC,
    BY_MEM_MALLOC,
    BY_MEM_CALLOC,
    BY_MEM_REALLOC,
    BY_OBJ_MALLOC,
    BY_OBJ_CALLOC,
    BY_OBJ_REALLOC,
    WAYS
};

struct worker {
    struct program_thread *board;
    uint64_t random;
    uint64_t checksum; /* of all blocks that were found as they were left; their order does not matter */
    uint64_t calls;
    uint64_t seeds;
};

/* The next number below `limit` of the worker's own sequence. */
unsigned below(struct worker *worker, unsigned limit);
_Noreturn void fail(const char *what);

void allocate(struct worker *worker, struct held *place, enum way way, size_t size);
void release(struct worker *worker, struct held *place);
/* realloc() from one place to another (or the same); `size` > 0. */
void move(struct worker *worker, struct held *from, struct held *to, size_t size);
void move_in_vain(struct worker *worker, struct held *place); /* more than there is */
void move_to_nothing(struct worker *worker, struct held *place);
/* Changes hands without a call. */
void give(struct worker *worker, struct held *from, struct held *cell);

void map(struct worker *worker, struct held *place, size_t size);
/* Maps anew what lies at [offset, offset + size) of `place`, which is all of it or its end. */
void map_over(struct worker *worker, struct held *place, struct held *over, size_t offset, size_t size);
/* Unmaps [offset, offset + size) of `place`; what is left behind it goes to `rest`. Both are whole pages. */
void unmap(struct worker *worker, struct held *place, size_t offset, size_t size, struct held *rest);
/* One call for two maps that are neighbours: `low`'s pages from `offset` on, and `size` bytes of `high`. */
void unmap_across(struct worker *worker, struct held *low, size_t offset, struct held *high, size_t size);
void unmap_in_vain(struct worker *worker, struct held *place);
void remap(struct worker *worker, struct held *place, size_t size);

#endif
