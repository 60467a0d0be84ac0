/* CPython 3.9 to 3.11: a trace function in every thread, called for each call and line of the whole program. That is
 * what it costs. */
#include <stddef.h>

#include "recorder/capi.h"
#include "recorder/peek.h"
#include "recorder/python.h"
#include "recorder/python_events.h"
#include "recorder/python_stops.h"

#define OB_SIZE 16 /* of a PyVarObject; of a code object it counts instructions */

/* 3.11 makes a frame an object, and a code object a table of its lines, only for those who ask. */
static bool has_lazy_frames(void) {
    return memtrace_image.python_version >= 0x030b0000;
}

/* The table is made before the first instruction that is traced, which need not be the first of a line: a frame that
 * was in the midst of one when tracing began tells of no event then. */
bool mt_tracing_suspects(const struct mt_self *self, uint64_t size) {
    uint64_t frame = has_lazy_frames() ? mt_python_innermost(self) : 0;
    uint64_t instructions = frame != 0 ? mt_peek64(mt_python_code(frame), OB_SIZE) : 0;
    return frame != 0 && (size == 2 * instructions || size == 4 * instructions);
}

static struct mt_python_made made_for(void *frame, void *code, int what, void *argument) {
    if (what == MT_TRACE_EXCEPTION)
        return (struct mt_python_made){.object = (uint64_t)argument};
    if (!has_lazy_frames())
        return (struct mt_python_made){0};
    uint64_t caller = mt_python_caller(mt_python_innermost(mt_self()));
    return (struct mt_python_made){
        .object = (uint64_t)frame, .code = (uint64_t)code, .another = caller != 0 ? mt_python_code(caller) : 0};
}

/* CPython tells a yield as a return. */
static enum mt_python_event end_of(const void *value) {
    if (value == NULL)
        return MT_EVENT_UNWIND;
    return mt_python_is_at_yield(mt_python_innermost(mt_self())) ? MT_EVENT_YIELD : MT_EVENT_RETURN;
}

static int on_event(void *unused, void *frame, int what, void *argument) {
    struct mt_self *self = mt_self();
    if (self == NULL || what > MT_TRACE_RETURN)
        return 0;
    void *code = mt_capi.PyFrame_GetCode(frame);
    mt_capi.Py_DecRef(code); /* the frame keeps it */
    if (!mt_python_event_begin(self, made_for(frame, code, what, argument)))
        return 0;
    if (what == MT_TRACE_EXCEPTION) {
        mt_python_event_end(self);
        return 0;
    }
    struct mt_watched *watched = mt_watched_find((uint64_t)code);
    if (watched == NULL && what == MT_TRACE_CALL)
        watched = mt_watched_consider(self, (uint64_t)code);
    if (watched != NULL) {
        uint32_t line = (uint32_t)mt_capi.PyFrame_GetLineNumber(frame);
        enum mt_python_event event = MT_EVENT_LINE;
        if (what == MT_TRACE_CALL)
            event = line == watched->first_line ? MT_EVENT_START : MT_EVENT_RESUME;
        else if (what == MT_TRACE_RETURN)
            event = end_of(argument);
        mt_python_event(self, event, watched, line);
    }
    mt_python_event_end(self);
    return 0;
}

/* Somebody else's debugger or coverage tool, in the thread that runs; NULL: none. */
static const char *find_other(void) {
    void *ask = mt_capi.PySys_GetObject("gettrace");
    void *function = ask != NULL ? mt_capi.PyObject_CallObject(ask, NULL) : NULL;
    bool is_free = function == mt_capi.Py_None;
    if (function == NULL)
        mt_capi.PyErr_Clear();
    else
        mt_capi.Py_DecRef(function);
    return is_free ? NULL : "the program has a trace function of its own (a Python debugger, or coverage)";
}

static void trace_all(mt_trace_function *function) {
    void *state = mt_capi.PyInterpreterState_ThreadHead(mt_capi.PyInterpreterState_Main());
    for (; state != NULL; state = mt_capi.PyThreadState_Next(state))
        mt_capi._PyEval_SetTrace_of(state, function, NULL);
}

/* The frames that are there will be traced in the midst of a line, and be made objects then without an event. */
static void make_frames(void) {
    void *state = mt_capi.PyInterpreterState_ThreadHead(mt_capi.PyInterpreterState_Main());
    for (; state != NULL; state = mt_capi.PyThreadState_Next(state)) {
        void *frame = mt_capi.PyThreadState_GetFrame(state);
        while (frame != NULL) {
            void *caller = mt_capi.PyFrame_GetBack(frame);
            mt_capi.Py_DecRef(frame);
            frame = caller;
        }
    }
}

const char *mt_tracing_install(void) {
    if (mt_capi._PyEval_SetTrace_of == NULL)
        return "this CPython hides _PyEval_SetTrace";
    bool is_there = mt_python_stops.means == MT_PYTHON_MEANS_TRACING;
    const char *problem = is_there ? NULL : find_other();
    if (problem == NULL && has_lazy_frames())
        make_frames();
    if (problem == NULL)
        trace_all(on_event);
    return problem;
}

void mt_tracing_remove(void) {
    trace_all(NULL);
}

void mt_tracing_watch(uint64_t code, bool on) {}

/* The others call, and are considered, when they are called. */
void mt_tracing_consider_all(struct mt_self *self) {
    void *state = mt_capi.PyInterpreterState_ThreadHead(mt_capi.PyInterpreterState_Main());
    for (; state != NULL; state = mt_capi.PyThreadState_Next(state))
        for (uint64_t frame = mt_python_innermost_of((uint64_t)state); frame != 0; frame = mt_python_caller(frame))
            mt_watched_consider(self, mt_python_code(frame));
}
