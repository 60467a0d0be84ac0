#include "python/prove.h"

#include <string.h>

#include "python/dict.h"
#include "python/object.h"

#define L (&python->layout)
/* Bounds of what is looked at. */
#define MAX_INTERPRETERS 4096
#define INTERPRETERS_LOOKED_AT 64
#define MAX_THREADS 4096
#define RING_STEPS 1000
#define RING_TYPES 16
#define FRAME_STEPS 1000
#define THREADS_WITH_FRAMES 64
#define MAX_NAME 32
/* Linux: /proc/sys/kernel/pid_max is at most this. */
#define MAX_TID (1u << 22)
/* From 3.14 on, references in frames are tagged (Include/internal/pycore_stackref.h). */
#define STACK_REF_TAGS ((uint64_t)3)
#define GC_TAGS ((uint64_t)3) /* of _gc_next and _gc_prev */
/* Include/object.h */
#define TUPLE_SUBCLASS (1u << 26)
#define BYTES_SUBCLASS (1u << 27)
#define DICT_SUBCLASS (1u << 29)
#define TYPE_SUBCLASS (1u << 31)
/* Debian's 3.13 is compiled so that the collector's heads need no alignment of 8. */
#define VENDOR_SHIFT_OF_GENERATIONS 4

#define READ(structure, member, address, ret) read_word(python, (address), MT_AT(L, structure, member), (ret))
#define FAIL(...) mt_error_create(MT_ERROR_FORMAT, __VA_ARGS__)

static bool read_word(struct mt_python *python, uint64_t address, int64_t offset, uint64_t *ret) {
    return address != 0 && offset >= 0 && mt_view_u64(python->view, address + (uint64_t)offset, ret);
}

/* The type of an object; 0: unreadable. */
static uint64_t type_of(struct mt_python *python, uint64_t object) {
    uint64_t type;
    return READ(PyObject, ob_type, object, &type) ? type : 0;
}

static uint64_t flags_of(struct mt_python *python, uint64_t type) {
    uint64_t flags;
    return READ(PyTypeObject, tp_flags, type, &flags) ? flags : 0;
}

/* Is it an instance of a class with all these flags? */
static bool is_instance(struct mt_python *python, uint64_t object, uint64_t flags) {
    flags |= MT_TYPE_READY;
    return (flags_of(python, type_of(python, object)) & flags) == flags;
}

static bool is_type(struct mt_python *python, uint64_t type) {
    return is_instance(python, type, TYPE_SUBCLASS) && (flags_of(python, type) & MT_TYPE_READY);
}

/* Unknown where the name is in a file that is missing: then it is not counted against it. */
static bool may_be_called(struct mt_python *python, uint64_t type, const char *name) {
    uint64_t text;
    char found[MAX_NAME];
    return READ(PyTypeObject, tp_name, type, &text) &&
           (!mt_view_string(python->view, text, found, sizeof found) || strcmp(found, name) == 0);
}

static uint64_t main_interpreter(const struct mt_python *python) {
    return python->interpreters.data[python->interpreters.length - 1];
}

/* --- interpreters and threads ------------------------------------------------------------------------------------- */

static struct mt_error *prove_interpreters(struct mt_python *python) {
    uint64_t interpreter, main, owner, id;
    python->interpreters.length = 0;
    if (!READ(_PyRuntimeState, interpreters_head, python->runtime, &interpreter) || interpreter == 0)
        return FAIL("_PyRuntime has no interpreter");
    while (interpreter != 0) {
        if (python->interpreters.length == MAX_INTERPRETERS)
            return FAIL("the list of interpreters does not end");
        if (!mt_vector_push(&python->interpreters, interpreter))
            return &mt_error_no_memory;
        if (MT_HAS(L, PyInterpreterState, runtime) &&
            (!READ(PyInterpreterState, runtime, interpreter, &owner) || owner != python->runtime))
            return FAIL("an interpreter does not lead back to _PyRuntime");
        if (!READ(PyInterpreterState, next, interpreter, &interpreter))
            return FAIL("the list of interpreters leads nowhere");
    }
    interpreter = main_interpreter(python);
    if (!READ(_PyRuntimeState, interpreters_main, python->runtime, &main) || main != interpreter)
        return FAIL("the list of interpreters does not end with the main one");
    if (MT_HAS(L, _PyRuntimeState, _main_interpreter) &&
        main != python->runtime + MT_OFFSET(python, _PyRuntimeState, _main_interpreter))
        return FAIL("the main interpreter is not in _PyRuntime");
    if (!READ(PyInterpreterState, id, interpreter, &id) || id != 0)
        return FAIL("the main interpreter's number is not 0");
    return NULL;
}

