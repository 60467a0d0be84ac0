#include "recorder/table.h"

#include <string.h>

#include "recorder/header.h"
#include "recorder/memory.h"
#include "recorder/pool.h"

/* Slot 0 of a page: key 0, so that it reads as empty; value: live slots | local depth << 32. */
#define POSITIONS (MT_TABLE_SLOTS - 1)
#define SPLIT_AT 208
#define DEPTH_MAX 30

static struct mt_table_slot **directory; /* 1 << depth pages, by the top bits of the hash */
static unsigned depth;

static inline uint64_t hash(uint64_t address) {
    return (address >> 10) * 0x9E3779B97F4A7C15u; /* the top bits are the good ones */
}

static inline size_t directory_index(uint64_t h) {
    return (size_t)(h >> 1 >> (63 - depth));
}

static inline unsigned home(uint64_t address, uint64_t h) {
    return (unsigned)((((address >> 4) + (h >> 20)) & 255) * POSITIONS >> 8);
}

static inline unsigned next_position(unsigned position) {
    return position + 1 == POSITIONS ? 0 : position + 1;
}

static inline struct mt_table_slot *slot_at(struct mt_table_slot *page, unsigned position) {
    return &page[position + 1];
}

static inline uint32_t page_count(const struct mt_table_slot *page) {
    return (uint32_t)page[0].value;
}

static inline unsigned page_depth(const struct mt_table_slot *page) {
    return (unsigned)(page[0].value >> 32);
}

static struct mt_table_slot *new_page(unsigned local_depth) {
    struct mt_pool_ref *pages = &mt_shard()->table_pages;
    uint64_t *record = mt_pool_reserve(pages);
    struct mt_table_slot *page = record != NULL ? mt_memory_page() : NULL;
    if (page == NULL)
        return NULL;
    page[0].value = (uint64_t)local_depth << 32;
    *record = (uint64_t)page;
    mt_pool_publish(pages);
    return page;
}

/* Where `address` is or would go: a slot whose key is 0 or the address's. */
static inline struct mt_table_slot *probe(struct mt_table_slot *page, uint64_t address, uint64_t h,
                                          unsigned *ret_position) {
    unsigned position = home(address, h);
    struct mt_table_slot *slot;
    while ((slot = slot_at(page, position))->key != 0 && MT_SLOT_ADDRESS(slot->key) != address)
        position = next_position(position);
    *ret_position = position;
    return slot;
}

static inline void write_slot(struct mt_table_slot *slot, uint64_t key, uint64_t value) {
    slot->value = value;
    __atomic_store_n(&slot->key, key, __ATOMIC_RELEASE);
}

/* Closes the gap that a removal leaves, so that probing needs no tombstones. An entry is copied before its old place is
 * given up: a reader may see it twice, never not at all. */
static void remove_at(struct mt_table_slot *page, unsigned hole) {
    __atomic_store_n(&slot_at(page, hole)->key, 0, __ATOMIC_RELEASE);
    for (unsigned position = next_position(hole);; position = next_position(position)) {
        struct mt_table_slot *slot = slot_at(page, position);
        if (slot->key == 0)
            break;
        uint64_t address = MT_SLOT_ADDRESS(slot->key);
        unsigned wanted = home(address, hash(address));
        bool between = hole < position ? wanted > hole && wanted <= position : wanted > hole || wanted <= position;
        if (between)
            continue;
        write_slot(slot_at(page, hole), slot->key, slot->value);
        __atomic_store_n(&slot->key, 0, __ATOMIC_RELEASE);
        hole = position;
    }
    page[0].value--;
}

static bool double_directory(void) {
    size_t length = (size_t)1 << depth;
    if (depth >= DEPTH_MAX)
        return false;
    struct mt_table_slot **longer = mt_memory_bytes(2 * length * sizeof *longer);
    if (longer == NULL)
        return false;
    for (size_t i = 0; i < length; i++)
        longer[2 * i] = longer[2 * i + 1] = directory[i];
    directory = longer; /* the shorter one is given up: half of what is held at most */
    depth++;
    return true;
}

