#include "heap/census.h"

#include <stdlib.h>
#include <string.h>

#include "base/vector.h"
#include "heap/edges.h"
#include "heap/free_lists.h"
#include "heap/roots.h"
#include "heap/size.h"
#include "python/object.h"
#include "python/plain.h"

#define PAGE_SHIFT 12
#define TYPE_CACHE_SIZE 4096u /* a power of two */
#define LOWEST_ADDRESS 0x10000u
#define ADDRESS_BITS 47
#define MAX_HEADER 32u /* in front of an object: a pre-header and the collector's head */
#define GENERATION_STRIDE 24
#define GENERATIONS 3
#define LINK_TAGS 3u /* of _gc_next and _gc_prev */
#define POLL_EVERY 4096
#define MAX_COUNT (UINT32_MAX - 1)
#define MAX_PLAIN_REFCOUNT (1ULL << 40)
#define FLAG_BITS_FROM_3_14 0xfu

/* What the first bytes of a block say. */
enum candidate { NOT_AN_OBJECT, LIVE_OBJECT, DEAD_OBJECT };

struct cached_type {
    uint64_t word;
    const struct mt_type *type;
};

struct build {
    struct mt_census *census;
    struct mt_python *python;
    struct mt_watch *watch;
    struct mt_hash_map dead; /* on free lists */
    struct cached_type *type_cache;
    size_t page_capacity;
    size_t last_page; /* index of the page that was touched last */
    uint64_t count;
    uint32_t front, back; /* bytes that debug hooks put around what a block holds */
    bool closing;         /* what is found now must be looked at itself */
    MT_VECTOR(uint64_t) to_visit;
    struct mt_error *error; /* the first */
};

static void fail(struct build *build, struct mt_error *error) {
    if (!build->error)
        build->error = error;
    else
        mt_error_destroy(error);
}

/* Of a walk whose visitor hands our own error back. */
static void take_result(struct build *build, struct mt_error *error) {
    if (error != build->error)
        fail(build, error);
}

/* --- the set of objects ---------------------------------------------------------------------------------------------
 */

static uint64_t hash_page(uint64_t number) {
    return number * 0x9e3779b97f4a7c15ULL >> 20;
}

static bool rehash(struct mt_census *census, size_t slots) {
    uint32_t *fresh = calloc(slots, sizeof *fresh);
    if (!fresh)
        return false;
    for (size_t i = 0; i < census->page_count; i++) {
        size_t slot = hash_page(census->pages[i].number) & (slots - 1);
        while (fresh[slot] != 0)
            slot = (slot + 1) & (slots - 1);
        fresh[slot] = (uint32_t)i + 1;
    }
    free(census->page_slots);
    census->page_slots = fresh;
    census->page_slot_mask = slots - 1;
    return true;
}

/* The page of an address, made when it is new; NULL: memory is out. */
static struct mt_census_page *page_of(struct build *build, uint64_t number) {
    struct mt_census *census = build->census;
    if (census->page_count > 0 && census->pages[build->last_page].number == number)
        return &census->pages[build->last_page];
    if (2 * census->page_count >= (census->page_slots ? census->page_slot_mask + 1 : 0) &&
        !rehash(census, census->page_slots ? 2 * (census->page_slot_mask + 1) : 1024))
        return NULL;
    size_t slot = hash_page(number) & census->page_slot_mask;
    for (; census->page_slots[slot] != 0; slot = (slot + 1) & census->page_slot_mask) {
        build->last_page = census->page_slots[slot] - 1;
        if (census->pages[build->last_page].number == number)
            return &census->pages[build->last_page];
    }
    struct mt_census_page *pages =
        mt_vector_grown(census->pages, &build->page_capacity, sizeof *pages, census->page_count + 1);
    if (!pages)
        return NULL;
    census->pages = pages;
    pages[census->page_count] = (struct mt_census_page){.number = number};
    build->last_page = census->page_count;
    census->page_slots[slot] = (uint32_t)++census->page_count;
    return &pages[build->last_page];
}

