#include "allocators/glibc_arenas.h"

#include <stdlib.h>
#include <string.h>

/* malloc_state, by distance from the member `bins`: what is alike in all versions. */
#define TOP_BEFORE_BINS 16u
#define NEXT_BEHIND_BINS 2048u
#define SYSTEM_MEM_BEHIND_BINS 2072u
#define BINS 127u
/* A list head stands for a chunk whose fd and bk it is. */
#define BIN_BEFORE_LINKS 16u
#define FD_AT 16u
#define BK_AT 24u
/* Of a state stopped in the middle of its work, or damaged, some bins may be in disorder. */
#define BINS_IN_ORDER 100u
#define FLAGS_AT 4u
#define NONCONTIGUOUS 2u

static const struct form {
    unsigned bins_at;
    unsigned size;
    bool has_fast_bins;
} forms[] = {{112, 2200, true}, {24, 2112, false}};
#define FORMS (sizeof forms / sizeof forms[0])

/* heap_info: ar_ptr, prev, size; the first heap of an arena has the arena's state right behind. 32 bytes to 2.34, then
 * 48. A heap begins at a multiple of the largest size that one can have: 64 MiB, or four huge pages when malloc was
 * told to use them. */
#define HEAP_PREVIOUS_AT 8u
#define HEAP_SIZE_AT 16u
static const unsigned heap_info_sizes[] = {48, 32};
static const uint64_t heap_alignments[] = {64u << 20, 8u << 20, UINT64_C(4) << 30};

#define ARENAS_MAX 65536u
#define HEAPS_MAX 65536u
#define PAGE 4096u
/* Of one module or mapping, bytes that are searched for what is not there. */
#define SEARCHED_MAX (256u << 20)
/* A search for the chunks behind a hole: how far it looks, and how many must follow each other. */
#define SEARCHED_HOLE_MAX (64u << 20)
#define TRIED_CHUNKS 64u

static uint64_t aligned(uint64_t address) {
    return (address + MT_GLIBC_ALIGNMENT - 1) & ~(uint64_t)(MT_GLIBC_ALIGNMENT - 1);
}

bool mt_glibc_chunk_at(struct mt_view *view, uint64_t chunk, uint64_t *ret_size, uint64_t *ret_word) {
    uint64_t word;
    if (!mt_view_u64(view, chunk + MT_GLIBC_SIZE_AT, &word))
        return false;
    uint64_t size = word & ~(uint64_t)MT_GLIBC_FLAGS;
    if (size < MT_GLIBC_SMALLEST || size % MT_GLIBC_ALIGNMENT || size > UINT64_MAX - chunk)
        return false;
    *ret_size = size;
    *ret_word = word;
    return true;
}

/* --- main_arena ----------------------------------------------------------------------------------------------------
 */

static bool has_word(struct mt_view *view, uint64_t address, uint64_t expected) {
    uint64_t word;
    return mt_view_u64(view, address, &word) && word == expected;
}

/* The size of the heap_info in front of a thread's arena; 0: there is no arena. */
static unsigned heap_info_size(struct mt_view *view, uint64_t state) {
    for (size_t i = 0; i < sizeof heap_info_sizes / sizeof heap_info_sizes[0]; i++) {
        uint64_t heap = state - heap_info_sizes[i];
        if (heap % PAGE == 0 && has_word(view, heap, state))
            return heap_info_sizes[i];
    }
    return 0;
}

static bool bins_in_order(struct mt_view *view, uint64_t bins) {
    unsigned good = 0;
    for (unsigned i = 0; i < BINS; i++) {
        uint64_t links = bins + (uint64_t)i * 16, bin = links - BIN_BEFORE_LINKS, forward, backward;
        if (mt_view_u64(view, links, &forward) && mt_view_u64(view, links + 8, &backward) &&
            (forward == bin || has_word(view, forward + BK_AT, bin)) &&
            (backward == bin || has_word(view, backward + FD_AT, bin)))
            good++;
    }
    return good >= BINS_IN_ORDER;
}

