/* The parts of the proof, a file each, and what they all read by. */
#ifndef MEMTRACE_PYTHON_PROVE_PARTS_H
#define MEMTRACE_PYTHON_PROVE_PARTS_H

#include <string.h>

#include "python/dict.h"
#include "python/object.h"
#include "python/prove.h"

struct mt_error *mt_prove_interpreters(struct mt_python *python);
struct mt_error *mt_prove_threads(struct mt_python *python);
struct mt_error *mt_prove_collector(struct mt_python *python);
struct mt_error *mt_prove_types(struct mt_python *python);
struct mt_error *mt_prove_modules(struct mt_python *python);
struct mt_error *mt_prove_values(struct mt_python *python);
struct mt_error *mt_prove_sizes(struct mt_python *python);
struct mt_error *mt_prove_execution(struct mt_python *python);

#define L (&python->layout)
#define MAX_NAME 32
/* Bound of what is looked at. */
#define INTERPRETERS_LOOKED_AT 64
/* Include/object.h */
#define TUPLE_SUBCLASS (1u << 26)
#define BYTES_SUBCLASS (1u << 27)
#define DICT_SUBCLASS (1u << 29)
#define TYPE_SUBCLASS (1u << 31)

#define READ(structure, member, address, ret) read_word(python, (address), MT_AT(L, structure, member), (ret))
#define FAIL(...) mt_error_create(MT_ERROR_FORMAT, __VA_ARGS__)

static inline bool read_word(struct mt_python *python, uint64_t address, int64_t offset, uint64_t *ret) {
    return address != 0 && offset >= 0 && mt_view_u64(python->view, address + (uint64_t)offset, ret);
}

/* The type of an object; 0: unreadable. */
static inline uint64_t type_of(struct mt_python *python, uint64_t object) {
    uint64_t type;
    return READ(PyObject, ob_type, object, &type) ? type : 0;
}

static inline uint64_t flags_of(struct mt_python *python, uint64_t type) {
    uint64_t flags;
    return READ(PyTypeObject, tp_flags, type, &flags) ? flags : 0;
}

/* Is it an instance of a class with all these flags? */
static inline bool is_instance(struct mt_python *python, uint64_t object, uint64_t flags) {
    flags |= MT_TYPE_READY;
    return (flags_of(python, type_of(python, object)) & flags) == flags;
}

static inline bool is_type(struct mt_python *python, uint64_t type) {
    return is_instance(python, type, TYPE_SUBCLASS) && (flags_of(python, type) & MT_TYPE_READY);
}

/* Unknown where the name is in a file that is missing: then it is not counted against it. */
static inline bool may_be_called(struct mt_python *python, uint64_t type, const char *name) {
    uint64_t text;
    char found[MAX_NAME];
    return READ(PyTypeObject, tp_name, type, &text) &&
           (!mt_view_string(python->view, text, found, sizeof found) || strcmp(found, name) == 0);
}

static inline uint64_t main_interpreter(const struct mt_python *python) {
    return python->interpreters.data[python->interpreters.length - 1];
}

/* The interpreter's dict of modules; 0: unreadable. */
static inline uint64_t modules_of(struct mt_python *python, uint64_t interpreter) {
    uint64_t modules;
    bool ok = MT_HAS(L, PyInterpreterState, imports_modules)
                  ? READ(PyInterpreterState, imports_modules, interpreter, &modules)
                  : READ(PyInterpreterState, modules, interpreter, &modules);
    return ok ? modules : 0;
}

/* A type whose instances are so large, and have their __dict__ and weak references there. */
static inline bool has_places(struct mt_python *python, uint64_t type, int64_t size, int64_t dict, int64_t weak) {
    uint64_t value;
    return READ(PyTypeObject, tp_basicsize, type, &value) && value == (uint64_t)size &&
           READ(PyTypeObject, tp_dictoffset, type, &value) && value == (uint64_t)dict &&
           READ(PyTypeObject, tp_weaklistoffset, type, &value) && value == (uint64_t)weak;
}

static inline bool first_thread(struct mt_python *python, uint64_t interpreter, uint64_t *ret) {
    return MT_HAS(L, PyInterpreterState, threads_head) ? READ(PyInterpreterState, threads_head, interpreter, ret)
                                                       : READ(PyInterpreterState, tstate_head, interpreter, ret);
}

#endif
