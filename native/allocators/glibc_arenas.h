/* Where glibc's malloc keeps its chunks: main_arena, the arenas of threads, and their heaps. Part of
 * allocators/glibc.h.
 *
 * malloc/malloc.c and malloc/arena.c of glibc 2.31 to 2.43. A malloc_state comes in two forms, 2200 bytes with fast
 * bins (to 2.42) and 2112 without (2.43); they agree from `top` on. main_arena lies in libc's writable data and has no
 * exported name. It is told by its 127 bins: circular lists whose heads, when empty, point at themselves. The form is
 * the one whose ring of arenas (`next`) leads back to where it began. */
#ifndef MEMTRACE_GLIBC_ARENAS_H
#define MEMTRACE_GLIBC_ARENAS_H

#include <stdbool.h>
#include <stdint.h>

#include "allocators/extent.h"
#include "base/error.h"
#include "base/vector.h"
#include "base/watch.h"
#include "target/view.h"

/* A run of chunks, one behind the other. */
struct mt_glibc_run {
    uint64_t start; /* the first chunk */
    uint64_t end;   /* the arena's top chunk; or, where the arena went on elsewhere, the end of the heap */
    bool has_top;   /* `end` is the top chunk: a walk has to arrive there */
};

struct mt_glibc_arenas {
    uint64_t main_arena; /* 0: there is none */
    bool has_fast_bins;
    MT_VECTOR(uint64_t) states;          /* the malloc_state of every arena, main_arena first */
    MT_VECTOR(struct mt_glibc_run) runs; /* sorted, disjoint */
    MT_VECTOR(struct mt_extent) extents; /* the memory of all heaps, sorted, disjoint */
    uint64_t top_bytes;                  /* in the top chunks: never given out, or given back */
    uint64_t unseen_bytes;               /* of main_arena's memory that we did not find */
    bool damaged;                        /* a heap could not be read, or its header makes no sense */
};

/* No main_arena (another allocator, or malloc never called): no error, main_arena 0. Zero `ret` first; it needs
 * mt_glibc_arenas_deinit() also after an error. */
struct mt_error *mt_glibc_arenas_find(struct mt_view *view, struct mt_watch *watch, struct mt_glibc_arenas *ret);
void mt_glibc_arenas_deinit(struct mt_glibc_arenas *arenas);

/* Appends the writable memory that belongs to no file, in order; neighbours are joined, for the kernel may show what
 * was mapped at once in parts (after a fork, for one). */
struct mt_glibc_memory {
    MT_VECTOR(struct mt_extent) extents;
};
struct mt_error *mt_glibc_anonymous_memory(struct mt_view *view, struct mt_glibc_memory *memory);

/* The size of the chunk that begins at `chunk` and the word that says it (with its flags); false: unreadable or not the
 * size of a chunk. */
bool mt_glibc_chunk_at(struct mt_view *view, uint64_t chunk, uint64_t *ret_size, uint64_t *ret_word);

/* A run may end short of its end: where somebody else had taken memory from sbrk, malloc put fence posts, chunks too
 * small to be one, and went on behind that memory. */
bool mt_glibc_is_fence_post(struct mt_view *view, uint64_t chunk);
/* The first place from `start` on, from which chunks lead towards `end`; `end` when none was found. */
struct mt_error *mt_glibc_next_chunk(struct mt_view *view, struct mt_watch *watch, uint64_t start, uint64_t end,
                                     uint64_t *ret);

/* malloc_chunk: the size of the one before (if that is free), then the size of this one with three flags, then the
 * user's bytes, which reach into the first word of the next. */
#define MT_GLIBC_HEADER 16u
#define MT_GLIBC_SIZE_AT 8u
#define MT_GLIBC_OVERHEAD 8u
#define MT_GLIBC_ALIGNMENT 16u
#define MT_GLIBC_SMALLEST 32u
#define MT_GLIBC_FLAGS 7u
enum { MT_GLIBC_PREVIOUS_IN_USE = 1, MT_GLIBC_IS_MMAPPED = 2, MT_GLIBC_NON_MAIN_ARENA = 4 };

/* malloc_state.fastbinsY, where there are fast bins: heads of lists of chunks. */
#define MT_GLIBC_FAST_BINS_AT 16u
#define MT_GLIBC_FAST_BINS 10u

#define MT_GLIBC_FENCE_POST 16u

#endif