/* False: it was there already. */
static bool add(struct build *build, uint64_t address) {
    struct mt_census_page *page = page_of(build, address >> PAGE_SHIFT);
    if (!page || build->count >= MAX_COUNT) {
        fail(build,
             page ? mt_error_create(MT_ERROR_UNSUPPORTED, "more than %u objects", MAX_COUNT) : &mt_error_no_memory);
        return false;
    }
    unsigned granule = (unsigned)(address >> 3 & 511);
    uint64_t bit = 1ULL << (granule & 63);
    if (page->bits[granule >> 6] & bit)
        return false;
    page->bits[granule >> 6] |= bit;
    build->count++;
    if (build->closing && !mt_vector_push(&build->to_visit, address))
        fail(build, &mt_error_no_memory);
    return true;
}

static bool is_in(struct build *build, uint64_t address) {
    const struct mt_census *census = build->census;
    uint64_t number = address >> PAGE_SHIFT;
    for (size_t slot = hash_page(number) & census->page_slot_mask; census->page_slots && census->page_slots[slot] != 0;
         slot = (slot + 1) & census->page_slot_mask) {
        const struct mt_census_page *page = &census->pages[census->page_slots[slot] - 1];
        unsigned granule = (unsigned)(address >> 3 & 511);
        if (page->number == number)
            return page->bits[granule >> 6] >> (granule & 63) & 1;
    }
    return false;
}

/* --- candidates
 * ------------------------------------------------------------------------------------------------------- */

static bool may_be_address(uint64_t word) {
    return word >= LOWEST_ADDRESS && word >> ADDRESS_BITS == 0 && (word & 7) == 0;
}

/* The type at the address that `word` may be; NULL: none. Most words of memory that is no object are asked about once
 * only, so that what is no type is not remembered for ever. */
static const struct mt_type *type_of(struct build *build, uint64_t word) {
    if (!may_be_address(word))
        return NULL;
    struct cached_type *cached = &build->type_cache[mt_hash_u64(word) & (TYPE_CACHE_SIZE - 1)];
    if (cached->word != word)
        *cached = (struct cached_type){word, mt_types_probe(build->python->types, word)};
    return cached->type;
}

static enum candidate judge_refcount(const struct build *build, uint64_t address, uint64_t word) {
    unsigned minor = build->python->minor;
    if (minor <= 11)
        return word == 0 ? DEAD_OBJECT : word <= MAX_PLAIN_REFCOUNT ? LIVE_OBJECT : NOT_AN_OBJECT;
    if (minor <= 13)
        return word == 0 ? DEAD_OBJECT : word >> 32 == 0 ? LIVE_OBJECT : NOT_AN_OBJECT;
    if (build->dead.used > 0 && mt_hash_map_find(&build->dead, address))
        return DEAD_OBJECT;
    if ((word >> 32 & 0xffff) != 0 || word >> 48 > FLAG_BITS_FROM_3_14)
        return NOT_AN_OBJECT;
    return (uint32_t)word == 0 ? DEAD_OBJECT : LIVE_OBJECT;
}

static bool is_link(uint64_t word) {
    return word == 0 || may_be_address(word & ~(uint64_t)LINK_TAGS);
}

static uint64_t word_at(const uint8_t *bytes, size_t offset) {
    uint64_t word;
    memcpy(&word, bytes + offset, sizeof word);
    return word;
}

/* Times without a time zone are allocated without its member (Modules/_datetimemodule.c). */
static bool may_lack_time_zone(const struct mt_type *type) {
    const struct mt_plain *plain = type->plain;
    return plain &&
           (plain->size == MT_FIELD_PyDateTime_Time__sizeof || plain->size == MT_FIELD_PyDateTime_DateTime__sizeof);
}

