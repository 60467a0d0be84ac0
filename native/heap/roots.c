#include "heap/roots.h"

#include "heap/roots_parts.h"

#define L (&python->layout)

/* --- frames ---------------------------------------------------------------------------------------------------------
 */

struct frame_walk {
    const struct mt_roots_walk *walk;
    const struct mt_python_thread *thread;
    const struct mt_python_frame *frame;
    uint32_t number;
    bool guesses; /* slots that may be stale are told, instead of the others */
    struct mt_error *error;
};

static void tell_frame(const struct frame_walk *frames, uint64_t target, bool counted, const char *name) {
    struct mt_root root = {
        .form = MT_ROOT_FRAME,
        .edge = {.target = target,
                 .kind = MT_EDGE_ROOT,
                 .counted = counted,
                 .link = {.form = MT_LINK_TEXT, .text = name}},
        .where = frames->frame->address,
        .thread = frames->thread->number,
        .frame = frames->number,
    };
    if (target != 0)
        frames->walk->visit(frames->walk->context, &root);
}

static bool tell_variable(void *context, const struct mt_variable *variable) {
    const struct frame_walk *frames = context;
    struct mt_root root = {
        .form = MT_ROOT_LOCAL,
        .edge = {.target = variable->value,
                 .kind = variable->is_guess ? MT_EDGE_GUESS : MT_EDGE_ROOT,
                 .counted = variable->counted},
        .where = frames->frame->address,
        .thread = frames->thread->number,
        .frame = frames->number,
    };
    if (variable->is_guess != frames->guesses)
        return true;
    if (variable->is_stack)
        root.edge.link = (struct mt_link){.form = MT_LINK_NUMBERED, .text = "stack", .number = variable->index};
    else
        root.edge.link = (struct mt_link){
            .form = MT_LINK_NAMED, .text = variable->is_cell ? "cell" : "local", .name = variable->name};
    frames->walk->visit(frames->walk->context, &root);
    return true;
}

/* Up to 3.10 the C function that executes a frame owns a reference to it, unless a generator does. Later, frames lie in
 * the thread's own memory and own what they refer to (globals and builtins excepted). */
static bool tell_frame_roots(void *context, const struct mt_python_frame *frame, uint32_t number) {
    struct frame_walk *frames = context;
    struct mt_python *python = frames->walk->python;
    frames->frame = frame;
    frames->number = number;
    frames->error = mt_watch_poll(frames->walk->watch, "reading frames");
    if (frames->error)
        return false;
    if (frame->in_generator || (python->minor <= 10 && frames->guesses))
        return true;
    if (python->minor <= 10) {
        tell_frame(frames, frame->address, true, "running frame");
        return true;
    }
    if (!frames->guesses) {
        tell_frame(frames, frame->code, frame->code_counted, "code");
        tell_frame(frames, frame->function, frame->function_counted, "function");
        tell_frame(frames, frame->locals_dict, true, "namespace");
        tell_frame(frames, frame->frame_object, true, "frame object");
    }
    mt_variables_visit(python, frame, tell_variable, frames);
    return true;
}

struct mt_error *mt_roots_visit_frames(const struct mt_roots_walk *walk, const struct mt_python_thread *thread,
                                       bool guesses) {
    struct frame_walk frames = {.walk = walk, .thread = thread, .guesses = guesses};
    mt_frames_visit(walk->python, thread, tell_frame_roots, &frames);
    return frames.error;
}

/* --- thread states --------------------------------------------------------------------------------------------------
 */

/* What PyThreadState_Clear() gives up (Python/pystate.c of each version): all are owned references. */
static const struct thread_member {
    uint16_t field; /* enum mt_python_field */
    const char *name;
} thread_members[] = {
    {MT_FIELD_PyThreadState__dict, "thread's dict"},
    {MT_FIELD_PyThreadState__context, "thread's context"},
    {MT_FIELD_PyThreadState__c_profileobj, "profile function"},
    {MT_FIELD_PyThreadState__c_traceobj, "trace function"},
    {MT_FIELD_PyThreadState__async_exc, "asynchronous exception"},
    {MT_FIELD_PyThreadState__curexc_type, "current exception's type"},
    {MT_FIELD_PyThreadState__curexc_value, "current exception"},
    {MT_FIELD_PyThreadState__curexc_traceback, "current exception's traceback"},
    {MT_FIELD_PyThreadState__current_exception, "current exception"},
    {MT_FIELD_PyThreadState__exc_state_exc_type, "handled exception's type"},
    {MT_FIELD_PyThreadState__exc_state_exc_value, "handled exception"},
    {MT_FIELD_PyThreadState__exc_state_exc_traceback, "handled exception's traceback"},
    {MT_FIELD_PyThreadState__async_gen_firstiter, "async generators' first hook"},
    {MT_FIELD_PyThreadState__async_gen_finalizer, "async generators' finalizer"},
    {MT_FIELD_PyThreadState__on_delete_data, "thread's end lock"},
    {MT_FIELD_PyThreadState__threading_local_key, "threading.local key"},
    {MT_FIELD_PyThreadState__threading_local_sentinel, "threading.local sentinel"},
    {MT_FIELD__PyThreadStateImpl__asyncio_running_loop, "running event loop"},
    {MT_FIELD__PyThreadStateImpl__asyncio_running_task, "running task"},
};

static void visit_thread_state(const struct mt_roots_walk *walk, const struct mt_python_thread *thread) {
    struct mt_python *python = walk->python;
    for (size_t i = 0; i < sizeof thread_members / sizeof thread_members[0]; i++) {
        int64_t offset = python->layout.value[thread_members[i].field];
        uint64_t target = 0;
        if (offset < 0 || !mt_view_u64(python->view, thread->address + (uint64_t)offset, &target) || target == 0)
            continue;
        struct mt_root root = {
            .form = MT_ROOT_THREAD,
            .edge = {.target = target,
                     .kind = MT_EDGE_ROOT,
                     .counted = true,
                     .link = {.form = MT_LINK_TEXT, .text = thread_members[i].name}},
            .where = thread->address,
            .thread = thread->number,
        };
        walk->visit(walk->context, &root);
    }
}

/* --- all ------------------------------------------------------------------------------------------------------------
 */

struct mt_error *mt_roots_visit(struct mt_python *python, struct mt_watch *watch, mt_root_visit *visit, void *context) {
    struct mt_roots_walk walk = {.python = python, .watch = watch, .visit = visit, .context = context};
    struct mt_threads threads = {0};
    struct mt_error *error = mt_threads_read(python, watch, &threads);
    for (size_t i = 0; i < threads.list.length && !error; i++) {
        visit_thread_state(&walk, &threads.list.data[i]);
        error = mt_roots_visit_frames(&walk, &threads.list.data[i], false);
    }
    mt_threads_deinit(&threads);
    if (!error)
        error = mt_roots_visit_interpreters(&walk);
    if (!error)
        error = mt_roots_visit_data(&walk);
    return error;
}
