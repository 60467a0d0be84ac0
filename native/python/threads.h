/* Threads and their Python frames, with the names and values of variables.
 *
 * Include/cpython/pystate.h (PyThreadState), Include/internal/pycore_frame.h (_PyInterpreterFrame; 3.14+ also
 * pycore_interpframe_structs.h), Include/cpython/frameobject.h (PyFrameObject, 3.9 and 3.10). */
#ifndef MEMTRACE_PYTHON_THREADS_H
#define MEMTRACE_PYTHON_THREADS_H

#include "base/error.h"
#include "base/strbuf.h"
#include "base/vector.h"
#include "python/python.h"

struct mt_python_thread {
    uint64_t address; /* PyThreadState */
    uint64_t interpreter;
    uint64_t interpreter_id; /* 0: the main one */
    uint32_t number;         /* 1: the first thread of the main interpreter, then in the order they were started */
    uint64_t pthread;        /* thread_id: pthread_self() */
    uint64_t tid;            /* the kernel's number; 0: unknown */
    bool has_gil;
    char name[64]; /* threading.Thread.name, "MainThread"; "" unknown */
};

struct mt_threads {
    MT_VECTOR(struct mt_python_thread) list;
};

/* Thread states of all interpreters; those that can't be read are left out. */
struct mt_error *mt_threads_read(struct mt_python *python, struct mt_watch *watch, struct mt_threads *ret);
void mt_threads_deinit(struct mt_threads *threads);

struct mt_python_frame {
    uint64_t address;      /* PyFrameObject (3.9, 3.10) or _PyInterpreterFrame */
    uint64_t code;         /* the code object */
    uint64_t function;     /* func object; 0: none known */
    uint64_t frame_object; /* the PyFrameObject that stands for it; 0: none */
    uint64_t globals;      /* dicts, whose references the frame borrows from 3.11 on; 0: unknown */
    uint64_t builtins;
    uint64_t locals_dict;  /* f_locals: of modules, classes and exec the namespace (`has_namespace`); of functions up to
                              3.12 the dict that locals() made; 0: none */
    uint64_t previous;     /* the caller's frame as memory says, shims not skipped; 0: none */
    int64_t instruction;   /* byte offset in the code; negative: not begun */
    bool in_generator;     /* it lies in a generator (3.11+) or belongs to one: its contents are the generator's */
    bool in_frame_object;  /* 3.11+: its function was left, the contents belong to the frame object */
    bool has_namespace;    /* names are looked up in locals_dict, not in slots */
    bool code_counted;     /* the frame holds a reference to its code (3.14+: not when borrowed) */
    bool function_counted; /* ... to its function */
    bool incomplete;       /* hidden from Python: it has not begun, or is being left */
};

/* Called innermost first, without shims; return false to stop. Bounded; a damaged chain ends early. `number` counts the
 * frames that Python shows: an incomplete one has that of its caller. */
typedef bool mt_frame_visit(void *context, const struct mt_python_frame *frame, uint32_t number);
void mt_frames_visit(struct mt_python *python, const struct mt_python_thread *thread, mt_frame_visit *visit,
                     void *context);
/* The frame at an address that lies in a generator (3.11+), a frame object, or anywhere. False: there is none with a
 * code object. */
bool mt_frame_read(struct mt_python *python, uint64_t address, struct mt_python_frame *ret);
/* What became of the frame in a generator, coroutine or asynchronous generator (3.11+; before, the frame is an object
 * of its own). */
enum mt_generator_state {
    MT_GENERATOR_GOES_ON,
    MT_GENERATOR_COMPLETED, /* Python shows no frame any more, but what it holds is there: closed before it began (3.12,
                               3.13: gen_close() of Objects/genobject.c) */
    MT_GENERATOR_CLEARED,
};
enum mt_generator_state mt_generator_state(struct mt_python *python, uint64_t generator);

/* A variable or an evaluation stack slot of a frame. */
struct mt_variable {
    uint64_t name;  /* str object; 0: a slot of the evaluation stack (`is_stack`) */
    uint32_t index; /* slot, counted from the first local (stack slots: from the first of the stack) */
    uint64_t value; /* the object (a cell for cell and free variables: its `is_cell` is set); never 0 */
    bool is_stack;
    bool is_cell;  /* the slot holds a cell object; `value` is the cell */
    bool is_guess; /* a stack slot that may be stale: the depth of the stack is not known */
    bool counted;  /* the frame holds a reference (3.14+: not of borrowed ones); of guesses: it would */
};
typedef bool mt_variable_visit(void *context, const struct mt_variable *variable);
/* Those that are set. The depth of the stack is known of suspended frames and callers, not of one that executes (see
 * `is_guess`). */
void mt_variables_visit(struct mt_python *python, const struct mt_python_frame *frame, mt_variable_visit *visit,
                        void *context);
/* What a cell holds; 0: nothing. */
uint64_t mt_cell_contents(struct mt_python *python, uint64_t cell);

/* Where a frame is: its function (qualified name from 3.11 on, else the code's name), file and line. */
struct mt_frame_place {
    char function[256];
    char file[1024];
    int32_t line; /* 0: unknown */
};
bool mt_frame_place(struct mt_python *python, const struct mt_python_frame *frame, struct mt_frame_place *ret);
/* Of a code object at its first line, and at a byte offset of its code. */
bool mt_code_place(struct mt_python *python, uint64_t code, struct mt_frame_place *ret);
int32_t mt_code_line(struct mt_python *python, uint64_t code, int64_t instruction_offset);

#endif
