/* `next` and `finish`: let the process run to another line of Python, and tell what was done to memory on the way. */
#include "commands/step.h"

#include "commands/command.h"
#include "commands/python_stops.h"
#include "commands/session.h"
#include "python/threads.h"

struct selection {
    uint64_t tid;
    bool found;
};

static void take_selected(void *cookie, uint64_t tid, uint32_t selected, const uint64_t registers[MT_HOST_REGISTERS]) {
    struct selection *selection = cookie;
    if (selected) {
        selection->tid = tid;
        selection->found = true;
    }
}

static bool take_frame(void *context, const struct mt_python_frame *frame, uint32_t number) {
    uint64_t *address = context;
    if (frame->incomplete)
        return true;
    *address = frame->address;
    return false;
}

/* The innermost Python frame of the thread that the user has selected. */
static struct mt_error *find_frame(struct mt_call *call, struct mt_python_stops *wishes) {
    const struct mt_host *host = mt_session_debugger(call->session);
    struct selection selection = {0};
    struct mt_threads threads = {0};
    struct mt_python *python;
    if (!host->threads || host->threads(host->context, take_selected, &selection) != 0 || !selection.found)
        return mt_error_create(MT_ERROR_UNSUPPORTED, "the debugger does not say which thread is selected");
    struct mt_error *error = mt_call_python(call, &python);
    if (!error)
        error = mt_threads_read(python, &call->watch, &threads);
    for (size_t i = 0; i < threads.list.length && !error; i++) {
        const struct mt_python_thread *thread = &threads.list.data[i];
        if (thread->tid != selection.tid)
            continue;
        wishes->step_thread = thread->pthread;
        mt_frames_visit(python, thread, take_frame, &wishes->step_frame);
        if (thread->interpreter_id != 0)
            error = mt_error_create(MT_ERROR_UNSUPPORTED, "steps are for threads of the main interpreter alone");
    }
    mt_threads_deinit(&threads);
    if (!error && wishes->step_frame == 0)
        error = mt_error_create(MT_ERROR_NOT_FOUND, "the selected thread executes no Python code: `memtrace threads`");
    return error;
}

static struct mt_error *step(struct mt_call *call, enum mt_python_step kind) {
    struct mt_python_stops_view view;
    struct mt_error *error = mt_python_stops_prepare(call, &view);
    if (error)
        return error;
    view.stops.step = kind;
    view.stops.step_frame = 0;
    error = find_frame(call, &view.stops);
    if (!error)
        error = mt_python_stops_wish(call, &view);
    if (error)
        return error;
    *mt_session_step(call->session) = (struct mt_step){.command = call->command, .json = call->emitter.json};
    call->resumes = true;
    return NULL;
}

static struct mt_error *run_next(struct mt_call *call) {
    return step(call, MT_PYTHON_STEP_NEXT);
}

static struct mt_error *run_finish(struct mt_call *call) {
    return step(call, MT_PYTHON_STEP_FINISH);
}

#define HOW                                                                                                            \
    "This runs code in the process: the recorder sets CPython's own events of lines (sys.monitoring from 3.12 on; "    \
    "before that a trace function, which slows down all Python code until the step ends). At a stop at a Python line " \
    "that happens at once, and the numbers are exact. From any other stop it happens when the main thread next comes " \
    "to a safe point between two instructions of Python; the numbers count from there.\n"                              \
    "`freed` and `kept` are what this thread did; the peak is how far the memory of the whole process rose above "     \
    "what it was. A block that is moved counts as freed and allocated.\n"                                              \
    "Another stop on the way leaves the step as it is (`continue` goes on with it), but for a Python breakpoint, "     \
    "which ends it."

const struct mt_command mt_next_command = {
    .name = "next",
    .summary = "Run to the next line of this Python function and tell what the line did to memory.",
    .options = MT_OPTION_JSON,
    .details = "Of the selected thread. When the function returns, the next line of its caller is the one to stop at; "
               "what happened from the return on is then told apart (there the function's variables are let go). Where "
               "no Python code called, it stops before the return.\n" HOW,
    .run = run_next,
};

const struct mt_command mt_finish_command = {
    .name = "finish",
    .summary = "Run to the return of this Python function and tell what the rest of it did to memory.",
    .options = MT_OPTION_JSON,
    .details = "Of the selected thread. It stops before the function returns: its variables are still there.\n" HOW,
    .run = run_finish,
};