static bool ring_closes(struct mt_view *view, uint64_t state, unsigned bins_at) {
    uint64_t at = state;
    for (unsigned i = 0; i < ARENAS_MAX; i++) {
        if (!mt_view_u64(view, at + bins_at + NEXT_BEHIND_BINS, &at))
            return false;
        if (at == state)
            return true;
        if (!heap_info_size(view, at))
            return false;
    }
    return false;
}

/* `links`: the two words of an empty bin. Which of the 127 it is, only the ring of arenas tells. */
static const struct form *form_around(struct mt_view *view, uint64_t links, uint64_t *ret_state) {
    for (unsigned i = 0; i < BINS; i++) {
        uint64_t bins = links - (uint64_t)i * 16;
        for (const struct form *form = forms; form < forms + FORMS; form++) {
            if (ring_closes(view, bins - form->bins_at, form->bins_at) && bins_in_order(view, bins)) {
                *ret_state = bins - form->bins_at;
                return form;
            }
        }
    }
    return NULL;
}

static struct mt_error *search(struct mt_view *view, struct mt_watch *watch, const struct mt_region *region,
                               const struct form **form, uint64_t *ret_state) {
    for (uint64_t at = region->start; at + 16 <= region->end && !*form; at += 8) {
        uint64_t word;
        if (at % PAGE == 0) {
            struct mt_error *error = mt_watch_poll(watch, "looking for malloc's heaps");
            if (error)
                return error;
        }
        if (!mt_view_u64(view, at, &word))
            at = (at | (PAGE - 1)) - 7; /* nothing to be had from this page */
        else if (word == at - BIN_BEFORE_LINKS && has_word(view, at + 8, word))
            *form = form_around(view, at, ret_state);
    }
    return NULL;
}

/* libc.so.6, libc-2.31.so */
static bool is_libc(const char *path) {
    const char *name = path ? strrchr(path, '/') : NULL;
    return name && (strncmp(name, "/libc.so", 8) == 0 || strncmp(name, "/libc-2", 7) == 0);
}

/* libc's own data first; then, for programs that contain their libc, everybody's. */
static struct mt_error *find_main_arena(struct mt_view *view, struct mt_watch *watch, const struct form **form,
                                        uint64_t *ret_state) {
    const struct mt_region *regions;
    size_t count;
    struct mt_error *error = mt_target_regions(view->target, &regions, &count);
    for (int libc = 1; libc >= 0 && !error && !*form; libc--) {
        for (size_t i = 0; i < count && !error && !*form; i++) {
            const struct mt_region *region = &regions[i];
            if (region->writable && region->path && region->path[0] == '/' && is_libc(region->path) == libc &&
                region->end - region->start <= SEARCHED_MAX)
                error = search(view, watch, region, form, ret_state);
        }
    }
    return error;
}

/* --- the heaps -----------------------------------------------------------------------------------------------------
 */

static bool add_run(struct mt_glibc_arenas *arenas, uint64_t start, uint64_t end, bool has_top) {
    return start >= end || mt_vector_push(&arenas->runs, ((struct mt_glibc_run){start, end, has_top}));
}

static bool add_extent(struct mt_glibc_arenas *arenas, uint64_t start, uint64_t end) {
    return start >= end || mt_vector_push(&arenas->extents, ((struct mt_extent){start, end}));
}

/* Do chunks follow each other from `at` on, so far or so many that it can be no accident? */
static bool leads_on(struct mt_view *view, uint64_t at, uint64_t end) {
    uint64_t size, word, next_size, next_word;
    if (!mt_glibc_chunk_at(view, at, &size, &word) || !(word & MT_GLIBC_PREVIOUS_IN_USE))
        return false;
    for (unsigned i = 0; i < TRIED_CHUNKS; i++) {
        if (size > end - at)
            return false;
        at += size;
        if (at == end)
            return true;
        if (!mt_glibc_chunk_at(view, at, &next_size, &next_word))
            return mt_glibc_is_fence_post(view, at);
        if (!(next_word & MT_GLIBC_PREVIOUS_IN_USE) && !has_word(view, at, size))
            return false;
        size = next_size;
    }
    return true;
}