/* Bytes that the smallest instance has. A str without its text's pointer is shorter than tp_basicsize says. */
static uint64_t least_size(const struct build *build, const struct mt_type *type) {
    if (type->kind == MT_KIND_STR)
        return (uint64_t)MT_AT(&build->python->layout, PyASCIIObject, sizeof);
    return (uint64_t)type->basic_size - (may_lack_time_zone(type) ? sizeof(uint64_t) : 0);
}

/* Do as many items as the object says fit into its block? */
static bool has_room_for_items(const struct mt_type *type, const uint8_t *object, size_t held, uint64_t room) {
    if (type->kind != MT_KIND_TUPLE && type->kind != MT_KIND_BYTES)
        return true;
    return held >= MT_VAR_OBJECT_SIZE &&
           word_at(object, MT_OB_SIZE) <=
               (room - (uint64_t)type->basic_size) / (uint64_t)(type->item_size ? type->item_size : 1);
}

/* An object that the collector says it watches must have been in one of its lists, which were walked before. */
static bool is_strayed(const struct build *build, const struct mt_type *type, const uint8_t *object) {
    return type->has_gc && !build->census->lists_damaged && word_at(object - MT_GC_HEAD_SIZE, 0) != 0;
}

/* Is there an object `header` bytes into this block? `bytes`: its first `size` ones. */
static enum candidate judge(struct build *build, uint64_t block, const uint8_t *bytes, size_t held, uint64_t room,
                            unsigned header) {
    if (held < header + MT_OBJECT_SIZE)
        return NOT_AN_OBJECT;
    const struct mt_type *type = type_of(build, word_at(bytes, header + MT_OB_TYPE));
    if (!type || type->header != header || least_size(build, type) > room - header)
        return NOT_AN_OBJECT;
    if (type->has_gc && !(is_link(word_at(bytes, header - 16)) && is_link(word_at(bytes, header - 8))))
        return NOT_AN_OBJECT;
    if (!has_room_for_items(type, bytes + header, held - header, room - header) ||
        (is_strayed(build, type, bytes + header) && !is_in(build, block + header)))
        return NOT_AN_OBJECT;
    return judge_refcount(build, block + header, word_at(bytes, header + MT_OB_REFCNT));
}

/* Adds the object that this block holds, if it holds one. The smallest header that fits is right: a tuple of classes
 * can look like an object at a larger one. */
static void take_block(struct build *build, uint64_t block, const uint8_t *bytes, size_t held, uint64_t room,
                       uint64_t *counter) {
    for (unsigned header = 0; header <= MAX_HEADER && header + MT_OBJECT_SIZE <= room; header += 16) {
        enum candidate found = judge(build, block, bytes, held, room, header);
        if (found == NOT_AN_OBJECT)
            continue;
        if (found == DEAD_OBJECT)
            build->census->free_objects++;
        else if (add(build, block + header))
            ++*counter;
        return;
    }
}

/* --- what the allocators tell
 * ----------------------------------------------------------------------------------------- */

static struct mt_error *take_pool(void *context, const struct mt_pymalloc_pool *pool, const uint8_t *bytes) {
    struct build *build = context;
    uint32_t size = pool->block_size, front = build->front;
    if (size <= front + build->back)
        return NULL;
    uint32_t room = size - front - build->back;
    for (uint32_t i = 0; i < pool->carved; i++) {
        uint32_t offset = MT_PYMALLOC_POOL_HEADER + i * size + front;
        if (mt_pymalloc_is_live(pool, i))
            take_block(build, pool->address + offset, bytes + offset, room, room, &build->census->from_pools);
    }
    return build->error;
}