static bool first_thread(struct mt_python *python, uint64_t interpreter, uint64_t *ret) {
    return MT_HAS(L, PyInterpreterState, threads_head) ? READ(PyInterpreterState, threads_head, interpreter, ret)
                                                       : READ(PyInterpreterState, tstate_head, interpreter, ret);
}

/* glibc and musl begin a thread's block, whose address is its identifier, with that address. Threads that are no more
 * leave states behind, so that one thread for which it holds must do. */
static struct mt_error *prove_thread(struct mt_python *python, uint64_t thread, bool *has_block) {
    uint64_t id, itself, native;
    if (!READ(PyThreadState, thread_id, thread, &id))
        return FAIL("a thread can't be read");
    if (id == 0)
        return NULL; /* it has not begun */
    *has_block |= mt_view_u64(python->view, id, &itself) && itself == id;
    if (MT_HAS(L, PyThreadState, native_thread_id) &&
        (!READ(PyThreadState, native_thread_id, thread, &native) || native == 0 || native > MAX_TID))
        return FAIL("a thread's number in the system is none");
    return NULL;
}

static struct mt_error *prove_threads_of(struct mt_python *python, uint64_t interpreter, bool *has_block) {
    uint64_t thread, previous = 0, owner, back;
    if (!first_thread(python, interpreter, &thread))
        return FAIL("an interpreter can't be read");
    if (thread == 0 && interpreter == main_interpreter(python))
        return FAIL("the main interpreter has no thread");
    for (unsigned i = 0; thread != 0 && i < MAX_THREADS; i++) {
        if (!READ(PyThreadState, interp, thread, &owner) || owner != interpreter)
            return FAIL("an interpreter's thread does not lead back to it");
        if (!READ(PyThreadState, prev, thread, &back) || back != previous)
            return FAIL("the list of threads does not lead back");
        struct mt_error *error = prove_thread(python, thread, has_block);
        if (error)
            return error;
        previous = thread;
        if (!READ(PyThreadState, next, thread, &thread))
            return FAIL("the list of threads leads nowhere");
    }
    return NULL;
}

static struct mt_error *prove_threads(struct mt_python *python) {
    bool has_block = false;
    struct mt_error *error = NULL;
    size_t count = python->interpreters.length;
    for (size_t i = 0; i < count && i < INTERPRETERS_LOOKED_AT && !error; i++)
        error = prove_threads_of(python, python->interpreters.data[count - 1 - i], &has_block);
    if (!error && !has_block)
        return FAIL("no thread's identifier is a thread");
    return error;
}

/* --- types -------------------------------------------------------------------------------------------------------- */

static uint64_t modules_of(struct mt_python *python, uint64_t interpreter) {
    uint64_t modules;
    bool ok = MT_HAS(L, PyInterpreterState, imports_modules)
                  ? READ(PyInterpreterState, imports_modules, interpreter, &modules)
                  : READ(PyInterpreterState, modules, interpreter, &modules);
    return ok ? modules : 0;
}

/* Is it the tuple of these objects? */
static bool is_tuple_of(struct mt_python *python, uint64_t tuple, const uint64_t *items, size_t count) {
    uint64_t size, item;
    if (!is_instance(python, tuple, TUPLE_SUBCLASS) || !READ(PyVarObject, ob_size, tuple, &size) || size != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!read_word(python, tuple, MT_AT(L, PyTupleObject, ob_item) + (int64_t)(i * sizeof item), &item) ||
            item != items[i])
            return false;
    return true;
}