struct mt_error *mt_glibc_next_chunk(struct mt_view *view, struct mt_watch *watch, uint64_t start, uint64_t end,
                                     uint64_t *ret) {
    uint64_t searched_end = start < end && end - start > SEARCHED_HOLE_MAX ? start + SEARCHED_HOLE_MAX : end;
    for (uint64_t at = start; at < searched_end; at += MT_GLIBC_ALIGNMENT) {
        if (at % PAGE == 0) {
            struct mt_error *error = mt_watch_poll(watch, "looking for malloc's heaps");
            if (error)
                return error;
        }
        if (leads_on(view, at, end)) {
            *ret = at;
            return NULL;
        }
    }
    *ret = end;
    return NULL;
}

bool mt_glibc_is_fence_post(struct mt_view *view, uint64_t chunk) {
    uint64_t word;
    return mt_view_u64(view, chunk + MT_GLIBC_SIZE_AT, &word) &&
           (word & ~(uint64_t)MT_GLIBC_FLAGS) == MT_GLIBC_FENCE_POST;
}

struct mt_error *mt_glibc_anonymous_memory(struct mt_view *view, struct mt_glibc_memory *memory) {
    const struct mt_region *regions;
    size_t count;
    struct mt_error *error = mt_target_regions(view->target, &regions, &count);
    for (size_t i = 0; i < count && !error; i++) {
        const struct mt_region *region = &regions[i];
        struct mt_extent *last = memory->extents.length ? &memory->extents.data[memory->extents.length - 1] : NULL;
        if (!region->readable || !region->writable || (region->path && region->path[0] == '/'))
            continue;
        if (last && last->end == region->start)
            last->end = region->end;
        else if (!mt_vector_push(&memory->extents, ((struct mt_extent){region->start, region->end})))
            error = &mt_error_no_memory;
    }
    return error;
}

/* The end of the chunks that follow each other from `at`: `end`, a fence post, or damage. */
static uint64_t end_of_chunks(struct mt_view *view, uint64_t at, uint64_t end) {
    uint64_t size, word;
    while (at < end && mt_glibc_chunk_at(view, at, &size, &word) && size <= end - at)
        at += size;
    return at;
}

static const struct mt_extent *extent_around(const struct mt_glibc_arenas *arenas, uint64_t address) {
    for (size_t i = 0; i < arenas->extents.length; i++)
        if (arenas->extents.data[i].start <= address && address < arenas->extents.data[i].end)
            return &arenas->extents.data[i];
    return NULL;
}

/* What of main_arena's memory lies in some memory: stretches that begin with a page and end with a fence post or the
 * top.
 */
static struct mt_error *add_scattered_in(struct mt_view *view, struct mt_watch *watch, struct mt_glibc_arenas *arenas,
                                         const struct mt_extent *memory, uint64_t top, uint64_t top_end) {
    uint64_t searched = 0;
    for (uint64_t at = memory->start; at < memory->end && searched < SEARCHED_MAX;) {
        struct mt_error *error = mt_watch_poll(watch, "looking for malloc's heaps");
        if (error)
            return error;
        uint64_t end = at <= top && top < memory->end ? top : memory->end;
        const struct mt_extent *taken = extent_around(arenas, at);
        uint64_t chunks_end = taken || at == end || !leads_on(view, at, end) ? at : end_of_chunks(view, at, end);
        bool is_last = chunks_end == top && !taken; /* perhaps with nothing but the top chunk */
        bool is_stretch = is_last || (chunks_end > at && mt_glibc_is_fence_post(view, chunks_end));
        uint64_t stretch_end = is_last ? top_end : chunks_end + 2 * MT_GLIBC_FENCE_POST;
        if (is_stretch && !(add_run(arenas, at, chunks_end, is_last) && add_extent(arenas, at, stretch_end)))
            return &mt_error_no_memory;
        uint64_t next = taken ? taken->end : is_stretch ? stretch_end : at + PAGE;
        searched += taken || is_stretch ? 0 : PAGE;
        at = (next + PAGE - 1) & ~(uint64_t)(PAGE - 1);
    }
    return NULL;
}

