#include "recorder/python_stops.h"

#include <stddef.h>
#include <string.h>

#include "recorder/capi.h"
#include "recorder/peek.h"
#include "recorder/pymem.h"
#include "recorder/python.h"
#include "recorder/python_events.h"
#include "recorder/window.h"

#define MONITORING_VERSION 0x030c0000
/* At least as long is a PyCodeObject of 3.11, of later ones; what CPython gives it for our sake is in these words. */
#define WORDS_OF_CODE 22
#define WORDS_OF_MONITORED_CODE 25
#define GC_HEAD 16 /* bytes before an object that the collector watches, up to 3.13 */

struct mt_python_stops mt_python_stops;

static struct mt_elf python_module;
static int (*add_pending_call)(int (*function)(void *), void *argument);

static uint32_t obeyed_measurement;
static struct mt_python_stop obeyed_stops[MT_PYTHON_STOPS];
static uint64_t leaving;     /* the frame of whose end an event tells at this moment; 0: none */
static bool has_new_threads; /* that the trace function is not set in yet */
static bool silenced;        /* in the child of a fork until all is taken away: nothing stops there */

__attribute__((visibility("default"), noinline)) void memtrace_python_stop(const struct mt_python_stop_event *event) {
    __asm__ volatile("" : : "r"(event) : "memory");
}

void mt_python_stops_find(const struct mt_elf *module) {
    if (module != NULL)
        python_module = *module;
    else if (!mt_elf_find_definer("Py_AddPendingCall", &python_module))
        return;
    add_pending_call = (int (*)(int (*)(void *), void *))mt_elf_symbol(&python_module, "Py_AddPendingCall");
}

/* --- what is wanted -------------------------------------------------------------------------------------------------
 */

static bool has_slots(void) {
    for (unsigned i = 0; i < MT_PYTHON_STOPS; i++)
        if (mt_python_stops.stops[i].kind != MT_PYTHON_STOP_NONE)
            return true;
    return false;
}

static bool uses_monitoring(void) {
    return memtrace_image.python_version >= MONITORING_VERSION;
}

static const char *install(struct mt_self *self) {
    if (mt_capi.PyCode_Type == NULL && !mt_capi_bind(&python_module))
        return "this CPython hides a part of its C API that stops need";
    if (!mt_python_is_proven())
        return "the recorder has not recognized this Python's frames";
    if (mt_capi.PyThreadState_GetInterpreter(mt_capi.PyThreadState_Get()) != mt_capi.PyInterpreterState_Main())
        return "a sub-interpreter runs: stops are for the main one alone";
    mt_watched_init(uses_monitoring() ? mt_monitoring_watch : mt_tracing_watch);
    mt_window_count(self, true);
    const char *problem = uses_monitoring() ? mt_monitoring_install() : mt_tracing_install();
    if (problem == NULL) {
        mt_python_stops.means = uses_monitoring() ? MT_PYTHON_MEANS_MONITORING : MT_PYTHON_MEANS_TRACING;
        mt_window_suspects = uses_monitoring() ? NULL : mt_tracing_suspects;
    } else if (mt_python_stops.means == MT_PYTHON_MEANS_NONE) {
        mt_window_count(self, false);
    }
    return problem;
}

static void remove_all(struct mt_self *self) {
    mt_steps_cancel();
    mt_steps_measure_end();
    mt_watched_clear();
    if (uses_monitoring())
        mt_monitoring_remove();
    else
        mt_tracing_remove();
    mt_python_stops.means = MT_PYTHON_MEANS_NONE;
    mt_window_count(self, false);
}

static bool is_same_stop(const struct mt_python_stop *a, const struct mt_python_stop *b) {
    return a->kind == b->kind && a->line == b->line && strncmp(a->name, b->name, MT_PYTHON_NAME) == 0;
}