/* What stands in a class that has one base, `object`. */
static bool is_derived_from_object(struct mt_python *python, uint64_t type) {
    uint64_t base, bases, order, ancestors[] = {type, python->object_type};
    return READ(PyTypeObject, tp_base, type, &base) && base == python->object_type &&
           READ(PyTypeObject, tp_bases, type, &bases) && is_tuple_of(python, bases, &base, 1) &&
           READ(PyTypeObject, tp_mro, type, &order) && is_tuple_of(python, order, ancestors, 2);
}

static struct mt_error *prove_types(struct mt_python *python) {
    uint64_t modules = modules_of(python, main_interpreter(python)), dict = type_of(python, modules), base;
    if (modules == 0 || !is_instance(python, modules, DICT_SUBCLASS))
        return FAIL("sys.modules is no dict");
    python->type_type = type_of(python, dict);
    if (python->type_type == 0 || type_of(python, python->type_type) != python->type_type ||
        !is_type(python, python->type_type))
        return FAIL("type(type) is not type");
    if (!READ(PyTypeObject, tp_base, python->type_type, &python->object_type) ||
        !is_type(python, python->object_type) || !READ(PyTypeObject, tp_base, python->object_type, &base) || base != 0)
        return FAIL("the bases of type do not end with object");
    if (!may_be_called(python, python->type_type, "type"))
        return FAIL("tp_name of type is not `type`");
    if (!may_be_called(python, python->object_type, "object"))
        return FAIL("tp_name of object is not `object`");
    if (!may_be_called(python, dict, "dict"))
        return FAIL("tp_name of dict is not `dict`");
    if (!is_derived_from_object(python, python->type_type) || !is_derived_from_object(python, dict))
        return FAIL("the bases of type and dict are not object");
    return NULL;
}

/* --- the collector's lists ---------------------------------------------------------------------------------------- */

static bool read_link(struct mt_python *python, uint64_t head, bool forwards, uint64_t *ret) {
    uint64_t link;
    if (!(forwards ? READ(PyGC_Head, _gc_next, head, &link) : READ(PyGC_Head, _gc_prev, head, &link)))
        return false;
    *ret = link & ~GC_TAGS;
    return *ret != 0;
}

/* A process may be stopped while it puts an object in or takes one out. Then one link does not lead back, or behind the
 * last object stands one that is not quite in yet (or, backwards, before the first): that is no damage. */
static bool closes(struct mt_python *python, uint64_t ring, bool forwards) {
    unsigned misfits = 0;
    uint64_t before = 0, at = ring, end, next, back;
    if (!read_link(python, ring, !forwards, &end))
        return false;
    for (unsigned i = 0; i < RING_STEPS; i++) {
        if (!read_link(python, at, forwards, &next))
            return before == end;
        bool leads_back = read_link(python, next, !forwards, &back) && back == at;
        if (!leads_back && at == end)
            return true;
        misfits += !leads_back;
        if (misfits > 1 || (i == 0 && misfits > 0))
            return false;
        if (next == ring)
            return true;
        if (i < RING_TYPES && !is_type(python, type_of(python, next + MT_OFFSET(python, PyGC_Head, sizeof))))
            return false;
        before = at;
        at = next;
    }
    return true;
}

static struct mt_error *prove_ring(struct mt_python *python, uint64_t ring, const char *name, unsigned number) {
    uint64_t next;
    if (python->collecting ? !read_link(python, ring, true, &next)
                           : !closes(python, ring, true) && !closes(python, ring, false))
        return FAIL("the collector's %s %u does not close", name, number);
    return NULL;
}

static struct mt_error *prove_generations(struct mt_python *python, uint64_t gc) {
    struct mt_error *error = NULL;
    unsigned count = (unsigned)MT_CONSTANT(L, NUM_GENERATIONS);
    /* 3.14.0 to 3.14.4: young, then an array of two old ones. */
    bool incremental = MT_HAS(L, _gc_runtime_state, young);
    uint64_t stride = incremental ? MT_OFFSET(python, _gc_runtime_state, old_stride)
                                  : MT_OFFSET(python, _gc_runtime_state, generations_stride);
    uint64_t first_old = incremental ? MT_OFFSET(python, _gc_runtime_state, old) : python->generations + stride;
    for (unsigned i = 0; i < count && !error; i++)
        error = prove_ring(python, gc + (i == 0 ? python->generations : first_old + (i - 1) * stride), "generation", i);
    if (!error)
        error = prove_ring(python, gc + MT_OFFSET(python, _gc_runtime_state, permanent_generation),
                           "permanent generation", 0);
    return error;
}