/* Where sbrk refused, main_arena went on in mappings. No list leads to them. */
static struct mt_error *add_scattered(struct mt_view *view, struct mt_watch *watch, struct mt_glibc_arenas *arenas,
                                      uint64_t top, uint64_t top_end) {
    struct mt_glibc_memory memory = {0};
    struct mt_error *error = mt_glibc_anonymous_memory(view, &memory);
    for (size_t i = 0; i < memory.extents.length && !error; i++)
        error = add_scattered_in(view, watch, arenas, &memory.extents.data[i], top, top_end);
    mt_vector_deinit(&memory.extents);
    return error;
}

static uint64_t total_of(const struct mt_glibc_arenas *arenas) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < arenas->extents.length; i++)
        bytes += arenas->extents.data[i].end - arenas->extents.data[i].start;
    return bytes;
}

/* Memory from sbrk is one stretch that ends with the top chunk; somebody else's part in it counts in system_mem too. */
static struct mt_error *add_main_heap(struct mt_view *view, struct mt_watch *watch, struct mt_glibc_arenas *arenas,
                                      uint64_t bins) {
    uint64_t top, system_mem, top_size, word, first_size;
    uint32_t flags;
    if (!mt_view_u64(view, bins - TOP_BEFORE_BINS, &top) ||
        !mt_view_u64(view, bins + SYSTEM_MEM_BEHIND_BINS, &system_mem) ||
        !mt_view_u32(view, arenas->main_arena + FLAGS_AT, &flags)) {
        arenas->damaged = true;
        return NULL;
    }
    if (top == bins - BIN_BEFORE_LINKS)
        return NULL; /* nothing was ever taken from it */
    if (!mt_glibc_chunk_at(view, top, &top_size, &word) || top_size > system_mem) {
        arenas->damaged = true;
        top_size = 0;
    }
    arenas->top_bytes += top_size;
    uint64_t start = aligned(top + top_size - system_mem);
    if (!(flags & NONCONTIGUOUS) && start < top && mt_glibc_chunk_at(view, start, &first_size, &word))
        return add_run(arenas, start, top, true) && add_extent(arenas, start, top + top_size) ? NULL
                                                                                              : &mt_error_no_memory;
    if (!(flags & NONCONTIGUOUS) && start == top)
        return add_extent(arenas, start, top + top_size) ? NULL : &mt_error_no_memory;
    uint64_t before = total_of(arenas);
    struct mt_error *error = add_scattered(view, watch, arenas, top, top + top_size);
    uint64_t seen = total_of(arenas) - before;
    if (!error && seen < system_mem)
        arenas->unseen_bytes = system_mem - seen;
    return error;
}

/* The heap in which a thread's arena has its top chunk; 0: it is in none. */
static uint64_t heap_of_top(struct mt_view *view, uint64_t state, uint64_t top) {
    for (size_t i = 0; i < sizeof heap_alignments / sizeof heap_alignments[0]; i++) {
        uint64_t heap = top & ~(heap_alignments[i] - 1);
        if (has_word(view, heap, state))
            return heap;
    }
    return 0;
}

/* The heaps of a thread's arena, from the newest, which has the top chunk, back to the one that begins with the arena's
 * state. */
