#include "target/view.h"

#include <stdlib.h>

#include "target/regions.h"

#define SLOT_COUNT ((256u << 20) / MT_VIEW_BLOCK)
#define PAGE MT_PAGE
#define PAGES (MT_VIEW_BLOCK / PAGE)
#define EMPTY UINT64_MAX

struct mt_error *mt_view_create(struct mt_target *target, struct mt_view **ret) {
    struct mt_view *view = calloc(1, sizeof(*view));
    struct mt_view_slot *slots = calloc(SLOT_COUNT, sizeof(*slots));
    if (!view || !slots) {
        free(view);
        free(slots);
        return &mt_error_no_memory;
    }
    for (size_t i = 0; i < SLOT_COUNT; i++)
        slots[i].block = EMPTY;
    *view = (struct mt_view){.target = target, .slots = slots, .mask = SLOT_COUNT - 1};
    *ret = view;
    return NULL;
}

void mt_view_destroy(struct mt_view *view) {
    if (!view)
        return;
    for (size_t i = 0; i <= view->mask; i++)
        free(view->slots[i].own);
    free(view->slots);
    free(view);
}

static bool has_pages(const struct mt_view_slot *slot, size_t offset, size_t size) {
    for (size_t page = offset / PAGE; page <= (offset + size - 1) / PAGE; page++)
        if (!(slot->readable & 1u << page))
            return false;
    return true;
}

/* How many of `size` bytes from `address` on are not worth a read: nothing is mapped there. Words that are no addresses
 * are asked about all the time. */
static size_t unmapped(const struct mt_view *view, uint64_t address, size_t size) {
    const struct mt_region *regions = view->target->regions;
    size_t count = view->target->region_count;
    if (!view->target->regions_loaded || count == 0)
        return 0;
    size_t next = mt_region_at_or_above(regions, count, address);
    if (next == count || regions[next].start - address >= size)
        return next < count && regions[next].start <= address ? 0 : size;
    return regions[next].start <= address ? 0 : (size_t)(regions[next].start - address);
}

/* Reads what can be read of a block; a page counts only as a whole. */
static bool fill(struct mt_view *view, struct mt_view_slot *slot, uint64_t block) {
    struct mt_target *target = view->target;
    slot->block = EMPTY;
    slot->readable = 0;
    const uint8_t *lent = target->ops->lend ? target->ops->lend(target, block, &slot->readable) : NULL;
    if (lent) {
        slot->block = block;
        slot->bytes = lent;
        return true;
    }
    if (!slot->own)
        slot->own = malloc(MT_VIEW_BLOCK);
    if (!slot->own)
        return false;
    uint64_t start = block << MT_VIEW_BLOCK_SHIFT;
    slot->bytes = slot->own;
    for (size_t offset = 0; offset < MT_VIEW_BLOCK;) {
        size_t hole = unmapped(view, start + offset, MT_VIEW_BLOCK - offset);
        if (hole > 0) {
            offset += (hole + PAGE - 1) / PAGE * PAGE;
            continue;
        }
        size_t got = target->ops->read(target, start + offset, slot->own + offset, MT_VIEW_BLOCK - offset);
        if (target->interrupted)
            return false;
        for (size_t page = offset / PAGE; page < (offset + got) / PAGE; page++)
            slot->readable |= (uint16_t)(1u << page);
        /* A target may stop at the end of one mapping, and go on when it is asked for the next. */
        offset = got < PAGE ? offset + PAGE : (offset + got) / PAGE * PAGE;
    }
    slot->block = block;
    return true;
}

const uint8_t *mt_view_fetch(struct mt_view *view, uint64_t address, size_t size) {
    size_t offset = (size_t)(address & (MT_VIEW_BLOCK - 1));
    if (size == 0 || size > MT_VIEW_BLOCK - offset)
        return NULL;
    uint64_t block = address >> MT_VIEW_BLOCK_SHIFT;
    struct mt_view_slot *slot = &view->slots[block & view->mask];
    if (slot->block != block && !fill(view, slot, block))
        return NULL;
    return has_pages(slot, offset, size) ? slot->bytes + offset : NULL;
}

bool mt_view_read(struct mt_view *view, uint64_t address, void *buffer, size_t size) {
    uint8_t *out = buffer;
    if (size > 0 && address > UINT64_MAX - (size - 1))
        return false;
    while (size > 0) {
        size_t part = MT_VIEW_BLOCK - (size_t)(address & (MT_VIEW_BLOCK - 1));
        if (part > size)
            part = size;
        const uint8_t *bytes = mt_view_at(view, address, part);
        if (!bytes)
            return false;
        memcpy(out, bytes, part);
        out += part;
        address += part;
        size -= part;
    }
    return true;
}

bool mt_view_string(struct mt_view *view, uint64_t address, char *buffer, size_t size) {
    for (size_t i = 0; i + 1 < size; i++) {
        uint8_t c;
        if (!mt_view_u8(view, address + i, &c))
            return false;
        buffer[i] = (char)c;
        if (c == 0)
            return true;
    }
    buffer[size - 1] = '\0';
    return true;
}
