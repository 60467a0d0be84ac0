#include "allocators/pymalloc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "allocators/glibc.h"
#include "base/cleanup.h"

#define PAGE 4096u
#define LARGEST_ARENA (2u << 20)
#define SIZE_CLASSES (MT_PYMALLOC_LARGEST / MT_PYMALLOC_SMALLEST)
#define SMALL_POOL 4096u
#define FIRST_WITH_LARGE_POOLS 10
#define FIRST_WITH_STATE 12 /* of the allocator, in the interpreter */
#define FIRST_WITH_STATE_POINTER 13

/* --- a pool --------------------------------------------------------------------------------------------------------
 */

enum pool_state { POOL_UNUSED, POOL_USED, POOL_BAD };

static uint32_t word_at(const uint8_t *bytes, int64_t offset) {
    uint32_t word;
    memcpy(&word, bytes + offset, sizeof word);
    return word;
}

/* Its header, of which no part contradicts another. */
static enum pool_state read_header(const struct mt_python_layout *layout, const uint8_t *bytes, uint32_t pool_size,
                                   struct mt_pymalloc_pool *ret) {
    uint32_t counted = word_at(bytes, MT_AT(layout, pool_header, ref_count));
    uint32_t size_class = word_at(bytes, MT_AT(layout, pool_header, szidx));
    uint32_t next_offset = word_at(bytes, MT_AT(layout, pool_header, nextoffset));
    if (counted == 0)
        return POOL_UNUSED;
    uint32_t size = (size_class + 1) * MT_PYMALLOC_SMALLEST;
    if (size_class >= SIZE_CLASSES || word_at(bytes, MT_AT(layout, pool_header, maxnextoffset)) != pool_size - size ||
        next_offset < MT_PYMALLOC_POOL_HEADER + size || next_offset > pool_size ||
        (next_offset - MT_PYMALLOC_POOL_HEADER) % size || counted > (next_offset - MT_PYMALLOC_POOL_HEADER) / size)
        return POOL_BAD;
    ret->block_size = size;
    ret->carved = (next_offset - MT_PYMALLOC_POOL_HEADER) / size;
    ret->counted = counted;
    return POOL_USED;
}

static void mark_all_live(struct mt_pymalloc_pool *pool) {
    memset(pool->live, 0, sizeof pool->live);
    for (uint32_t i = 0; i < pool->carved / 64; i++)
        pool->live[i] = UINT64_MAX;
    if (pool->carved % 64)
        pool->live[pool->carved / 64] = (UINT64_C(1) << pool->carved % 64) - 1;
    pool->used = pool->carved;
}

/* Takes the free blocks out. Ends at the latest when all are: a block that is met again breaks the chain. */
static bool follow_free_chain(const uint8_t *bytes, uint64_t free_block, struct mt_pymalloc_pool *pool) {
    uint64_t blocks = pool->address + MT_PYMALLOC_POOL_HEADER;
    uint32_t blocks_size = pool->carved * pool->block_size;
    while (free_block) {
        uint64_t offset = free_block - blocks;
        if (offset >= blocks_size || (uint32_t)offset % pool->block_size)
            return false;
        uint32_t block = (uint32_t)offset / pool->block_size;
        if (!mt_pymalloc_is_live(pool, block))
            return false;
        pool->live[block / 64] &= ~(UINT64_C(1) << block % 64);
        pool->used--;
        memcpy(&free_block, bytes + MT_PYMALLOC_POOL_HEADER + offset, sizeof free_block);
    }
    return true;
}

static enum pool_state decode_pool(const struct mt_pymalloc *pymalloc, const struct mt_pymalloc_arena *arena,
                                   uint64_t address, const uint8_t *bytes, struct mt_pymalloc_pool *ret) {
    const struct mt_python_layout *layout = &pymalloc->python->layout;
    enum pool_state state = read_header(layout, bytes, pymalloc->pool_size, ret);
    if (state == POOL_USED && word_at(bytes, MT_AT(layout, pool_header, arenaindex)) != arena->number)
        state = POOL_BAD;
    if (state != POOL_USED)
        return state;
    uint64_t free_block;
    memcpy(&free_block, bytes + MT_AT(layout, pool_header, freeblock), sizeof free_block);
    ret->address = address;
    mark_all_live(ret);
    ret->damaged = !follow_free_chain(bytes, free_block, ret);
    if (ret->damaged)
        mark_all_live(ret);
    return POOL_USED;
}

