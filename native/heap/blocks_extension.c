/* Blocks of the types of extension modules: most of these types say their size with them (heap/size_extension.c). */
#include <string.h>

#include "heap/blocks_walk.h"
#include "python/numpy.h"

enum { POINTER = 8 };
#define AT(structure, member) MT_OFFSET(walk->python, structure, member)

static uint64_t length_of(const struct mt_block_walk *walk, uint64_t object) {
    return object ? mt_size_word(walk->python, object, MT_OB_SIZE) : 0;
}

static uint32_t word32(const struct mt_block_walk *walk, uint64_t address) {
    uint32_t word = 0;
    mt_view_u32(walk->python->view, address, &word);
    return word;
}

/* Bytes of a C string with its final zero; 0: it can't be read, or has no end. */
static uint64_t text_size(struct mt_view *view, uint64_t address) {
    enum { PAGE = 1 << MT_VIEW_PAGE_SHIFT, MAX_TEXT = 1 << 20 };
    for (uint64_t at = address; at < address + MAX_TEXT;) {
        size_t part = PAGE - (size_t)(at & (PAGE - 1));
        const uint8_t *bytes = mt_view_at(view, at, part);
        const uint8_t *end = bytes ? memchr(bytes, '\0', part) : NULL;
        if (!bytes || end)
            return end ? at + (uint64_t)(end - bytes) + 1 - address : 0;
        at += part;
    }
    return 0;
}

void mt_walk_text(const struct mt_block_walk *walk, uint64_t address, const char *what) {
    if (address)
        mt_walk_block(walk, address, text_size(walk->python->view, address), what);
}

/* --- Modules/arraymodule.c, Modules/_io, Modules/mmapmodule.c ------------------------------------------------------
 */

/* array_descr has a character, then the size of an element. */
static void walk_array(const struct mt_block_walk *walk) {
    enum { ITEM_SIZE = 4 };
    uint64_t item_size = word32(walk, mt_walk_member(walk, AT(arrayobject, ob_descr)) + ITEM_SIZE);
    mt_walk_block(walk, mt_walk_member(walk, AT(arrayobject, ob_item)),
                  mt_size_times(mt_walk_member(walk, AT(arrayobject, allocated)), item_size), "buffer");
}

static void walk_buffered(const struct mt_block_walk *walk) {
    mt_walk_block(walk, mt_walk_member(walk, AT(buffered, buffer)),
                  mt_size_times(mt_walk_member(walk, AT(buffered, buffer_size)), 1), "buffer");
}

/* Characters of 4 bytes. */
static void walk_string_io(const struct mt_block_walk *walk) {
    enum { CHARACTER = 4 };
    mt_walk_block(walk, mt_walk_member(walk, AT(stringio, buf)),
                  mt_size_times(mt_walk_member(walk, AT(stringio, buf_size)), CHARACTER), "buffer");
}

static void walk_mmap(const struct mt_block_walk *walk) {
    mt_walk_block(walk, mt_walk_member(walk, AT(mmap_object, data)),
                  mt_size_times(mt_walk_member(walk, AT(mmap_object, size)), 1), "mapping");
}

/* --- Modules/itertoolsmodule.c: an index for each place ------------------------------------------------------------
 */

static void walk_product(const struct mt_block_walk *walk) {
    uint64_t places = length_of(walk, mt_walk_member(walk, AT(productobject, pools)));
    mt_walk_block(walk, mt_walk_member(walk, AT(productobject, indices)), mt_size_times(places, POINTER), "indices");
}

static void walk_combinations(const struct mt_block_walk *walk) {
    mt_walk_block(walk, mt_walk_member(walk, AT(combinationsobject, indices)),
                  mt_size_times(mt_walk_member(walk, AT(combinationsobject, r)), POINTER), "indices");
}

static void walk_permutations(const struct mt_block_walk *walk) {
    uint64_t pool = length_of(walk, mt_walk_member(walk, AT(permutationsobject, pool)));
    mt_walk_block(walk, mt_walk_member(walk, AT(permutationsobject, indices)), mt_size_times(pool, POINTER), "indices");
    mt_walk_block(walk, mt_walk_member(walk, AT(permutationsobject, cycles)),
                  mt_size_times(mt_walk_member(walk, AT(permutationsobject, r)), POINTER), "cycles");
}

/* --- Modules/_elementtree.c, Modules/_queuemodule.c, Modules/_struct.c, Modules/_decimal ---------------------------
 */

