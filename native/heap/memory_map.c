#include "heap/memory_map.h"

#include <stdlib.h>
#include <string.h>

#include "heap/memory_ledger.h"
#include "heap/size.h"
#include "python/threads.h"
#include "target/regions.h"

#define PAGE MT_RESIDENCE_PAGE
#define POLL_EVERY 4096 /* objects */
/* Blocks from here on count as far as they are in memory: what malloc gives a mapping of its own may be untouched. */
#define LARGE_BLOCK (64u << 10)
/* What objects say of their sizes may be wrong, and the same memory claimed again and again: how often at most. */
#define CLAIMS_MAX 4u
/* Zeroed data behind a library's own, which the kernel shows as anonymous; what is larger is somebody's mapping. */
#define BSS_MAX (4u << 20)
/* glibc's tcbhead_t at the start of struct pthread, near the end of a thread's stack: two words that point to it. */
#define TCB_ALIGNMENT 64u
#define TCB_SELF_AT 16u

struct extents {
    MT_VECTOR(struct mt_extent) list; /* ascending, disjoint */
    size_t last;                      /* index of the one that was asked for last */
};

struct build {
    struct mt_census *census;
    const struct mt_residence *residence;
    struct mt_watch *watch;
    struct mt_memory_map *map;
    struct mt_ledger ledger;
    struct extents ground;     /* readable, writable, of no file: where blocks of objects are looked for */
    struct extents allocators; /* memory of pymalloc and malloc */
    struct mt_hash_map shared; /* tables that were counted */
    struct mt_hash_map code;   /* paths (their addresses) of files that are executed */
    struct mt_threads threads;
    uint64_t claims_left;  /* bytes of large blocks that will be believed */
    uint64_t object_bytes; /* of the object at hand */
    double parts[MT_MEMORY_PARTS];
    bool failed;
};

/* --- extents --------------------------------------------------------------------------------------------------------
 */

static const struct mt_extent *find_extent(struct extents *extents, uint64_t address) {
    const struct mt_extent *list = extents->list.data;
    size_t low = 0, high = extents->list.length;
    if (extents->last < high && list[extents->last].start <= address && address < list[extents->last].end)
        return &list[extents->last];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == extents->list.length || list[low].start > address)
        return NULL;
    extents->last = low;
    return &list[low];
}

static int by_start(const void *left, const void *right) {
    const struct mt_extent *a = left, *b = right;
    return a->start < b->start ? -1 : a->start > b->start;
}

/* In order, and those that touch or overlap joined. */
static void settle(struct extents *extents) {
    size_t kept = 0;
    struct mt_extent *list = extents->list.data;
    if (extents->list.length > 0)
        qsort(list, extents->list.length, sizeof *list, by_start);
    for (size_t i = 0; i < extents->list.length; i++) {
        if (kept > 0 && list[i].start <= list[kept - 1].end)
            list[kept - 1].end = list[i].end > list[kept - 1].end ? list[i].end : list[kept - 1].end;
        else
            list[kept++] = list[i];
    }
    extents->list.length = kept;
}

static bool is_file(const struct mt_region *region) {
    return region->path && region->path[0] == '/';
}

static bool is_ground(const struct mt_region *region) {
    return region->readable && region->writable && !is_file(region);
}

static struct mt_error *find_ground(struct build *build, const struct mt_region *regions, size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct mt_extent extent = {regions[i].start, regions[i].end};
        if (is_ground(&regions[i]) && !mt_vector_push(&build->ground.list, extent))
            return &mt_error_no_memory;
    }
    settle(&build->ground);
    for (size_t i = 0; i < build->ground.list.length; i++)
        build->claims_left += CLAIMS_MAX * (build->ground.list.data[i].end - build->ground.list.data[i].start);
    return NULL;
}

/* A mapping of its own: the pages around the chunk. */
static struct mt_extent pages_around(uint64_t start, uint64_t end) {
    return (struct mt_extent){start & ~(uint64_t)(PAGE - 1), (end + PAGE - 1) & ~(uint64_t)(PAGE - 1)};
}

static struct mt_extent extent_of_chunk(const struct mt_glibc_chunk *chunk) {
    uint64_t start = chunk->address - MT_GLIBC_HEADER, end = chunk->address + chunk->size;
    return chunk->mmapped ? pages_around(start, end) : (struct mt_extent){start, end - MT_GLIBC_OVERHEAD};
}

