#include "python/plain.h"

#include <string.h>

#define SIZE(structure) MT_FIELD_##structure##__sizeof
#define AS(structure, member, text)                                                                                    \
    { .field = MT_FIELD_##structure##__##member, .link = (text) }
#define AT(member_offset, text)                                                                                        \
    { .offset = (member_offset), .link = (text) }
#define M(structure, member) AS(structure, member, #member)

/* Objects/listobject.c, tupleobject.c, unicodeobject.c, bytesobject.c, bytearrayobject.c: iterators of one form. */
#define SEQUENCE_ITERATOR(type_name)                                                                                   \
    {                                                                                                                  \
        .name = (type_name), .size = SIZE(listiterobject), .members = { M(listiterobject, it_seq) }                    \
    }
/* Objects/dictobject.c: di_result is the tuple that is handed out again and again. */
#define DICT_ITERATOR(type_name)                                                                                       \
    {                                                                                                                  \
        .name = (type_name), .size = SIZE(dictiterobject), .members = {                                                \
            M(dictiterobject, di_dict),                                                                                \
            M(dictiterobject, di_result)                                                                               \
        }                                                                                                              \
    }
/* Modules/_collectionsmodule.c. 3.9 and 3.10 call them collections._deque_iterator. */
#define DEQUE_ITERATOR(type_name)                                                                                      \
    {                                                                                                                  \
        .name = (type_name), .size = SIZE(dequeiterobject), .members = { M(dequeiterobject, deque) }                   \
    }
/* Modules/_io/bufferedio.c */
#define BUFFERED(type_name)                                                                                            \
    {                                                                                                                  \
        .name = (type_name), .size = SIZE(buffered), .members = { M(buffered, raw), M(buffered, dict) }                \
    }
/* Modules/itertoolsmodule.c */
#define COMBINATIONS(type_name)                                                                                        \
    {                                                                                                                  \
        .name = (type_name), .size = SIZE(combinationsobject), .members = {                                            \
            M(combinationsobject, pool),                                                                               \
            M(combinationsobject, result)                                                                              \
        }                                                                                                              \
    }
/* Modules/_asynciomodule.c, FutureObj_HEAD: a Task begins like a Future, with other names. */
#define FUTURE_MEMBERS(structure, prefix)                                                                              \
    M(structure, prefix##_loop), M(structure, prefix##_callback0), M(structure, prefix##_context0),                    \
        M(structure, prefix##_callbacks), M(structure, prefix##_exception), M(structure, prefix##_exception_tb),       \
        M(structure, prefix##_result), M(structure, prefix##_source_tb), M(structure, prefix##_cancel_msg),            \
        M(structure, prefix##_cancelled_exc),                                                                          \
        AS(structure, prefix##_cancelled_exc_state_exc_type, #prefix "_cancelled_exc_state.exc_type"),                 \
        AS(structure, prefix##_cancelled_exc_state_exc_value, #prefix "_cancelled_exc_state.exc_value"),               \
        AS(structure, prefix##_cancelled_exc_state_exc_traceback, #prefix "_cancelled_exc_state.exc_traceback"),       \
        M(structure, dict)
/* Modules/_datetimemodule.c: an object without a time zone ends before the member. */
#define TIME_ZONE(structure)                                                                                           \
    { .field = MT_FIELD_##structure##__tzinfo, .link = "tzinfo", .condition = MT_FIELD_##structure##__hastzinfo }

/* Modules/_ctypes/ctypes.h: CDataObject, PyCFuncPtrObject */
#define CDATA_MEMBERS AT(32, "b_base"), AT(64, "b_objects")
#define CFUNCTION_MEMBERS                                                                                              \
    CDATA_MEMBERS, AT(96, "thunk"), AT(104, "callable"), AT(112, "converters"), AT(120, "argtypes"),                   \
        AT(128, "restype"), AT(136, "checker"), AT(144, "errcheck"), AT(152, "paramflags")

static const struct mt_plain rows[] = {
    /* Iterators of builtin types (Objects/). */
    SEQUENCE_ITERATOR("list_iterator"),
    SEQUENCE_ITERATOR("list_reverseiterator"),
    SEQUENCE_ITERATOR("tuple_iterator"),
    SEQUENCE_ITERATOR("str_iterator"),
    SEQUENCE_ITERATOR("str_ascii_iterator"),
    SEQUENCE_ITERATOR("bytes_iterator"),
    SEQUENCE_ITERATOR("bytearray_iterator"),
    {.name = "iterator", .size = SIZE(seqiterobject), .members = {M(seqiterobject, it_seq)}},
    {.name = "callable_iterator",
     .size = SIZE(calliterobject),
     .members = {M(calliterobject, it_callable), M(calliterobject, it_sentinel)}},
    {.name = "set_iterator", .size = SIZE(setiterobject), .members = {M(setiterobject, si_set)}},
    DICT_ITERATOR("dict_keyiterator"),
    DICT_ITERATOR("dict_valueiterator"),
    DICT_ITERATOR("dict_itemiterator"),
    DICT_ITERATOR("dict_reversekeyiterator"),
    DICT_ITERATOR("dict_reversevalueiterator"),
    DICT_ITERATOR("dict_reverseitemiterator"),
    {.name = "odict_iterator",
     .size = SIZE(odictiterobject),
     .members = {M(odictiterobject, di_odict), M(odictiterobject, di_result), M(odictiterobject, di_current)}},
    {.name = "range_iterator", .size = SIZE(_PyRangeIterObject)},
    {.name = "longrange_iterator",
     .size = SIZE(longrangeiterobject),
     .members = {M(longrangeiterobject, index), M(longrangeiterobject, start), M(longrangeiterobject, step),
                 M(longrangeiterobject, len)}},
    {.name = "enumerate",
     .size = SIZE(enumobject),
     .members = {M(enumobject, en_sit), M(enumobject, en_result), M(enumobject, en_longindex), M(enumobject, one)}},
    {.name = "reversed", .size = SIZE(reversedobject), .members = {M(reversedobject, seq)}},
    {.name = "zip", .size = SIZE(zipobject), .members = {M(zipobject, ittuple), M(zipobject, result)}},
    {.name = "map", .size = SIZE(mapobject), .members = {M(mapobject, iters), M(mapobject, func)}},
    {.name = "filter", .size = SIZE(filterobject), .members = {M(filterobject, func), M(filterobject, it)}},
    {.name = "async_generator_asend",
     .size = SIZE(PyAsyncGenASend),
     .members = {M(PyAsyncGenASend, ags_gen), M(PyAsyncGenASend, ags_sendval)}},
    {.name = "async_generator_wrapped_value",
     .size = SIZE(_PyAsyncGenWrappedValue),
     .members = {M(_PyAsyncGenWrappedValue, agw_val)}},
    /* Other builtin types (Objects/). */
    {.name = "pickle.PickleBuffer",
     .size = SIZE(PyPickleBufferObject),
     .members = {{.field = MT_FIELD_PyPickleBufferObject__view, .link = "view.obj", .inner = MT_FIELD_Py_buffer__obj}}},
    {.name = "typing.TypeVar",
     .size = SIZE(typevarobject),
     .members = {M(typevarobject, name), M(typevarobject, bound), M(typevarobject, evaluate_bound),
                 M(typevarobject, constraints), M(typevarobject, evaluate_constraints), M(typevarobject, default_value),
                 M(typevarobject, evaluate_default)}},
    {.name = "typing.ParamSpec",
     .size = SIZE(paramspecobject),
     .members = {M(paramspecobject, name), M(paramspecobject, bound), M(paramspecobject, default_value),
                 M(paramspecobject, evaluate_default)}},
    {.name = "typing.TypeVarTuple",
     .size = SIZE(typevartupleobject),
     .members = {M(typevartupleobject, name), M(typevartupleobject, bound), M(typevartupleobject, default_value),
                 M(typevartupleobject, evaluate_default)}},
    {.name = "typing.TypeAliasType",
     .size = SIZE(typealiasobject),
     .members = {M(typealiasobject, name), M(typealiasobject, qualname), M(typealiasobject, type_params),
                 M(typealiasobject, compute_value), M(typealiasobject, value), M(typealiasobject, module)}},
    {.name = "string.templatelib.Template",
     .size = SIZE(templateobject),
     .members = {M(templateobject, strings), M(templateobject, interpolations)}},
    {.name = "string.templatelib.Interpolation",
     .size = SIZE(interpolationobject),
     .members = {M(interpolationobject, value), M(interpolationobject, expression), M(interpolationobject, conversion),
                 M(interpolationobject, format_spec)}},
    {.name = "lazy_import",
     .size = SIZE(PyLazyImportObject),
     .members = {M(PyLazyImportObject, lz_builtins), M(PyLazyImportObject, lz_from), M(PyLazyImportObject, lz_attr),
                 M(PyLazyImportObject, lz_code)}},
    {.name = "sentinel",
     .size = SIZE(sentinelobject),
     .members = {M(sentinelobject, name), M(sentinelobject, module), M(sentinelobject, repr)}},
    /* Modules/itertoolsmodule.c */
    {.name = "itertools.accumulate",
     .size = SIZE(accumulateobject),
     .members = {M(accumulateobject, total), M(accumulateobject, it), M(accumulateobject, binop),
                 M(accumulateobject, initial)}},
    {.name = "itertools.batched", .size = SIZE(batchedobject), .members = {M(batchedobject, it)}},
    {.name = "itertools.chain", .size = SIZE(chainobject), .members = {M(chainobject, source), M(chainobject, active)}},
    COMBINATIONS("itertools.combinations"),
    COMBINATIONS("itertools.combinations_with_replacement"),
    {.name = "itertools.permutations",
     .size = SIZE(permutationsobject),
     .members = {M(permutationsobject, pool), M(permutationsobject, result)}},
    {.name = "itertools.compress",
     .size = SIZE(compressobject),
     .members = {M(compressobject, data), M(compressobject, selectors)}},
    {.name = "itertools.count",
     .size = SIZE(countobject),
     .members = {M(countobject, long_cnt), M(countobject, long_step)}},
    {.name = "itertools.cycle", .size = SIZE(cycleobject), .members = {M(cycleobject, it), M(cycleobject, saved)}},
    {.name = "itertools.groupby",
     .size = SIZE(groupbyobject),
     .members = {M(groupbyobject, it), M(groupbyobject, keyfunc), M(groupbyobject, tgtkey), M(groupbyobject, currkey),
                 M(groupbyobject, currvalue)}},
    {.name = "itertools._grouper",
     .size = SIZE(_grouperobject),
     .members = {M(_grouperobject, parent), M(_grouperobject, tgtkey)}},
    {.name = "itertools.islice", .size = SIZE(isliceobject), .members = {M(isliceobject, it)}},
    {.name = "itertools.pairwise",
     .size = SIZE(pairwiseobject),
     .members = {M(pairwiseobject, it), M(pairwiseobject, old), M(pairwiseobject, result)}},
    {.name = "itertools.product",
     .size = SIZE(productobject),
     .members = {M(productobject, pools), M(productobject, result)}},
    {.name = "itertools.repeat", .size = SIZE(repeatobject), .members = {M(repeatobject, element)}},
    {.name = "itertools.starmap",
     .size = SIZE(starmapobject),
     .members = {M(starmapobject, func), M(starmapobject, it)}},
    {.name = "itertools._tee", .size = SIZE(teeobject), .members = {M(teeobject, dataobj)}},
    {.name = "itertools._tee_dataobject",
     .size = SIZE(teedataobject),
     .storage = MT_PLAIN_TEE_VALUES,
     .members = {M(teedataobject, it), M(teedataobject, nextlink)}},
    {.name = "itertools.zip_longest",
     .size = SIZE(ziplongestobject),
     .members = {M(ziplongestobject, ittuple), M(ziplongestobject, result), M(ziplongestobject, fillvalue)}},
    /* Modules/_collectionsmodule.c, _operator.c, _queuemodule.c, _struct.c, _sre, arraymodule.c, mmapmodule.c */
    DEQUE_ITERATOR("_collections._deque_iterator"),
    DEQUE_ITERATOR("_collections._deque_reverse_iterator"),
    DEQUE_ITERATOR("collections._deque_iterator"),
    DEQUE_ITERATOR("collections._deque_reverse_iterator"),
    {.name = "operator.itemgetter", .size = SIZE(itemgetterobject), .members = {M(itemgetterobject, item)}},
    {.name = "operator.attrgetter", .size = SIZE(attrgetterobject), .members = {M(attrgetterobject, attr)}},
    {.name = "operator.methodcaller",
     .size = SIZE(methodcallerobject),
     .storage = MT_PLAIN_METHOD_CALLER,
     .members = {M(methodcallerobject, name), M(methodcallerobject, args), M(methodcallerobject, xargs),
                 M(methodcallerobject, kwds)}},
    {.name = "_queue.SimpleQueue",
     .size = SIZE(simplequeueobject),
     .storage = MT_PLAIN_QUEUE_RING,
     .members = {M(simplequeueobject, lst)}},
    {.name = "_struct.Struct", .size = SIZE(PyStructObject), .members = {M(PyStructObject, s_format)}},
    {.name = "re.Pattern",
     .size = SIZE(PatternObject),
     .members = {M(PatternObject, groupindex), M(PatternObject, indexgroup), M(PatternObject, pattern)}},
    {.name = "re.Match",
     .size = SIZE(MatchObject),
     .members = {M(MatchObject, string), M(MatchObject, regs), M(MatchObject, pattern)}},
    {.name = "array.array", .size = SIZE(arrayobject)},
    {.name = "mmap.mmap", .size = SIZE(mmap_object)},
    /* Modules/_threadmodule.c */
    {.name = "_thread.lock", .size = SIZE(lockobject)},
    {.name = "_thread.RLock", .size = SIZE(rlockobject)},
    {.name = "_thread._ThreadHandle", .size = SIZE(ThreadHandleObject)},
    {.name = "_thread._local",
     .size = SIZE(localobject),
     .members = {M(localobject, key), M(localobject, args), M(localobject, kw), M(localobject, dummies),
                 M(localobject, wr_callback), M(localobject, localdicts), M(localobject, thread_watchdogs)}},
    /* Modules/_io */
    BUFFERED("_io.BufferedReader"),
    BUFFERED("_io.BufferedWriter"),
    BUFFERED("_io.BufferedRandom"),
    {.name = "_io.BufferedRWPair",
     .size = SIZE(rwpair),
     .members = {M(rwpair, reader), M(rwpair, writer), M(rwpair, dict)}},
    {.name = "_io.BytesIO", .size = SIZE(bytesio), .members = {M(bytesio, buf), M(bytesio, dict)}},
    {.name = "_io.FileIO", .size = SIZE(fileio), .members = {M(fileio, dict)}},
    {.name = "_io.StringIO",
     .size = SIZE(stringio),
     .members = {AS(stringio, accu_large, "accu.large"), AS(stringio, accu_small, "accu.small"),
                 AS(stringio, writer_buffer, "writer.buffer"), M(stringio, decoder), M(stringio, readnl),
                 M(stringio, writenl), M(stringio, dict)}},
    {.name = "_io.IncrementalNewlineDecoder",
     .size = SIZE(nldecoder_object),
     .members = {M(nldecoder_object, decoder), M(nldecoder_object, errors)}},
    {.name = "_io.TextIOWrapper",
     .size = SIZE(textio),
     .members = {M(textio, buffer), M(textio, encoding), M(textio, encoder), M(textio, decoder), M(textio, readnl),
                 M(textio, errors), M(textio, decoded_chars), M(textio, pending_bytes), M(textio, snapshot),
                 M(textio, raw), M(textio, dict)}},
    /* Modules/_asynciomodule.c */
    {.name = "_asyncio.Future",
     .size = SIZE(FutureObj),
     .members = {FUTURE_MEMBERS(FutureObj, fut), M(FutureObj, fut_awaited_by)}},
    {.name = "_asyncio.Task",
     .size = SIZE(TaskObj),
     .members = {FUTURE_MEMBERS(TaskObj, task), M(TaskObj, task_awaited_by), M(TaskObj, task_fut_waiter),
                 M(TaskObj, task_coro), M(TaskObj, task_name), M(TaskObj, task_context)}},
    {.name = "_asyncio.FutureIter", .size = SIZE(FutureIter), .members = {M(FutureIter, future)}},
    /* Modules/_datetimemodule.c */
    {.name = "datetime.date", .size = SIZE(PyDateTime_Date)},
    {.name = "datetime.timedelta", .size = SIZE(PyDateTime_Delta)},
    {.name = "datetime.datetime", .size = SIZE(PyDateTime_DateTime), .members = {TIME_ZONE(PyDateTime_DateTime)}},
    {.name = "datetime.time", .size = SIZE(PyDateTime_Time), .members = {TIME_ZONE(PyDateTime_Time)}},
    /* Modules/_elementtree.c */
    {.name = "xml.etree.ElementTree.Element",
     .size = SIZE(ElementObject),
     .storage = MT_PLAIN_ELEMENT_TREE,
     .members = {M(ElementObject, tag)}},
    /* Python/context.c: their names in 3.9. */
    {.name = "Context", .size = SIZE(PyContext), .members = {M(PyContext, ctx_prev), M(PyContext, ctx_vars)}},
    {.name = "ContextVar",
     .size = SIZE(PyContextVar),
     .members = {M(PyContextVar, var_name), M(PyContextVar, var_default)}},
    {.name = "Token",
     .size = SIZE(PyContextToken),
     .members = {M(PyContextToken, tok_ctx), M(PyContextToken, tok_var), M(PyContextToken, tok_oldval)}},
    /* Structs that the layout tables do not have, of which every version with this size is alike. */
    {.name = "_abc._abc_data",
     .basic_size = 48,
     .members = {AT(16, "_abc_registry"), AT(24, "_abc_cache"), AT(32, "_abc_negative_cache")}},
    {.name = "_abc_data",
     .basic_size = 48,
     .members = {AT(16, "_abc_registry"), AT(24, "_abc_cache"), AT(32, "_abc_negative_cache")}},
    {.name = "itertools.takewhile", .basic_size = 40, .members = {AT(16, "func"), AT(24, "it")}},
    {.name = "itertools.dropwhile", .basic_size = 40, .members = {AT(16, "func"), AT(24, "it")}},
    {.name = "itertools.filterfalse", .basic_size = 32, .members = {AT(16, "func"), AT(24, "it")}},
    {.name = "datetime.timezone", .basic_size = 32, .members = {AT(16, "offset"), AT(24, "name")}},
    {.name = "generic_alias_iterator", .basic_size = 24, .members = {AT(16, "obj")}},
    {.name = "memory_iterator", .basic_size = 48, .members = {AT(24, "it_seq")}},
    {.name = "FrameLocalsProxy", .basic_size = 24, .members = {AT(16, "frame")}},
    {.name = "async_generator_athrow", .basic_size = 40, .members = {AT(16, "agt_gen"), AT(24, "agt_args")}},
    {.name = "async_generator_athrow",
     .basic_size = 56,
     .members = {AT(16, "agt_gen"), AT(24, "agt_typ"), AT(32, "agt_tb"), AT(40, "agt_val")}},
    {.name = "anext_awaitable", .basic_size = 32, .members = {AT(16, "wrapped"), AT(24, "default_value")}},
    {.name = "TaskStepMethWrapper", .basic_size = 32, .members = {AT(16, "sw_task"), AT(24, "sw_arg")}},
    {.name = "_asyncio.TaskStepMethWrapper", .basic_size = 32, .members = {AT(16, "sw_task"), AT(24, "sw_arg")}},
    {.name = "TaskWakeupMethWrapper", .basic_size = 24, .members = {AT(16, "ww_task")}},
    {.name = "_collections._tuplegetter", .basic_size = 32, .members = {AT(24, "doc")}},
    {.name = "collections._tuplegetter", .basic_size = 32, .members = {AT(24, "doc")}},
    {.name = "moduledef", .basic_size = 104, .members = {AT(32, "m_base.m_copy")}},
    {.name = "_io._BytesIOBuffer", .basic_size = 24, .members = {AT(16, "source")}},
    {.name = "sqlite3.Row", .basic_size = 32, .members = {AT(16, "data"), AT(24, "description")}},
    {.name = "string.templatelib.TemplateIter",
     .basic_size = 40,
     .members = {AT(16, "stringsiter"), AT(24, "interpolationsiter")}},
    {.name = "array.arrayiterator", .basic_size = 40, .members = {AT(24, "ao")}},
    {.name = "arrayiterator", .basic_size = 40, .members = {AT(24, "ao")}},
    {.name = "_struct.unpack_iterator",
     .basic_size = 112,
     .members = {AT(16, "so"), {.offset = 24, .link = "buf.obj", .inner = MT_FIELD_Py_buffer__obj}}},
    {.name = "unpack_iterator",
     .basic_size = 112,
     .members = {AT(16, "so"), {.offset = 24, .link = "buf.obj", .inner = MT_FIELD_Py_buffer__obj}}},
    {.name = "keys", .basic_size = 168, .members = {AT(16, "hi_obj")}},
    {.name = "values", .basic_size = 168, .members = {AT(16, "hi_obj")}},
    {.name = "items", .basic_size = 168, .members = {AT(16, "hi_obj")}},
    {.name = "_ctypes._CData", .basic_size = 96, .members = {CDATA_MEMBERS}},
    {.name = "_ctypes.PyCFuncPtr", .basic_size = 160, .members = {CFUNCTION_MEMBERS}},
    {.name = "_ctypes.CFuncPtr", .basic_size = 160, .members = {CFUNCTION_MEMBERS}},
    {.name = "_ctypes.CThunkObject",
     .basic_size = 128,
     .members = {AT(80, "converters"), AT(88, "callable"), AT(96, "restype")}},
    {.name = "_ctypes.DictRemover", .basic_size = 32, .members = {AT(16, "key"), AT(24, "dict")}},
    {.name = "decimal.ContextManager", .basic_size = 32, .members = {AT(16, "local"), AT(24, "global")}},
    {.name = "_typing._ConstEvaluator", .basic_size = 24, .members = {AT(16, "value")}},
    /* The dict of a thread is borrowed (3.9 to 3.12). */
    {.name = "_thread._localdummy", .basic_size = 32},
    {.name = "_thread._localdummy", .basic_size = 24},
    /* numpy: numpy/ufuncobject.h, 1.19 to 1.21, 1.22 to 1.26, 2.1 and later; arrayfunction_override.h, 1.25 and later
     */
    {.name = "numpy.ufunc",
     .basic_size = 216,
     .members = {AT(88, "obj"), AT(96, "userloops"), AT(208, "identity_value")}},
    {.name = "numpy.ufunc",
     .basic_size = 232,
     .members = {AT(88, "obj"), AT(96, "userloops"), AT(208, "identity_value"), AT(224, "_loops")}},
    {.name = "numpy.ufunc",
     .basic_size = 240,
     .members = {AT(88, "obj"), AT(96, "userloops"), AT(152, "dict"), AT(208, "identity_value"), AT(224, "_loops")}},
    {.name = "numpy._ArrayFunctionDispatcher",
     .basic_size = 64,
     .members = {AT(24, "dict"), AT(32, "relevant_arg_func"), AT(40, "default_impl"), AT(48, "dispatcher_name"),
                 AT(56, "public_name")}},
    /* Modules/_decimal/_decimal.c */
    {.name = "decimal.Decimal", .basic_size = 104},
    {.name = "decimal.Context", .basic_size = 96, .members = {AT(64, "traps"), AT(72, "flags")}},
    {.name = "decimal.Context", .basic_size = 104, .members = {AT(64, "traps"), AT(72, "flags")}},
};

const struct mt_plain *mt_plain_find(const struct mt_python_layout *layout, const char *name, int64_t basic_size) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].name, name) == 0 &&
            (rows[i].size ? layout->value[rows[i].size] : rows[i].basic_size) == basic_size)
            return &rows[i];
    return NULL;
}

/* --- kinds -------------------------------------------------------------------------------------------------------- */

#define END                                                                                                            \
    { .link = NULL }
#define DESCRIPTOR_MEMBERS M(PyDescrObject, d_type), M(PyDescrObject, d_name), M(PyDescrObject, d_qualname), END
#define WEAKREF_MEMBERS M(PyWeakReference, wr_callback), END
#define SYNTAX_ERROR_MEMBERS                                                                                           \
    M(PySyntaxErrorObject, msg), M(PySyntaxErrorObject, filename), M(PySyntaxErrorObject, lineno),                     \
        M(PySyntaxErrorObject, offset), M(PySyntaxErrorObject, end_lineno), M(PySyntaxErrorObject, end_offset),        \
        M(PySyntaxErrorObject, text), M(PySyntaxErrorObject, print_file_and_line), M(PySyntaxErrorObject, metadata)
#define UNICODE_ERROR_MEMBERS                                                                                          \
    M(PyUnicodeErrorObject, encoding), M(PyUnicodeErrorObject, object), M(PyUnicodeErrorObject, reason), END
#define UNION_MEMBERS                                                                                                  \
    M(unionobject, args), M(unionobject, hashable_args), M(unionobject, unhashable_args), M(unionobject, parameters),  \
        END

static const struct mt_plain_member kind_members[MT_KIND_COUNT][MT_PLAIN_MEMBERS_MAX] = {
    /* 3.15 keeps the bytes in a bytes object (Objects/bytearrayobject.c). */
    [MT_KIND_BYTEARRAY] = {M(PyByteArrayObject, ob_bytes_object), END},
    [MT_KIND_DICT_KEYS] = {M(_PyDictViewObject, dv_dict), END},
    [MT_KIND_DICT_VALUES] = {M(_PyDictViewObject, dv_dict), END},
    [MT_KIND_DICT_ITEMS] = {M(_PyDictViewObject, dv_dict), END},
    [MT_KIND_FUNCTION] = {M(PyFunctionObject, func_code), M(PyFunctionObject, func_globals),
                          M(PyFunctionObject, func_builtins), M(PyFunctionObject, func_name),
                          M(PyFunctionObject, func_qualname), M(PyFunctionObject, func_defaults),
                          M(PyFunctionObject, func_kwdefaults), M(PyFunctionObject, func_closure),
                          M(PyFunctionObject, func_doc), M(PyFunctionObject, func_dict),
                          M(PyFunctionObject, func_module), M(PyFunctionObject, func_annotations),
                          M(PyFunctionObject, func_annotate), M(PyFunctionObject, func_typeparams), END},
    [MT_KIND_METHOD] = {AS(PyMethodObject, im_func, "func"), AS(PyMethodObject, im_self, "self"), END},
    [MT_KIND_INSTANCE_METHOD] = {M(PyInstanceMethodObject, func), END},
    [MT_KIND_BUILTIN_FUNCTION] = {AS(PyCFunctionObject, m_self, "self"), M(PyCFunctionObject, m_module), END},
    [MT_KIND_BUILTIN_METHOD] = {AS(PyCFunctionObject, m_self, "self"), M(PyCFunctionObject, m_module),
                                M(PyCMethodObject, mm_class), END},
    [MT_KIND_METHOD_WRAPPER] = {M(wrapperobject, descr), M(wrapperobject, self), END},
    [MT_KIND_WRAPPER_DESCRIPTOR] = {DESCRIPTOR_MEMBERS},
    [MT_KIND_METHOD_DESCRIPTOR] = {DESCRIPTOR_MEMBERS},
    [MT_KIND_CLASSMETHOD_DESCRIPTOR] = {DESCRIPTOR_MEMBERS},
    [MT_KIND_MEMBER_DESCRIPTOR] = {DESCRIPTOR_MEMBERS},
    [MT_KIND_GETSET_DESCRIPTOR] = {DESCRIPTOR_MEMBERS},
    [MT_KIND_CLASSMETHOD] = {M(classmethod, cm_callable), M(classmethod, cm_dict), END},
    [MT_KIND_STATICMETHOD] = {M(staticmethod, sm_callable), M(staticmethod, sm_dict), END},
    [MT_KIND_PROPERTY] = {M(propertyobject, prop_get), M(propertyobject, prop_set), M(propertyobject, prop_del),
                          M(propertyobject, prop_doc), M(propertyobject, prop_name), END},
    [MT_KIND_CELL] = {M(PyCellObject, ob_ref), END},
    /* Objects/codeobject.c: the collector sees none of them. co_zombieframe (3.9) is a dead frame. */
    [MT_KIND_CODE] = {M(PyCodeObject, co_code), M(PyCodeObject, co_consts), M(PyCodeObject, co_names),
                      M(PyCodeObject, co_varnames), M(PyCodeObject, co_freevars), M(PyCodeObject, co_cellvars),
                      M(PyCodeObject, co_localsplusnames), M(PyCodeObject, co_localspluskinds),
                      M(PyCodeObject, co_filename), M(PyCodeObject, co_name), M(PyCodeObject, co_qualname),
                      M(PyCodeObject, co_lnotab), M(PyCodeObject, co_linetable), M(PyCodeObject, co_exceptiontable),
                      M(PyCodeObject, _co_code), END},
    [MT_KIND_MODULE] = {M(PyModuleObject, md_dict), M(PyModuleObject, md_name), END},
    [MT_KIND_FRAME] = {M(PyFrameObject, f_back), M(PyFrameObject, f_code), M(PyFrameObject, f_builtins),
                       M(PyFrameObject, f_globals), M(PyFrameObject, f_locals), M(PyFrameObject, f_trace),
                       M(PyFrameObject, f_extra_locals), M(PyFrameObject, f_locals_cache),
                       M(PyFrameObject, f_overwritten_fast_locals), END},
    [MT_KIND_TRACEBACK] = {M(PyTracebackObject, tb_next), M(PyTracebackObject, tb_frame), END},
    [MT_KIND_GENERATOR] = {M(PyGenObject, gi_frame), M(PyGenObject, gi_code), M(PyGenObject, gi_name),
                           M(PyGenObject, gi_qualname), AS(PyGenObject, gi_exc_state_exc_type, "gi_exc_state.exc_type"),
                           AS(PyGenObject, gi_exc_state_exc_value, "gi_exc_state.exc_value"),
                           AS(PyGenObject, gi_exc_state_exc_traceback, "gi_exc_state.exc_traceback"), END},
    [MT_KIND_COROUTINE] = {M(PyCoroObject, cr_frame), M(PyCoroObject, cr_code), M(PyCoroObject, cr_name),
                           M(PyCoroObject, cr_qualname),
                           AS(PyCoroObject, cr_exc_state_exc_type, "cr_exc_state.exc_type"),
                           AS(PyCoroObject, cr_exc_state_exc_value, "cr_exc_state.exc_value"),
                           AS(PyCoroObject, cr_exc_state_exc_traceback, "cr_exc_state.exc_traceback"),
                           M(PyCoroObject, cr_origin), M(PyCoroObject, cr_origin_or_finalizer), END},
    [MT_KIND_COROUTINE_WRAPPER] = {M(PyCoroWrapper, cw_coroutine), END},
    [MT_KIND_ASYNC_GENERATOR] = {M(PyAsyncGenObject, ag_frame), M(PyAsyncGenObject, ag_code),
                                 M(PyAsyncGenObject, ag_name), M(PyAsyncGenObject, ag_qualname),
                                 AS(PyAsyncGenObject, ag_exc_state_exc_type, "ag_exc_state.exc_type"),
                                 AS(PyAsyncGenObject, ag_exc_state_exc_value, "ag_exc_state.exc_value"),
                                 AS(PyAsyncGenObject, ag_exc_state_exc_traceback, "ag_exc_state.exc_traceback"),
                                 M(PyAsyncGenObject, ag_finalizer), M(PyAsyncGenObject, ag_origin_or_finalizer), END},
    [MT_KIND_EXCEPTION] = {M(PyBaseExceptionObject, args), M(PyBaseExceptionObject, notes),
                           M(PyBaseExceptionObject, traceback), M(PyBaseExceptionObject, context),
                           M(PyBaseExceptionObject, cause), M(PyBaseExceptionObject, dict), END},
    [MT_KIND_STOP_ITERATION] = {M(PyStopIterationObject, value), END},
    [MT_KIND_OS_ERROR] = {M(PyOSErrorObject, myerrno), M(PyOSErrorObject, strerror), M(PyOSErrorObject, filename),
                          M(PyOSErrorObject, filename2), END},
    [MT_KIND_SYSTEM_EXIT] = {M(PySystemExitObject, code), END},
    [MT_KIND_IMPORT_ERROR] = {M(PyImportErrorObject, msg), M(PyImportErrorObject, name), M(PyImportErrorObject, path),
                              M(PyImportErrorObject, name_from), END},
    [MT_KIND_ATTRIBUTE_ERROR] = {M(PyAttributeErrorObject, obj), M(PyAttributeErrorObject, name), END},
    [MT_KIND_NAME_ERROR] = {M(PyNameErrorObject, name), END},
    [MT_KIND_SYNTAX_ERROR] = {SYNTAX_ERROR_MEMBERS, END},
    [MT_KIND_UNICODE_ERROR] = {UNICODE_ERROR_MEMBERS},
    [MT_KIND_UNICODE_ENCODE_ERROR] = {UNICODE_ERROR_MEMBERS},
    [MT_KIND_UNICODE_DECODE_ERROR] = {UNICODE_ERROR_MEMBERS},
    [MT_KIND_UNICODE_TRANSLATE_ERROR] = {UNICODE_ERROR_MEMBERS},
    [MT_KIND_EXCEPTION_GROUP] = {M(PyBaseExceptionGroupObject, msg), M(PyBaseExceptionGroupObject, excs),
                                 M(PyBaseExceptionGroupObject, excs_str), END},
    [MT_KIND_WEAKREF] = {WEAKREF_MEMBERS},
    [MT_KIND_WEAKREF_REFERENCE] = {WEAKREF_MEMBERS},
    [MT_KIND_WEAKPROXY] = {WEAKREF_MEMBERS},
    [MT_KIND_WEAKREF_PROXY] = {WEAKREF_MEMBERS},
    [MT_KIND_WEAKCALLABLEPROXY] = {WEAKREF_MEMBERS},
    [MT_KIND_WEAKREF_CALLABLE_PROXY] = {WEAKREF_MEMBERS},
    [MT_KIND_SLICE] = {M(PySliceObject, start), M(PySliceObject, stop), M(PySliceObject, step), END},
    [MT_KIND_RANGE] = {M(rangeobject, start), M(rangeobject, stop), M(rangeobject, step), M(rangeobject, length), END},
    /* Objects/memoryobject.c: a memoryview's view.obj is borrowed from the managed buffer, which owns it. */
    [MT_KIND_MEMORYVIEW] = {M(PyMemoryViewObject, mbuf), END},
    [MT_KIND_MANAGED_BUFFER] = {{.field = MT_FIELD__PyManagedBufferObject__master,
                                 .link = "master.obj",
                                 .inner = MT_FIELD_Py_buffer__obj},
                                END},
    [MT_KIND_MAPPING_PROXY] = {M(mappingproxyobject, mapping), END},
    [MT_KIND_SUPER] = {M(superobject, type), M(superobject, obj), M(superobject, obj_type), END},
    [MT_KIND_NAMESPACE] = {M(_PyNamespaceObject, ns_dict), END},
    [MT_KIND_GENERIC_ALIAS] = {M(gaobject, origin), M(gaobject, args), M(gaobject, parameters), END},
    [MT_KIND_UNION] = {UNION_MEMBERS},
    [MT_KIND_TYPING_UNION] = {UNION_MEMBERS},
    [MT_KIND_CONTEXT] = {M(PyContext, ctx_prev), M(PyContext, ctx_vars), END},
    [MT_KIND_CONTEXT_VAR] = {M(PyContextVar, var_name), M(PyContextVar, var_default), END},
    [MT_KIND_CONTEXT_TOKEN] = {M(PyContextToken, tok_ctx), M(PyContextToken, tok_var), M(PyContextToken, tok_oldval),
                               END},
    [MT_KIND_HAMT] = {M(PyHamtObject, h_root), END},
    [MT_KIND_DEFAULTDICT] = {M(defdictobject, default_factory), END},
    [MT_KIND_ORDERED_DICT] = {M(PyODictObject, od_inst_dict), END},
    [MT_KIND_PARTIAL] = {AS(partialobject, fn, "func"), M(partialobject, args), M(partialobject, kw),
                         M(partialobject, dict), END},
    [MT_KIND_LRU_CACHE] = {M(lru_cache_object, func), M(lru_cache_object, cache), M(lru_cache_object, cache_info_type),
                           M(lru_cache_object, kwd_mark), M(lru_cache_object, lru_list_elem_type),
                           M(lru_cache_object, dict), END},
    [MT_KIND_LRU_ELEMENT] = {AS(lru_list_elem, key, "cache key"), AS(lru_list_elem, result, "cache value"), END},
    [MT_KIND_CMP_KEY] = {M(keyobject, cmp), M(keyobject, object), END},
};

const struct mt_plain_member *mt_kind_members(enum mt_kind kind) {
    return kind_members[kind];
}
