/* The types of CPython that are decoded exactly, by the name that their tp_name has.
 *
 * One line a type: the kind, tp_name, and the C struct of its instances as native/layout names it. A type is of a kind
 * when it has the name, is no Python class, and its tp_basicsize is at least the struct's size; a type that derives
 * from such a type is of its kind too. Types whose references are all plain members stand in python/plain.c instead. */
#ifndef MEMTRACE_PYTHON_KINDS_H
#define MEMTRACE_PYTHON_KINDS_H

#define MT_KINDS(X)                                                                                                    \
    X(TYPE, "type", PyHeapTypeObject)                                                                                  \
    X(INT, "int", PyLongObject)                                                                                        \
    X(BOOL, "bool", PyLongObject)                                                                                      \
    X(FLOAT, "float", PyFloatObject)                                                                                   \
    X(COMPLEX, "complex", PyComplexObject)                                                                             \
    X(STR, "str", PyUnicodeObject)                                                                                     \
    X(BYTES, "bytes", PyBytesObject)                                                                                   \
    X(BYTEARRAY, "bytearray", PyByteArrayObject)                                                                       \
    X(TUPLE, "tuple", PyTupleObject)                                                                                   \
    X(LIST, "list", PyListObject)                                                                                      \
    X(DICT, "dict", PyDictObject)                                                                                      \
    X(FROZENDICT, "frozendict", PyFrozenDictObject)                                                                    \
    X(SET, "set", PySetObject)                                                                                         \
    X(FROZENSET, "frozenset", PySetObject)                                                                             \
    X(DICT_KEYS, "dict_keys", _PyDictViewObject)                                                                       \
    X(DICT_VALUES, "dict_values", _PyDictViewObject)                                                                   \
    X(DICT_ITEMS, "dict_items", _PyDictViewObject)                                                                     \
    X(FUNCTION, "function", PyFunctionObject)                                                                          \
    X(METHOD, "method", PyMethodObject)                                                                                \
    X(INSTANCE_METHOD, "instancemethod", PyInstanceMethodObject)                                                       \
    X(BUILTIN_FUNCTION, "builtin_function_or_method", PyCFunctionObject)                                               \
    X(BUILTIN_METHOD, "builtin_method", PyCMethodObject)                                                               \
    X(METHOD_WRAPPER, "method-wrapper", wrapperobject)                                                                 \
    X(WRAPPER_DESCRIPTOR, "wrapper_descriptor", PyWrapperDescrObject)                                                  \
    X(METHOD_DESCRIPTOR, "method_descriptor", PyMethodDescrObject)                                                     \
    X(CLASSMETHOD_DESCRIPTOR, "classmethod_descriptor", PyMethodDescrObject)                                           \
    X(MEMBER_DESCRIPTOR, "member_descriptor", PyMemberDescrObject)                                                     \
    X(GETSET_DESCRIPTOR, "getset_descriptor", PyGetSetDescrObject)                                                     \
    X(CLASSMETHOD, "classmethod", classmethod)                                                                         \
    X(STATICMETHOD, "staticmethod", staticmethod)                                                                      \
    X(PROPERTY, "property", propertyobject)                                                                            \
    X(CELL, "cell", PyCellObject)                                                                                      \
    X(CODE, "code", PyCodeObject)                                                                                      \
    X(MODULE, "module", PyModuleObject)                                                                                \
    X(FRAME, "frame", PyFrameObject)                                                                                   \
    X(TRACEBACK, "traceback", PyTracebackObject)                                                                       \
    X(GENERATOR, "generator", PyGenObject)                                                                             \
    X(COROUTINE, "coroutine", PyCoroObject)                                                                            \
    X(COROUTINE_WRAPPER, "coroutine_wrapper", PyCoroWrapper)                                                           \
    X(ASYNC_GENERATOR, "async_generator", PyAsyncGenObject)                                                            \
    X(EXCEPTION, "BaseException", PyBaseExceptionObject)                                                               \
    X(STOP_ITERATION, "StopIteration", PyStopIterationObject)                                                          \
    X(OS_ERROR, "OSError", PyOSErrorObject)                                                                            \
    X(SYSTEM_EXIT, "SystemExit", PySystemExitObject)                                                                   \
    X(IMPORT_ERROR, "ImportError", PyImportErrorObject)                                                                \
    X(ATTRIBUTE_ERROR, "AttributeError", PyAttributeErrorObject)                                                       \
    X(NAME_ERROR, "NameError", PyNameErrorObject)                                                                      \
    X(SYNTAX_ERROR, "SyntaxError", PySyntaxErrorObject)                                                                \
    X(UNICODE_ERROR, "UnicodeError", PyUnicodeErrorObject)                                                             \
    X(UNICODE_ENCODE_ERROR, "UnicodeEncodeError", PyUnicodeErrorObject)                                                \
    X(UNICODE_DECODE_ERROR, "UnicodeDecodeError", PyUnicodeErrorObject)                                                \
    X(UNICODE_TRANSLATE_ERROR, "UnicodeTranslateError", PyUnicodeErrorObject)                                          \
    X(EXCEPTION_GROUP, "BaseExceptionGroup", PyBaseExceptionGroupObject)                                               \
    X(WEAKREF, "weakref", PyWeakReference)                                                                             \
    X(WEAKREF_REFERENCE, "weakref.ReferenceType", PyWeakReference)                                                     \
    X(WEAKPROXY, "weakproxy", PyWeakReference)                                                                         \
    X(WEAKREF_PROXY, "weakref.ProxyType", PyWeakReference)                                                             \
    X(WEAKCALLABLEPROXY, "weakcallableproxy", PyWeakReference)                                                         \
    X(WEAKREF_CALLABLE_PROXY, "weakref.CallableProxyType", PyWeakReference)                                            \
    X(SLICE, "slice", PySliceObject)                                                                                   \
    X(RANGE, "range", rangeobject)                                                                                     \
    X(MEMORYVIEW, "memoryview", PyMemoryViewObject)                                                                    \
    X(MANAGED_BUFFER, "managedbuffer", _PyManagedBufferObject)                                                         \
    X(MAPPING_PROXY, "mappingproxy", mappingproxyobject)                                                               \
    X(SUPER, "super", superobject)                                                                                     \
    X(NAMESPACE, "types.SimpleNamespace", _PyNamespaceObject)                                                          \
    X(GENERIC_ALIAS, "types.GenericAlias", gaobject)                                                                   \
    X(UNION, "types.UnionType", unionobject)                                                                           \
    X(TYPING_UNION, "typing.Union", unionobject)                                                                       \
    X(CAPSULE, "PyCapsule", PyCapsule)                                                                                 \
    X(CONTEXT, "_contextvars.Context", PyContext)                                                                      \
    X(CONTEXT_VAR, "_contextvars.ContextVar", PyContextVar)                                                            \
    X(CONTEXT_TOKEN, "_contextvars.Token", PyContextToken)                                                             \
    X(HAMT, "hamt", PyHamtObject)                                                                                      \
    X(HAMT_BITMAP_NODE, "hamt_bitmap_node", PyHamtNode_Bitmap)                                                         \
    X(HAMT_ARRAY_NODE, "hamt_array_node", PyHamtNode_Array)                                                            \
    X(HAMT_COLLISION_NODE, "hamt_collision_node", PyHamtNode_Collision)                                                \
    X(DEQUE, "collections.deque", dequeobject)                                                                         \
    X(DEFAULTDICT, "collections.defaultdict", defdictobject)                                                           \
    X(ORDERED_DICT, "collections.OrderedDict", PyODictObject)                                                          \
    X(PARTIAL, "functools.partial", partialobject)                                                                     \
    X(LRU_CACHE, "functools._lru_cache_wrapper", lru_cache_object)                                                     \
    X(LRU_ELEMENT, "functools._lru_list_elem", lru_list_elem)                                                          \
    X(CMP_KEY, "functools.KeyWrapper", keyobject)                                                                      \
    X(NUMPY_ARRAY, "numpy.ndarray", PyObject)

enum mt_kind {
    MT_KIND_UNKNOWN, /* a C type without a decoder of its own */
    MT_KIND_OBJECT,  /* `object`, and Python classes that derive from it alone */
    MT_KIND_PLAIN,   /* all references are members at fixed offsets: mt_type.plain tells which */
#define MT_KIND_ENUMERATOR(kind, name, structure) MT_KIND_##kind,
    MT_KINDS(MT_KIND_ENUMERATOR)
#undef MT_KIND_ENUMERATOR
        MT_KIND_COUNT
};

#endif
