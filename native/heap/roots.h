/* What holds objects and is no object itself: frames, threads, interpreters, C stacks, the data of C libraries. */
#ifndef MEMTRACE_HEAP_ROOTS_H
#define MEMTRACE_HEAP_ROOTS_H

#include "base/error.h"
#include "base/watch.h"
#include "heap/edges.h"
#include "python/python.h"

enum mt_root_form {
    MT_ROOT_LOCAL,       /* a variable (or stack slot) of a running frame */
    MT_ROOT_FRAME,       /* the frame's own: code, function, locals dict */
    MT_ROOT_THREAD,      /* of the thread state: dict, context, exceptions, trace function */
    MT_ROOT_INTERPRETER, /* sys.modules, builtins, sysdict, codecs, atexit, small ints ... by the field's name */
    MT_ROOT_RUNTIME,     /* _PyRuntime and CPython's static data */
    MT_ROOT_DATA,        /* writable data of a C library: guess; or certain: static objects and named strings */
    MT_ROOT_STACK,       /* a word on a C stack or in a register: guess */
    MT_ROOT_NATIVE,      /* a block that C code allocated: guess */
};

struct mt_root {
    enum mt_root_form form;
    struct mt_edge edge; /* kind: MT_EDGE_ROOT, or MT_EDGE_GUESS; link: "local data_pow", "sys.modules" */
    uint64_t where;      /* the frame (_PyInterpreterFrame or PyFrameObject), thread state or word; 0: a register */
    uint32_t thread;     /* number of its thread, from 1 on, in the order of mt_threads; 0: none */
    uint32_t frame;      /* number of the frame in its thread, as mt_frames_visit counts: 0 is the innermost */
    const char *module;  /* of MT_ROOT_DATA: the library's path; owned by the target */
};
typedef void mt_root_visit(void *context, const struct mt_root *root);

/* All roots that layouts tell exactly: counted says which are references. Targets are as memory says: the visitor
 * checks whether they are objects.
 *
 * Frames of 3.9 and 3.10 are objects: the root is the running C function's reference to the frame object, whose edges
 * the variables are. The same holds for frames of running generators in all versions: what they hold is the
 * generator's, and no root. */
struct mt_error *mt_roots_visit(struct mt_python *python, struct mt_watch *watch, mt_root_visit *visit, void *context);
/* The guesses, the more certain ones first: in memory that lasts, the words of the interpreters, of _PyRuntime and of
 * every module's writable data that no exact root covers; then what may be stale, the frames' stack slots and C stacks
 * from the stack pointer on (as far as known) with the registers. Every aligned word that could be an object; the
 * visitor checks. */
enum mt_roots_place { MT_ROOTS_STATIC, MT_ROOTS_STACKS };
struct mt_error *mt_roots_guess(struct mt_python *python, enum mt_roots_place place, struct mt_watch *watch,
                                mt_root_visit *visit, void *context);

#endif
