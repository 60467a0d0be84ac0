/* numpy's arrays, of numpy 1.19 to 2.4 (PyArrayObject_fields, PyArray_Descr: numpy/ndarraytypes.h, whose layout is
 * numpy's stable binary interface but for the change from 1.x to 2.x). */
#ifndef MEMTRACE_PYTHON_NUMPY_H
#define MEMTRACE_PYTHON_NUMPY_H

#include <stdbool.h>
#include <stdint.h>

#include "python/python.h"

/* Offsets of members of an array that hold references. */
enum { MT_NUMPY_BASE = 48, MT_NUMPY_DESCR = 56 };
/* Bytes of a dimension in the block that `shape` starts: its length and its stride. */
enum { MT_NUMPY_DIMENSION_SIZE = 16 };
enum { MT_NUMPY_MAX_DIMENSIONS = 64 };

struct mt_numpy_array {
    uint64_t data;
    unsigned dimensions;
    uint64_t shape;   /* address of the lengths of the dimensions; behind them in the same block: */
    uint64_t strides; /* how many bytes apart the elements of each dimension are */
    uint64_t base;    /* the object that owns the data; 0: none */
    uint64_t descr;   /* its dtype */
    bool owns_data;
    bool is_contiguous; /* element after element, in C's order */
    bool holds_objects; /* elements are references: dtype object */
    uint64_t item_size;
    uint64_t count; /* elements */
    uint64_t size;  /* bytes of all elements */
};

/* Of an ndarray or a subclass; false: unreadable, or no array could be like that. */
bool mt_numpy_array_read(struct mt_python *python, uint64_t address, struct mt_numpy_array *ret);

#endif