/* --- tables of arenas ----------------------------------------------------------------------------------------------
 */

/* Entries of one table: 16 TiB of arenas. */
#define TABLE_MAX (1u << 24)
/* That are looked at where it is not known how many there are. */
#define TABLE_UNKNOWN_MAX (1u << 16)

struct entry {
    uint64_t address;
    uint64_t pool_address; /* the first pool that was never used */
    uint32_t free_pools;
    uint32_t pools;
};

static bool read_entry(const struct mt_python *python, uint64_t table, uint64_t number, struct entry *ret) {
    const struct mt_python_layout *layout = &python->layout;
    uint64_t at = table + number * (uint64_t)MT_AT(layout, arena_object, sizeof);
    return mt_view_u64(python->view, at + (uint64_t)MT_AT(layout, arena_object, address), &ret->address) &&
           mt_view_u64(python->view, at + (uint64_t)MT_AT(layout, arena_object, pool_address), &ret->pool_address) &&
           mt_view_u32(python->view, at + (uint64_t)MT_AT(layout, arena_object, nfreepools), &ret->free_pools) &&
           mt_view_u32(python->view, at + (uint64_t)MT_AT(layout, arena_object, ntotalpools), &ret->pools);
}

static uint64_t first_pool(const struct mt_pymalloc *pymalloc, uint64_t arena) {
    return (arena + pymalloc->pool_size - 1) & ~(uint64_t)(pymalloc->pool_size - 1);
}

static bool is_arena(const struct mt_pymalloc *pymalloc, const struct entry *entry) {
    uint64_t first = first_pool(pymalloc, entry->address);
    return entry->address && entry->address % PAGE == 0 && entry->pools > 0 &&
           entry->pools <= LARGEST_ARENA / pymalloc->pool_size && entry->free_pools <= entry->pools &&
           entry->pool_address >= first && entry->pool_address % pymalloc->pool_size == 0 &&
           entry->pool_address - first <= (uint64_t)entry->pools * pymalloc->pool_size;
}

static bool add_arena(struct mt_pymalloc *pymalloc, const struct entry *entry, uint32_t number) {
    uint64_t pools_start = first_pool(pymalloc, entry->address);
    /* An arena that is not aligned loses one pool. */
    uint64_t pools = entry->pools + (pools_start != entry->address);
    return mt_vector_push(&pymalloc->arenas, ((struct mt_pymalloc_arena){
                                                 .start = entry->address,
                                                 .end = entry->address + pools * pymalloc->pool_size,
                                                 .pools_start = pools_start,
                                                 .pools_end = entry->pool_address,
                                                 .number = number,
                                             }));
}

/* Entries whose address is 0 have no arena at present. `count` 0: it is not known how many there are, and what lies
 * behind the table is no damage. */
static struct mt_error *add_table(struct mt_pymalloc *pymalloc, struct mt_watch *watch, uint64_t table,
                                  uint64_t count) {
    struct entry entry;
    bool is_known = count > 0;
    uint64_t limit = !is_known ? TABLE_UNKNOWN_MAX : count < TABLE_MAX ? count : TABLE_MAX;
    for (uint32_t i = 0; i < limit; i++) {
        struct mt_error *error = i % PAGE ? NULL : mt_watch_poll(watch, "reading Python's arenas");
        if (error)
            return error;
        if (!read_entry(pymalloc->python, table, i, &entry)) {
            pymalloc->damaged |= is_known;
            return NULL;
        }
        if (is_arena(pymalloc, &entry)) {
            if (!add_arena(pymalloc, &entry, i))
                return &mt_error_no_memory;
        } else if (entry.address) {
            pymalloc->damaged |= is_known;
        }
    }
    return NULL;
}

