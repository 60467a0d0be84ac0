/* Inside heap/size*.c: a rule is the __sizeof__ of one storage (python/storage.h), without what stands in front of the
 * object. 0: it can't be told. */
#ifndef MEMTRACE_HEAP_SIZE_RULES_H
#define MEMTRACE_HEAP_SIZE_RULES_H

#include <stdint.h>

#include "python/object.h"
#include "python/python.h"
#include "python/types.h"

typedef uint64_t mt_size_rule(struct mt_python *python, uint64_t address, const struct mt_type *type);

/* object.__sizeof__ */
mt_size_rule mt_size_of_body;

/* heap/size_code.c */
mt_size_rule mt_size_of_code, mt_size_of_frame, mt_size_of_generator;

/* heap/size_extension.c: types of extension modules */
mt_size_rule mt_size_with_blocks; /* the body and all blocks */
mt_size_rule mt_size_of_bytes_io, mt_size_of_simple_queue, mt_size_of_pickler, mt_size_of_ctypes_dict,
    mt_size_of_numpy_array;

/* heap/size_numpy.c */
mt_size_rule mt_size_of_numpy_scalar;

/* heap/size.c: also what StgDict builds on */
mt_size_rule mt_size_of_dict;
/* ... and what was allocated for an int, also of a subclass: its basic size and its digits */
mt_size_rule mt_size_of_int_body;

/* The C type that a type is or derives from; NULL: none. */
static inline const struct mt_type *mt_size_c_type(struct mt_python *python, const struct mt_type *type) {
    while (type && type->is_python_class)
        type = type->base ? mt_types_get(python->types, type->base) : NULL;
    return type;
}

/* A word of an object; 0 when it can't be read. */
static inline uint64_t mt_size_word(struct mt_python *python, uint64_t address, uint64_t offset) {
    uint64_t word = 0;
    mt_view_u64(python->view, address + offset, &word);
    return word;
}

/* `count` things of `size` bytes; 0 when the address space has no room for them. */
static inline uint64_t mt_size_times(uint64_t count, uint64_t size) {
    return size == 0 || count <= MT_ADDRESS_LIMIT / size ? count * size : 0;
}

#endif