static void walk_element(const struct mt_block_walk *walk) {
    uint64_t extra = mt_walk_member(walk, AT(ElementObject, extra));
    if (extra == 0)
        return;
    uint64_t children = mt_size_word(walk->python, extra, AT(ElementObjectExtra, children));
    uint64_t allocated = mt_size_word(walk->python, extra, AT(ElementObjectExtra, allocated));
    mt_walk_block(walk, extra, AT(ElementObjectExtra, sizeof), "extra");
    if (children != extra + AT(ElementObjectExtra, _children))
        mt_walk_block(walk, children, mt_size_times(allocated, POINTER), "items");
}

/* From 3.13 on a ring; before, the items are a list. */
static void walk_simple_queue(const struct mt_block_walk *walk) {
    if (MT_HAS(&walk->python->layout, simplequeueobject, buf_items))
        mt_walk_block(walk, mt_walk_member(walk, AT(simplequeueobject, buf_items)),
                      mt_size_times(mt_walk_member(walk, AT(simplequeueobject, buf_items_cap)), POINTER), "items");
}

/* A formatcode of four words for each code of the format, and one without a function at the end. */
static void walk_struct(const struct mt_block_walk *walk) {
    enum { FORMAT_CODE_SIZE = 32, MAX_CODES = 1 << 16 };
    uint64_t codes = mt_walk_member(walk, AT(PyStructObject, s_codes)), count = 0;
    while (codes && count < MAX_CODES && mt_size_word(walk->python, codes, count * FORMAT_CODE_SIZE) != 0)
        count++;
    mt_walk_block(walk, codes, (count + 1) * FORMAT_CODE_SIZE, "codes");
}

/* PyDecObject: the hash, then an mpd_t (libmpdec/mpdecimal.h); the same in all versions. Few digits lie in the object.
 */
static void walk_decimal(const struct mt_block_walk *walk) {
    enum { FLAGS = 24, ALLOCATED = 56, DATA = 64, DATA_IS_ELSEWHERE = 32 | 64 | 128 /* MPD_DATAFLAGS */ };
    if (!(word32(walk, walk->address + FLAGS) & DATA_IS_ELSEWHERE))
        mt_walk_block(walk, mt_walk_member(walk, DATA),
                      mt_size_times(mt_walk_member(walk, ALLOCATED), sizeof(uint64_t)), "digits");
}

/* --- Modules/_pickle.c ------------------------------------------------------------------------------------------- */

/* PyMemoTable: a mask, two counts, the table of entries. */
static void walk_pickler(const struct mt_block_walk *walk) {
    enum { MEMO = 16, MEMO_SIZE = 32, ALLOCATED = 16, TABLE = 24, ENTRY_SIZE = 16 };
    uint64_t memo = mt_walk_member(walk, MEMO);
    if (memo == 0)
        return;
    mt_walk_block(walk, memo, MEMO_SIZE, "memo");
    mt_walk_block(walk, mt_size_word(walk->python, memo, TABLE),
                  mt_size_times(mt_size_word(walk->python, memo, ALLOCATED), ENTRY_SIZE), "table");
}

static void walk_unpickler(const struct mt_block_walk *walk) {
    enum { MEMO = 24, MEMO_ROOM = 32 };
    static const struct {
        int64_t basic_size;
        uint64_t input_line, encoding, errors, marks, marks_room;
    } forms[] = {
        {272, 152, 224, 232, 240, 256}, /* up to 3.12 */
        {264, 144, 216, 224, 232, 248}, /* 3.13.0 */
        {296, 152, 240, 248, 256, 272}, /* 3.13, 3.14 */
        {304, 160, 248, 256, 264, 280}, /* 3.15 */
    };
    const struct mt_type *unpickler = mt_size_c_type(walk->python, walk->type);
    mt_walk_block(walk, mt_walk_member(walk, MEMO), mt_size_times(mt_walk_member(walk, MEMO_ROOM), POINTER), "memo");
    for (size_t i = 0; unpickler && i < sizeof forms / sizeof forms[0]; i++) {
        if (forms[i].basic_size != unpickler->basic_size)
            continue;
        mt_walk_block(walk, mt_walk_member(walk, forms[i].marks),
                      mt_size_times(mt_walk_member(walk, forms[i].marks_room), POINTER), "marks");
        mt_walk_text(walk, mt_walk_member(walk, forms[i].input_line), "text");
        mt_walk_text(walk, mt_walk_member(walk, forms[i].encoding), "encoding");
        mt_walk_text(walk, mt_walk_member(walk, forms[i].errors), "errors");
    }
}

/* --- Modules/_ctypes --------------------------------------------------------------------------------------------- */

/* What both forms of a C type's description have: its format as text, the elements of a struct for libffi, a shape. */
struct ctypes_description {
    uint64_t length, elements, format, dimensions, shape; /* offsets */
};

