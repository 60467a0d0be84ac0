#include "python/numpy.h"

#include <string.h>

#include "python/object.h"

/* PyArrayObject_fields (numpy/ndarraytypes.h). */
enum { DATA = 16, DIMENSIONS = 24, SHAPE = 32, STRIDES = 40, FLAGS = 64, ARRAY_SIZE = 72 };
enum { C_CONTIGUOUS = 1, OWNS_DATA = 4 };
/* PyArray_Descr; 2.x made the size of an element a word and moved it. */
enum { TYPE_NUMBER = 28, ITEM_SIZE_1 = 32, ITEM_SIZE_2 = 40, DESCR_SIZE_1 = 96 };
enum { TYPE_OBJECT = 17 }; /* NPY_OBJECT */

static bool read_item(struct mt_python *python, struct mt_numpy_array *array) {
    const struct mt_type *type = mt_object_type(python, array->descr);
    uint32_t number, size_1;
    uint64_t size;
    if (!type || !mt_view_u32(python->view, array->descr + TYPE_NUMBER, &number))
        return false;
    if (type->basic_size == DESCR_SIZE_1) {
        if (!mt_view_u32(python->view, array->descr + ITEM_SIZE_1, &size_1))
            return false;
        size = size_1;
    } else if (!mt_view_u64(python->view, array->descr + ITEM_SIZE_2, &size)) {
        return false;
    }
    array->holds_objects = number == TYPE_OBJECT;
    array->item_size = size;
    return size < MT_ADDRESS_LIMIT;
}

static bool read_shape(struct mt_python *python, struct mt_numpy_array *array) {
    uint64_t shape[MT_NUMPY_MAX_DIMENSIONS];
    if (array->dimensions > MT_NUMPY_MAX_DIMENSIONS ||
        !mt_view_read(python->view, array->shape, shape, array->dimensions * sizeof shape[0]))
        return false;
    bool is_empty = false;
    array->count = 1;
    for (unsigned i = 0; i < array->dimensions; i++)
        is_empty |= shape[i] == 0;
    for (unsigned i = 0; i < array->dimensions && !is_empty; i++) {
        if (shape[i] > MT_ADDRESS_LIMIT / array->count)
            return false;
        array->count *= shape[i];
    }
    if (is_empty)
        array->count = 0;
    if (array->item_size > 0 && array->count > MT_ADDRESS_LIMIT / array->item_size)
        return false;
    array->size = array->count * array->item_size;
    return true;
}

bool mt_numpy_array_read(struct mt_python *python, uint64_t address, struct mt_numpy_array *ret) {
    uint64_t body[ARRAY_SIZE / sizeof(uint64_t)];
    if (!mt_view_read(python->view, address, body, sizeof body))
        return false;
    uint32_t flags = (uint32_t)body[FLAGS / 8];
    struct mt_numpy_array array = {
        .data = body[DATA / 8],
        .dimensions = (uint32_t)body[DIMENSIONS / 8],
        .shape = body[SHAPE / 8],
        .strides = body[STRIDES / 8],
        .base = body[MT_NUMPY_BASE / 8],
        .descr = body[MT_NUMPY_DESCR / 8],
        .owns_data = flags & OWNS_DATA,
        .is_contiguous = flags & C_CONTIGUOUS,
    };
    if (!read_item(python, &array) || !read_shape(python, &array))
        return false;
    *ret = array;
    return true;
}
