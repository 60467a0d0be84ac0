#include "commands/python_hit.h"

#include <inttypes.h>

#include "commands/break_hit.h"
#include "commands/breakpoints.h"
#include "commands/python_stops.h"
#include "commands/session.h"

static void emit_place(struct mt_emitter *emitter, const char *key, const struct mt_python_place *place,
                       const struct mt_python_window *window) {
    mt_emit_begin(emitter, key, '{');
    mt_emit_string(emitter, "function", place->function.data);
    mt_emit_string(emitter, "file", place->file.data);
    mt_emit_unsigned(emitter, "line", place->line);
    if (window)
        mt_python_window_emit(emitter, window);
    mt_emit_end(emitter, '}');
}

static void emit_window(struct mt_emitter *emitter, const char *label, const struct mt_python_window *window) {
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_strbuf_append(&line, label);
    mt_python_window_append(&line, window);
    mt_emit_line(emitter, "%s", mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
}

static const char *reason_name(uint32_t reason) {
    static const char *const names[] = {"?", "breakpoint", "line", "return", "exception", "failed"};
    return reason < sizeof names / sizeof names[0] ? names[reason] : names[0];
}

/* What a step did, then where it has led. */
static void tell_step(struct mt_call *call, const struct mt_python_stops_view *view,
                      const struct mt_python_stop_event *event) {
    struct mt_emitter *emitter = &call->emitter;
    struct mt_python_place place;
    struct mt_strbuf did = MT_STRBUF_INIT;
    mt_python_place_read(view, event->from_file, event->from_function, event->from_line, &place);
    mt_python_window_append(&did, &event->from);
    mt_python_place_emit(emitter, &place, did.data);
    mt_strbuf_deinit(&did);
    emit_place(emitter, "from", &place, &event->from);
    if (event->returned) {
        emit_window(emitter, "    and from its return on: ", &event->after);
        mt_emit_begin(emitter, "after", '{');
        mt_python_window_emit(emitter, &event->after);
        mt_emit_end(emitter, '}');
    }
    mt_python_place_deinit(&place);
}

/* `<module>` and its like are no names that could be called. */
static const char *call_of(const char *function) {
    return function[0] == '<' ? "" : "()";
}

static void tell_place(struct mt_call *call, const struct mt_python_stops_view *view,
                       const struct mt_python_stop_event *event) {
    struct mt_emitter *emitter = &call->emitter;
    struct mt_python_place place;
    mt_python_place_read(view, event->file, event->function, event->line, &place);
    const char *function = place.function.data ? place.function.data : "?";
    if (event->reason == MT_PYTHON_FINISHED)
        mt_emit_line(emitter, "%s%s is about to return:", function, call_of(function));
    if (event->reason == MT_PYTHON_UNWOUND)
        mt_emit_line(emitter, "an exception is about to leave %s%s:", function, call_of(function));
    mt_python_place_emit(emitter, &place, NULL);
    mt_emit_string(emitter, "reason", reason_name(event->reason));
    emit_place(emitter, "at", &place, NULL);
    mt_python_place_deinit(&place);
}

/* The breakpoints that were reached. *ret_stops: one of them stops, and is told. */
static struct mt_error *judge(struct mt_call *call, uint32_t slots, bool *ret_stops) {
    struct mt_breakpoints *breakpoints = mt_session_breakpoints(call->session);
    struct mt_error *error = NULL;
    for (size_t i = 0; i < breakpoints->list.length && !error;) {
        struct mt_breakpoint *breakpoint = &breakpoints->list.data[i];
        bool stops = false;
        if (mt_breakpoint_is_python(breakpoint) && (slots & UINT32_C(1) << breakpoint->slot))
            error = mt_break_condition_holds(call, breakpoint, &stops);
        if (!error && stops) {
            struct mt_strbuf what = MT_STRBUF_INIT;
            breakpoint->hits++;
            mt_breakpoint_append(&what, breakpoint);
            mt_emit_line(&call->emitter, "breakpoint %" PRIu32 ": %s", breakpoint->number, mt_strbuf_text(&what));
            mt_strbuf_deinit(&what);
            *ret_stops = true;
        }
        if (!error && stops && breakpoint->temporary)
            error = mt_breakpoints_remove(call, i);
        else
            i++;
    }
    return error;
}

struct mt_error *mt_python_step_end(struct mt_call *call, bool *ret_stays) {
    struct mt_host_description description;
    *ret_stays = false;
    struct mt_error *error = mt_session_describe(call->session, &description);
    if (error || description.kind != MT_HOST_NONE)
        return error;
    mt_emit_line(&call->emitter, "the process ended before the step did");
    mt_emit_string(&call->emitter, "reason", "exit");
    *ret_stays = true;
    return NULL;
}

struct mt_error *mt_python_hit(struct mt_call *call, uint64_t address, bool *ret_stays) {
    struct mt_python_stops_view view;
    struct mt_python_stop_event event;
    struct mt_error *error = mt_python_stops_read(call, &view);
    if (!error)
        error = mt_python_stops_event(view.target, address, &event);
    if (error)
        return error;
    if (event.reason == MT_PYTHON_FAILED) {
        view.stops.problem[sizeof view.stops.problem - 1] = '\0';
        return mt_error_create(MT_ERROR_UNSUPPORTED, "%s", view.stops.problem);
    }
    bool stops = event.reason != MT_PYTHON_REACHED;
    if (stops)
        tell_step(call, &view, &event);
    error = judge(call, event.slots, &stops);
    if (!error && stops)
        tell_place(call, &view, &event);
    *ret_stays = stops;
    return error;
}