static struct mt_error *take_mapped_chunk(void *context, const struct mt_glibc_chunk *chunk) {
    struct build *build = context;
    bool ok = !chunk->mmapped || mt_vector_push(&build->allocators.list, extent_of_chunk(chunk));
    if (ok && chunk->mmapped) {
        struct mt_extent extent = extent_of_chunk(chunk);
        mt_ledger_claim(&build->ledger, MT_LEDGER_MALLOC, extent.start, extent.end);
    }
    return ok ? NULL : &mt_error_no_memory;
}

static struct mt_error *take_extents(struct build *build, const struct mt_extent *extents, size_t count,
                                     enum mt_ledger_class class) {
    for (size_t i = 0; i < count; i++) {
        mt_ledger_claim(&build->ledger, class, extents[i].start, extents[i].end);
        struct mt_error *error = mt_watch_poll(build->watch, "measuring the allocators");
        if (!error && !mt_vector_push(&build->allocators.list, extents[i]))
            error = &mt_error_no_memory;
        if (error)
            return error;
    }
    return NULL;
}

static struct mt_error *find_allocators(struct build *build) {
    const struct mt_census *census = build->census;
    const struct mt_pymalloc *pymalloc = census->pymalloc;
    struct mt_error *error = NULL;
    if (pymalloc)
        error = take_extents(build, pymalloc->extents.data, pymalloc->extents.length, MT_LEDGER_PYMALLOC);
    if (!error)
        error = take_extents(build, census->glibc->arenas.extents.data, census->glibc->arenas.extents.length,
                             MT_LEDGER_MALLOC);
    if (!error)
        error = mt_glibc_visit(census->glibc, build->watch, take_mapped_chunk, build);
    settle(&build->allocators);
    return error;
}

/* --- what objects own -----------------------------------------------------------------------------------------------
 */

static bool is_counted_already(struct build *build, uint64_t table) {
    bool is_new = false;
    if (!mt_hash_map_find_or_insert(&build->shared, table, 0, &is_new))
        build->failed = true;
    return !is_new;
}

/* In the memory of an allocator the block's beginning is noted, and the block counts as that has it; elsewhere it
 * counts as large as the object says. */
static void take_block(void *context, const struct mt_owned_block *block) {
    struct build *build = context;
    const struct mt_extent *ground = find_extent(&build->ground, block->address);
    if (!ground || (block->shared && is_counted_already(build, block->address)))
        return;
    uint64_t room = ground->end - block->address, size = block->size < room ? block->size : room;
    bool is_large = size >= LARGE_BLOCK;
    if (find_extent(&build->allocators, block->address)) {
        mt_ledger_own(&build->ledger, block->address);
    } else if (size <= build->claims_left) {
        mt_ledger_claim(&build->ledger, MT_LEDGER_OBJECTS, block->address, block->address + size);
        build->claims_left -= size;
    }
    if (is_large && size <= build->claims_left) {
        build->claims_left -= size;
        size = (uint64_t)mt_residence_in(build->residence, block->address, block->address + size);
    } else if (is_large) {
        size = 0;
    }
    build->object_bytes += size;
}

static struct mt_error *take_objects(struct build *build) {
    const struct mt_census *census = build->census;
    struct mt_memory_map *map = build->map;
    for (uint32_t i = 0; i < census->count; i++) {
        struct mt_error *error = i % POLL_EVERY == 0 ? mt_watch_poll(build->watch, "measuring objects") : NULL;
        if (error)
            return error;
        build->object_bytes = 0;
        mt_object_blocks(census->python, census->addresses[i], mt_census_type(census, i), take_block, build);
        map->object_bytes[i] = build->object_bytes;
        map->types[census->types[i]].count++;
        map->types[census->types[i]].bytes += build->object_bytes;
    }
    return NULL;
}

/* --- what allocators have given out ---------------------------------------------------------------------------------
 */

