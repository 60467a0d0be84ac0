/* Stops at Python's own lines and calls, and what lines did to memory: the part of the image that a debugger writes its
 * wishes to and reads results from. Unlike all else that the recorder does, these run code in the process: CPython's
 * own means of tracing, set at a safe point of the interpreter.
 *
 * A debugger writes, while the process stands still, the slots and the step as it wants all of them to be, then a new
 * number into `request`, then MT_REQUEST_PYTHON into the header's `request` (unless another request waits there). The
 * recorder obeys when a Python thread comes to a safe point: at once where the process stands in memtrace_python_stop,
 * else when the main thread next runs Python code. Then `obeyed` equals `request`. */
#ifndef MEMTRACE_PYTHON_STOPS_H
#define MEMTRACE_PYTHON_STOPS_H

#include "image/image.h"

#define MT_PYTHON_STOP_SYMBOL "memtrace_python_stop"

#define MT_PYTHON_STOPS 16
#define MT_PYTHON_NAME 240

enum mt_python_stop_kind {
    MT_PYTHON_STOP_NONE = 0,
    MT_PYTHON_STOP_LINE = 1,     /* before line `line` of the file whose path ends with `name` */
    MT_PYTHON_STOP_FUNCTION = 2, /* before the first line of each call of the function `name` */
    MT_PYTHON_MEASURE = 3,       /* stops nowhere: what each line of the function `name` does is summed up */
};
struct mt_python_stop {
    uint32_t kind;
    uint32_t line;
    uint32_t found; /* the recorder's own: code objects that it is about, as far as they are there */
    uint32_t reserved;
    char name[MT_PYTHON_NAME]; /* NUL-terminated. A function: its name, or its qualified name or the end of that */
};

enum mt_python_step {
    MT_PYTHON_STEP_NONE = 0,
    MT_PYTHON_STEP_NEXT = 1,   /* to the next line of the frame, or of its caller when it returns */
    MT_PYTHON_STEP_FINISH = 2, /* to the end of the frame */
};

/* How the recorder learns of lines. */
enum mt_python_means {
    MT_PYTHON_MEANS_NONE = 0,       /* nothing is set */
    MT_PYTHON_MEANS_MONITORING = 1, /* 3.12+: sys.monitoring, events of the code objects in question */
    MT_PYTHON_MEANS_TRACING = 2,    /* 3.9 to 3.11: a trace function, called for each line that any thread executes */
};

/* What one thread allocated and freed in a time; a block that was moved counts as freed and allocated. `peak`: how far
 * the live bytes of the whole process rose meanwhile above what they were at its beginning. */
struct mt_python_window {
    uint64_t allocated, freed;
    int64_t peak;
};

/* A line that was measured, in all the times that it was executed. What a watched function called from it does belongs
 * to that one's lines, when it is measured itself (recursion). */
struct mt_python_line {
    uint32_t file, function; /* in the string pool */
    uint32_t line;
    uint32_t measurement; /* that it belongs to */
    uint64_t count;
    struct mt_python_window sum; /* `peak`: the highest of all times */
};

struct mt_python_stops {
    /* written by the debugger */
    uint32_t request;
    uint32_t measurement; /* another number than before: what was measured is forgotten */
    uint32_t step;        /* enum mt_python_step */
    uint32_t reserved;
    uint64_t step_frame;  /* which frame (3.9, 3.10: PyFrameObject, else _PyInterpreterFrame); 0: the one that stands in
                             memtrace_python_stop */
    uint64_t step_thread; /* pthread_self() of its thread */
    struct mt_python_stop stops[MT_PYTHON_STOPS];
    /* written by the recorder */
    uint32_t obeyed;
    uint32_t means;    /* enum mt_python_means: what is set now */
    char problem[128]; /* why the last request was not obeyed; empty: it was. NUL-terminated */
    struct mt_pool_ref lines;
    uint64_t ended; /* bytes, since the measurement began: blocks of the program that ended while the recorder ran
                       CPython's code for itself (names that its caches let go). In the books, and in no line */
};

enum mt_python_stop_reason {
    MT_PYTHON_REACHED = 1,  /* a slot's line or function */
    MT_PYTHON_STEPPED = 2,  /* the step is done: `from` and `after` tell what it did */
    MT_PYTHON_FINISHED = 3, /* the frame is about to return */
    MT_PYTHON_UNWOUND = 4,  /* an exception is about to leave the frame */
    MT_PYTHON_FAILED = 5,   /* a step could not begin: `problem` says why */
};

/* The argument of memtrace_python_stop(). It lies on the stack of the thread that calls. */
struct mt_python_stop_event {
    uint32_t reason;         /* enum mt_python_stop_reason */
    uint32_t slots;          /* bit n: slot n is reached */
    uint32_t thread;         /* index into the thread pool */
    uint32_t file, function; /* where it stands; in the string pool */
    uint32_t line;
    uint32_t from_file, from_function, from_line; /* where the step began */
    uint32_t returned;                            /* the frame of the step has returned */
    struct mt_python_window from;                 /* from there to here, or to the end of that frame */
    struct mt_python_window after;                /* from the end of that frame to here */
};

#endif
