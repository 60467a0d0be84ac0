#include "python/prove_parts.h"

/* Bounds of what is looked at. */
#define MAX_INTERPRETERS 4096
#define MAX_THREADS 4096
/* Linux: /proc/sys/kernel/pid_max is at most this. */
#define MAX_TID (1u << 22)

struct mt_error *mt_prove_interpreters(struct mt_python *python) {
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

struct mt_error *mt_prove_threads(struct mt_python *python) {
    bool has_block = false;
    struct mt_error *error = NULL;
    size_t count = python->interpreters.length;
    for (size_t i = 0; i < count && i < INTERPRETERS_LOOKED_AT && !error; i++)
        error = prove_threads_of(python, python->interpreters.data[count - 1 - i], &has_block);
    if (!error && !has_block)
        return FAIL("no thread's identifier is a thread");
    return error;
}
