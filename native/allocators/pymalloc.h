/* CPython's allocator for small objects from outside: its arenas, pools and blocks, and which blocks are in use.
 *
 * Objects/obmalloc.c of CPython 3.9 to 3.15, builds with the GIL. An arena (256 KiB in 3.9, then 1 MiB, 2 MiB when 3.15
 * is built for huge pages) is cut into pools (4 KiB in 3.9, then 16 KiB, aligned to their size); a pool begins with a
 * header and holds blocks of one size, 16 to 512 bytes. Blocks are carved off a pool from its start on; freed ones are
 * chained through their first word.
 *
 * The arenas are found through the interpreter (3.12 and later), else by a search of the interpreter's module for the
 * table that knows known objects' pools. */
#ifndef MEMTRACE_PYMALLOC_H
#define MEMTRACE_PYMALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allocators/extent.h"
#include "base/error.h"
#include "base/vector.h"
#include "base/watch.h"
#include "python/python.h"

/* Blocks begin here in a pool (POOL_OVERHEAD): block i at pool + MT_PYMALLOC_POOL_HEADER + i * size. */
#define MT_PYMALLOC_POOL_HEADER 48u
#define MT_PYMALLOC_SMALLEST 16u
#define MT_PYMALLOC_LARGEST 512u
#define MT_PYMALLOC_POOL_MAX 16384u
#define MT_PYMALLOC_BLOCKS_MAX ((MT_PYMALLOC_POOL_MAX - MT_PYMALLOC_POOL_HEADER) / MT_PYMALLOC_SMALLEST)
#define MT_PYMALLOC_LIVE_WORDS ((MT_PYMALLOC_BLOCKS_MAX + 63) / 64)

struct mt_pymalloc_arena {
    uint64_t start;
    uint64_t end;
    uint64_t pools_start;
    uint64_t pools_end; /* pools from here on were never used */
    uint32_t number;    /* in the table of its interpreter; its pools carry it too */
};

struct mt_pymalloc_pool {
    uint64_t address;
    uint32_t block_size;
    uint32_t carved;                       /* blocks 0 to carved - 1 exist */
    uint32_t used;                         /* of them in use, by the chain of the free ones */
    uint32_t counted;                      /* the same by the pool's own count */
    bool damaged;                          /* the chain of free blocks is broken: all blocks count as in use */
    uint64_t live[MT_PYMALLOC_LIVE_WORDS]; /* a bit a block: in use */
};

static inline bool mt_pymalloc_is_live(const struct mt_pymalloc_pool *pool, uint32_t block) {
    return pool->live[block / 64] >> block % 64 & 1;
}

/* Pools that block_of has looked at. */
#define MT_PYMALLOC_REMEMBERED 64u

struct mt_pymalloc {
    const struct mt_python *python;
    uint32_t pool_size;
    MT_VECTOR(struct mt_pymalloc_arena) arenas; /* of all interpreters, by address */
    MT_VECTOR(struct mt_extent) extents;        /* the memory of each of them, for mt_glibc_open() */
    uint64_t raw_blocks;                        /* blocks larger than pymalloc serves, which it had from malloc */
    bool knows_raw_blocks;                      /* 3.12 and later */
    bool damaged;                               /* entries of an arena table make no sense; they are left out */
    /* Debug hooks (a debug build, PYTHONMALLOC=debug, -X dev) put bytes around what was asked for, in pymalloc's blocks
     * and in malloc's: the object, or its gc header, begins `front` bytes into the block. */
    bool debug_hooks;
    uint32_t front;                      /* 0 or 16: the size, the domain's letter, guard bytes */
    uint32_t back;                       /* 0, 8, or 16 with serial numbers */
    struct mt_pymalloc_pool *remembered; /* private */
};

/* MT_ERROR_FORMAT: pymalloc is in use, but its arenas were not found or its pools contradict themselves; the message
 * says which. No arenas at all (PYTHONMALLOC=malloc or mimalloc) is no error. `python` must outlive it. */
struct mt_error *mt_pymalloc_open(const struct mt_python *python, struct mt_watch *watch, struct mt_pymalloc **ret);
void mt_pymalloc_destroy(struct mt_pymalloc *pymalloc);

struct mt_pymalloc_totals {
    uint64_t arenas;
    uint64_t arena_bytes;
    uint64_t pools; /* with blocks in use */
    uint64_t pool_bytes;
    uint64_t blocks; /* in use; with raw_blocks what sys.getallocatedblocks() says */
    uint64_t block_bytes;
    uint64_t free_bytes;       /* arena_bytes less block_bytes: free blocks and pools, headers, remainders */
    uint64_t damaged_pools;    /* whose chain is broken, or whose header is: the latter are not visited */
    uint64_t unreadable_pools; /* a core does not have them */
    uint64_t miscounted_pools; /* whose own count differs: one when stopped in the middle of an allocation */
};

/* Calls `visit` for every pool with blocks in use, by rising address, with a copy of the pool's bytes (pool_size); both
 * are good during the call. An error of it ends the walk and is returned. `visit` and `totals` may be NULL. */
typedef struct mt_error *mt_pymalloc_visit_pool(void *context, const struct mt_pymalloc_pool *pool,
                                                const uint8_t *bytes);
struct mt_error *mt_pymalloc_visit(struct mt_pymalloc *pymalloc, struct mt_watch *watch, mt_pymalloc_visit_pool *visit,
                                   void *context, struct mt_pymalloc_totals *totals);

/* The block that an address lies in, in use or free; false: in none (not in an arena, in a pool's header, in a pool or
 * a part of one that is not in use). */
bool mt_pymalloc_block_of(struct mt_pymalloc *pymalloc, uint64_t address, uint64_t *ret_start, uint64_t *ret_size,
                          bool *ret_live);

#endif
