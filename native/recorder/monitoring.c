/* CPython 3.12+: events of sys.monitoring, of the watched code objects alone.
 *
 * Two events are asked for everywhere: the first start of every code object, to find those that are not there yet (each
 * is told off after one look), and exceptions that leave a frame, which can't be had of one code object before 3.15. An
 * event everywhere makes CPython give each code object that runs some memory for it: consider_all() has it do so at
 * once and hidden, so that no line of the program is charged with it.
 *
 * What is called again and again is looked up once, in dictionaries: CPython's cache of types' attributes keeps each
 * name that it is asked for, in the place of another. Thousands of short-lived names would empty it of the program's.
 */
#include "recorder/capi.h"
#include "recorder/python.h"
#include "recorder/python_events.h"
#include "recorder/python_stops.h"

#define TOOL_NAME "memtrace"

enum event { PY_START, PY_RESUME, PY_RETURN, PY_YIELD, PY_UNWIND, LINE, EVENTS };
static const char *const event_names[EVENTS] = {"PY_START", "PY_RESUME", "PY_RETURN", "PY_YIELD", "PY_UNWIND", "LINE"};

enum function { GET_TOOL, USE_TOOL, REGISTER, SET_EVERYWHERE, SET_LOCAL, RESTART, FREE_TOOL, FUNCTIONS };
static const char *const function_names[FUNCTIONS] = {
    "get_tool", "use_tool_id", "register_callback", "set_events", "set_local_events", "restart_events", "free_tool_id"};

static void *functions[FUNCTIONS], *disable, *get_objects, *co_consts;
static long tool = -1, event_bits[EVENTS];

static void drop(void *object) {
    if (object != NULL)
        mt_capi.Py_DecRef(object);
    if (mt_capi.PyErr_Occurred() != NULL)
        mt_capi.PyErr_Clear();
}

static void *none(void) {
    mt_capi.Py_IncRef(mt_capi.Py_None);
    return mt_capi.Py_None;
}

/* --- events ---------------------------------------------------------------------------------------------------------
 */

/* The arguments of all: the code object, then a number (a line, or an offset), which CPython has made for the call. A
 * code object that is new has got memory for its events just before its first one. */
static bool begin(struct mt_self *self, void *const *arguments) {
    return mt_python_event_begin(
        self, (struct mt_python_made){.object = (uint64_t)arguments[1], .code = (uint64_t)arguments[0]});
}

static void *tell(enum mt_python_event event, void *const *arguments, ptrdiff_t count) {
    struct mt_self *self = mt_self();
    if (count < 2 || !begin(self, arguments))
        return none();
    struct mt_watched *watched = mt_watched_find((uint64_t)arguments[0]);
    uint32_t line = 0;
    if (watched != NULL)
        line = event == MT_EVENT_LINE ? (uint32_t)mt_capi.PyLong_AsLong(arguments[1])
                                      : mt_python_line(mt_python_innermost(self));
    if (watched != NULL)
        mt_python_event(self, event, watched, line);
    mt_python_event_end(self);
    return none();
}

static void *on_start(void *unused, void *const *arguments, ptrdiff_t count) {
    struct mt_self *self = mt_self();
    if (count < 2 || !begin(self, arguments))
        return none();
    uint64_t code = (uint64_t)arguments[0];
    struct mt_watched *watched = mt_watched_find(code);
    if (watched == NULL)
        watched = mt_watched_consider(self, code);
    void *answer = watched != NULL ? mt_capi.Py_None : disable;
    mt_capi.Py_IncRef(answer);
    if (watched != NULL)
        mt_python_event(self, MT_EVENT_START, watched, mt_python_line(mt_python_innermost(self)));
    mt_python_event_end(self);
    return answer;
}

#define HANDLER(name, event)                                                                                           \
    static void *name(void *unused, void *const *arguments, ptrdiff_t count) {                                         \
        return tell(event, arguments, count);                                                                          \
    }
