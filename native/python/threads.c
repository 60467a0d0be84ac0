#include "python/threads.h"

#include <string.h>

#include "base/hash_map.h"
#include "python/attribute.h"
#include "python/dict.h"
#include "python/object.h"
#include "python/scope.h"

/* More than Linux lets a process have. */
#define THREADS_MAX (1u << 22)

/* Of glibc's struct pthread on x86-64 (nptl/descr.h), the same at least from 2.17 on: it begins with the TCB, whose
 * third word is its own address. */
#define PTHREAD_SELF 16
#define PTHREAD_TID 720

#define L (&python->layout)

static uint64_t read_word(struct mt_python *python, uint64_t address, int64_t offset) {
    uint64_t word = 0;
    if (address != 0 && offset >= 0)
        mt_view_u64(python->view, address + (uint64_t)offset, &word);
    return word;
}

/* --- names ----------------------------------------------------------------------------------------------------------
 */

struct naming {
    struct mt_python *python;
    struct mt_hash_map threads; /* ident -> threading.Thread */
};

static bool note_thread(void *context, uint64_t key, uint64_t value, uint64_t index) {
    struct naming *naming = context;
    int64_t ident;
    if (mt_int_value(naming->python, key, &ident))
        mt_hash_map_find_or_insert(&naming->threads, (uint64_t)ident, value, NULL);
    return true;
}

/* The dict threading._active of an interpreter; 0: nobody has imported threading. */
static uint64_t active_threads(struct mt_python *python, uint64_t interpreter) {
    uint64_t threading = mt_scope_module(python, interpreter, "threading");
    return threading ? mt_attribute_own(python, threading, "_active") : 0;
}

static void copy_name(struct mt_python *python, uint64_t text, struct mt_python_thread *thread) {
    struct mt_strbuf name = MT_STRBUF_INIT;
    if (mt_str_append(python, text, sizeof thread->name - sizeof "...", &name) && name.length < sizeof thread->name &&
        name.length > 0)
        memcpy(thread->name, name.data, name.length + 1);
    mt_strbuf_deinit(&name);
}

/* Names of the threads from `first` on, which are one interpreter's. */
static void name_threads(struct mt_python *python, uint64_t interpreter, struct mt_threads *threads, size_t first) {
    struct naming naming = {.python = python};
    uint64_t active = active_threads(python, interpreter);
    if (active)
        mt_dict_visit(python, active, note_thread, &naming);
    uint64_t main_thread = read_word(python, python->runtime, MT_AT(L, _PyRuntimeState, main_thread));
    for (size_t i = first; i < threads->list.length; i++) {
        struct mt_python_thread *thread = &threads->list.data[i];
        const uint64_t *object = mt_hash_map_find(&naming.threads, thread->pthread);
        if (object)
            copy_name(python, mt_attribute_own(python, *object, "_name"), thread);
        else if (thread->pthread == main_thread)
            strcpy(thread->name, "MainThread");
    }
    mt_hash_map_deinit(&naming.threads);
}

/* --- thread states --------------------------------------------------------------------------------------------------
 */

static uint64_t gil_holder(struct mt_python *python, uint64_t interpreter) {
    if (MT_HAS(L, _PyRuntimeState, gilstate_tstate_current)) /* up to 3.11 one for all; 0: nobody */
        return read_word(python, python->runtime, MT_AT(L, _PyRuntimeState, gilstate_tstate_current));
    uint64_t gil = read_word(python, interpreter, MT_AT(L, PyInterpreterState, ceval_gil));
    int32_t locked = 0;
    if (gil)
        mt_view_i32(python->view, gil + (uint64_t)MT_AT(L, _gil_runtime_state, locked), &locked);
    return locked > 0 ? read_word(python, gil, MT_AT(L, _gil_runtime_state, last_holder)) : 0;
}

static uint64_t kernel_tid(struct mt_python *python, uint64_t address, uint64_t pthread) {
    uint32_t tid = 0;
    if (MT_HAS(L, PyThreadState, native_thread_id))
        return read_word(python, address, MT_AT(L, PyThreadState, native_thread_id));
    if (pthread != 0 && read_word(python, pthread, PTHREAD_SELF) == pthread)
        mt_view_u32(python->view, pthread + PTHREAD_TID, &tid);
    return tid;
}

/* Thread states of one interpreter: the newest is first in the list. */
static struct mt_error *read_interpreter(struct mt_python *python, uint64_t interpreter, struct mt_watch *watch,
                                         struct mt_threads *threads) {
    int64_t head_at = MT_HAS(L, PyInterpreterState, threads_head) ? MT_AT(L, PyInterpreterState, threads_head)
                                                                  : MT_AT(L, PyInterpreterState, tstate_head);
    uint64_t holder = gil_holder(python, interpreter);
    size_t first = threads->list.length;
    uint64_t address = read_word(python, interpreter, head_at);
    while (address != 0 && threads->list.length - first < THREADS_MAX) {
        struct mt_error *error = mt_watch_poll(watch, "reading threads");
        if (error)
            return error;
        /* A damaged list leads into memory that is no thread state of this interpreter. */
        if (read_word(python, address, MT_AT(L, PyThreadState, interp)) != interpreter)
            break;
        struct mt_python_thread thread = {
            .address = address,
            .interpreter = interpreter,
            .interpreter_id = read_word(python, interpreter, MT_AT(L, PyInterpreterState, id)),
            .pthread = read_word(python, address, MT_AT(L, PyThreadState, thread_id)),
            .has_gil = address == holder,
        };
        thread.tid = kernel_tid(python, address, thread.pthread);
        if (!mt_vector_push(&threads->list, thread))
            return &mt_error_no_memory;
        address = read_word(python, address, MT_AT(L, PyThreadState, next));
    }
    for (size_t low = first, high = threads->list.length; low + 1 < high; low++, high--) {
        struct mt_python_thread swapped = threads->list.data[low];
        threads->list.data[low] = threads->list.data[high - 1];
        threads->list.data[high - 1] = swapped;
    }
    name_threads(python, interpreter, threads, first);
    return NULL;
}

struct mt_error *mt_threads_read(struct mt_python *python, struct mt_watch *watch, struct mt_threads *ret) {
    struct mt_threads threads = {0};
    struct mt_error *error = NULL;
    for (size_t i = python->interpreters.length; i-- > 0 && !error;)
        error = read_interpreter(python, python->interpreters.data[i], watch, &threads);
    if (error) {
        mt_threads_deinit(&threads);
        return error;
    }
    for (size_t i = 0; i < threads.list.length; i++)
        threads.list.data[i].number = (uint32_t)i + 1;
    *ret = threads;
    return NULL;
}

void mt_threads_deinit(struct mt_threads *threads) {
    mt_vector_deinit(&threads->list);
}