static struct mt_error *take_pool(void *context, const struct mt_pymalloc_pool *pool, const uint8_t *bytes) {
    struct build *build = context;
    struct mt_ledger_segment *segment = mt_ledger_segment(&build->ledger, pool->address);
    uint64_t offset = (pool->address & (MT_LEDGER_SEGMENT - 1)) + MT_PYMALLOC_POOL_HEADER;
    if (!segment)
        return NULL;
    for (uint32_t i = 0; i < pool->carved; i++, offset += pool->block_size) {
        if (!mt_pymalloc_is_live(pool, i))
            continue;
        bool is_owned = mt_ledger_is_owned_in(segment, offset, pool->block_size);
        build->map->native_blocks += !is_owned;
        mt_ledger_claim_in(segment, is_owned ? MT_LEDGER_OBJECTS : MT_LEDGER_NATIVE, offset, pool->block_size);
    }
    return NULL;
}

static struct mt_error *take_chunk(void *context, const struct mt_glibc_chunk *chunk) {
    struct build *build = context;
    struct mt_extent extent = extent_of_chunk(chunk);
    if (chunk->own)
        return NULL;
    bool is_owned = mt_ledger_is_owned(&build->ledger, extent.start, extent.end);
    build->map->native_blocks += !is_owned;
    mt_ledger_claim(&build->ledger, is_owned ? MT_LEDGER_OBJECTS : MT_LEDGER_NATIVE, extent.start, extent.end);
    return NULL;
}

static struct mt_error *take_blocks(struct build *build) {
    struct mt_pymalloc *pymalloc = build->census->pymalloc;
    struct mt_error *error = pymalloc ? mt_pymalloc_visit(pymalloc, build->watch, take_pool, build, NULL) : NULL;
    return error ? error : mt_glibc_visit(build->census->glibc, build->watch, take_chunk, build);
}

/* --- mappings -------------------------------------------------------------------------------------------------------
 */

/* What a mapping is, but for what allocators and objects have of it. */
struct use {
    enum mt_memory_part part;
    uint64_t stack_end; /* up to here it is a thread's stack */
};

static bool is_code(const struct build *build, const struct mt_region *region) {
    return is_file(region) && mt_hash_map_find(&build->code, (uintptr_t)region->path);
}

static bool has_path(const struct mt_region *region, const char *path) {
    return region->path && strcmp(region->path, path) == 0;
}

/* A stack that ends with the descriptor of its thread. */
static uint64_t find_descriptor(struct build *build, const struct mt_region *region) {
    struct mt_view *view = build->census->python->view;
    for (size_t i = 0; i < build->threads.list.length; i++) {
        const struct mt_python_thread *thread = &build->threads.list.data[i];
        bool is_main = thread->tid != 0 && thread->tid == (uint64_t)view->target->info.pid;
        if (thread->pthread >= region->start && thread->pthread < region->end)
            return is_main ? 0 : thread->pthread;
    }
    if (region->end - region->start <= PAGE)
        return 0;
    for (uint64_t at = region->end - TCB_ALIGNMENT; at >= region->end - PAGE; at -= TCB_ALIGNMENT) {
        uint64_t first, self;
        if (mt_view_u64(view, at, &first) && first == at && mt_view_u64(view, at + TCB_SELF_AT, &self) && self == at)
            return at;
    }
    return 0;
}

static bool is_bss(const struct build *build, const struct mt_region *regions, size_t i) {
    const struct mt_region *region = &regions[i], *before = i > 0 ? &regions[i - 1] : NULL;
    return before && !region->path && before->end == region->start && before->writable && is_code(build, before) &&
           region->end - region->start <= BSS_MAX;
}

static struct use use_of(struct build *build, const struct mt_region *regions, size_t i) {
    const struct mt_region *region = &regions[i];
    struct use use = {.part = MT_MEMORY_OTHER};
    if (is_file(region)) {
        use.part = is_code(build, region) ? MT_MEMORY_PROGRAM : MT_MEMORY_FILES;
    } else if (has_path(region, "[stack]")) {
        use.stack_end = region->end;
    } else if (is_bss(build, regions, i) || has_path(region, "[vdso]") || has_path(region, "[vsyscall]")) {
        use.part = MT_MEMORY_PROGRAM;
    } else if (is_ground(region)) {
        uint64_t descriptor = find_descriptor(build, region);
        use.stack_end = descriptor ? pages_around(descriptor, descriptor + PAGE).end : 0;
    }
    if (use.stack_end != 0)
        build->map->stacks++;
    return use;
}