/* Debug hooks wrap twice what is too large for pymalloc: as a block of its own, and as one of malloc's. */
static struct mt_error *take_chunk(void *context, const struct mt_glibc_chunk *chunk) {
    struct build *build = context;
    uint32_t front = 2 * build->front, around = front + 2 * build->back;
    uint8_t bytes[MAX_HEADER + MT_VAR_OBJECT_SIZE];
    if (chunk->own || chunk->size < around + MT_OBJECT_SIZE)
        return NULL;
    uint64_t room = chunk->size - around;
    size_t held = room < sizeof bytes ? (size_t)room : sizeof bytes;
    if (mt_view_read(build->python->view, chunk->address + front, bytes, held))
        take_block(build, chunk->address + front, bytes, held, room, &build->census->from_chunks);
    return build->error;
}

/* Objects that no reference leads to and no list has: garbage without cycles does not exist, but references of C code
 * do. Without pymalloc's arenas the lists and the closure must do. */
static void ask_allocators(struct build *build) {
    struct mt_census *census = build->census;
    struct mt_error *error = mt_pymalloc_open(build->python, build->watch, &census->pymalloc);
    if (error && error->code == MT_ERROR_FORMAT)
        census->pymalloc_problem = error;
    else
        fail(build, error);
    const struct mt_pymalloc *pymalloc = census->pymalloc;
    build->front = pymalloc ? pymalloc->front : 0;
    build->back = pymalloc ? pymalloc->back : 0;
    if (pymalloc && !build->error)
        take_result(build, mt_pymalloc_visit(census->pymalloc, build->watch, take_pool, build, &census->pools));
    if (!build->error)
        fail(build, mt_glibc_open(build->python->view, pymalloc ? pymalloc->extents.data : NULL,
                                  pymalloc ? pymalloc->extents.length : 0, build->watch, &census->glibc));
    if (!build->error)
        take_result(build, mt_glibc_visit(census->glibc, build->watch, take_chunk, build));
}

/* --- the collector's lists ------------------------------------------------------------------------------------------
 */

/* A list that comes back on itself before its head is damaged. */
static void walk_list(struct build *build, uint64_t head) {
    struct mt_census *census = build->census;
    struct mt_view *view = build->python->view;
    uint64_t node;
    if (!mt_view_u64(view, head, &node)) {
        census->lists_damaged = true;
        return;
    }
    for (uint64_t steps = 0; (node &= ~(uint64_t)LINK_TAGS) != head && !build->error; steps++) {
        uint64_t object = node + MT_GC_HEAD_SIZE;
        const uint8_t *bytes = may_be_address(node) ? mt_view_at(view, node, MT_GC_HEAD_SIZE + MT_OBJECT_SIZE) : NULL;
        uint8_t copy[MT_GC_HEAD_SIZE + MT_OBJECT_SIZE];
        if (!bytes && may_be_address(node) && mt_view_read(view, node, copy, sizeof copy))
            bytes = copy; /* across two blocks of the view */
        uint64_t next = bytes ? word_at(bytes, 0) : 0;
        const struct mt_type *type = bytes ? type_of(build, word_at(bytes, MT_GC_HEAD_SIZE + MT_OB_TYPE)) : NULL;
        if (!type || !type->has_gc || !add(build, object)) {
            census->lists_damaged = true;
            return;
        }
        census->from_lists++;
        node = next;
        if (steps % POLL_EVERY == 0)
            fail(build, mt_watch_poll(build->watch, "walking the collector's lists"));
    }
}

static void walk_lists(struct build *build) {
    const struct mt_python *python = build->python;
    const struct mt_python_layout *layout = &python->layout;
    for (size_t i = 0; i < python->interpreters.length && !build->error; i++) {
        uint64_t gc = python->interpreters.data[i] + (uint64_t)MT_AT(layout, PyInterpreterState, gc);
        for (unsigned generation = 0; generation < GENERATIONS; generation++)
            walk_list(build, gc + python->generations + (uint64_t)generation * GENERATION_STRIDE);
        walk_list(build, gc + (uint64_t)MT_AT(layout, _gc_runtime_state, permanent_generation));
    }
}

/* --- the closure over references -------------------------------------------------------------------------------------
 */

/* What a reference leads to and no allocator told: static objects, and those in memory that somebody else's allocator
 * has. */