HANDLER(on_resume, MT_EVENT_RESUME)
HANDLER(on_return, MT_EVENT_RETURN)
HANDLER(on_yield, MT_EVENT_YIELD)
HANDLER(on_unwind, MT_EVENT_UNWIND)
HANDLER(on_line, MT_EVENT_LINE)

static struct mt_method handlers[EVENTS] = {
    {TOOL_NAME, on_start, MT_METHOD_FASTCALL, NULL},  {TOOL_NAME, on_resume, MT_METHOD_FASTCALL, NULL},
    {TOOL_NAME, on_return, MT_METHOD_FASTCALL, NULL}, {TOOL_NAME, on_yield, MT_METHOD_FASTCALL, NULL},
    {TOOL_NAME, on_unwind, MT_METHOD_FASTCALL, NULL}, {TOOL_NAME, on_line, MT_METHOD_FASTCALL, NULL},
};

/* --- set-up ---------------------------------------------------------------------------------------------------------
 */

/* What an object has in its own dictionary; NULL: nothing of that name. */
static void *look_up(void *object, const char *name) {
    void *names = object != NULL ? mt_capi.PyObject_GenericGetDict(object, NULL) : NULL;
    void *found = names != NULL ? mt_capi.PyDict_GetItemString(names, name) : NULL;
    if (found != NULL)
        mt_capi.Py_IncRef(found);
    drop(names);
    return found;
}

/* What the events are called in this version's numbers; false: it lacks one. */
static bool read_events(void *events) {
    bool ok = events != NULL;
    for (unsigned i = 0; ok && i < EVENTS; i++) {
        void *number = look_up(events, event_names[i]);
        ok = number != NULL;
        event_bits[i] = ok ? mt_capi.PyLong_AsLong(number) : 0;
        drop(number);
    }
    return ok;
}

static bool find_functions(void) {
    void *monitoring = mt_capi.PySys_GetObject("monitoring"), *events = look_up(monitoring, "events");
    void *collector = mt_capi.PyImport_ImportModule("gc");
    bool ok = read_events(events);
    for (unsigned i = 0; i < FUNCTIONS; i++) {
        functions[i] = look_up(monitoring, function_names[i]);
        ok = ok && functions[i] != NULL;
    }
    disable = look_up(monitoring, "DISABLE");
    get_objects = look_up(collector, "get_objects");
    co_consts = mt_capi.PyUnicode_InternFromString("co_consts");
    drop(collector);
    drop(events);
    return ok && disable != NULL && get_objects != NULL && co_consts != NULL;
}

static void forget(void **object) {
    drop(*object);
    *object = NULL;
}

static void forget_functions(void) {
    for (unsigned i = 0; i < FUNCTIONS; i++)
        forget(&functions[i]);
    forget(&disable);
    forget(&get_objects);
    forget(&co_consts);
}

/* Debuggers, coverage tools, profilers and optimizers have numbers of their own: 3 and 4 are anybody's. */
static void take_tool(void) {
    for (long id = 4; id >= 3 && tool < 0; id--) {
        void *owner = mt_capi.PyObject_CallFunction(functions[GET_TOOL], "l", id);
        void *taken =
            owner == mt_capi.Py_None ? mt_capi.PyObject_CallFunction(functions[USE_TOOL], "ls", id, TOOL_NAME) : NULL;
        if (taken != NULL)
            tool = id;
        drop(taken);
        drop(owner);
    }
}

static void *register_handler(enum event event, void *handler) {
    return mt_capi.PyObject_CallFunction(functions[REGISTER], "llO", tool, event_bits[event], handler);
}

static bool register_handlers(void) {
    bool ok = true;
    for (unsigned i = 0; ok && i < EVENTS; i++) {
        void *handler = mt_capi.PyCMethod_New(&handlers[i], NULL, NULL, NULL);
        void *before = handler != NULL ? register_handler(i, handler) : NULL;
        ok = before != NULL;
        drop(before);
        drop(handler);
    }
    return ok;
}

