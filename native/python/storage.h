/* Types whose instances own memory that the type's own sizes do not tell, by the name that their tp_name has.
 *
 * All types of CPython 3.9 to 3.15 and of numpy that have a __sizeof__ of their own are here (but parser.st of 3.9),
 * and some whose blocks are known though they don't count them. Whose rules an instance follows is its nearest base's
 * that is here (types.h: storage). One line a type: the name here, tp_name, and the C struct of its instances as
 * native/layout names it (PyObject: one that it does not know). */
#ifndef MEMTRACE_PYTHON_STORAGE_H
#define MEMTRACE_PYTHON_STORAGE_H

#include <stdint.h>

#include "layout/python_layout.h"

#define MT_STORAGES(X)                                                                                                 \
    X(TYPE, "type", PyTypeObject)                                                                                      \
    X(INT, "int", PyVarObject)                                                                                         \
    X(STR, "str", PyUnicodeObject)                                                                                     \
    X(BYTEARRAY, "bytearray", PyByteArrayObject)                                                                       \
    X(LIST, "list", PyListObject)                                                                                      \
    X(DICT, "dict", PyDictObject)                                                                                      \
    X(FROZENDICT, "frozendict", PyDictObject)                                                                          \
    X(SET, "set", PySetObject)                                                                                         \
    X(FROZENSET, "frozenset", PySetObject)                                                                             \
    X(CODE, "code", PyVarObject)                                                                                       \
    X(FRAME, "frame", PyVarObject)                                                                                     \
    X(GENERATOR, "generator", PyObject)                                                                                \
    X(COROUTINE, "coroutine", PyObject)                                                                                \
    X(ASYNC_GENERATOR, "async_generator", PyObject)                                                                    \
    X(DEQUE, "collections.deque", dequeobject)                                                                         \
    X(ORDERED_DICT, "collections.OrderedDict", PyODictObject)                                                          \
    X(ARRAY, "array.array", arrayobject)                                                                               \
    X(BUFFERED_READER, "_io.BufferedReader", buffered)                                                                 \
    X(BUFFERED_WRITER, "_io.BufferedWriter", buffered)                                                                 \
    X(BUFFERED_RANDOM, "_io.BufferedRandom", buffered)                                                                 \
    X(BYTES_IO, "_io.BytesIO", bytesio)                                                                                \
    X(PRODUCT, "itertools.product", productobject)                                                                     \
    X(COMBINATIONS, "itertools.combinations", combinationsobject)                                                      \
    X(COMBINATIONS_WITH_REPLACEMENT, "itertools.combinations_with_replacement", combinationsobject)                    \
    X(PERMUTATIONS, "itertools.permutations", permutationsobject)                                                      \
    X(ELEMENT, "xml.etree.ElementTree.Element", ElementObject)                                                         \
    X(SIMPLE_QUEUE, "_queue.SimpleQueue", simplequeueobject)                                                           \
    X(STRUCT, "_struct.Struct", PyStructObject)                                                                        \
    X(PICKLER, "_pickle.Pickler", PyObject)                                                                            \
    X(UNPICKLER, "_pickle.Unpickler", PyObject)                                                                        \
    X(DECIMAL, "decimal.Decimal", PyObject)                                                                            \
    X(CTYPES_DICT, "StgDict", PyDictObject)                                                                            \
    X(CTYPES_TYPE, "_ctypes.CType_Type", PyTypeObject)                                                                 \
    X(CTYPES_DATA, "_ctypes._CData", PyObject)                                                                         \
    X(DATETIME, "datetime.datetime", PyDateTime_DateTime)                                                              \
    X(DATETIME_TIME, "datetime.time", PyDateTime_Time)                                                                 \
    X(STRING_IO, "_io.StringIO", stringio)                                                                             \
    X(MMAP, "mmap.mmap", mmap_object)                                                                                  \
    X(NUMPY_ARRAY, "numpy.ndarray", PyObject)                                                                          \
    X(NUMPY_BYTES, "numpy.bytes_", PyObject)                                                                           \
    X(NUMPY_SCALAR, "numpy.generic", PyObject)

enum mt_storage {
    MT_STORAGE_NONE, /* all of an instance is tp_basicsize, and tp_itemsize for each item */
#define MT_STORAGE_ENUMERATOR(storage, name, structure) MT_STORAGE_##storage,
    MT_STORAGES(MT_STORAGE_ENUMERATOR)
#undef MT_STORAGE_ENUMERATOR
        MT_STORAGE_COUNT
};

/* Of the C type of this name itself. `basic_size`: its tp_basicsize. */
enum mt_storage mt_storage_find(const struct mt_python_layout *layout, const char *name, int64_t basic_size);

#endif