/* Where they really begin: `generation0` points to them. */
static struct mt_error *find_generations(struct mt_python *python, uint64_t gc) {
    uint64_t first;
    if (!MT_HAS(L, _gc_runtime_state, generation0)) {
        python->generations = MT_OFFSET(python, _gc_runtime_state, young);
        return NULL;
    }
    uint64_t known = MT_OFFSET(python, _gc_runtime_state, generations);
    if (!READ(_gc_runtime_state, generation0, gc, &first) ||
        (first != gc + known && first != gc + known - VENDOR_SHIFT_OF_GENERATIONS))
        return FAIL("the collector's generation 0 is elsewhere");
    python->generations = first - gc;
    L->value[MT_FIELD__gc_runtime_state__generations] = (int64_t)python->generations;
    return NULL;
}

static struct mt_error *prove_collector(struct mt_python *python) {
    struct mt_error *error = NULL;
    size_t count = python->interpreters.length;
    for (size_t i = 0; i < count && i < INTERPRETERS_LOOKED_AT && !error; i++) {
        uint64_t gc = python->interpreters.data[count - 1 - i] + MT_OFFSET(python, PyInterpreterState, gc);
        uint32_t collecting;
        if (!mt_view_u32(python->view, gc + MT_OFFSET(python, _gc_runtime_state, collecting), &collecting) ||
            collecting > 1)
            return FAIL("whether the collector runs can't be told");
        python->collecting = i == 0 ? collecting != 0 : python->collecting || collecting != 0;
        error = find_generations(python, gc);
        if (!error)
            error = prove_generations(python, gc);
    }
    return error;
}

/* --- modules and values ------------------------------------------------------------------------------------------- */

/* A type whose instances are so large, and have their __dict__ and weak references there. */
static bool has_places(struct mt_python *python, uint64_t type, int64_t size, int64_t dict, int64_t weak) {
    uint64_t value;
    return READ(PyTypeObject, tp_basicsize, type, &value) && value == (uint64_t)size &&
           READ(PyTypeObject, tp_dictoffset, type, &value) && value == (uint64_t)dict &&
           READ(PyTypeObject, tp_weaklistoffset, type, &value) && value == (uint64_t)weak;
}

/* A module and the dict that the interpreter has of it besides. */
static bool is_module_with(struct mt_python *python, uint64_t module, uint64_t dict) {
    uint64_t itself, type = type_of(python, module);
    return may_be_called(python, type, "module") && READ(PyModuleObject, md_dict, module, &itself) && itself == dict &&
           is_instance(python, dict, DICT_SUBCLASS);
}

static struct mt_error *prove_modules(struct mt_python *python) {
    uint64_t interpreter = main_interpreter(python), modules = modules_of(python, interpreter), sysdict, builtins;
    uint64_t sys = mt_dict_get(python, modules, "sys");
    if (sys == 0)
        return FAIL("sys.modules has no str key 'sys'");
    if (!READ(PyInterpreterState, sysdict, interpreter, &sysdict) || !is_module_with(python, sys, sysdict))
        return FAIL("sys.modules['sys'] is not the module sys");
    if (!READ(PyInterpreterState, builtins, interpreter, &builtins) ||
        !is_module_with(python, mt_dict_get(python, modules, "builtins"), builtins))
        return FAIL("sys.modules['builtins'] is not the module builtins");
    if (!has_places(python, type_of(python, sys), MT_AT(L, PyModuleObject, sizeof), MT_AT(L, PyModuleObject, md_dict),
                    MT_AT(L, PyModuleObject, md_weaklist)))
        return FAIL("modules have their __dict__ elsewhere");
    return NULL;
}

/* sys.hexversion is this version, in one digit of an int. */
static bool has_version(struct mt_python *python, uint64_t number) {
    bool tagged = MT_HAS(L, PyLongObject, long_value_lv_tag);
    int64_t digits_at = tagged ? MT_AT(L, PyLongObject, long_value_ob_digit) : MT_AT(L, PyLongObject, ob_digit);
    uint64_t size;
    uint32_t digit;
    if (!(tagged ? READ(PyLongObject, long_value_lv_tag, number, &size) : READ(PyVarObject, ob_size, number, &size)))
        return false;
    if (tagged)
        size >>= MT_CONSTANT(L, NON_SIZE_BITS);
    return size == 1 && mt_view_u32(python->view, number + (uint64_t)digits_at, &digit) &&
           digit == python->layout.version;
}

