#include "python/prove_parts.h"

/* Bounds of what is looked at. */
#define FRAME_STEPS 1000
#define THREADS_WITH_FRAMES 64
/* From 3.14 on, references in frames are tagged (Include/internal/pycore_stackref.h). */
#define STACK_REF_TAGS ((uint64_t)3)

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
struct mt_error *mt_prove_execution(struct mt_python *python) {
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