static void take_target(struct build *build, uint64_t address) {
    uint64_t start;
    uint64_t size;
    bool live;
    struct mt_pymalloc *pymalloc = build->census->pymalloc;
    if (!may_be_address(address) || is_in(build, address))
        return;
    if (pymalloc && mt_pymalloc_block_of(pymalloc, address, &start, &size, &live))
        return; /* a dead object: who refers to it was read amiss, or has let go of it */
    if (mt_object_is_plausible(build->python, address) && add(build, address))
        build->census->from_closure++;
}

static void take_edge(void *context, const struct mt_edge *edge) {
    take_target(context, edge->target);
}

static void take_root(void *context, const struct mt_root *root) {
    if (root->edge.kind == MT_EDGE_ROOT)
        take_target(context, root->edge.target);
}

static void visit_object(struct build *build, uint64_t address) {
    const struct mt_type *type = mt_object_type(build->python, address);
    if (type)
        mt_edges_visit(build->python, address, type, take_edge, build);
}

static void visit_page(struct build *build, const uint64_t *bits, uint64_t number) {
    for (unsigned word = 0; word < 8; word++)
        for (uint64_t left = bits[word]; left != 0; left &= left - 1)
            visit_object(build, (number << PAGE_SHIFT) + 8 * (64 * word + (unsigned)__builtin_ctzll(left)));
}

static void close_over_references(struct build *build) {
    struct mt_census *census = build->census;
    build->closing = true;
    fail(build, mt_roots_visit(build->python, build->watch, take_root, build));
    /* What the pages hold now; what comes to them later is in `to_visit`. Pages move as they grow. */
    size_t pages = census->page_count;
    for (size_t i = 0; i < pages && !build->error; i++) {
        uint64_t bits[8];
        memcpy(bits, census->pages[i].bits, sizeof bits);
        visit_page(build, bits, census->pages[i].number);
        if (i % 64 == 0)
            fail(build, mt_watch_poll(build->watch, "following references"));
    }
    while (build->to_visit.length > 0 && !build->error) {
        uint64_t address = build->to_visit.data[--build->to_visit.length];
        visit_object(build, address);
        if (build->to_visit.length % POLL_EVERY == 0)
            fail(build, mt_watch_poll(build->watch, "following references"));
    }
}

/* --- numbering
 * -------------------------------------------------------------------------------------------------------- */

static int by_number(const void *left, const void *right) {
    const struct mt_census_page *a = left, *b = right;
    return a->number < b->number ? -1 : a->number > b->number;
}

static struct mt_error *number_objects(struct build *build) {
    struct mt_census *census = build->census;
    size_t count = build->count ? (size_t)build->count : 1;
    census->addresses = malloc(count * sizeof *census->addresses);
    census->types = malloc(count * sizeof *census->types);
    if (!census->addresses || !census->types)
        return &mt_error_no_memory;
    if (census->page_count > 0) {
        qsort(census->pages, census->page_count, sizeof *census->pages, by_number);
        if (!rehash(census, census->page_slot_mask + 1))
            return &mt_error_no_memory;
    }
    uint32_t next = 0;
    for (size_t i = 0; i < census->page_count; i++) {
        struct mt_census_page *page = &census->pages[i];
        page->first = next;
        for (unsigned word = 0; word < 8; word++) {
            page->before[word] = (uint16_t)(next - page->first);
            for (uint64_t left = page->bits[word]; left != 0; left &= left - 1) {
                uint64_t address = (page->number << PAGE_SHIFT) + 8 * (64 * word + (unsigned)__builtin_ctzll(left)),
                         type;
                const struct mt_type *known =
                    mt_view_u64(build->python->view, address + MT_OB_TYPE, &type) ? type_of(build, type) : NULL;
                if (!known) { /* read a moment ago, and gone: a target that does not stand still */
                    page->bits[word] &= ~(left & -left);
                    continue;
                }
                census->addresses[next] = address;
                census->types[next++] = known->index;
            }
        }
    }
    census->count = next;
    return NULL;
}