static struct mt_error *prove_values(struct mt_python *python) {
    uint64_t interpreter = main_interpreter(python), sysdict, builtins;
    if (!READ(PyInterpreterState, sysdict, interpreter, &sysdict) ||
        !READ(PyInterpreterState, builtins, interpreter, &builtins))
        return FAIL("an interpreter can't be read");
    uint64_t number = mt_dict_get(python, sysdict, "hexversion"), platform = mt_dict_get(python, sysdict, "platform");
    if (number != 0 && !has_version(python, number))
        return FAIL("sys.hexversion is not the version");
    if (platform != 0 && !mt_str_equals(python, platform, "linux"))
        return FAIL("sys.platform is not 'linux'");
    uint64_t none = mt_dict_get(python, builtins, "None");
    if (none == 0 || !is_type(python, type_of(python, none)) ||
        !may_be_called(python, type_of(python, none), "NoneType"))
        return FAIL("None is not there");
    python->none = none;
    return NULL;
}

/* Builtin classes that are called by their name in builtins, and the field that says how large their instances are:
 * those with items behind them as far as the first item. */
static const struct {
    const char *name;
    uint16_t size;
    uint16_t more;
} sizes[] = {
    {"type", MT_FIELD_PyHeapTypeObject__sizeof, 0},
    {"str", MT_FIELD_PyUnicodeObject__sizeof, 0},
    {"list", MT_FIELD_PyListObject__sizeof, 0},
    {"dict", MT_FIELD_PyDictObject__sizeof, 0},
    {"set", MT_FIELD_PySetObject__sizeof, 0},
    {"frozenset", MT_FIELD_PySetObject__sizeof, 0},
    {"float", MT_FIELD_PyFloatObject__sizeof, 0},
    {"complex", MT_FIELD_PyComplexObject__sizeof, 0},
    {"bytearray", MT_FIELD_PyByteArrayObject__sizeof, 0},
    {"slice", MT_FIELD_PySliceObject__sizeof, 0},
    {"range", MT_FIELD_rangeobject__sizeof, 0},
    {"property", MT_FIELD_propertyobject__sizeof, 0},
    {"classmethod", MT_FIELD_classmethod__sizeof, 0},
    {"staticmethod", MT_FIELD_staticmethod__sizeof, 0},
    {"super", MT_FIELD_superobject__sizeof, 0},
    {"enumerate", MT_FIELD_enumobject__sizeof, 0},
    {"filter", MT_FIELD_filterobject__sizeof, 0},
    {"map", MT_FIELD_mapobject__sizeof, 0},
    {"zip", MT_FIELD_zipobject__sizeof, 0},
    {"BaseException", MT_FIELD_PyBaseExceptionObject__sizeof, 0},
    {"OSError", MT_FIELD_PyOSErrorObject__sizeof, 0},
    {"ImportError", MT_FIELD_PyImportErrorObject__sizeof, 0},
    {"SyntaxError", MT_FIELD_PySyntaxErrorObject__sizeof, 0},
    {"StopIteration", MT_FIELD_PyStopIterationObject__sizeof, 0},
    {"int", MT_FIELD_PyLongObject__ob_digit, 0},
    {"int", MT_FIELD_PyLongObject__long_value_ob_digit, 0},
    {"tuple", MT_FIELD_PyTupleObject__ob_item, 0},
    {"bytes", MT_FIELD_PyBytesObject__ob_sval, 1}, /* a zero byte ends it */
};

/* Somebody may have put something else there: then it says nothing. */
static struct mt_error *prove_size(struct mt_python *python, uint64_t type, size_t index) {
    int64_t known = L->value[sizes[index].size];
    uint64_t size;
    if (known < 0 || type_of(python, type) != python->type_type || (flags_of(python, type) & MT_TYPE_HEAP) ||
        !may_be_called(python, type, sizes[index].name))
        return NULL;
    if (!READ(PyTypeObject, tp_basicsize, type, &size) || size != (uint64_t)known + sizes[index].more)
        return FAIL("instances of %s are not as large as they should be", sizes[index].name);
    return NULL;
}

