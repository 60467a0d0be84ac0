#include "heap/blocks_walk.h"
#include "python/dict.h"
#include "python/str.h"

enum { POINTER = 8 };
#define AT(structure, member) MT_OFFSET(walk->python, structure, member)

/* --- the object's own ----------------------------------------------------------------------------------------------
 */

/* 3.13+: the values of attributes stand behind the body, and behind them the order in which they were set, a byte each.
 */
static uint64_t inline_values_size(struct mt_python *python, uint64_t values) {
    uint8_t capacity = 0;
    mt_view_u8(python->view, values + MT_OFFSET(python, PyDictValues, capacity), &capacity);
    uint64_t order = ((uint64_t)capacity + POINTER - 1) / POINTER * POINTER;
    return MT_OFFSET(python, PyDictValues, values) + (uint64_t)capacity * POINTER + order;
}

static uint64_t compact_str_size(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    struct mt_str str;
    if (!mt_str_read(python, address, &str) || !str.compact)
        return (uint64_t)type->basic_size;
    return str.data - address + (str.length + 1) * str.kind;
}

/* Modules/_datetimemodule.c: objects without a time zone end before it, but not those of subclasses. */
static uint64_t naive_size(struct mt_python *python, uint64_t address, const struct mt_type *type, uint64_t has_zone_at,
                           uint64_t zone_at) {
    uint8_t has_zone = 1;
    mt_view_u8(python->view, address + has_zone_at, &has_zone);
    return has_zone || type->is_python_class ? (uint64_t)type->basic_size : zone_at;
}

/* What was allocated for the object, without what stands in front of it. */
static uint64_t body_size(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    uint64_t size;
    switch (type->storage) {
    case MT_STORAGE_INT:
        size = mt_size_of_int_body(python, address, type);
        break;
    case MT_STORAGE_STR:
        size = compact_str_size(python, address, type);
        break;
    case MT_STORAGE_FRAME:
        size = mt_size_of_frame(python, address, type);
        break;
    case MT_STORAGE_GENERATOR:
    case MT_STORAGE_COROUTINE:
    case MT_STORAGE_ASYNC_GENERATOR:
        size = mt_size_of_generator(python, address, type);
        break;
    case MT_STORAGE_DATETIME:
        size = naive_size(python, address, type, MT_OFFSET(python, PyDateTime_DateTime, hastzinfo),
                          MT_OFFSET(python, PyDateTime_DateTime, tzinfo));
        break;
    case MT_STORAGE_DATETIME_TIME:
        size = naive_size(python, address, type, MT_OFFSET(python, PyDateTime_Time, hastzinfo),
                          MT_OFFSET(python, PyDateTime_Time, tzinfo));
        break;
    default:
        size = mt_size_of_body(python, address, type);
    }
    if (python->minor >= 13 && type->flags & MT_TYPE_INLINE_VALUES)
        size += inline_values_size(python, address + (uint64_t)type->basic_size);
    return size;
}

/* Is it a class with a block of its own? Not static types, and not numpy's dtypes: they say that they are classes, but
 * were not allocated as such and are in no list of the collector. */
static bool is_heap_type(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    return python->collecting ? mt_object_has_gc(python, address, type)
                              : mt_object_gc_state(python, address, type).watched;
}

static void walk_own(const struct mt_block_walk *walk) {
    struct mt_python *python = walk->python;
    bool has_header = !mt_type_is_metatype(walk->type) || is_heap_type(python, walk->address, walk->type);
    bool is_static = mt_type_is_metatype(walk->type) && !mt_object_has_gc(python, walk->address, walk->type);
    uint64_t header = has_header ? walk->type->header : 0;
    uint64_t body = is_static ? AT(PyTypeObject, sizeof) : body_size(python, walk->address, walk->type);
    mt_walk_block(walk, walk->address - header, header + body, "object");
}

/* --- dictionaries and attributes -----------------------------------------------------------------------------------
 */

static void walk_keys(const struct mt_block_walk *walk, const struct mt_dict_keys *keys) {
    struct mt_owned_block block = {
        .address = keys->address, .size = keys->total_size, .what = "keys", .shared = keys->refcount != 1};
    walk->visit(walk->context, &block);
}

/* The array in a block of its own that `values` points to, with what stands in front of it or behind it. */
static void walk_values(const struct mt_block_walk *walk, uint64_t values, uint64_t room) {
    struct mt_python *python = walk->python;
    uint64_t start, size;
    if (MT_HAS(&python->layout, PyDictValues, capacity))
        mt_walk_block(walk, values, inline_values_size(python, values), "values");
    else if (python->minor < 11)
        mt_walk_block(walk, values, mt_size_times(room, POINTER), "values");
    else if (mt_dict_values_block(python, values, room, &start, &size))
        mt_walk_block(walk, start, size, "values");
}

