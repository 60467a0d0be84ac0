#include "python/object.h"

#include <string.h>

/* Include/object.h, Include/refcount.h: 3.12+ tests the lower half of the word for immortality as a signed number. */
#define IMMORTAL_BIT 0x80000000u
/* More references than that fit no memory: 3.11 starts the objects of the runtime at 999,999,999. */
#define MAX_COUNT ((uint64_t)1 << 36)
/* Include/internal/pycore_long.h: the lowest bits of lv_tag are the sign and, in 3.14+, a flag. */
#define INT_TAG_SHIFT 3
/* Include/internal/pycore_gc.h: PyGC_Head stands right before the object; the lowest bits of its links are flags. */
enum { GC_HEAD_NEXT = 0, GC_HEAD_PREVIOUS = 8, GC_LINK_FLAGS = 3, GC_FINALIZED = 1 };

/* Static objects of 3.11 begin with _PyObject_IMMORTAL_REFCNT, 999999999, and references add to it: Include/internal/
 * pycore_object.h. */
#define LEAST_STATIC_COUNT_3_11 900000000u

struct mt_refcount mt_refcount_of(const struct mt_python *python, uint64_t word) {
    if (python->minor < 12)
        return (struct mt_refcount){.count = word, .immortal = python->minor == 11 && word >= LEAST_STATIC_COUNT_3_11};
    /* 3.12 and 3.13 start immortal objects at 2^32 - 1, and an extension that was built for the stable ABI of an older
     * version counts on from there over the whole word. */
    bool immortal = python->minor < 14 ? word >= IMMORTAL_BIT : (word & IMMORTAL_BIT) != 0;
    return (struct mt_refcount){.count = (uint32_t)word, .immortal = immortal};
}

bool mt_object_refcount(struct mt_python *python, uint64_t address, struct mt_refcount *ret) {
    uint64_t word;
    if (!mt_view_u64(python->view, address + MT_OB_REFCNT, &word))
        return false;
    *ret = mt_refcount_of(python, word);
    return true;
}

const struct mt_type *mt_object_type(struct mt_python *python, uint64_t address) {
    uint64_t type;
    return mt_view_u64(python->view, address + MT_OB_TYPE, &type) ? mt_types_get(python->types, type) : NULL;
}

static bool is_int(const struct mt_type *type) {
    return type->kind == MT_KIND_INT || type->kind == MT_KIND_BOOL;
}

uint64_t mt_object_item_count(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    int64_t size;
    if (!mt_view_i64(python->view, address + MT_OB_SIZE, &size))
        return 0;
    uint64_t count = (uint64_t)size;
    if (is_int(type) && python->minor >= 12)
        count >>= INT_TAG_SHIFT;
    else if (size < 0)
        count = is_int(type) ? 0 - count : 0;
    uint64_t item_size = type->item_size > 0 ? (uint64_t)type->item_size : 1;
    return count <= MT_ADDRESS_LIMIT / item_size ? count : 0;
}

/* 3.14+: the first word is {count: 32 bits, overflow: 16, flags: 16}, where no overflow is ever counted; a dead object
 * that is kept for reuse has a pointer there (Include/internal/pycore_freelist.h), whose upper bits would be one. */
static bool is_sane_count(const struct mt_python *python, uint64_t word) {
    struct mt_refcount refcount = mt_refcount_of(python, word);
    if (python->minor >= 14)
        return (refcount.count > 0 || refcount.immortal) && (word >> 32 & 0xffff) == 0;
    return word > 0 && word < MAX_COUNT;
}

bool mt_object_is_plausible(struct mt_python *python, uint64_t address) {
    uint64_t word;
    return address != 0 && address % sizeof word == 0 && address < MT_ADDRESS_LIMIT &&
           mt_view_u64(python->view, address + MT_OB_REFCNT, &word) && is_sane_count(python, word) &&
           mt_object_type(python, address) != NULL;
}

bool mt_object_has_gc(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    uint64_t flags;
    if (!mt_type_is_metatype(type))
        return type->has_gc;
    return mt_view_u64(python->view, address + MT_OFFSET(python, PyTypeObject, tp_flags), &flags) &&
           (flags & MT_TYPE_HEAP);
}

/* Is the header at `head` in a list, where what comes next points back? During a collection that is in flux. */
static bool is_linked(struct mt_python *python, uint64_t head, uint64_t next) {
    uint64_t back;
    next &= ~(uint64_t)GC_LINK_FLAGS;
    if (next == 0 || python->collecting)
        return next != 0;
    return mt_view_u64(python->view, next + GC_HEAD_PREVIOUS, &back) && (back & ~(uint64_t)GC_LINK_FLAGS) == head;
}

struct mt_gc_state mt_object_gc_state(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    uint64_t next, previous, head = address - MT_GC_HEAD_SIZE;
    struct mt_gc_state state = {.has_gc = mt_object_has_gc(python, address, type)};
    if (state.has_gc && mt_view_u64(python->view, head + GC_HEAD_NEXT, &next) &&
        mt_view_u64(python->view, head + GC_HEAD_PREVIOUS, &previous)) {
        state.watched = is_linked(python, head, next);
        state.finalized = previous & GC_FINALIZED;
    }
    return state;
}
