#include "target/view.h"

#include <stdlib.h>

#include "target/regions.h"

#define MOST_KEPT (256u << 20)
#define LEAST_KEPT (8u << 20) /* where memory is to be saved */
#define PAGE MT_PAGE
#define EMPTY UINT64_MAX

struct mt_error *mt_view_create(struct mt_target *target, struct mt_view **ret) {
    unsigned shift = target->saves_memory ? MT_PAGE_SHIFT : MT_BLOCK_SHIFT;
    size_t count = (target->saves_memory ? LEAST_KEPT : MOST_KEPT) >> shift;
    struct mt_view *view = calloc(1, sizeof(*view));
    struct mt_view_slot *slots = calloc(count, sizeof(*slots));
    if (!view || !slots) {
        free(view);
        free(slots);
        return &mt_error_no_memory;
    }
    for (size_t i = 0; i < count; i++)
        slots[i].block = EMPTY;
    size_t size = (size_t)1 << shift;
    *view = (struct mt_view){.target = target,
                             .slots = slots,
                             .mask = count - 1,
                             .size = size,
                             .whole = (uint16_t)((1u << size / PAGE) - 1),
                             .shift = shift};
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

/* The bytes of a block that the target lends, which may be a part of what it keeps; NULL: it lends none. */
static const uint8_t *borrow(const struct mt_view *view, uint64_t start, uint16_t *ret_readable) {
    struct mt_target *target = view->target;
    const uint8_t *lent = target->ops->lend ? target->ops->lend(target, start >> MT_BLOCK_SHIFT, ret_readable) : NULL;
    size_t offset = (size_t)(start & (MT_BLOCK - 1));
    *ret_readable = lent ? (uint16_t)(*ret_readable >> offset / PAGE & view->whole) : 0;
    return lent ? lent + offset : NULL;
}

/* Reads what can be read of a block; a page counts only as a whole. */
static bool fill(struct mt_view *view, struct mt_view_slot *slot, uint64_t block) {
    struct mt_target *target = view->target;
    slot->block = EMPTY;
    slot->readable = 0;
    uint64_t start = block << view->shift;
    const uint8_t *lent = borrow(view, start, &slot->readable);
    if (lent) {
        slot->block = block;
        slot->bytes = lent;
        return true;
    }
    if (!slot->own)
        slot->own = malloc(view->size);
    if (!slot->own)
        return false;
    slot->bytes = slot->own;
    for (size_t offset = 0; offset < view->size;) {
        size_t hole = unmapped(view, start + offset, view->size - offset);
        if (hole > 0) {
            offset += (hole + PAGE - 1) / PAGE * PAGE;
            continue;
        }
        size_t got = target->ops->read(target, start + offset, slot->own + offset, view->size - offset);
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
    size_t offset = (size_t)(address & (view->size - 1));
    if (size == 0 || size > view->size - offset)
        return NULL;
    uint64_t block = address >> view->shift;
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
        size_t part = view->size - (size_t)(address & (view->size - 1));
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
