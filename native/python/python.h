/* A CPython process from outside: which version it is, where its state lies, and the proof that we read it right.
 *
 * Nothing here runs code in the process. A layout is taken from the built-in tables, checked and completed by what the
 * process says of itself (_Py_DebugOffsets, 3.13 and later), or from debug information where the tables don't fit; and
 * it is proven by invariants before anybody uses it. */
#ifndef MEMTRACE_PYTHON_PYTHON_H
#define MEMTRACE_PYTHON_PYTHON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/vector.h"
#include "base/watch.h"
#include "layout/python_layout.h"
#include "target/target.h"
#include "target/view.h"

enum mt_layout_source { MT_LAYOUT_TABLE, MT_LAYOUT_DEBUG_INFORMATION };

struct mt_types; /* python/types.h */

struct mt_python {
    struct mt_view *view;
    struct mt_python_layout layout;
    unsigned minor; /* 9 to 15 */
    enum mt_layout_source source;
    bool unverified;       /* this release (or, where _PyRuntime's size can't be told, its variant) is not known for
                              sure: the nearest table was taken, and all proofs hold */
    char version_text[32]; /* "3.11.2" */
    uint64_t runtime;      /* _PyRuntime */
    uint64_t runtime_size; /* as the layout says */
    uint64_t module_start; /* of the writable part of the program or library that holds _PyRuntime */
    uint64_t module_end;
    MT_VECTOR(uint64_t) interpreters; /* PyInterpreterState, the newest first, the main one last */
    uint64_t generations;             /* offset of generations[0] in _gc_runtime_state, read off the process; 3.14.0 to
                                         3.14.4 (young, old[2]): of `young` */
    uint64_t type_type;               /* PyType_Type */
    uint64_t object_type;             /* PyBaseObject_Type */
    uint64_t none;                    /* Py_None; 0: not found */
    bool collecting;                  /* stopped inside a collection: gc lists and _gc_prev are in flux */
    uint64_t interned; /* python/interned.h, before 3.12: the dict of interned strings; 0: there is none */
    bool interned_was_searched;
    size_t corrected; /* fields in which the process's own offsets (3.13+) differed from the tables */
    enum mt_python_field corrected_first; /* one of them */
    struct mt_types *types;
};

/* MT_ERROR_NOT_FOUND: no CPython in the target ("no CPython in pid 812 (/usr/sbin/redis-server)"), or a file is missing
 * without which it can't be found. MT_ERROR_UNSUPPORTED: a version or build that is not read (free-threaded, older than
 * 3.9, newer than 3.15), or a process that stands before CPython's beginning or in its end. MT_ERROR_FORMAT: a proof
 * failed; the message names it. `target` must outlive it and stand still. */
struct mt_error *mt_python_open(struct mt_target *target, struct mt_watch *watch, struct mt_python **ret);
void mt_python_destroy(struct mt_python *python);

/* "the built-in layout of 3.11.2", "debug information", "the layout of 3.11.9, unverified". */
void mt_python_describe_layout(const struct mt_python *python, char *buffer, size_t size);

#endif