static void walk_description(const struct mt_block_walk *walk, uint64_t address,
                             const struct ctypes_description *description) {
    struct mt_python *python = walk->python;
    mt_walk_text(walk, mt_size_word(python, address, description->format), "format");
    mt_walk_block(walk, mt_size_word(python, address, description->elements),
                  mt_size_times(mt_size_word(python, address, description->length) + 1, POINTER), "elements");
    mt_walk_block(walk, mt_size_word(python, address, description->shape),
                  mt_size_times(word32(walk, address + description->dimensions), POINTER), "shape");
}

/* Up to 3.12 StgDict, the __dict__ of a C type, has it. */
static void walk_ctypes_dict(const struct mt_block_walk *walk) {
    static const struct ctypes_description description = {
        .length = 64, .elements = 88, .format = 168, .dimensions = 176, .shape = 184};
    walk_description(walk, walk->address, &description);
}

/* 3.13+: StgInfo stands behind the type's own struct, at a multiple of 16. */
static void walk_ctypes_type(const struct mt_block_walk *walk) {
    static const struct ctypes_description forms[] = {
        {.length = 24, .elements = 48, .format = 136, .dimensions = 144, .shape = 152}, /* 3.13 */
        {.length = 24, .elements = 48, .format = 144, .dimensions = 152, .shape = 160}, /* 3.14+ */
    };
    enum { ALIGNMENT = 16, FIRST_OF_SECOND_FORM = 14 };
    uint64_t info = walk->address + (AT(PyHeapTypeObject, sizeof) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (word32(walk, info) != 0) /* initialized */
        walk_description(walk, info, &forms[walk->python->minor >= FIRST_OF_SECOND_FORM]);
}

/* CDataObject: the value of C, in a block of its own when it has no room in the object or is not somebody else's. */
static void walk_ctypes_data(const struct mt_block_walk *walk) {
    enum { DATA = 16, OWNS_DATA = 24, DATA_SIZE = 40, DATA_WITHIN = 80 };
    uint64_t data = mt_walk_member(walk, DATA);
    if (data != walk->address + DATA_WITHIN && word32(walk, walk->address + OWNS_DATA) != 0)
        mt_walk_block(walk, data, mt_size_times(mt_walk_member(walk, DATA_SIZE), 1), "buffer");
}

/* --- numpy ------------------------------------------------------------------------------------------------------- */

static void walk_numpy_array(const struct mt_block_walk *walk) {
    struct mt_numpy_array array;
    if (!mt_numpy_array_read(walk->python, walk->address, &array))
        return;
    mt_walk_block(walk, array.shape, (uint64_t)array.dimensions * MT_NUMPY_DIMENSION_SIZE, "shape");
    if (array.owns_data)
        mt_walk_block(walk, array.data, array.size, "buffer");
}

/* --- all --------------------------------------------------------------------------------------------------------- */

static mt_block_rule *const rules[MT_STORAGE_COUNT] = {
    [MT_STORAGE_ARRAY] = walk_array,
    [MT_STORAGE_BUFFERED_READER] = walk_buffered,
    [MT_STORAGE_BUFFERED_WRITER] = walk_buffered,
    [MT_STORAGE_BUFFERED_RANDOM] = walk_buffered,
    [MT_STORAGE_STRING_IO] = walk_string_io,
    [MT_STORAGE_MMAP] = walk_mmap,
    [MT_STORAGE_PRODUCT] = walk_product,
    [MT_STORAGE_COMBINATIONS] = walk_combinations,
    [MT_STORAGE_COMBINATIONS_WITH_REPLACEMENT] = walk_combinations,
    [MT_STORAGE_PERMUTATIONS] = walk_permutations,
    [MT_STORAGE_ELEMENT] = walk_element,
    [MT_STORAGE_SIMPLE_QUEUE] = walk_simple_queue,
    [MT_STORAGE_STRUCT] = walk_struct,
    [MT_STORAGE_DECIMAL] = walk_decimal,
    [MT_STORAGE_PICKLER] = walk_pickler,
    [MT_STORAGE_UNPICKLER] = walk_unpickler,
    [MT_STORAGE_CTYPES_DICT] = walk_ctypes_dict,
    [MT_STORAGE_CTYPES_TYPE] = walk_ctypes_type,
    [MT_STORAGE_CTYPES_DATA] = walk_ctypes_data,
    [MT_STORAGE_NUMPY_ARRAY] = walk_numpy_array,
};

void mt_walk_extension_blocks(const struct mt_block_walk *walk) {
    if (rules[walk->type->storage])
        rules[walk->type->storage](walk);
}