static void obey_slots(struct mt_self *self, bool changed) {
    for (unsigned i = 0; i < MT_PYTHON_STOPS; i++) {
        struct mt_python_stop *stop = &mt_python_stops.stops[i];
        stop->name[MT_PYTHON_NAME - 1] = '\0';
        changed = changed || !is_same_stop(stop, &obeyed_stops[i]);
        obeyed_stops[i] = *stop;
    }
    if (!changed)
        return;
    mt_watched_begin_anew();
    if (uses_monitoring())
        mt_monitoring_consider_all(self);
    else
        mt_tracing_consider_all(self);
    mt_watched_sweep();
    for (unsigned i = 0; i < MT_PYTHON_STOPS; i++)
        mt_python_stops.stops[i].found = mt_watched_count(i);
}

static struct mt_self *thread_of(uint64_t pthread) {
    for (uint32_t i = 0; i < memtrace_image.threads.count; i++) {
        struct mt_self *thread = mt_thread_at(i);
        if (thread->pthread == pthread && !mt_thread_is_dead(thread))
            return thread;
    }
    return NULL;
}

static const char *obey_step(struct mt_self *self) {
    enum mt_python_step kind = (enum mt_python_step)mt_python_stops.step;
    uint64_t wanted = mt_python_stops.step_frame, pthread = mt_python_stops.step_thread;
    void *state = mt_capi.PyInterpreterState_ThreadHead(mt_capi.PyInterpreterState_Main());
    mt_python_stops.step = MT_PYTHON_STEP_NONE;
    if (wanted == 0)
        return mt_steps_begin(self, self, kind, mt_python_innermost(self), leaving != 0);
    while (state != NULL && mt_python_thread_id((uint64_t)state) != pthread)
        state = mt_capi.PyThreadState_Next(state);
    struct mt_self *thread = thread_of(pthread);
    uint64_t frame = state != NULL && thread != NULL ? mt_python_innermost_of((uint64_t)state) : 0;
    while (frame != 0 && frame != wanted)
        frame = mt_python_caller(frame);
    if (frame == 0)
        return "the function returned before the interpreter came to a safe point";
    return mt_steps_begin(self, thread, kind, frame, frame == leaving);
}

static void count_ended(struct mt_self *self) {
    mt_python_stops.ended += self->freed - self->freed_before;
    self->freed_before = self->freed;
}

/* Does what was asked for, in full. The windows are paused. */
static const char *obey(struct mt_self *self) {
    struct mt_python_stops *stops = &mt_python_stops;
    uint32_t asked = __atomic_load_n(&stops->request, __ATOMIC_ACQUIRE);
    const char *problem = NULL;
    mt_steps_cancel();
    if (stops->measurement != obeyed_measurement) {
        mt_steps_measure_end();
        stops->lines.count = 0;
        count_ended(self);
        stops->ended = 0;
        obeyed_measurement = stops->measurement;
    }
    bool is_new = stops->means == MT_PYTHON_MEANS_NONE;
    bool wanted = has_slots() || stops->step != MT_PYTHON_STEP_NONE;
    if (wanted && (is_new || !uses_monitoring()))
        problem = install(self);
    if (problem == NULL && stops->means != MT_PYTHON_MEANS_NONE)
        obey_slots(self, is_new);
    if (problem == NULL && stops->step != MT_PYTHON_STEP_NONE)
        problem = obey_step(self);
    if (!wanted && stops->means != MT_PYTHON_MEANS_NONE)
        remove_all(self);
    if (!wanted)
        silenced = false;
    strncpy(stops->problem, problem != NULL ? problem : "", sizeof stops->problem - 1);
    __atomic_store_n(&stops->obeyed, asked, __ATOMIC_RELEASE);
    return problem;
}

static bool is_asked(void) {
    return __atomic_load_n(&mt_python_stops.request, __ATOMIC_ACQUIRE) != mt_python_stops.obeyed;
}

/* Until nothing is asked for any more. What can't be done is told at once: the user waits for it. */
static void obey_all(struct mt_self *self) {
    while (is_asked())
        if (obey(self) != NULL && !silenced)
            memtrace_python_stop(&(struct mt_python_stop_event){.reason = MT_PYTHON_FAILED, .thread = self->index});
}

/* --- safe points ----------------------------------------------------------------------------------------------------
 */

static void enter(struct mt_self *self) {
    self->hidden = 1;
    self->freed_before = self->freed;
    mt_steps_pause(self);
}

static void leave(struct mt_self *self) {
    mt_steps_resume(self);
    count_ended(self);
    self->hidden = 0;
}

