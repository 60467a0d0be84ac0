/* Types of extension modules that say their size themselves: that of the object's body and of its blocks, mostly. */
#include "heap/blocks_walk.h"

#define AT(structure, member) MT_OFFSET(python, structure, member)

uint64_t mt_size_with_blocks(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    return mt_size_of_body(python, address, type) + mt_size_of_blocks(python, address, type, mt_walk_extension_blocks);
}

static uint64_t size_of_bytes(struct mt_python *python, uint64_t bytes) {
    return MT_EMPTY_BYTES_SIZE + mt_size_times(mt_size_word(python, bytes, MT_OB_SIZE), 1);
}

/* Modules/_io/bytesio.c. Somebody else's bytes, from getvalue() say, are not counted. */
uint64_t mt_size_of_bytes_io(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    uint64_t bytes = mt_size_word(python, address, AT(bytesio, buf));
    struct mt_refcount refcount;
    bool own = bytes && mt_object_refcount(python, bytes, &refcount) && !refcount.immortal && refcount.count == 1;
    return (uint64_t)type->basic_size + (own ? size_of_bytes(python, bytes) : 0);
}

/* Modules/_queuemodule.c: counts its items from 3.15 on. */
uint64_t mt_size_of_simple_queue(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    enum { FIRST_THAT_COUNTS = 15 };
    return (python->minor >= FIRST_THAT_COUNTS ? mt_size_with_blocks : mt_size_of_body)(python, address, type);
}

/* Modules/_pickle.c: besides its memo, the bytes object that it writes to. 3.13.0 had one word less before that. */
uint64_t mt_size_of_pickler(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    enum { SHORT_SIZE = 144, SHORT_OUTPUT = 56, OUTPUT = 64 };
    const struct mt_type *pickler = mt_size_c_type(python, type);
    uint64_t output =
        mt_size_word(python, address, pickler && pickler->basic_size == SHORT_SIZE ? SHORT_OUTPUT : OUTPUT);
    return mt_size_with_blocks(python, address, type) + (output ? size_of_bytes(python, output) : 0);
}

/* Modules/_ctypes/stgdict.c, up to 3.12: its own members count twice. */
uint64_t mt_size_of_ctypes_dict(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    enum { STG_DICT_SIZE = 192 };
    uint64_t size = mt_size_of_dict(python, address, type);
    return size == 0 ? 0
                     : size + STG_DICT_SIZE - AT(PyDictObject, sizeof) +
                           mt_size_of_blocks(python, address, type, mt_walk_extension_blocks);
}

/* numpy's array_sizeof. Members of subclasses don't count. */
uint64_t mt_size_of_numpy_array(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    const struct mt_type *own = mt_size_c_type(python, type);
    return (uint64_t)(own ? own : type)->basic_size +
           mt_size_of_blocks(python, address, type, mt_walk_extension_blocks);
}