/* 3.12: the state is a part of the interpreter. 3.13 and later: a pointer to it, the same in all interpreters that
 * share one. */
static uint64_t state_of(const struct mt_python *python, uint64_t interpreter) {
    uint64_t state = interpreter + (uint64_t)MT_AT(&python->layout, PyInterpreterState, obmalloc);
    if (python->minor >= FIRST_WITH_STATE_POINTER && !mt_view_u64(python->view, state, &state))
        return 0;
    return state;
}

static bool is_known(const uint64_t *states, size_t count, uint64_t state) {
    for (size_t i = 0; i < count; i++)
        if (states[i] == state)
            return true;
    return false;
}

static struct mt_error *add_interpreters(struct mt_pymalloc *pymalloc, struct mt_watch *watch) {
    const struct mt_python *python = pymalloc->python;
    size_t count = python->interpreters.length, known = 0;
    MT_AUTO_FREE uint64_t *states = calloc(count + 1, sizeof *states);
    if (!states)
        return &mt_error_no_memory;
    for (size_t i = 0; i < count; i++) {
        uint64_t table, raw_blocks, state = state_of(python, python->interpreters.data[i]);
        uint32_t length;
        if (!state || is_known(states, known, state))
            continue;
        states[known++] = state;
        uint64_t management = state + (uint64_t)MT_AT(&python->layout, _obmalloc_state, mgmt);
        if (!mt_view_u64(python->view, management + (uint64_t)MT_AT(&python->layout, _obmalloc_mgmt, arenas), &table) ||
            !mt_view_u32(python->view, management + (uint64_t)MT_AT(&python->layout, _obmalloc_mgmt, maxarenas),
                         &length) ||
            !mt_view_u64(python->view,
                         management + (uint64_t)MT_AT(&python->layout, _obmalloc_mgmt, raw_allocated_blocks),
                         &raw_blocks)) {
            pymalloc->damaged = true;
            continue;
        }
        pymalloc->raw_blocks += raw_blocks;
        struct mt_error *error = table && length ? add_table(pymalloc, watch, table, length) : NULL;
        if (error)
            return error;
    }
    pymalloc->knows_raw_blocks = true;
    return NULL;
}

/* --- 3.9 to 3.11: the table has no known place ---------------------------------------------------------------------
 */

/* Objects that live as long as the interpreter: dicts, which are small enough for pymalloc. */
#define KNOWN_MAX 3u

static unsigned known_objects(const struct mt_python *python, uint64_t objects[static KNOWN_MAX]) {
    const struct mt_python_layout *layout = &python->layout;
    if (!python->interpreters.length)
        return 0;
    uint64_t interpreter = python->interpreters.data[python->interpreters.length - 1];
    const int64_t places[KNOWN_MAX] = {
        MT_HAS(layout, PyInterpreterState, modules) ? MT_AT(layout, PyInterpreterState, modules)
                                                    : MT_AT(layout, PyInterpreterState, imports_modules),
        MT_AT(layout, PyInterpreterState, sysdict),
        MT_AT(layout, PyInterpreterState, builtins),
    };
    unsigned count = 0;
    for (unsigned i = 0; i < KNOWN_MAX; i++)
        if (mt_view_u64(python->view, interpreter + (uint64_t)places[i], &objects[count]) && objects[count])
            count++;
    return count;
}

/* What a known object's pool says of itself. */
struct known_pool {
    uint64_t address;
    uint32_t arena;
};

static unsigned known_pools(const struct mt_pymalloc *pymalloc, struct known_pool pools[static KNOWN_MAX]) {
    const struct mt_python *python = pymalloc->python;
    uint64_t objects[KNOWN_MAX];
    unsigned object_count = known_objects(python, objects), count = 0;
    for (unsigned i = 0; i < object_count; i++) {
        struct mt_pymalloc_pool pool;
        uint64_t address = objects[i] & ~(uint64_t)(pymalloc->pool_size - 1);
        const uint8_t *bytes = mt_view_at(python->view, address, pymalloc->pool_size);
        if (bytes && read_header(&python->layout, bytes, pymalloc->pool_size, &pool) == POOL_USED)
            pools[count++] =
                (struct known_pool){address, word_at(bytes, MT_AT(&python->layout, pool_header, arenaindex))};
    }
    return count;
}