/* CPython calls it in the main thread, between two instructions of Python code. */
static int at_safe_point(void *unused) {
    struct mt_self *self = mt_self();
    if (self == NULL || self->hidden || (!is_asked() && !has_new_threads))
        return 0;
    enter(self);
    obey_all(self);
    if (has_new_threads && mt_python_stops.means == MT_PYTHON_MEANS_TRACING)
        mt_tracing_install();
    has_new_threads = false;
    leave(self);
    return 0;
}

void mt_python_stops_meet_thread(void) {
    if (mt_python_stops.means != MT_PYTHON_MEANS_TRACING)
        return;
    has_new_threads = true;
    if (memtrace_image.request == MT_REQUEST_NONE)
        memtrace_image.request = MT_REQUEST_PYTHON;
}

bool mt_python_stops_look(void) {
    if (!is_asked() && !has_new_threads)
        return true;
    if (add_pending_call == NULL || memtrace_image.python_state == MT_PYTHON_UNSUPPORTED ||
        memtrace_image.python_state == MT_PYTHON_REFUSED) {
        strncpy(mt_python_stops.problem, "there is no CPython here whose frames the recorder reads",
                sizeof mt_python_stops.problem - 1);
        mt_python_stops.obeyed = mt_python_stops.request;
        return true;
    }
    return mt_pymem_initialized != NULL && mt_pymem_initialized() && add_pending_call(at_safe_point, NULL) == 0;
}

void mt_python_stops_end(void) {
    if (mt_python_stops.means == MT_PYTHON_MEANS_NONE && !is_asked())
        return;
    for (unsigned i = 0; i < MT_PYTHON_STOPS; i++)
        mt_python_stops.stops[i].kind = MT_PYTHON_STOP_NONE;
    mt_python_stops.step = MT_PYTHON_STEP_NONE;
    silenced = true;
    mt_python_stops.request++;
}

/* --- events ---------------------------------------------------------------------------------------------------------
 */

/* Whether one of a code object's first words is this address. */
static bool refers_to(uint64_t code, uint64_t address) {
    unsigned words = uses_monitoring() ? WORDS_OF_MONITORED_CODE : WORDS_OF_CODE;
    for (unsigned i = 0; code != 0 && i < words; i++)
        if (mt_peek64(code, i * 8) == address)
            return true;
    return false;
}

static void disown(struct mt_self *self, struct mt_birth *births, unsigned count, const struct mt_python_made *made) {
    for (unsigned i = 0; i < count; i++) {
        uint64_t birth = births[i].address;
        bool is_object = made->object != 0 && (birth == made->object || birth == made->object - GC_HEAD);
        if (birth != 0 && (is_object || refers_to(made->code, birth) || refers_to(made->another, birth)))
            mt_window_disown(self, &births[i]);
    }
}

bool mt_python_event_begin(struct mt_self *self, struct mt_python_made made) {
    if (self == NULL || self->hidden)
        return false;
    disown(self, self->births, MT_BIRTHS, &made);
    disown(self, self->suspects, MT_SUSPECTS, &made);
    enter(self);
    return true;
}

void mt_python_event_end(struct mt_self *self) {
    leave(self);
}

void mt_python_event(struct mt_self *self, enum mt_python_event event, struct mt_watched *watched, uint32_t line) {
    struct mt_python_stop_event stop;
    if (mt_steps_event(self, event, watched, line, &stop) && !silenced) {
        count_ended(self);
        memtrace_python_stop(&stop);
    }
    uint64_t code = watched->code;
    bool is_end = event == MT_EVENT_RETURN || event == MT_EVENT_UNWIND;
    leaving = is_end && is_asked() ? mt_python_innermost(self) : 0;
    obey_all(self);
    leaving = 0;
    watched = mt_watched_find(code);
    if (event == MT_EVENT_LINE && watched != NULL)
        mt_steps_measure_from_here(self, watched, line);
    /* A step's end may be the end of all that was wanted. */
    if (mt_python_stops.means != MT_PYTHON_MEANS_NONE && !has_slots() && !mt_steps_is_stepping())
        remove_all(self);
}
