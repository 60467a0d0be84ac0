#include "heap/size.h"

#include "heap/size_rules.h"
#include "python/dict.h"
#include "python/object.h"
#include "python/str.h"

#define POINTER sizeof(uint64_t)

uint64_t mt_size_of_body(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    uint64_t size = (uint64_t)type->basic_size;
    if (type->item_size > 0)
        size += mt_object_item_count(python, address, type) * (uint64_t)type->item_size;
    return size;
}

/* --- values ------------------------------------------------------------------------------------------------------- */

/* Objects/longobject.c: _PyLong_New. From 3.11 on 0 has a digit. */
static uint64_t size_of_digits(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    uint64_t count = mt_object_item_count(python, address, type);
    if (count == 0 && python->minor >= 11)
        count = 1;
    return mt_size_times(count, sizeof(uint32_t));
}

/* Objects/longobject.c: int___sizeof___impl. From 3.12 on members of subclasses count. */
static uint64_t size_of_int(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    uint64_t start = python->minor >= 12 ? (uint64_t)type->basic_size : MT_OFFSET(python, PyLongObject, ob_digit);
    return start + size_of_digits(python, address, type);
}

/* Before 3.12 bool has the basic size of a whole struct, whose last word is a digit. */
uint64_t mt_size_of_int_body(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    if (!type->is_python_class)
        return size_of_int(python, address, type);
    return (uint64_t)type->basic_size + size_of_digits(python, address, type);
}

/* Objects/unicodeobject.c: unicode_sizeof. Members of subclasses don't count. */
static uint64_t size_of_str(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    struct mt_str str;
    if (!mt_str_read(python, address, &str))
        return 0;
    uint64_t text = (str.length + 1) * str.kind;
    if (str.compact)
        return str.data - address + text + str.utf8_size + str.wide_size;
    return MT_OFFSET(python, PyUnicodeObject, sizeof) + (str.data ? text : 0) + str.utf8_size + str.wide_size;
}

/* Objects/bytearrayobject.c: from 3.15 on the bytes are a bytes object. */
static uint64_t size_of_bytearray(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    uint64_t allocated = mt_size_word(python, address, MT_OFFSET(python, PyByteArrayObject, ob_alloc));
    uint64_t size = (uint64_t)type->basic_size + mt_size_times(allocated, 1);
    if (allocated > 0 && MT_HAS(&python->layout, PyByteArrayObject, ob_bytes_object))
        size += MT_EMPTY_BYTES_SIZE;
    return size;
}

/* --- containers --------------------------------------------------------------------------------------------------- */

static uint64_t size_of_list(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    uint64_t allocated = mt_size_word(python, address, MT_OFFSET(python, PyListObject, allocated));
    return (uint64_t)type->basic_size + mt_size_times(allocated, POINTER);
}

/* Objects/dictobject.c: _PyDict_SizeOf. A table that others share counts for none of them. */
uint64_t mt_size_of_dict(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    struct mt_dict_keys keys;
    uint64_t size = (uint64_t)type->basic_size;
    if (!mt_dict_keys_read(python, mt_size_word(python, address, MT_OFFSET(python, PyDictObject, ma_keys)), &keys))
        return 0;
    if (mt_size_word(python, address, MT_OFFSET(python, PyDictObject, ma_values)) != 0)
        size += keys.room * POINTER;
    return size + (keys.refcount == 1 ? keys.total_size : 0);
}

/* Objects/odictobject.c */
static uint64_t size_of_ordered_dict(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    uint64_t nodes = mt_size_word(python, address, MT_OFFSET(python, PyODictObject, od_fast_nodes_size));
    uint64_t first = mt_size_word(python, address, MT_OFFSET(python, PyODictObject, od_first));
    uint64_t used = mt_size_word(python, address, MT_OFFSET(python, PyDictObject, ma_used));
    uint64_t size = mt_size_of_dict(python, address, type);
    return size == 0 ? 0
                     : size + mt_size_times(nodes, POINTER) +
                           (first ? mt_size_times(used, MT_OFFSET(python, _odictnode, sizeof)) : 0);
}

static uint64_t size_of_set(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    uint64_t table = mt_size_word(python, address, MT_OFFSET(python, PySetObject, table));
    uint64_t mask = mt_size_word(python, address, MT_OFFSET(python, PySetObject, mask));
    if (table == address + MT_OFFSET(python, PySetObject, smalltable))
        return (uint64_t)type->basic_size;
    return (uint64_t)type->basic_size + mt_size_times(mask + 1, MT_OFFSET(python, setentry, sizeof));
}

/* Modules/_collectionsmodule.c: deque_sizeof */
static uint64_t size_of_deque(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    uint64_t left = mt_size_word(python, address, MT_OFFSET(python, dequeobject, leftindex));
    uint64_t length = mt_object_item_count(python, address, type);
    uint64_t block = MT_OFFSET(python, deque_block, sizeof);
    uint64_t room = (MT_OFFSET(python, deque_block, rightlink) - MT_OFFSET(python, deque_block, data)) / POINTER;
    uint64_t blocks = left <= room ? (left + length + room - 1) / room : 0;
    return (uint64_t)type->basic_size + mt_size_times(blocks, block);
}