static bool split(size_t index) {
    struct mt_table_slot *page = directory[index];
    unsigned local = page_depth(page);
    if (local == depth) {
        if (!double_directory())
            return false;
        index *= 2;
    }
    struct mt_table_slot *upper = new_page(local + 1);
    if (upper == NULL)
        return false;
    page[0].value += (uint64_t)1 << 32;
    /* The half of the directory's range for this page whose next hash bit is 1 goes to the new page. */
    size_t span = (size_t)1 << (depth - local);
    size_t first = index & ~(span - 1);
    for (size_t i = first + span / 2; i < first + span; i++)
        directory[i] = upper;
    for (unsigned position = 0; position < POSITIONS;) {
        struct mt_table_slot *slot = slot_at(page, position);
        uint64_t address = MT_SLOT_ADDRESS(slot->key);
        uint64_t h = hash(address);
        if (slot->key == 0 || directory[directory_index(h)] != upper) {
            position++;
            continue;
        }
        unsigned unused;
        write_slot(probe(upper, address, h, &unused), slot->key, slot->value);
        upper[0].value++;
        remove_at(page, position); /* may bring another entry here: look again */
    }
    return true;
}

static struct mt_block read_slot(const struct mt_table_slot *slot) {
    return (struct mt_block){MT_SLOT_ADDRESS(slot->key), MT_SLOT_SIZE(slot->key, slot->value),
                             MT_SLOT_SITE(slot->value)};
}

bool mt_table_insert(const struct mt_block *block, struct mt_block *ret_before) {
    if (directory == NULL) {
        struct mt_table_slot **first = mt_memory_bytes(sizeof *first);
        if (first == NULL || (*first = new_page(0)) == NULL)
            return false;
        directory = first;
        depth = 0;
    }
    uint64_t h = hash(block->address);
    struct mt_table_slot *page = directory[directory_index(h)];
    while (page_count(page) >= SPLIT_AT) {
        if (!split(directory_index(h))) {
            /* Out of memory: a page holds up to its last slot but one, which ends every probe. */
            if (page_count(page) >= POSITIONS - 1)
                return false;
            break;
        }
        page = directory[directory_index(h)];
    }
    unsigned position;
    struct mt_table_slot *slot = probe(page, block->address, h, &position);
    *ret_before = (struct mt_block){0};
    if (slot->key != 0) {
        *ret_before = read_slot(slot);
        __atomic_store_n(&slot->key, 0, __ATOMIC_RELEASE);
    } else {
        page[0].value++;
    }
    write_slot(slot, block->address | block->size >> 32 << 48,
               (uint64_t)block->site << 32 | (block->size & 0xffffffffu));
    return true;
}

bool mt_table_find(uint64_t address, struct mt_block *ret) {
    if (directory == NULL)
        return false;
    uint64_t h = hash(address);
    unsigned unused;
    const struct mt_table_slot *slot = probe(directory[directory_index(h)], address, h, &unused);
    if (slot->key != 0)
        *ret = read_slot(slot);
    return slot->key != 0;
}

bool mt_table_remove(uint64_t address, struct mt_block *ret) {
    if (directory == NULL)
        return false;
    uint64_t h = hash(address);
    struct mt_table_slot *page = directory[directory_index(h)];
    unsigned position;
    struct mt_table_slot *slot = probe(page, address, h, &position);
    if (slot->key == 0)
        return false;
    *ret = read_slot(slot);
    remove_at(page, position);
    return true;
}

void mt_table_clear(void) {
    struct mt_pool_ref *pages = &mt_shard()->table_pages;
    for (uint32_t i = 0; i < pages->count; i++) {
        struct mt_table_slot *page = *(struct mt_table_slot **)mt_pool_at(pages, i);
        uint64_t local_depth = page[0].value >> 32 << 32;
        memset(page, 0, MT_PAGE);
        page[0].value = local_depth;
    }
}