static bool is_table_of(const struct mt_pymalloc *pymalloc, uint64_t table, const struct known_pool *pools,
                        unsigned count) {
    struct entry entry;
    for (unsigned i = 0; i < count; i++)
        if (pools[i].arena >= TABLE_MAX || !read_entry(pymalloc->python, table, pools[i].arena, &entry) ||
            !is_arena(pymalloc, &entry) || pools[i].address < entry.address || pools[i].address >= entry.pool_address)
            return false;
    return true;
}

/* Pointers to the table, such as the variable `arenas`, in the module's writable data: all the same, or it is not the
 * table. 0: none. */
static struct mt_error *search_table(const struct mt_pymalloc *pymalloc, struct mt_watch *watch,
                                     const struct known_pool *pools, unsigned count, uint64_t *ret) {
    const struct mt_python *python = pymalloc->python;
    uint64_t found = 0;
    for (uint64_t at = (python->module_start + sizeof found - 1) & ~(sizeof found - 1); at < python->module_end;
         at += sizeof found) {
        uint64_t table;
        struct mt_error *error = at % PAGE ? NULL : mt_watch_poll(watch, "looking for Python's arenas");
        if (error)
            return error;
        if (!mt_view_u64(python->view, at, &table) || !table || table % MT_PYMALLOC_SMALLEST || table == found ||
            !is_table_of(pymalloc, table, pools, count))
            continue;
        if (found)
            return mt_error_create(MT_ERROR_FORMAT,
                                   "pymalloc's arenas: both 0x%" PRIx64 " and 0x%" PRIx64 " look like their table",
                                   found, table);
        found = table;
    }
    *ret = found;
    return NULL;
}

/* The table is a block of malloc, and glibc's knows its size. 0: it does not. */
static uint64_t table_length(const struct mt_pymalloc *pymalloc, uint64_t table) {
    uint64_t bytes, start = table - pymalloc->front;
    if (!mt_glibc_chunk_size(pymalloc->python->view, start, &bytes) || bytes < pymalloc->front + pymalloc->back)
        return 0;
    return (bytes - pymalloc->front - pymalloc->back) /
           (uint64_t)MT_AT(&pymalloc->python->layout, arena_object, sizeof);
}

static struct mt_error *add_searched(struct mt_pymalloc *pymalloc, struct mt_watch *watch) {
    struct known_pool pools[KNOWN_MAX];
    unsigned count = known_pools(pymalloc, pools);
    if (!count)
        return NULL; /* no pools: some other allocator */
    uint64_t table = 0;
    struct mt_error *error = search_table(pymalloc, watch, pools, count, &table);
    if (error || !table)
        return error;
    return add_table(pymalloc, watch, table, table_length(pymalloc, table));
}

/* --- debug hooks ---------------------------------------------------------------------------------------------------
 */

/* In front of what was asked for: its size, with the most significant byte first, a letter for the domain, seven guard
 * bytes; behind it eight more, and in some builds a serial number. */
#define HOOK_WORD 8u
#define HOOK_FRONT (2 * HOOK_WORD)
#define GUARD 0xfd
#define GC_HEADER 16u

/* The size that was asked for, of a block that is made so; false: it is not. */
static bool hooked_size(const uint8_t front[static HOOK_FRONT], uint64_t *ret) {
    uint64_t size = 0;
    for (unsigned i = 0; i < HOOK_WORD; i++)
        size = size << 8 | front[i];
    for (unsigned i = HOOK_WORD + 1; i < HOOK_FRONT; i++)
        if (front[i] != GUARD)
            return false;
    uint8_t domain = front[HOOK_WORD];
    *ret = size;
    return domain == 'o' || domain == 'm' || domain == 'r';
}