/* --- the census
 * ------------------------------------------------------------------------------------------------------- */

/* With room for objects; NULL: memory is out. */
static struct mt_census *begin(struct build *build, struct mt_python *python, struct mt_watch *watch) {
    struct mt_census *census = calloc(1, sizeof *census);
    *build = (struct build){.census = census, .python = python, .watch = watch};
    build->type_cache = calloc(TYPE_CACHE_SIZE, sizeof *build->type_cache);
    if (!census || !build->type_cache) {
        free(census);
        free(build->type_cache);
        return NULL;
    }
    census->python = python;
    return census;
}

static struct mt_error *finish(struct build *build, struct mt_census **ret) {
    if (!build->error)
        build->error = number_objects(build);
    mt_hash_map_deinit(&build->dead);
    mt_vector_deinit(&build->to_visit);
    free(build->type_cache);
    if (build->error) {
        mt_census_destroy(build->census);
        return build->error;
    }
    *ret = build->census;
    return NULL;
}

struct mt_error *mt_census_create_of(struct mt_python *python, const struct mt_hash_map *addresses,
                                     struct mt_watch *watch, struct mt_census **ret) {
    struct build build;
    size_t cursor = 0;
    uint64_t address, nothing;
    if (!begin(&build, python, watch))
        return &mt_error_no_memory;
    while (!build.error && mt_hash_map_next(addresses, &cursor, &address, &nothing))
        add(&build, address);
    return finish(&build, ret);
}

struct mt_error *mt_census_create(struct mt_python *python, struct mt_watch *watch, struct mt_census **ret) {
    struct build build;
    if (!begin(&build, python, watch))
        return &mt_error_no_memory;
    build.error = mt_free_lists_read(python, &build.dead);
    if (!build.error)
        walk_lists(&build);
    if (!build.error)
        ask_allocators(&build);
    if (!build.error)
        close_over_references(&build);
    return finish(&build, ret);
}

bool mt_census_block_size(void *context, uint64_t address, uint64_t *ret_size) {
    const struct mt_census *census = context;
    uint64_t start;
    bool live;
    if (census->pymalloc && mt_pymalloc_block_of(census->pymalloc, address, &start, ret_size, &live))
        return live && start + census->pymalloc->front == address;
    return mt_glibc_chunk_size(census->python->view, address, ret_size);
}

void mt_census_destroy(struct mt_census *census) {
    if (!census)
        return;
    mt_pymalloc_destroy(census->pymalloc);
    mt_glibc_destroy(census->glibc);
    mt_error_destroy(census->pymalloc_problem);
    free(census->addresses);
    free(census->types);
    free(census->pages);
    free(census->page_slots);
    free(census);
}

/* --- owners
 * ----------------------------------------------------------------------------------------------------------- */

struct owner_search {
    uint64_t address;
    const char *what; /* NULL: not found */
};

static void compare_owned(void *context, const struct mt_owned_block *block) {
    struct owner_search *search = context;
    if (!search->what && search->address - block->address < block->size)
        search->what = block->what;
}

struct mt_error *mt_census_owner(struct mt_census *census, uint64_t address, struct mt_watch *watch, uint32_t *ret,
                                 const char **ret_what) {
    struct owner_search search = {.address = address};
    for (uint32_t i = 0; i < census->count; i++) {
        if (i % POLL_EVERY == 0) {
            struct mt_error *error = mt_watch_poll(watch, "looking for the owner of a block");
            if (error)
                return error;
        }
        mt_object_blocks(census->python, census->addresses[i], mt_census_type(census, i), compare_owned, &search);
        if (search.what) {
            *ret = i;
            *ret_what = search.what;
            return NULL;
        }
    }
    *ret = MT_NO_OBJECT;
    *ret_what = NULL;
    return NULL;
}