struct size_visit {
    struct mt_python *python;
    struct mt_error *error;
};

static bool visit_builtin(void *context, uint64_t key, uint64_t value, uint64_t index) {
    struct size_visit *visit = context;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0] && !visit->error; i++)
        if (mt_str_equals(visit->python, key, sizes[i].name))
            visit->error = prove_size(visit->python, value, i);
    return !visit->error;
}

static struct mt_error *prove_sizes(struct mt_python *python) {
    struct size_visit visit = {.python = python};
    uint64_t builtins;
    if (!READ(PyInterpreterState, builtins, main_interpreter(python), &builtins) ||
        !mt_dict_visit(python, builtins, visit_builtin, &visit))
        return visit.error ? visit.error : FAIL("the module builtins can't be read");
    return visit.error;
}

/* --- code and frames ---------------------------------------------------------------------------------------------- */

/* A function that every process has, Lib/importlib/_bootstrap.py of 3.9 to 3.15:
 *
 *     class ModuleSpec:
 *         def __init__(self, name, loader, *, origin=None, loader_state=None, is_package=None) */
#define KNOWN_CLASS "ModuleSpec"
#define KNOWN_NAME "__init__"
#define KNOWN_FUNCTION KNOWN_CLASS "." KNOWN_NAME
#define KNOWN_FILE "<frozen importlib._bootstrap>"
enum { KNOWN_ARGUMENTS = 3, KNOWN_KEYWORDS = 3 };
#define MAX_STACK 1000

static bool string_is(struct mt_python *python, uint64_t object, int64_t offset, const char *text) {
    uint64_t string;
    return read_word(python, object, offset, &string) && mt_str_equals(python, string, text);
}

/* A member that is an instance of a class with these flags; or this version has no such member. */
static bool member_is(struct mt_python *python, uint64_t object, int64_t offset, uint64_t flags) {
    uint64_t member;
    return offset < 0 || (read_word(python, object, offset, &member) && is_instance(python, member, flags));
}

/* -1: unreadable. */
static int32_t int_at(struct mt_python *python, uint64_t object, int64_t offset) {
    int32_t value;
    return offset >= 0 && mt_view_i32(python->view, object + (uint64_t)offset, &value) ? value : -1;
}

/* ob_size of a member; 0: unreadable. */
static uint64_t member_length(struct mt_python *python, uint64_t object, int64_t offset) {
    uint64_t member, size;
    return read_word(python, object, offset, &member) && READ(PyVarObject, ob_size, member, &size) ? size : 0;
}

/* 3.11+: how many variables a frame has, and how large it is. */
static bool has_frame_size(struct mt_python *python, uint64_t code) {
    int32_t variables = int_at(python, code, MT_AT(L, PyCodeObject, co_nlocalsplus));
    int32_t stack = int_at(python, code, MT_AT(L, PyCodeObject, co_stacksize));
    if (stack <= 0 || stack > MAX_STACK)
        return false;
    if (!MT_HAS(L, PyCodeObject, co_nlocalsplus))
        return true;
    if (variables < KNOWN_ARGUMENTS + KNOWN_KEYWORDS ||
        member_length(python, code, MT_AT(L, PyCodeObject, co_localsplusnames)) != (uint64_t)variables ||
        member_length(python, code, MT_AT(L, PyCodeObject, co_localspluskinds)) != (uint64_t)variables)
        return false;
    return !MT_HAS(L, PyCodeObject, co_framesize) || int_at(python, code, MT_AT(L, PyCodeObject, co_framesize)) ==
                                                         variables + stack + MT_CONSTANT(L, FRAME_SPECIALS_SIZE);
}

/* Up to where a code object has no bytecode. */
static uint64_t code_size(const struct mt_python *python) {
    return MT_HAS(L, PyCodeObject, co_code_adaptive) ? MT_OFFSET(python, PyCodeObject, co_code_adaptive)
                                                     : MT_OFFSET(python, PyCodeObject, sizeof);
}