/* Objects/typeobject.c: type___sizeof___impl. What follows the struct of a class, its slots' descriptions and what
 * metaclasses add, doesn't count. */
static uint64_t size_of_type(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    struct mt_dict_keys keys;
    uint64_t flags = mt_size_word(python, address, MT_OFFSET(python, PyTypeObject, tp_flags));
    if (!(flags & MT_TYPE_HEAP))
        return MT_OFFSET(python, PyTypeObject, sizeof);
    uint64_t cached = mt_size_word(python, address, MT_OFFSET(python, PyHeapTypeObject, ht_cached_keys));
    return MT_OFFSET(python, PyHeapTypeObject, sizeof) +
           (cached && mt_dict_keys_read(python, cached, &keys) ? keys.total_size : 0);
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

static mt_size_rule *const rules[MT_STORAGE_COUNT] = {
    [MT_STORAGE_NONE] = mt_size_of_body,
    [MT_STORAGE_TYPE] = size_of_type,
    [MT_STORAGE_INT] = size_of_int,
    [MT_STORAGE_STR] = size_of_str,
    [MT_STORAGE_BYTEARRAY] = size_of_bytearray,
    [MT_STORAGE_LIST] = size_of_list,
    [MT_STORAGE_DICT] = mt_size_of_dict,
    [MT_STORAGE_FROZENDICT] = mt_size_of_dict,
    [MT_STORAGE_SET] = size_of_set,
    [MT_STORAGE_FROZENSET] = size_of_set,
    [MT_STORAGE_CODE] = mt_size_of_code,
    [MT_STORAGE_FRAME] = mt_size_of_frame,
    [MT_STORAGE_GENERATOR] = mt_size_of_generator,
    [MT_STORAGE_COROUTINE] = mt_size_of_generator,
    [MT_STORAGE_ASYNC_GENERATOR] = mt_size_of_generator,
    [MT_STORAGE_DEQUE] = size_of_deque,
    [MT_STORAGE_ORDERED_DICT] = size_of_ordered_dict,
    [MT_STORAGE_ARRAY] = mt_size_with_blocks,
    [MT_STORAGE_BUFFERED_READER] = mt_size_with_blocks,
    [MT_STORAGE_BUFFERED_WRITER] = mt_size_with_blocks,
    [MT_STORAGE_BUFFERED_RANDOM] = mt_size_with_blocks,
    [MT_STORAGE_BYTES_IO] = mt_size_of_bytes_io,
    [MT_STORAGE_PRODUCT] = mt_size_with_blocks,
    [MT_STORAGE_COMBINATIONS] = mt_size_with_blocks,
    [MT_STORAGE_COMBINATIONS_WITH_REPLACEMENT] = mt_size_with_blocks,
    [MT_STORAGE_PERMUTATIONS] = mt_size_with_blocks,
    [MT_STORAGE_ELEMENT] = mt_size_with_blocks,
    [MT_STORAGE_SIMPLE_QUEUE] = mt_size_of_simple_queue,
    [MT_STORAGE_STRUCT] = mt_size_with_blocks,
    [MT_STORAGE_PICKLER] = mt_size_of_pickler,
    [MT_STORAGE_UNPICKLER] = mt_size_with_blocks,
    [MT_STORAGE_DECIMAL] = mt_size_with_blocks,
    [MT_STORAGE_CTYPES_DICT] = mt_size_of_ctypes_dict,
    [MT_STORAGE_CTYPES_TYPE] = mt_size_with_blocks,
    [MT_STORAGE_CTYPES_DATA] = mt_size_of_body,
    [MT_STORAGE_DATETIME] = mt_size_of_body,
    [MT_STORAGE_DATETIME_TIME] = mt_size_of_body,
    [MT_STORAGE_STRING_IO] = mt_size_of_body,
    [MT_STORAGE_MMAP] = mt_size_of_body,
    [MT_STORAGE_NUMPY_ARRAY] = mt_size_of_numpy_array,
    [MT_STORAGE_NUMPY_BYTES] = mt_size_of_numpy_scalar,
    [MT_STORAGE_NUMPY_SCALAR] = mt_size_of_numpy_scalar,
};

/* What sys.getsizeof adds for the headers in front of a type object. Static ones have none; 3.11 and 3.12 add it all
 * the same, later ones where the metatype is not type itself. */
static uint64_t type_header(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    bool counts_static =
        python->minor == 11 || python->minor == 12 || (python->minor > 12 && type->address != python->type_type);
    return counts_static || mt_object_has_gc(python, address, type) ? type->header : 0;
}

uint64_t mt_object_own_size(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    uint64_t size = rules[type->storage](python, address, type);
    if (size == 0)
        return 0;
    return size + (mt_type_is_metatype(type) ? type_header(python, address, type) : type->header);
}