static void walk_dict(const struct mt_block_walk *walk) {
    struct mt_dict dict;
    if (!mt_dict_read(walk->python, walk->address, &dict))
        return;
    walk_keys(walk, &dict.keys);
    if (dict.values != 0 && !dict.embedded)
        walk_values(walk, mt_walk_member(walk, AT(PyDictObject, ma_values)), dict.keys.room);
}

/* 3.11 and 3.12: attributes of an instance that has no __dict__ yet. */
static void walk_attributes(const struct mt_block_walk *walk) {
    struct mt_attributes attributes;
    uint64_t start, size;
    if (mt_attributes_read(walk->python, walk->address, walk->type, &attributes) && attributes.values_block != 0 &&
        mt_dict_values_block(walk->python, attributes.values, attributes.keys.room, &start, &size))
        mt_walk_block(walk, start, size, "values");
}

/* Objects/odictobject.c: a table that finds the node of a key, and a node for each key. */
static void walk_ordered_dict(const struct mt_block_walk *walk) {
    uint64_t places = mt_walk_member(walk, AT(PyODictObject, od_fast_nodes_size));
    uint64_t used = mt_walk_member(walk, AT(PyDictObject, ma_used));
    uint64_t node = mt_walk_member(walk, AT(PyODictObject, od_first));
    walk_dict(walk);
    mt_walk_block(walk, mt_walk_member(walk, AT(PyODictObject, od_fast_nodes)), mt_size_times(places, POINTER),
                  "table");
    for (uint64_t i = 0; node != 0 && i < used; i++) {
        mt_walk_block(walk, node, AT(_odictnode, sizeof), "node");
        node = mt_size_word(walk->python, node, AT(_odictnode, next));
    }
}

/* --- other containers ----------------------------------------------------------------------------------------------
 */

static void walk_list(const struct mt_block_walk *walk) {
    mt_walk_block(walk, mt_walk_member(walk, AT(PyListObject, ob_item)),
                  mt_size_times(mt_walk_member(walk, AT(PyListObject, allocated)), POINTER), "items");
}

static void walk_set(const struct mt_block_walk *walk) {
    uint64_t table = mt_walk_member(walk, AT(PySetObject, table));
    uint64_t places = mt_walk_member(walk, AT(PySetObject, mask)) + 1;
    if (table != walk->address + AT(PySetObject, smalltable))
        mt_walk_block(walk, table, mt_size_times(places, AT(setentry, sizeof)), "table");
}

/* Modules/_collectionsmodule.c: linked blocks of 64 items; 3.11+ keeps some spare ones. An unreadable link is 0. */
static void walk_deque(const struct mt_block_walk *walk) {
    struct mt_python *python = walk->python;
    uint64_t size = AT(deque_block, sizeof);
    uint64_t room = (AT(deque_block, rightlink) - AT(deque_block, data)) / POINTER;
    uint64_t length = mt_object_item_count(python, walk->address, walk->type);
    uint64_t left = mt_walk_member(walk, AT(dequeobject, leftindex));
    uint64_t count = left <= room ? (left + length + room - 1) / room : 0;
    uint64_t block = mt_walk_member(walk, AT(dequeobject, leftblock));
    for (uint64_t i = 0; block != 0 && (i < count || i == 0); i++) {
        mt_walk_block(walk, block, size, "block");
        block = mt_size_word(python, block, AT(deque_block, rightlink));
    }
    if (!MT_HAS(&python->layout, dequeobject, freeblocks))
        return;
    enum { MAX_SPARE = 16 }; /* MAXFREEBLOCKS */
    uint64_t spare = mt_walk_member(walk, AT(dequeobject, numfreeblocks));
    for (uint64_t i = 0; i < spare && i < MAX_SPARE; i++)
        mt_walk_block(walk, mt_walk_member(walk, AT(dequeobject, freeblocks) + i * POINTER), size, "spare block");
}

/* --- text ----------------------------------------------------------------------------------------------------------
 */

static void walk_str(const struct mt_block_walk *walk) {
    struct mt_str str;
    if (!mt_str_read(walk->python, walk->address, &str))
        return;
    if (!str.compact)
        mt_walk_block(walk, str.data, (str.length + 1) * str.kind, "text");
    mt_walk_block(walk, str.utf8, str.utf8_size, "utf8");
    mt_walk_block(walk, str.wide, str.wide_size, "wide text");
}

