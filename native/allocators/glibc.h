/* glibc's malloc from outside: every chunk in use, which one an address lies in, and how much there is.
 *
 * Works without symbols on glibc 2.31 to 2.43, on live processes and cores. It reads main_arena's heap, the heaps of
 * threads' arenas, and chunks that have a mapping of their own; chunks that wait in a thread's cache (tcache) or in a
 * fast bin are free and left out. Addresses are those that malloc returned; sizes are usable sizes
 * (malloc_usable_size), which are 0 to 15 bytes more than what was asked for, or up to a page more in a mapping of its
 * own.
 *
 * A process with another malloc (jemalloc, mimalloc) is no error: what little glibc has is told. */
#ifndef MEMTRACE_GLIBC_H
#define MEMTRACE_GLIBC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "allocators/extent.h"
#include "allocators/glibc_arenas.h"
#include "base/error.h"
#include "base/vector.h"
#include "base/watch.h"
#include "target/view.h"

struct mt_glibc_chunk {
    uint64_t address; /* as malloc returned it */
    uint64_t size;    /* usable bytes */
    bool mmapped;     /* it has a mapping of its own */
    bool own;         /* malloc's own: a thread's cache of free chunks */
};

struct mt_glibc_totals {
    size_t arenas;           /* 1 and those of threads; 0: no glibc malloc found */
    uint64_t heap_bytes;     /* that the arenas have from the kernel */
    uint64_t chunks;         /* in use, all of them */
    uint64_t chunk_bytes;    /* their usable bytes */
    uint64_t mmapped_chunks; /* those of them with a mapping of their own */
    uint64_t mmapped_bytes;
    uint64_t cached_chunks; /* free, in a thread's cache or a fast bin */
    uint64_t cached_bytes;
    uint64_t free_bytes;   /* in the heaps, with the cached ones and the top chunks */
    uint64_t unseen_bytes; /* of heaps that could not be found or read, and of mappings that were too large to search */
};

struct mt_glibc {
    struct mt_view *view;
    struct mt_glibc_arenas arenas;
    MT_VECTOR(uint64_t) index; /* the chunks in use, in order; how it is packed is private */
    struct mt_glibc_totals totals;
    bool damaged;        /* somewhere the heap makes no sense: what lies behind that place is missing */
    uint64_t damaged_at; /* the first such place; 0: only the arenas' own data is concerned */
};

/* Finds all chunks. `foreign`: memory that is known to be somebody else's (pymalloc's arenas), sorted by start: it is
 * not searched for chunks. The view must outlive it. 8 bytes a chunk are kept. */
struct mt_error *mt_glibc_open(struct mt_view *view, const struct mt_extent *foreign, size_t foreign_count,
                               struct mt_watch *watch, struct mt_glibc **ret);
void mt_glibc_destroy(struct mt_glibc *glibc);

/* Calls `visit` for every chunk in use, by rising address; an error of it ends the walk and is returned. */
typedef struct mt_error *mt_glibc_visit_chunk(void *context, const struct mt_glibc_chunk *chunk);
struct mt_error *mt_glibc_visit(struct mt_glibc *glibc, struct mt_watch *watch, mt_glibc_visit_chunk *visit,
                                void *context);

/* The chunk in use whose usable bytes contain `address`; false: none. */
bool mt_glibc_block_of(struct mt_glibc *glibc, uint64_t address, struct mt_glibc_chunk *ret);

/* Without having opened anything, from the chunk's header alone: does `address` look like one that malloc returned and
 * that is in use, and how many bytes are usable? Chunks in a thread's cache look so too. Only for addresses that are
 * known to be pointers to a block's start: other memory can look like a header by accident. */
bool mt_glibc_chunk_size(struct mt_view *view, uint64_t address, uint64_t *ret);

#endif