static struct mt_error *prove_code(struct mt_python *python, uint64_t code) {
    uint64_t size;
    if (!string_is(python, code, MT_AT(L, PyCodeObject, co_name), KNOWN_NAME))
        return FAIL("co_name of " KNOWN_FUNCTION "() is not its name");
    if (!string_is(python, code, MT_AT(L, PyCodeObject, co_filename), KNOWN_FILE))
        return FAIL("co_filename of " KNOWN_FUNCTION "() is not its file");
    if (MT_HAS(L, PyCodeObject, co_qualname) &&
        !string_is(python, code, MT_AT(L, PyCodeObject, co_qualname), KNOWN_FUNCTION))
        return FAIL("co_qualname of " KNOWN_FUNCTION "() is not its name");
    if (int_at(python, code, MT_AT(L, PyCodeObject, co_argcount)) != KNOWN_ARGUMENTS ||
        int_at(python, code, MT_AT(L, PyCodeObject, co_kwonlyargcount)) != KNOWN_KEYWORDS ||
        int_at(python, code, MT_AT(L, PyCodeObject, co_firstlineno)) <= 0)
        return FAIL(KNOWN_FUNCTION "() has not its arguments, or no line");
    if (!member_is(python, code, MT_AT(L, PyCodeObject, co_consts), TUPLE_SUBCLASS) ||
        !member_is(python, code, MT_AT(L, PyCodeObject, co_names), TUPLE_SUBCLASS) ||
        !member_is(python, code, MT_AT(L, PyCodeObject, co_varnames), TUPLE_SUBCLASS) ||
        !member_is(python, code, MT_AT(L, PyCodeObject, co_localsplusnames), TUPLE_SUBCLASS) ||
        !member_is(python, code, MT_AT(L, PyCodeObject, co_localspluskinds), BYTES_SUBCLASS) ||
        !member_is(python, code, MT_AT(L, PyCodeObject, co_linetable), BYTES_SUBCLASS) ||
        !member_is(python, code, MT_AT(L, PyCodeObject, co_lnotab), BYTES_SUBCLASS))
        return FAIL(KNOWN_FUNCTION "() has no names, constants or lines");
    if (!has_frame_size(python, code))
        return FAIL("frames of " KNOWN_FUNCTION "() are not as large as they should be");
    if (!READ(PyTypeObject, tp_basicsize, type_of(python, code), &size) || size != code_size(python))
        return FAIL("code objects are not as large as they should be");
    return NULL;
}

static struct mt_error *prove_function(struct mt_python *python, uint64_t function, uint64_t globals,
                                       uint64_t *ret_code) {
    uint64_t value;
    if (!string_is(python, function, MT_AT(L, PyFunctionObject, func_name), KNOWN_NAME) ||
        !string_is(python, function, MT_AT(L, PyFunctionObject, func_qualname), KNOWN_FUNCTION))
        return FAIL("func_name of " KNOWN_FUNCTION "() is not its name");
    if (!READ(PyFunctionObject, func_globals, function, &value) || value != globals ||
        !member_is(python, function, MT_AT(L, PyFunctionObject, func_kwdefaults), DICT_SUBCLASS))
        return FAIL(KNOWN_FUNCTION "() has not its globals and defaults");
    if (!has_places(python, type_of(python, function), MT_AT(L, PyFunctionObject, sizeof),
                    MT_AT(L, PyFunctionObject, func_dict), MT_AT(L, PyFunctionObject, func_weakreflist)))
        return FAIL("functions have their __dict__ elsewhere");
    if (!READ(PyFunctionObject, func_code, function, ret_code) ||
        !may_be_called(python, type_of(python, *ret_code), "code"))
        return FAIL("func_code of " KNOWN_FUNCTION "() is no code");
    return NULL;
}

/* Where a thread's frames begin; 0: it has none. */
static bool innermost_frame(struct mt_python *python, uint64_t thread, uint64_t *ret) {
    if (MT_HAS(L, PyThreadState, current_frame))
        return READ(PyThreadState, current_frame, thread, ret);
    if (MT_HAS(L, PyThreadState, frame))
        return READ(PyThreadState, frame, thread, ret);
    return READ(PyThreadState, cframe, thread, ret) && READ(_PyCFrame, current_frame, *ret, ret);
}