/* From 3.15 on the bytes are an object. */
static void walk_bytearray(const struct mt_block_walk *walk) {
    if (!MT_HAS(&walk->python->layout, PyByteArrayObject, ob_bytes_object))
        mt_walk_block(walk, mt_walk_member(walk, AT(PyByteArrayObject, ob_bytes)),
                      mt_size_times(mt_walk_member(walk, AT(PyByteArrayObject, ob_alloc)), 1), "buffer");
}

/* --- types, modules ------------------------------------------------------------------------------------------------
 */

/* Texts and tables of others are the program's. */
static void walk_type(const struct mt_block_walk *walk) {
    struct mt_python *python = walk->python;
    struct mt_dict_keys keys;
    if (!is_heap_type(python, walk->address, walk->type))
        return;
    uint64_t cached = mt_walk_member(walk, AT(PyHeapTypeObject, ht_cached_keys));
    if (cached && mt_dict_keys_read(python, cached, &keys))
        walk_keys(walk, &keys);
    mt_walk_text(walk, mt_walk_member(walk, AT(PyTypeObject, tp_doc)), "doc");
    if (MT_HAS(&python->layout, PyHeapTypeObject, _ht_tpname))
        mt_walk_text(walk, mt_walk_member(walk, AT(PyHeapTypeObject, _ht_tpname)), "name");
}

/* What a C extension keeps for itself. */
static void walk_module(const struct mt_block_walk *walk) {
    struct mt_python *python = walk->python;
    uint64_t size = 0;
    if (MT_HAS(&python->layout, PyModuleObject, md_state_size)) {
        size = mt_walk_member(walk, AT(PyModuleObject, md_state_size));
    } else {
        uint64_t definition = mt_walk_member(walk, AT(PyModuleObject, md_def));
        size = definition ? mt_size_word(python, definition, AT(PyModuleDef, m_size)) : 0;
    }
    mt_walk_block(walk, mt_walk_member(walk, AT(PyModuleObject, md_state)), mt_size_times(size, 1), "state");
}

/* --- all -----------------------------------------------------------------------------------------------------------
 */

static void walk_buffers(const struct mt_block_walk *walk) {
    switch (walk->type->storage) {
    case MT_STORAGE_TYPE:
        walk_type(walk);
        break;
    case MT_STORAGE_CTYPES_TYPE:
        walk_type(walk);
        mt_walk_extension_blocks(walk);
        break;
    case MT_STORAGE_CTYPES_DICT:
        walk_dict(walk);
        mt_walk_extension_blocks(walk);
        break;
    case MT_STORAGE_STR:
        walk_str(walk);
        break;
    case MT_STORAGE_BYTEARRAY:
        walk_bytearray(walk);
        break;
    case MT_STORAGE_LIST:
        walk_list(walk);
        break;
    case MT_STORAGE_DICT:
    case MT_STORAGE_FROZENDICT:
        walk_dict(walk);
        break;
    case MT_STORAGE_ORDERED_DICT:
        walk_ordered_dict(walk);
        break;
    case MT_STORAGE_SET:
    case MT_STORAGE_FROZENSET:
        walk_set(walk);
        break;
    case MT_STORAGE_DEQUE:
        walk_deque(walk);
        break;
    case MT_STORAGE_CODE:
        mt_walk_counted_code_blocks(walk);
        mt_walk_other_code_blocks(walk);
        break;
    default:
        mt_walk_extension_blocks(walk);
    }
    if (walk->type->kind == MT_KIND_MODULE)
        walk_module(walk);
}

void mt_object_blocks(struct mt_python *python, uint64_t address, const struct mt_type *type,
                      mt_owned_block_visit *visit, void *context) {
    struct mt_block_walk walk = {
        .python = python, .address = address, .type = type, .visit = visit, .context = context};
    walk_own(&walk);
    walk_buffers(&walk);
    if ((python->minor == 11 || python->minor == 12) && type->flags & MT_TYPE_MANAGED_DICT &&
        !mt_type_is_metatype(type))
        walk_attributes(&walk);
}

static void add_size(void *context, const struct mt_owned_block *block) {
    *(uint64_t *)context += block->size;
}

uint64_t mt_size_of_blocks(struct mt_python *python, uint64_t address, const struct mt_type *type,
                           mt_block_rule *rule) {
    uint64_t size = 0;
    struct mt_block_walk walk = {
        .python = python, .address = address, .type = type, .visit = add_size, .context = &size};
    rule(&walk);
    return size;
}