static bool has_debug_hooks(const struct mt_python *python) {
    uint64_t objects[KNOWN_MAX], size;
    unsigned count = known_objects(python, objects), hooked = 0;
    for (unsigned i = 0; i < count; i++) {
        uint8_t front[HOOK_FRONT];
        if (mt_view_read(python->view, objects[i] - GC_HEADER - HOOK_FRONT, front, sizeof front))
            hooked += hooked_size(front, &size);
    }
    return count && hooked * 2 > count;
}

static uint32_t rounded(uint64_t size) {
    return (uint32_t)((size + MT_PYMALLOC_SMALLEST - 1) / MT_PYMALLOC_SMALLEST * MT_PYMALLOC_SMALLEST);
}

/* Counts blocks that are as large as with a guard behind, and those as large as with a serial number too. Most sizes
 * fit both and say nothing. */
static void count_backs(const struct mt_pymalloc_pool *pool, const uint8_t *bytes, unsigned *plain, unsigned *serial) {
    for (uint32_t i = 0; i < pool->carved; i++) {
        uint64_t size;
        if (!mt_pymalloc_is_live(pool, i) ||
            !hooked_size(bytes + MT_PYMALLOC_POOL_HEADER + (size_t)i * pool->block_size, &size) ||
            size > MT_PYMALLOC_LARGEST)
            continue;
        bool fits_plain = rounded(HOOK_FRONT + size + HOOK_WORD) == pool->block_size;
        bool fits_serial = rounded(HOOK_FRONT + size + 2 * HOOK_WORD) == pool->block_size;
        *plain += fits_plain && !fits_serial;
        *serial += fits_serial && !fits_plain;
    }
}

/* --- proof ---------------------------------------------------------------------------------------------------------
 */

#define SAMPLED_POOLS 64u

/* Counts blocks in use in pools from all over the arenas, and compares with what the pools say. Some may differ, being
 * changed at this moment or damaged; but not many. */
static struct mt_error *prove_pools(struct mt_pymalloc *pymalloc) {
    uint64_t pools = 0, position = 0;
    for (size_t i = 0; i < pymalloc->arenas.length; i++)
        pools += (pymalloc->arenas.data[i].pools_end - pymalloc->arenas.data[i].pools_start) / pymalloc->pool_size;
    unsigned sampled = 0, good = 0, plain = 0, serial = 0;
    for (size_t i = 0; i < pymalloc->arenas.length; i++) {
        const struct mt_pymalloc_arena *arena = &pymalloc->arenas.data[i];
        for (uint64_t at = arena->pools_start; at < arena->pools_end; at += pymalloc->pool_size) {
            if (position++ % (pools / SAMPLED_POOLS + 1))
                continue;
            struct mt_pymalloc_pool pool;
            const uint8_t *bytes = mt_view_at(pymalloc->python->view, at, pymalloc->pool_size);
            enum pool_state state = bytes ? decode_pool(pymalloc, arena, at, bytes, &pool) : POOL_UNUSED;
            sampled += state != POOL_UNUSED;
            good += state == POOL_USED && !pool.damaged && pool.used == pool.counted;
            if (state == POOL_USED && pymalloc->debug_hooks)
                count_backs(&pool, bytes, &plain, &serial);
        }
    }
    if (sampled - good > 1 + sampled / 4)
        return mt_error_create(
            MT_ERROR_FORMAT,
            "pymalloc's pools: of %u that were counted, only %u have as many blocks in use as they say", sampled, good);
    if (serial > plain)
        pymalloc->back += HOOK_WORD;
    return NULL;
}

