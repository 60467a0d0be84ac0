/* A target's memory as a reader of whole heaps wants it: by small pieces, very many, from a cache of large ones.
 *
 * Blocks of 64 KiB are fetched as they are touched and at most 256 MiB of them are kept, however large the target is:
 * the process that is looked at may be short of memory already. Where every megabyte counts (`saves_memory` of the
 * target) it is 8 MiB, in blocks of 4 KiB: so little of a heap is kept then that more than what was asked for would be
 * fetched in vain. A target that keeps what it has read itself (behind a slow link) lends its blocks, and nothing is
 * copied. The target stands still as long as a view exists. */
#ifndef MEMTRACE_VIEW_H
#define MEMTRACE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "target/target.h"

#define MT_VIEW_PAGE_SHIFT MT_PAGE_SHIFT

struct mt_view_slot {
    uint64_t block;    /* address >> shift of the view; UINT64_MAX: empty */
    uint16_t readable; /* a bit a page of the block */
    const uint8_t *bytes;
    uint8_t *own; /* memory of the view's, where `bytes` are when the target did not lend them; may be NULL */
};

struct mt_view {
    struct mt_target *target;
    struct mt_view_slot *slots;
    size_t mask;    /* number of slots - 1 */
    size_t size;    /* of a block */
    uint16_t whole; /* `readable` of a block of which all can be read */
    unsigned shift; /* of `size` */
};

struct mt_error *mt_view_create(struct mt_target *target, struct mt_view **ret);
void mt_view_destroy(struct mt_view *view);
/* The slow way of the calls below. */
const uint8_t *mt_view_fetch(struct mt_view *view, uint64_t address, size_t size);
bool mt_view_read(struct mt_view *view, uint64_t address, void *buffer, size_t size);

/* The bytes at `address`, good until the next call with this view; NULL when not all can be read or when they do not
 * lie in one block (mt_view_read crosses blocks). */
static inline const uint8_t *mt_view_at(struct mt_view *view, uint64_t address, size_t size) {
    const struct mt_view_slot *slot = &view->slots[address >> view->shift & view->mask];
    size_t offset = (size_t)(address & (view->size - 1));
    if (slot->block == address >> view->shift && slot->readable == view->whole && size <= view->size - offset)
        return slot->bytes + offset;
    return mt_view_fetch(view, address, size);
}

/* A word of `type`; false when it can't be read, and *ret is then untouched. */
#define MT_VIEW_READ_WORD(name, type)                                                                                  \
    static inline bool name(struct mt_view *view, uint64_t address, type *ret) {                                       \
        const uint8_t *bytes = mt_view_at(view, address, sizeof(type));                                                \
        if (bytes)                                                                                                     \
            memcpy(ret, bytes, sizeof(type));                                                                          \
        return bytes || mt_view_read(view, address, ret, sizeof(type));                                                \
    }
MT_VIEW_READ_WORD(mt_view_u8, uint8_t)
MT_VIEW_READ_WORD(mt_view_u16, uint16_t)
MT_VIEW_READ_WORD(mt_view_u32, uint32_t)
MT_VIEW_READ_WORD(mt_view_u64, uint64_t)
MT_VIEW_READ_WORD(mt_view_i32, int32_t)
MT_VIEW_READ_WORD(mt_view_i64, int64_t)
#undef MT_VIEW_READ_WORD

/* A NUL-terminated string of at most `size` - 1 bytes; what is longer is cut. False: unreadable. */
bool mt_view_string(struct mt_view *view, uint64_t address, char *buffer, size_t size);

#endif