static bool read_frame(struct mt_python *python, uint64_t frame, uint64_t *ret_code, uint64_t *ret_previous) {
    uint64_t code;
    if (MT_HAS(L, PyFrameObject, f_back) && MT_HAS(L, PyFrameObject, f_code))
        return READ(PyFrameObject, f_code, frame, ret_code) && READ(PyFrameObject, f_back, frame, ret_previous);
    if (!(MT_HAS(L, _PyInterpreterFrame, f_executable) ? READ(_PyInterpreterFrame, f_executable, frame, &code)
                                                       : READ(_PyInterpreterFrame, f_code, frame, &code)))
        return false;
    *ret_code = code & ~STACK_REF_TAGS;
    return READ(_PyInterpreterFrame, previous, frame, ret_previous);
}

/* Each frame runs code, but those between C and Python have None (3.13+). */
static struct mt_error *prove_frames_of(struct mt_python *python, uint64_t thread, uint64_t code_type,
                                        bool *ret_has_frames) {
    uint64_t frame, code;
    if (!innermost_frame(python, thread, &frame))
        return FAIL("a thread's frames can't be read");
    bool has_frames = frame != 0;
    for (unsigned i = 0; frame != 0 && i < FRAME_STEPS; i++) {
        if (!read_frame(python, frame, &code, &frame))
            return FAIL("a thread's frames lead nowhere");
        if (type_of(python, code) != code_type && code != python->none)
            return FAIL("a thread's frame runs no code");
    }
    *ret_has_frames |= has_frames;
    return NULL;
}

/* A thread that enters the interpreter has no frame set for a moment (3.11, 3.12), so that one thread for which it
 * holds must do. */
static struct mt_error *prove_frames(struct mt_python *python, uint64_t code_type) {
    uint64_t thread;
    struct mt_error *error = NULL;
    bool has_frames = false;
    if (!first_thread(python, main_interpreter(python), &thread))
        return FAIL("an interpreter can't be read");
    for (unsigned i = 0; thread != 0 && i < THREADS_WITH_FRAMES && !has_frames; i++) {
        struct mt_error *of_thread = prove_frames_of(python, thread, code_type, &has_frames);
        if (error)
            mt_error_destroy(of_thread);
        else
            error = of_thread;
        if (!READ(PyThreadState, next, thread, &thread))
            break;
    }
    if (!has_frames)
        return error;
    mt_error_destroy(error);
    return NULL;
}

/* Programs may have another importer: nothing is proven then. */
static struct mt_error *prove_execution(struct mt_python *python) {
    uint64_t importlib = mt_dict_get(python, modules_of(python, main_interpreter(python)), "_frozen_importlib");
    uint64_t globals, members, code = 0;
    if (importlib == 0 || !READ(PyModuleObject, md_dict, importlib, &globals))
        return NULL;
    uint64_t class = mt_dict_get(python, globals, KNOWN_CLASS);
    if (class == 0 || type_of(python, class) != python->type_type)
        return NULL;
    if (!READ(PyTypeObject, tp_dict, class, &members) || !is_instance(python, members, DICT_SUBCLASS))
        return FAIL("tp_dict of " KNOWN_CLASS " is no dict");
    uint64_t function = mt_dict_get(python, members, KNOWN_NAME);
    if (!may_be_called(python, type_of(python, function), "function"))
        return NULL;
    struct mt_error *error = prove_function(python, function, globals, &code);
    if (!error)
        error = prove_code(python, code);
    return error ? error : prove_frames(python, type_of(python, code));
}

/* ------------------------------------------------------------------------------------------------------------------ */

struct mt_error *mt_python_prove(struct mt_python *python, struct mt_watch *watch) {
    static struct mt_error *(*const proofs[])(struct mt_python *) = {
        prove_interpreters, prove_threads, prove_types, prove_collector,
        prove_modules,      prove_values,  prove_sizes, prove_execution,
    };
    struct mt_error *error = NULL;
    for (size_t i = 0; i < sizeof proofs / sizeof proofs[0] && !error; i++) {
        error = proofs[i](python);
        if (!error)
            error = mt_watch_poll(watch, "proving the layout of CPython");
    }
    return error;
}
