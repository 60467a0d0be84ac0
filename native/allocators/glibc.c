#include "allocators/glibc.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define PAGE 4096u
#define LARGEST_ADDRESS (UINT64_C(1) << 47)
#define POLL_EVERY 4096u /* chunks */

/* --- the index -----------------------------------------------------------------------------------------------------
 * One word a chunk: the address of its header in units of 16 above two flags above the size in units of 16, so that the
 * words sort by address. A size that does not fit is read from the header again. */

#define SIZE_BITS 19
#define SIZE_MASK ((UINT64_C(1) << SIZE_BITS) - 1)
#define LARGE SIZE_MASK
#define FREE UINT64_C(0) /* as a size: found to be in a cache, to be dropped */
#define MMAPPED (UINT64_C(1) << SIZE_BITS)
#define OWN (UINT64_C(1) << (SIZE_BITS + 1))
#define ADDRESS_SHIFT (SIZE_BITS + 2 - 4)
#define ENTRY_OF_ADDRESS(chunk) ((chunk) << ADDRESS_SHIFT)

static uint64_t chunk_of_entry(uint64_t entry) {
    return entry >> (SIZE_BITS + 2) << 4;
}

static uint64_t entry_of(uint64_t chunk, uint64_t size, uint64_t flags) {
    return ENTRY_OF_ADDRESS(chunk) | flags | (size / MT_GLIBC_ALIGNMENT < LARGE ? size / MT_GLIBC_ALIGNMENT : LARGE);
}

static uint64_t size_of_entry(struct mt_view *view, uint64_t entry) {
    uint64_t size = (entry & SIZE_MASK) * MT_GLIBC_ALIGNMENT, word;
    if ((entry & SIZE_MASK) == LARGE)
        mt_glibc_chunk_at(view, chunk_of_entry(entry), &size, &word);
    return size;
}

/* In a heap a chunk reaches into the first word of the next one. In a mapping it does from 2.43 on, which shows in its
 * size: the two words of the header behind it are not counted, and header and size fill the pages but for them. */
static uint64_t usable_of(uint64_t chunk, uint64_t size, bool mmapped) {
    bool fills_pages = (chunk + size) % PAGE == 0;
    return size - (mmapped && fills_pages ? MT_GLIBC_HEADER : MT_GLIBC_OVERHEAD);
}

static struct mt_glibc_chunk decode(struct mt_view *view, uint64_t entry) {
    uint64_t chunk = chunk_of_entry(entry);
    bool mmapped = entry & MMAPPED;
    return (struct mt_glibc_chunk){
        .address = chunk + MT_GLIBC_HEADER,
        .size = usable_of(chunk, size_of_entry(view, entry), mmapped),
        .mmapped = mmapped,
        .own = entry & OWN,
    };
}