/* The arena whose pools contain `address`; NULL: none. */
static const struct mt_pymalloc_arena *arena_of(const struct mt_pymalloc *pymalloc, uint64_t address) {
    size_t low = 0, high = pymalloc->arenas.length;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (pymalloc->arenas.data[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low)
        return NULL;
    const struct mt_pymalloc_arena *arena = &pymalloc->arenas.data[low - 1];
    return address >= arena->pools_start && address < arena->pools_end ? arena : NULL;
}

/* The pools of known objects must be among those that were found. */
static struct mt_error *prove_arenas(const struct mt_pymalloc *pymalloc) {
    struct known_pool pools[KNOWN_MAX];
    unsigned count = known_pools(pymalloc, pools);
    for (unsigned i = 0; i < count; i++) {
        const struct mt_pymalloc_arena *arena = arena_of(pymalloc, pools[i].address);
        if (!arena || arena->number != pools[i].arena)
            return mt_error_create(MT_ERROR_FORMAT,
                                   "pymalloc's arenas: the pool at 0x%" PRIx64
                                   ", of sys.modules, sys or builtins, is in"
                                   " none of the %zu that were found",
                                   pools[i].address, pymalloc->arenas.length);
    }
    return NULL;
}

/* --- opening -------------------------------------------------------------------------------------------------------
 */

static int by_start(const void *left, const void *right) {
    const struct mt_pymalloc_arena *a = left, *b = right;
    return a->start < b->start ? -1 : a->start > b->start;
}

/* In order, and no byte twice. */
static bool settle(struct mt_pymalloc *pymalloc) {
    size_t count = pymalloc->arenas.length, kept = 0;
    if (count)
        qsort(pymalloc->arenas.data, count, sizeof *pymalloc->arenas.data, by_start);
    for (size_t i = 0; i < count; i++) {
        struct mt_pymalloc_arena arena = pymalloc->arenas.data[i];
        if (kept && arena.start < pymalloc->arenas.data[kept - 1].end) {
            pymalloc->damaged = true;
            continue;
        }
        pymalloc->arenas.data[kept++] = arena;
        if (!mt_vector_push(&pymalloc->extents, ((struct mt_extent){arena.start, arena.end})))
            return false;
    }
    pymalloc->arenas.length = kept;
    return true;
}

static struct mt_error *find_all(struct mt_pymalloc *pymalloc, struct mt_watch *watch) {
    const struct mt_python *python = pymalloc->python;
    pymalloc->pool_size = python->minor < FIRST_WITH_LARGE_POOLS ? SMALL_POOL : MT_PYMALLOC_POOL_MAX;
    pymalloc->debug_hooks = has_debug_hooks(python);
    pymalloc->front = pymalloc->debug_hooks ? HOOK_FRONT : 0;
    pymalloc->back = pymalloc->debug_hooks ? HOOK_WORD : 0;
    struct mt_error *error =
        python->minor >= FIRST_WITH_STATE ? add_interpreters(pymalloc, watch) : add_searched(pymalloc, watch);
    if (!error && !settle(pymalloc))
        error = &mt_error_no_memory;
    if (!error)
        error = prove_arenas(pymalloc);
    return error ? error : prove_pools(pymalloc);
}

struct mt_error *mt_pymalloc_open(const struct mt_python *python, struct mt_watch *watch, struct mt_pymalloc **ret) {
    struct mt_pymalloc *pymalloc = calloc(1, sizeof *pymalloc);
    if (!pymalloc)
        return &mt_error_no_memory;
    pymalloc->python = python;
    pymalloc->remembered = calloc(MT_PYMALLOC_REMEMBERED, sizeof *pymalloc->remembered);
    struct mt_error *error = pymalloc->remembered ? find_all(pymalloc, watch) : &mt_error_no_memory;
    if (error) {
        mt_pymalloc_destroy(pymalloc);
        return error;
    }
    *ret = pymalloc;
    return NULL;
}

void mt_pymalloc_destroy(struct mt_pymalloc *pymalloc) {
    if (!pymalloc)
        return;
    mt_vector_deinit(&pymalloc->arenas);
    mt_vector_deinit(&pymalloc->extents);
    free(pymalloc->remembered);
    free(pymalloc);
}

/* --- all pools -----------------------------------------------------------------------------------------------------
 */

struct visit {
    struct mt_pymalloc *pymalloc;
    mt_pymalloc_visit_pool *visit;
    void *context;
    uint8_t *bytes; /* of the pool */
    struct mt_pymalloc_totals totals;
};

static struct mt_error *visit_pool(struct visit *visit, const struct mt_pymalloc_arena *arena, uint64_t address) {
    struct mt_pymalloc_totals *totals = &visit->totals;
    struct mt_pymalloc_pool pool;
    if (!mt_view_read(visit->pymalloc->python->view, address, visit->bytes, visit->pymalloc->pool_size)) {
        totals->unreadable_pools++;
        return NULL;
    }
    enum pool_state state = decode_pool(visit->pymalloc, arena, address, visit->bytes, &pool);
    totals->damaged_pools += state == POOL_BAD || (state == POOL_USED && pool.damaged);
    if (state != POOL_USED)
        return NULL;
    totals->pools++;
    totals->blocks += pool.used;
    totals->block_bytes += (uint64_t)pool.used * pool.block_size;
    totals->miscounted_pools += pool.used != pool.counted;
    return visit->visit ? visit->visit(visit->context, &pool, visit->bytes) : NULL;
}

static struct mt_error *visit_all(struct visit *visit, struct mt_watch *watch) {
    struct mt_pymalloc *pymalloc = visit->pymalloc;
    for (size_t i = 0; i < pymalloc->arenas.length; i++) {
        const struct mt_pymalloc_arena *arena = &pymalloc->arenas.data[i];
        visit->totals.arena_bytes += arena->end - arena->start;
        for (uint64_t at = arena->pools_start; at < arena->pools_end; at += pymalloc->pool_size) {
            struct mt_error *error = mt_watch_poll(watch, "reading Python's arenas");
            if (!error)
                error = visit_pool(visit, arena, at);
            if (error)
                return error;
        }
    }
    visit->totals.arenas = pymalloc->arenas.length;
    visit->totals.pool_bytes = visit->totals.pools * pymalloc->pool_size;
    visit->totals.free_bytes = visit->totals.arena_bytes - visit->totals.block_bytes;
    return NULL;
}

struct mt_error *mt_pymalloc_visit(struct mt_pymalloc *pymalloc, struct mt_watch *watch, mt_pymalloc_visit_pool *visit,
                                   void *context, struct mt_pymalloc_totals *totals) {
    MT_AUTO_FREE uint8_t *bytes = malloc(pymalloc->pool_size);
    if (!bytes)
        return &mt_error_no_memory;
    struct visit walk = {.pymalloc = pymalloc, .visit = visit, .context = context, .bytes = bytes};
    struct mt_error *error = visit_all(&walk, watch);
    if (!error && totals)
        *totals = walk.totals;
    return error;
}

/* --- one address ---------------------------------------------------------------------------------------------------
 */

/* NULL: no pool in use begins there. */
static const struct mt_pymalloc_pool *pool_at(struct mt_pymalloc *pymalloc, const struct mt_pymalloc_arena *arena,
                                              uint64_t address) {
    struct mt_pymalloc_pool *pool = &pymalloc->remembered[address / pymalloc->pool_size % MT_PYMALLOC_REMEMBERED];
    if (pool->address == address)
        return pool;
    const uint8_t *bytes = mt_view_at(pymalloc->python->view, address, pymalloc->pool_size);
    struct mt_pymalloc_pool decoded;
    if (!bytes || decode_pool(pymalloc, arena, address, bytes, &decoded) != POOL_USED)
        return NULL;
    *pool = decoded;
    return pool;
}

bool mt_pymalloc_block_of(struct mt_pymalloc *pymalloc, uint64_t address, uint64_t *ret_start, uint64_t *ret_size,
                          bool *ret_live) {
    const struct mt_pymalloc_arena *arena = arena_of(pymalloc, address);
    uint64_t pool_address = address & ~(uint64_t)(pymalloc->pool_size - 1);
    uint64_t offset = address - pool_address;
    const struct mt_pymalloc_pool *pool = arena ? pool_at(pymalloc, arena, pool_address) : NULL;
    if (!pool || offset < MT_PYMALLOC_POOL_HEADER)
        return false;
    uint32_t block = (uint32_t)(offset - MT_PYMALLOC_POOL_HEADER) / pool->block_size;
    if (block >= pool->carved)
        return false;
    *ret_start = pool_address + MT_PYMALLOC_POOL_HEADER + (uint64_t)block * pool->block_size;
    *ret_size = pool->block_size;
    *ret_live = mt_pymalloc_is_live(pool, block);
    return true;
}