const char *mt_monitoring_install(void) {
    if (!find_functions()) {
        forget_functions();
        return "sys.monitoring is not what it is in 3.12 to 3.15";
    }
    take_tool();
    if (tool < 0) {
        forget_functions();
        return "other tools use sys.monitoring's free places (3 and 4)";
    }
    if (!register_handlers()) {
        mt_monitoring_remove();
        return "sys.monitoring takes no callbacks";
    }
    return NULL;
}

static void set_everywhere(long events) {
    drop(mt_capi.PyObject_CallFunction(functions[SET_EVERYWHERE], "ll", tool, events));
}

void mt_monitoring_remove(void) {
    if (tool < 0)
        return;
    set_everywhere(0);
    for (unsigned i = 0; i < EVENTS; i++)
        drop(register_handler(i, mt_capi.Py_None));
    drop(mt_capi.PyObject_CallFunction(functions[FREE_TOOL], "l", tool));
    tool = -1;
    forget_functions();
}

static void set_local(uint64_t code, long events) {
    drop(mt_capi.PyObject_CallFunction(functions[SET_LOCAL], "lOl", tool, (void *)code, events));
}

void mt_monitoring_watch(uint64_t code, bool on) {
    if (tool >= 0)
        set_local(code, on ? event_bits[LINE] | event_bits[PY_START] | event_bits[PY_RESUME] | event_bits[PY_RETURN] |
                                 event_bits[PY_YIELD]
                           : 0);
}

/* --- code objects that are there ------------------------------------------------------------------------------------
 */

static bool is_a(const void *object, const void *type) {
    return ((void *const *)object)[1] == type;
}

#define NESTING 20

static void consider(struct mt_self *self, void *code, unsigned depth) {
    if (mt_watched_consider(self, (uint64_t)code) == NULL && mt_watched_find((uint64_t)code) == NULL)
        set_local((uint64_t)code, 0);
    void *constants = depth < NESTING ? mt_capi.PyObject_GetAttr(code, co_consts) : NULL;
    ptrdiff_t count = constants != NULL ? mt_capi.PyTuple_Size(constants) : 0;
    for (ptrdiff_t i = 0; i < count; i++) {
        void *constant = mt_capi.PyTuple_GetItem(constants, i);
        if (constant != NULL && is_a(constant, mt_capi.PyCode_Type))
            consider(self, constant, depth + 1);
    }
    drop(constants);
}

static void consider_functions(struct mt_self *self) {
    void *objects = mt_capi.PyObject_CallFunction(get_objects, NULL);
    ptrdiff_t count = objects != NULL ? mt_capi.PyList_Size(objects) : 0;
    for (ptrdiff_t i = 0; i < count; i++) {
        void *object = mt_capi.PyList_GetItem(objects, i);
        if (is_a(object, mt_capi.PyFunction_Type))
            consider(self, mt_capi.PyFunction_GetCode(object), 0);
    }
    drop(objects);
}

/* A module's own code is in no function. */
static void consider_frames(struct mt_self *self) {
    void *state = mt_capi.PyInterpreterState_ThreadHead(mt_capi.PyInterpreterState_Main());
    for (; state != NULL; state = mt_capi.PyThreadState_Next(state))
        for (uint64_t frame = mt_python_innermost_of((uint64_t)state); frame != 0; frame = mt_python_caller(frame))
            consider(self, (void *)mt_python_code(frame), 0);
}

void mt_monitoring_consider_all(struct mt_self *self) {
    consider_functions(self);
    consider_frames(self);
    set_everywhere(event_bits[PY_START] | event_bits[PY_UNWIND]);
    /* Those that were told off may be wanted now. */
    drop(mt_capi.PyObject_CallFunction(functions[RESTART], NULL));
}