/* By its name, for cores that say nothing of code because they left it out. */
static bool is_named_as_code(const struct build *build, const char *path) {
    const char *executable = build->census->python->view->target->info.executable;
    const char *suffix = strstr(path, ".so");
    return (executable && strcmp(path, executable) == 0) || (suffix && (suffix[3] == '\0' || suffix[3] == '.'));
}

static struct mt_error *find_code(struct build *build, const struct mt_region *regions, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (is_file(&regions[i]) && (regions[i].executable || is_named_as_code(build, regions[i].path)) &&
            !mt_hash_map_find_or_insert(&build->code, (uintptr_t)regions[i].path, 0, NULL))
            return &mt_error_no_memory;
    return NULL;
}

/* --- adding up ------------------------------------------------------------------------------------------------------
 */

static double least(double a, double b) {
    return a < b ? a : b;
}

/* Shares out `bytes` in memory of one page. */
static void add_page(struct build *build, const struct mt_ledger_segment *segment, uint64_t page, double bytes,
                     enum mt_memory_part rest) {
    double objects = segment->claimed[MT_LEDGER_OBJECTS][page], native = segment->claimed[MT_LEDGER_NATIVE][page];
    double pymalloc = segment->claimed[MT_LEDGER_PYMALLOC][page], malloc = segment->claimed[MT_LEDGER_MALLOC][page];
    native = least(native, PAGE - objects);
    malloc = least(malloc, PAGE - pymalloc);
    double slack = pymalloc + malloc - objects - native, share = bytes / PAGE;
    slack = slack > 0 ? slack : 0;
    double of_pymalloc = pymalloc + malloc > 0 ? slack * pymalloc / (pymalloc + malloc) : 0;
    build->parts[MT_MEMORY_OBJECTS] += objects * share;
    build->parts[MT_MEMORY_NATIVE] += native * share;
    build->parts[MT_MEMORY_PYMALLOC_SLACK] += of_pymalloc * share;
    build->parts[MT_MEMORY_MALLOC_SLACK] += (slack - of_pymalloc) * share;
    build->parts[rest] += (PAGE - objects - native - slack) * share;
}

/* [start, end), which lies in one segment and in one mapping. */
static void add_stretch(struct build *build, const struct mt_residence_region *region, uint64_t start, uint64_t end,
                        enum mt_memory_part rest) {
    const struct mt_ledger_segment *segment = mt_ledger_find(&build->ledger, start);
    if (!segment) {
        build->parts[rest] += mt_residence_of(region, start, end);
        return;
    }
    for (uint64_t at = start; at < end; at = (at / PAGE + 1) * PAGE) {
        double bytes = mt_residence_of(region, at, (at / PAGE + 1) * PAGE);
        if (bytes > 0)
            add_page(build, segment, (at & (MT_LEDGER_SEGMENT - 1)) / PAGE, bytes, rest);
    }
}

static struct mt_error *add_ground(struct build *build, const struct mt_residence_region *region, uint64_t start,
                                   uint64_t end, const struct use *use) {
    for (uint64_t at = start; at < end;) {
        uint64_t next = (at >> MT_LEDGER_SHIFT << MT_LEDGER_SHIFT) + MT_LEDGER_SEGMENT;
        bool in_stack = at < use->stack_end;
        if (next > end)
            next = end;
        if (in_stack && next > use->stack_end)
            next = use->stack_end;
        add_stretch(build, region, at, next, in_stack ? MT_MEMORY_STACKS : use->part);
        at = next;
        struct mt_error *error = mt_watch_poll(build->watch, "adding up");
        if (error)
            return error;
    }
    return NULL;
}

/* The recorder asks the kernel for small pages. */
static bool is_recorders(const struct mt_residence_region *region, const struct use *use, uint64_t recorder_bytes) {
    return recorder_bytes > 0 && region->no_huge_pages && use->part == MT_MEMORY_OTHER && use->stack_end == 0;
}