static struct mt_error *add_thread_heaps(struct mt_view *view, struct mt_glibc_arenas *arenas, uint64_t state,
                                         const struct form *form) {
    unsigned info = heap_info_size(view, state);
    uint64_t top, top_size, word, heap = 0;
    if (mt_view_u64(view, state + form->bins_at - TOP_BEFORE_BINS, &top))
        heap = heap_of_top(view, state, top);
    if (!heap || !mt_glibc_chunk_at(view, top, &top_size, &word)) {
        arenas->damaged = true;
        return NULL;
    }
    arenas->top_bytes += top_size;
    for (unsigned i = 0; i < HEAPS_MAX && heap; i++) {
        uint64_t size, previous;
        bool is_first = heap == state - info, is_newest = i == 0;
        if (!has_word(view, heap, state) || !mt_view_u64(view, heap + HEAP_SIZE_AT, &size) ||
            !mt_view_u64(view, heap + HEAP_PREVIOUS_AT, &previous) || size > heap_alignments[2] || size % PAGE ||
            (is_newest && top >= heap + size)) {
            arenas->damaged = true;
            return NULL;
        }
        uint64_t start = aligned(is_first ? state + form->size : heap + info);
        if (!add_run(arenas, start, is_newest ? top : heap + size, is_newest) || !add_extent(arenas, heap, heap + size))
            return &mt_error_no_memory;
        heap = is_first ? 0 : previous;
    }
    return NULL;
}

static struct mt_error *add_thread_arenas(struct mt_view *view, struct mt_watch *watch, struct mt_glibc_arenas *arenas,
                                          const struct form *form) {
    uint64_t state = arenas->main_arena;
    for (unsigned i = 0; i < ARENAS_MAX; i++) {
        struct mt_error *error = mt_watch_poll(watch, "looking for malloc's heaps");
        if (error)
            return error;
        if (!mt_vector_push(&arenas->states, state))
            return &mt_error_no_memory;
        if (!mt_view_u64(view, state + form->bins_at + NEXT_BEHIND_BINS, &state) || state == arenas->main_arena)
            return NULL;
        error = add_thread_heaps(view, arenas, state, form);
        if (error)
            return error;
    }
    return NULL;
}

/* --- all of it -----------------------------------------------------------------------------------------------------
 */

static int run_by_start(const void *left, const void *right) {
    const struct mt_glibc_run *a = left, *b = right;
    return a->start < b->start ? -1 : a->start > b->start;
}

static int extent_by_start(const void *left, const void *right) {
    const struct mt_extent *a = left, *b = right;
    return a->start < b->start ? -1 : a->start > b->start;
}

/* In order, and no byte twice: a damaged chain of heaps may lead to one of them again. */
static void settle(struct mt_glibc_arenas *arenas) {
    if (arenas->runs.length)
        qsort(arenas->runs.data, arenas->runs.length, sizeof *arenas->runs.data, run_by_start);
    if (arenas->extents.length)
        qsort(arenas->extents.data, arenas->extents.length, sizeof *arenas->extents.data, extent_by_start);
    size_t kept = 0;
    for (size_t i = 0; i < arenas->runs.length; i++) {
        if (kept && arenas->runs.data[i].start < arenas->runs.data[kept - 1].end)
            arenas->damaged = true;
        else
            arenas->runs.data[kept++] = arenas->runs.data[i];
    }
    arenas->runs.length = kept;
}

struct mt_error *mt_glibc_arenas_find(struct mt_view *view, struct mt_watch *watch, struct mt_glibc_arenas *ret) {
    const struct form *form = NULL;
    uint64_t state = 0;
    struct mt_error *error = find_main_arena(view, watch, &form, &state);
    if (error || !form)
        return error;
    ret->main_arena = state;
    ret->has_fast_bins = form->has_fast_bins;
    error = add_thread_arenas(view, watch, ret, form);
    if (!error)
        error = add_main_heap(view, watch, ret, state + form->bins_at);
    settle(ret);
    return error;
}

void mt_glibc_arenas_deinit(struct mt_glibc_arenas *arenas) {
    mt_vector_deinit(&arenas->states);
    mt_vector_deinit(&arenas->runs);
    mt_vector_deinit(&arenas->extents);
}