/* The number of entries whose chunk begins at or below `chunk`. */
static size_t count_up_to(const struct mt_glibc *glibc, uint64_t chunk) {
    size_t low = 0, high = glibc->index.length;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (chunk_of_entry(glibc->index.data[middle]) <= chunk)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint64_t *find_entry(struct mt_glibc *glibc, uint64_t chunk) {
    size_t count = count_up_to(glibc, chunk);
    return count && chunk_of_entry(glibc->index.data[count - 1]) == chunk ? &glibc->index.data[count - 1] : NULL;
}

/* Puts the entries from `middle` on, which are in order like those in front, where they belong. There are few of them.
 */
static struct mt_error *merge_behind(struct mt_glibc *glibc, size_t middle) {
    size_t count = glibc->index.length - middle, place = glibc->index.length;
    MT_AUTO_FREE uint64_t *behind = malloc((count + 1) * sizeof *behind);
    if (!behind)
        return &mt_error_no_memory;
    memcpy(behind, glibc->index.data + middle, count * sizeof *behind);
    while (count > 0)
        glibc->index.data[--place] = middle > 0 && glibc->index.data[middle - 1] > behind[count - 1]
                                         ? glibc->index.data[--middle]
                                         : behind[--count];
    return NULL;
}

static void note_damage(struct mt_glibc *glibc, uint64_t address) {
    if (!glibc->damaged)
        glibc->damaged_at = address;
    glibc->damaged = true;
}

/* --- caches of free chunks -----------------------------------------------------------------------------------------
 * tcache_perthread_struct, one a thread, a chunk of a heap: a count for every size, then the heads of the lists.
 * To 2.41 the counts say how many chunks wait; from 2.42 on how many more would be taken, out of the same number for
 * all sizes. Heads are plain pointers to user memory. The link in a chunk's first word is plain in 2.31, and later
 * mixed with the bits of its own address. */

static const struct cache_form {
    uint64_t chunk_size;
    unsigned bins;
    bool counts_room;
} cache_forms[] = {{0x290, 64, false}, {0x300, 76, true}};
#define CACHE_FORMS (sizeof cache_forms / sizeof cache_forms[0])
/* Its chunk may be larger: 2.42 rounds the size up twice, and a rest too small for a chunk is given along. */
#define CACHE_CHUNK_SLACK 32u
#define CACHE_BINS_MAX 76u
#define CACHE_SMALL_BINS 64u
#define CACHED_MAX 65536u /* chunks of one size: counts have 16 bits */
/* Bins that may contradict themselves: the process may be stopped in the middle of its work, or damaged. */
#define CACHE_BINS_WRONG_MAX 2u
#define LINK_SHIFT 12 /* PROTECT_PTR */

/* Steps along lists, in all: lists of a damaged heap may be circular. */
#define STEPS_MAX (64u << 20)

/* What was found to wait in lists. */
struct cached {
    MT_VECTOR(uint64_t) chunks;
    size_t steps;
    bool broken; /* a list is */
    bool no_memory;
};

/* Appends the chunks of one list. `head` and the links point `bias` bytes behind a chunk. False: the list is broken;
 * the chunks up to there stay. */
static bool follow(struct mt_view *view, uint64_t head, unsigned bias, bool protected_links, size_t limit,
                   struct cached *cached) {
    uint64_t at = head;
    for (size_t i = 0; at; i++) {
        uint64_t link, link_at = at - bias + MT_GLIBC_HEADER;
        if (i >= limit || cached->steps++ >= STEPS_MAX || at % MT_GLIBC_ALIGNMENT || at >= LARGEST_ADDRESS ||
            !mt_view_u64(view, link_at, &link))
            return false;
        if (!mt_vector_push(&cached->chunks, at - bias)) {
            cached->no_memory = true;
            return false;
        }
        at = protected_links ? link ^ link_at >> LINK_SHIFT : link;
    }
    return true;
}

/* With whichever kind of links leads to the list's end; where none does, as far as the usual kind leads. */
static void follow_any(struct mt_view *view, uint64_t head, unsigned bias, size_t limit, struct cached *cached) {
    size_t before = cached->chunks.length;
    if (follow(view, head, bias, true, limit, cached))
        return;
    size_t found = cached->chunks.length - before;
    cached->chunks.length = before;
    if (follow(view, head, bias, false, limit, cached))
        return;
    cached->chunks.length = before;
    follow(view, head, bias, true, found, cached);
    cached->broken = true;
}

static bool fits_bin(struct mt_view *view, uint64_t address, unsigned bin) {
    uint64_t size, word;
    if (address % MT_GLIBC_ALIGNMENT || address >= LARGEST_ADDRESS ||
        !mt_glibc_chunk_at(view, address - MT_GLIBC_HEADER, &size, &word))
        return false;
    uint64_t small = MT_GLIBC_SMALLEST + (uint64_t)bin * MT_GLIBC_ALIGNMENT;
    return bin < CACHE_SMALL_BINS ? size == small : size > MT_GLIBC_SMALLEST + CACHE_SMALL_BINS * MT_GLIBC_ALIGNMENT;
}

/* The most frequent of the counts of empty bins: how many chunks a bin takes. */
static unsigned room_of_empty(const uint16_t *counts, const uint64_t *heads, unsigned bins) {
    unsigned best = 0, best_votes = 0;
    for (unsigned i = 0; i < bins; i++) {
        unsigned votes = 0;
        for (unsigned other = 0; other < bins; other++)
            votes += !heads[i] && !heads[other] && counts[other] == counts[i];
        if (votes > best_votes) {
            best = counts[i];
            best_votes = votes;
        }
    }
    return best;
}

/* Is the chunk a thread's cache with something in it? That is then appended. */
static bool read_cache(struct mt_view *view, uint64_t chunk, const struct cache_form *form, struct cached *cached) {
    uint16_t counts[CACHE_BINS_MAX];
    uint64_t heads[CACHE_BINS_MAX], user = chunk + MT_GLIBC_HEADER;
    if (!mt_view_read(view, user, counts, form->bins * sizeof *counts) ||
        !mt_view_read(view, user + form->bins * sizeof *counts, heads, form->bins * sizeof *heads))
        return false;
    unsigned filled = 0, wrong = 0;
    for (unsigned i = 0; i < form->bins; i++) {
        if (heads[i] && !fits_bin(view, heads[i], i))
            return false;
        filled += heads[i] != 0;
        wrong += !form->counts_room && !heads[i] != !counts[i];
    }
    if (!filled || wrong > CACHE_BINS_WRONG_MAX)
        return false;
    size_t before = cached->chunks.length;
    bool was_broken = cached->broken;
    unsigned room = form->counts_room ? room_of_empty(counts, heads, form->bins) : 0;
    for (unsigned i = 0; i < form->bins; i++) {
        size_t start = cached->chunks.length;
        follow_any(view, heads[i], MT_GLIBC_HEADER, CACHED_MAX, cached);
        size_t length = cached->chunks.length - start, counted = form->counts_room ? room - counts[i] : counts[i];
        wrong += heads[i] && length != counted;
    }
    if (wrong <= CACHE_BINS_WRONG_MAX)
        return true;
    cached->chunks.length = before;
    cached->broken = was_broken;
    return false;
}

static bool is_cache(struct mt_view *view, uint64_t chunk, uint64_t size, struct cached *cached) {
    for (const struct cache_form *form = cache_forms; form < cache_forms + CACHE_FORMS; form++)
        if (size >= form->chunk_size && size <= form->chunk_size + CACHE_CHUNK_SLACK)
            return read_cache(view, chunk, form, cached);
    return false;
}

static void read_fast_bins(struct mt_glibc *glibc, struct cached *cached) {
    for (size_t i = 0; i < glibc->arenas.states.length && glibc->arenas.has_fast_bins; i++) {
        for (unsigned bin = 0; bin < MT_GLIBC_FAST_BINS; bin++) {
            uint64_t head, at = glibc->arenas.states.data[i] + MT_GLIBC_FAST_BINS_AT + bin * sizeof head;
            if (mt_view_u64(glibc->view, at, &head))
                follow_any(glibc->view, head, 0, glibc->index.length, cached);
        }
    }
}

/* Drops what waits in caches from the index. */
static void drop_cached(struct mt_glibc *glibc, const struct cached *cached) {
    for (size_t i = 0; i < cached->chunks.length; i++) {
        uint64_t *entry = find_entry(glibc, cached->chunks.data[i]);
        if (!entry)
            continue;
        if ((*entry & SIZE_MASK) == FREE) {
            note_damage(glibc, cached->chunks.data[i]); /* freed twice */
            continue;
        }
        glibc->totals.cached_chunks++;
        glibc->totals.cached_bytes += size_of_entry(glibc->view, *entry);
        *entry &= ~SIZE_MASK;
    }
    size_t kept = 0;
    for (size_t i = 0; i < glibc->index.length; i++)
        if ((glibc->index.data[i] & SIZE_MASK) != FREE)
            glibc->index.data[kept++] = glibc->index.data[i];
    glibc->index.length = kept;
}

/* --- the heaps -----------------------------------------------------------------------------------------------------
 */

static bool add_chunk(struct mt_glibc *glibc, uint64_t chunk, uint64_t size, struct cached *cached) {
    uint64_t flags = is_cache(glibc->view, chunk, size, cached) ? OWN : 0;
    return mt_vector_push(&glibc->index, entry_of(chunk, size, flags));
}

/* From `*at` to the end of the run, or to where chunks no longer follow each other. */
static struct mt_error *walk(struct mt_glibc *glibc, struct mt_watch *watch, uint64_t end, struct cached *cached,
                             uint64_t *at) {
    uint64_t size, word, next_word;
    if (*at >= end || !mt_glibc_chunk_at(glibc->view, *at, &size, &word))
        return NULL;
    for (uint64_t count = 1; size <= end - *at; count++) {
        uint64_t next = *at + size;
        if (!mt_view_u64(glibc->view, next + MT_GLIBC_SIZE_AT, &next_word))
            return NULL;
        if (next_word & MT_GLIBC_PREVIOUS_IN_USE && next_word != MT_GLIBC_PREVIOUS_IN_USE) {
            if (!add_chunk(glibc, *at, size, cached))
                return &mt_error_no_memory;
        } else {
            glibc->totals.free_bytes += size;
        }
        *at = next;
        size = next_word & ~(uint64_t)MT_GLIBC_FLAGS;
        if (*at == end || size < MT_GLIBC_SMALLEST || size % MT_GLIBC_ALIGNMENT)
            return NULL;
        if (count % POLL_EVERY == 0) {
            struct mt_error *error = mt_watch_poll(watch, "reading malloc's heaps");
            if (error)
                return error;
        }
    }
    return NULL;
}

static struct mt_error *walk_run(struct mt_glibc *glibc, struct mt_watch *watch, const struct mt_glibc_run *run,
                                 struct cached *cached) {
    uint64_t at = run->start;
    while (at < run->end) {
        struct mt_error *error = walk(glibc, watch, run->end, cached, &at);
        if (error)
            return error;
        bool is_end = at == run->end || (!run->has_top && run->end - at < PAGE);
        if (is_end)
            return NULL;
        bool has_hole =
            mt_glibc_is_fence_post(glibc->view, at) && mt_glibc_is_fence_post(glibc->view, at + MT_GLIBC_FENCE_POST);
        if (!has_hole) {
            note_damage(glibc, at);
            glibc->totals.unseen_bytes += run->end - at;
            return NULL;
        }
        /* Behind the hole there may be nothing but the top chunk. */
        error = mt_glibc_next_chunk(glibc->view, watch, at + 2 * MT_GLIBC_FENCE_POST, run->end, &at);
        if (error)
            return error;
    }
    return NULL;
}

/* --- chunks with a mapping of their own -----------------------------------------------------------------------------
 * No list leads to them. Their header begins a mapping, unless the kernel has joined it with the one in front. */

/* A mapping is searched page by page for a header; what is not chunks is read no further than this, for to read a large
 * reservation can cost the process memory. */
#define SEARCHED_MAX (256u << 20)
#define LARGEST_ALIGNMENT (UINT64_C(1) << 30) /* that memalign is expected to be asked for */

/* A chunk in a mapping that begins at `mapping` and ends before `mapping` + `room`: its size, and the end of its
 * mapping. To 2.42 `in_front` and the size fill whole pages; later they do with one more header. */
static bool mapped_chunk(struct mt_view *view, uint64_t mapping, uint64_t chunk, uint64_t room, uint64_t *ret_size,
                         uint64_t *ret_end) {
    uint64_t in_front, size, word;
    if (!mt_view_u64(view, chunk, &in_front) || in_front != chunk - mapping ||
        !mt_glibc_chunk_at(view, chunk, &size, &word) || (word & MT_GLIBC_FLAGS) != MT_GLIBC_IS_MMAPPED)
        return false;
    uint64_t end = chunk + size + ((chunk + size) % PAGE ? MT_GLIBC_HEADER : 0);
    *ret_size = size;
    *ret_end = end;
    return end % PAGE == 0 && end - mapping <= room;
}

/* memalign moves the header up to an aligned place, where `in_front` says how far. The first header stays as it was,
 * also when the mapping's size changes later: it only tells that there is a chunk. */
static bool find_mapped_chunk(struct mt_view *view, uint64_t mapping, uint64_t room, uint64_t *ret_chunk,
                              uint64_t *ret_size, uint64_t *ret_end) {
    uint64_t size, end;
    bool fits = mapped_chunk(view, mapping, mapping, room, &size, &end);
    if (!fits && !mapped_chunk(view, mapping, mapping, UINT64_MAX, &size, &end))
        return false;
    for (uint64_t alignment = 2 * MT_GLIBC_ALIGNMENT; alignment <= LARGEST_ALIGNMENT; alignment *= 2) {
        uint64_t user = (mapping + MT_GLIBC_HEADER + alignment - 1) & ~(alignment - 1);
        uint64_t chunk = user - MT_GLIBC_HEADER;
        if (chunk > mapping && chunk - mapping < room && mapped_chunk(view, mapping, chunk, room, ret_size, ret_end)) {
            *ret_chunk = chunk;
            return true;
        }
    }
    if (fits) {
        *ret_chunk = mapping;
        *ret_size = size;
        *ret_end = end;
    }
    return fits;
}

/* The extent that `at` lies in, or else the first one above; `*next` goes up with `at`. */
static const struct mt_extent *next_extent(const struct mt_extent *extents, size_t count, size_t *next, uint64_t at) {
    while (*next < count && extents[*next].end <= at)
        ++*next;
    return *next < count ? &extents[*next] : NULL;
}

struct taken {
    const struct mt_extent *extents;
    size_t count;
    size_t next;
};

static struct mt_error *search_mapping(struct mt_glibc *glibc, struct mt_watch *watch, const struct mt_extent *memory,
                                       struct taken taken[static 2]) {
    uint64_t searched = 0;
    for (uint64_t at = memory->start; at < memory->end;) {
        uint64_t end = memory->end, chunk, size;
        bool skipped = false;
        for (int i = 0; i < 2; i++) {
            const struct mt_extent *extent = next_extent(taken[i].extents, taken[i].count, &taken[i].next, at);
            skipped = skipped || (extent && extent->start <= at);
            if (extent && extent->start <= at)
                at = (extent->end + PAGE - 1) & ~(uint64_t)(PAGE - 1);
            else if (extent && extent->start < end)
                end = extent->start;
        }
        if (skipped)
            continue;
        if (find_mapped_chunk(glibc->view, at, end - at, &chunk, &size, &at)) {
            if (!mt_vector_push(&glibc->index, entry_of(chunk, size, MMAPPED)))
                return &mt_error_no_memory;
            continue;
        }
        at += PAGE;
        searched += PAGE;
        if (searched >= SEARCHED_MAX) {
            glibc->totals.unseen_bytes += memory->end - at;
            return NULL;
        }
        struct mt_error *error = mt_watch_poll(watch, "reading malloc's mappings");
        if (error)
            return error;
    }
    return NULL;
}

static struct mt_error *search_mappings(struct mt_glibc *glibc, struct mt_watch *watch, const struct mt_extent *foreign,
                                        size_t foreign_count) {
    struct mt_glibc_memory memory = {0};
    struct mt_error *error = mt_glibc_anonymous_memory(glibc->view, &memory);
    struct taken taken[] = {{foreign, foreign_count, 0}, {glibc->arenas.extents.data, glibc->arenas.extents.length, 0}};
    for (size_t i = 0; i < memory.extents.length && !error; i++)
        if (memory.extents.data[i].start % PAGE == 0 && memory.extents.data[i].end <= LARGEST_ADDRESS)
            error = search_mapping(glibc, watch, &memory.extents.data[i], taken);
    mt_vector_deinit(&memory.extents);
    return error;
}

/* --- all of it -----------------------------------------------------------------------------------------------------
 */

static void add_up(struct mt_glibc *glibc) {
    struct mt_glibc_totals *totals = &glibc->totals;
    totals->arenas = glibc->arenas.states.length;
    for (size_t i = 0; i < glibc->arenas.extents.length; i++)
        totals->heap_bytes += glibc->arenas.extents.data[i].end - glibc->arenas.extents.data[i].start;
    totals->free_bytes += glibc->arenas.top_bytes + totals->cached_bytes;
    totals->unseen_bytes += glibc->arenas.unseen_bytes;
    for (size_t i = 0; i < glibc->index.length; i++) {
        struct mt_glibc_chunk chunk = decode(glibc->view, glibc->index.data[i]);
        totals->chunks++;
        totals->chunk_bytes += chunk.size;
        totals->mmapped_chunks += chunk.mmapped;
        totals->mmapped_bytes += chunk.mmapped ? chunk.size : 0;
    }
}

static struct mt_error *read_all(struct mt_glibc *glibc, struct mt_watch *watch, const struct mt_extent *foreign,
                                 size_t foreign_count, struct cached *cached) {
    struct mt_error *error = mt_glibc_arenas_find(glibc->view, watch, &glibc->arenas);
    if (error || !glibc->arenas.main_arena)
        return error;
    if (glibc->arenas.damaged)
        note_damage(glibc, 0);
    for (size_t i = 0; i < glibc->arenas.runs.length && !error; i++)
        error = walk_run(glibc, watch, &glibc->arenas.runs.data[i], cached);
    size_t in_heaps = glibc->index.length;
    if (!error)
        error = search_mappings(glibc, watch, foreign, foreign_count);
    if (!error && glibc->index.length > in_heaps)
        error = merge_behind(glibc, in_heaps);
    if (error)
        return error;
    read_fast_bins(glibc, cached);
    if (cached->no_memory)
        return &mt_error_no_memory;
    if (cached->broken)
        note_damage(glibc, 0);
    drop_cached(glibc, cached);
    add_up(glibc);
    return NULL;
}

struct mt_error *mt_glibc_open(struct mt_view *view, const struct mt_extent *foreign, size_t foreign_count,
                               struct mt_watch *watch, struct mt_glibc **ret) {
    struct mt_glibc *glibc = calloc(1, sizeof *glibc);
    if (!glibc)
        return &mt_error_no_memory;
    glibc->view = view;
    struct cached cached = {0};
    struct mt_error *error = read_all(glibc, watch, foreign, foreign_count, &cached);
    mt_vector_deinit(&cached.chunks);
    if (error) {
        mt_glibc_destroy(glibc);
        return error;
    }
    *ret = glibc;
    return NULL;
}

void mt_glibc_destroy(struct mt_glibc *glibc) {
    if (!glibc)
        return;
    mt_glibc_arenas_deinit(&glibc->arenas);
    mt_vector_deinit(&glibc->index);
    free(glibc);
}

struct mt_error *mt_glibc_visit(struct mt_glibc *glibc, struct mt_watch *watch, mt_glibc_visit_chunk *visit,
                                void *context) {
    for (size_t i = 0; i < glibc->index.length; i++) {
        struct mt_glibc_chunk chunk = decode(glibc->view, glibc->index.data[i]);
        struct mt_error *error = i % POLL_EVERY ? NULL : mt_watch_poll(watch, "reading malloc's heaps");
        if (!error)
            error = visit(context, &chunk);
        if (error)
            return error;
    }
    return NULL;
}

bool mt_glibc_block_of(struct mt_glibc *glibc, uint64_t address, struct mt_glibc_chunk *ret) {
    size_t count = address >= MT_GLIBC_HEADER ? count_up_to(glibc, address - MT_GLIBC_HEADER) : 0;
    if (!count)
        return false;
    struct mt_glibc_chunk chunk = decode(glibc->view, glibc->index.data[count - 1]);
    if (address - chunk.address >= chunk.size)
        return false;
    *ret = chunk;
    return true;
}

bool mt_glibc_chunk_size(struct mt_view *view, uint64_t address, uint64_t *ret) {
    uint64_t chunk = address - MT_GLIBC_HEADER, size, word, in_front, next_word;
    if (address < MT_GLIBC_HEADER || address % MT_GLIBC_ALIGNMENT || address >= LARGEST_ADDRESS ||
        !mt_glibc_chunk_at(view, chunk, &size, &word) || size > LARGEST_ADDRESS - address)
        return false;
    bool mmapped = word & MT_GLIBC_IS_MMAPPED;
    if (mmapped) {
        uint64_t end = chunk + size;
        bool fills_pages = end % PAGE == 0 || (end + MT_GLIBC_HEADER) % PAGE == 0;
        if ((word & MT_GLIBC_FLAGS) != MT_GLIBC_IS_MMAPPED || !fills_pages || !mt_view_u64(view, chunk, &in_front) ||
            in_front > chunk || (chunk - in_front) % PAGE)
            return false;
    } else if (!mt_view_u64(view, chunk + size + MT_GLIBC_SIZE_AT, &next_word) ||
               !(next_word & MT_GLIBC_PREVIOUS_IN_USE) || next_word & MT_GLIBC_IS_MMAPPED ||
               next_word % MT_GLIBC_ALIGNMENT > MT_GLIBC_FLAGS) {
        return false;
    }
    *ret = usable_of(chunk, size, mmapped);
    return true;
}