static struct mt_error *add_mapping(struct build *build, const struct mt_region *mapping, struct use use,
                                    uint64_t recorder_bytes) {
    const struct mt_residence *residence = build->residence;
    double in_file = 0;
    for (size_t i = mt_residence_at_or_above(residence, mapping->start);
         i < residence->regions.length && residence->regions.data[i].start < mapping->end; i++) {
        const struct mt_residence_region *region = &residence->regions.data[i];
        uint64_t start = region->start > mapping->start ? region->start : mapping->start;
        uint64_t end = region->end < mapping->end ? region->end : mapping->end;
        struct use here = use;
        struct mt_error *error = NULL;
        if (is_recorders(region, &use, recorder_bytes))
            here.part = MT_MEMORY_RECORDER;
        if (is_ground(mapping))
            error = add_ground(build, region, start, end, &here);
        else
            build->parts[here.part] += mt_residence_of(region, start, end);
        if (error)
            return error;
        in_file += mt_residence_of(region, start, end);
    }
    if (use.part == MT_MEMORY_FILES && in_file > (double)build->map->largest_file_bytes) {
        build->map->largest_file = mapping->path;
        build->map->largest_file_bytes = (uint64_t)in_file;
    }
    return NULL;
}

/* Where the kernel does not say what is the recorder's, it is among what nobody claims. */
static void find_recorder(struct build *build, uint64_t recorder_bytes) {
    double *parts = build->parts;
    if (recorder_bytes == 0 || parts[MT_MEMORY_RECORDER] > 0)
        return;
    parts[MT_MEMORY_RECORDER] = least((double)recorder_bytes, parts[MT_MEMORY_OTHER]);
    parts[MT_MEMORY_OTHER] -= parts[MT_MEMORY_RECORDER];
}

/* Rounded so that the sum is right. */
static void hand_out(struct build *build) {
    double sum = 0;
    uint64_t before = 0;
    for (int part = 0; part < MT_MEMORY_PARTS; part++) {
        sum += build->parts[part];
        uint64_t here = (uint64_t)(sum + 0.5);
        build->map->parts[part] = here - before;
        before = here;
    }
    build->map->resident = before;
}

static struct mt_error *add_up(struct build *build, const struct mt_region *regions, size_t count,
                               uint64_t recorder_bytes) {
    struct mt_error *error = find_code(build, regions, count);
    for (size_t i = 0; i < count && !error; i++)
        if (mt_residence_in(build->residence, regions[i].start, regions[i].end) > 0)
            error = add_mapping(build, &regions[i], use_of(build, regions, i), recorder_bytes);
    if (error)
        return error;
    find_recorder(build, recorder_bytes);
    hand_out(build);
    return NULL;
}

/* --- the map --------------------------------------------------------------------------------------------------------
 */

static struct mt_error *fill(struct build *build, uint64_t recorder_bytes) {
    struct mt_census *census = build->census;
    const struct mt_region *regions;
    size_t count;
    struct mt_error *error = mt_target_regions(census->python->view->target, &regions, &count);
    if (!error)
        error = mt_threads_read(census->python, build->watch, &build->threads);
    if (!error)
        error = find_ground(build, regions, count);
    if (!error)
        error = find_allocators(build);
    if (!error)
        error = take_objects(build);
    if (!error)
        error = take_blocks(build);
    if (!error && (build->failed || build->ledger.failed))
        error = &mt_error_no_memory;
    return error ? error : add_up(build, regions, count, recorder_bytes);
}

struct mt_error *mt_memory_map_create(struct mt_census *census, const struct mt_residence *residence,
                                      uint64_t recorder_bytes, struct mt_watch *watch, struct mt_memory_map **ret) {
    struct mt_memory_map *map = calloc(1, sizeof *map);
    if (!map)
        return &mt_error_no_memory;
    map->types = calloc(census->python->types->list.length + 1, sizeof *map->types);
    map->object_bytes = calloc((size_t)census->count + 1, sizeof *map->object_bytes);
    struct build build = {.census = census, .residence = residence, .watch = watch, .map = map};
    mt_ledger_init(&build.ledger, residence);
    struct mt_error *error = map->types && map->object_bytes ? fill(&build, recorder_bytes) : &mt_error_no_memory;
    mt_ledger_deinit(&build.ledger);
    mt_vector_deinit(&build.ground.list);
    mt_vector_deinit(&build.allocators.list);
    mt_hash_map_deinit(&build.shared);
    mt_hash_map_deinit(&build.code);
    mt_threads_deinit(&build.threads);
    if (error) {
        mt_memory_map_destroy(map);
        return error;
    }
    *ret = map;
    return NULL;
}

void mt_memory_map_destroy(struct mt_memory_map *map) {
    if (!map)
        return;
    free(map->types);
    free(map->object_bytes);
    free(map);
}
