#include "commands/breakpoints.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "commands/python_stops.h"
#include "commands/ref_watch.h"
#include "commands/session.h"
#include "commands/size_words.h"
#include "output/text.h"
#include "trace/stops.h"

static void free_strings(struct mt_breakpoint *breakpoint) {
    free(breakpoint->type_name);
    free(breakpoint->condition);
    free(breakpoint->last.text);
}

static struct mt_error *stop_at_hook(struct mt_call *call, bool on) {
    const struct mt_host *host = mt_session_debugger(call->session);
    int32_t status = host && host->stop_at ? host->stop_at(host->context, MT_STOP_HOOK_SYMBOL, on) : -1;
    if (status == 1)
        return mt_error_create(MT_ERROR_INTERRUPTED, "interrupted");
    if (status != 0)
        return mt_error_create(MT_ERROR_UNSUPPORTED, "the debugger can't stop at the recorder's hook here: choose a "
                                                     "program first (`file`, `target create`)");
    return NULL;
}

/* --- slots ---------------------------------------------------------------------------------------------------------
 */

bool mt_breakpoint_is_python(const struct mt_breakpoint *breakpoint) {
    return breakpoint->kind == MT_BREAK_LINE || breakpoint->kind == MT_BREAK_FUNCTION;
}

/* Of memory, and of Python's lines. */
static const unsigned slot_counts[] = {MT_LIMIT_SLOT, MT_PYTHON_BREAKPOINTS};

/* The last of memory's is the limit's, of the environment contract. MT_STOPS: all are taken. */
static unsigned choose_slot(const struct mt_breakpoints *breakpoints, bool is_python) {
    uint32_t taken = 0;
    for (size_t i = 0; i < breakpoints->list.length; i++)
        if (mt_breakpoint_is_python(&breakpoints->list.data[i]) == is_python)
            taken |= UINT32_C(1) << breakpoints->list.data[i].slot;
    for (unsigned slot = slot_counts[is_python]; slot-- > 0;)
        if (!(taken & UINT32_C(1) << slot))
            return slot;
    return MT_STOPS;
}

static struct mt_stop stop_of(const struct mt_breakpoint *breakpoint) {
    switch (breakpoint->kind) {
    case MT_BREAK_HEAP:
        return (struct mt_stop){.kind = MT_STOP_HEAP, .argument = breakpoint->argument, .is_over = breakpoint->is_over};
    case MT_BREAK_ALLOCATION:
        return (struct mt_stop){.kind = MT_STOP_ALLOCATION, .argument = breakpoint->argument};
    case MT_BREAK_PEAK:
        return (struct mt_stop){.kind = MT_STOP_PEAK, .argument = breakpoint->argument};
    case MT_BREAK_FREE:
        return (struct mt_stop){.kind = MT_STOP_FREE, .argument = breakpoint->argument};
    case MT_BREAK_TYPE_COUNT:
        return (struct mt_stop){.kind = MT_STOP_COUNT, .argument = breakpoint->type, .limit = breakpoint->limit};
    case MT_BREAK_NEXT:
        return (struct mt_stop){.kind = MT_STOP_TYPE, .argument = breakpoint->type, .limit = breakpoint->limit};
    case MT_BREAK_LINE:
    case MT_BREAK_FUNCTION:
    case MT_BREAK_REFS:
        break;
    }
    return (struct mt_stop){0};
}

static struct mt_error *write_slot(struct mt_call *call, unsigned slot, const struct mt_stop *stop) {
    struct mt_breakpoints *breakpoints = mt_session_breakpoints(call->session);
    struct mt_target *target;
    uint64_t image;
    struct mt_error *error = mt_call_target(call, &target);
    if (!error)
        error = mt_stops_find(target, &call->watch, &image);
    if (!error)
        error = mt_stops_write(target, image, slot, stop);
    if (error)
        return error;
    breakpoints->pid = target->info.pid;
    breakpoints->is_written = true;
    return NULL;
}

static struct mt_error *write_python_slot(struct mt_call *call, const struct mt_breakpoint *breakpoint, bool is_on) {
    struct mt_breakpoints *breakpoints = mt_session_breakpoints(call->session);
    struct mt_python_stops_view view;
    struct mt_error *error = mt_python_stops_read(call, &view);
    if (error)
        return error;
    struct mt_python_stop *slot = &view.stops.stops[breakpoint->slot];
    view.stops.step = MT_PYTHON_STEP_NONE;
    *slot = (struct mt_python_stop){0};
    if (is_on)
        error =
            mt_python_stop_fill(slot, breakpoint->kind == MT_BREAK_LINE ? MT_PYTHON_STOP_LINE : MT_PYTHON_STOP_FUNCTION,
                                breakpoint->type_name, (uint32_t)breakpoint->argument);
    if (!error)
        error = mt_python_stops_wish(call, &view);
    if (error)
        return error;
    breakpoints->pid = view.target->info.pid;
    breakpoints->is_written = true;
    return NULL;
}

struct mt_error *mt_breakpoints_write(struct mt_call *call, const struct mt_breakpoint *breakpoint) {
    if (breakpoint->kind == MT_BREAK_REFS)
        return NULL;
    if (mt_breakpoint_is_python(breakpoint))
        return write_python_slot(call, breakpoint, true);
    struct mt_stop stop = stop_of(breakpoint);
    return write_slot(call, breakpoint->slot, &stop);
}

struct mt_error *mt_breakpoints_enter(struct mt_call *call, int32_t pid) {
    struct mt_breakpoints *breakpoints = mt_session_breakpoints(call->session);
    struct mt_error *error = NULL;
    if (breakpoints->is_hooked && breakpoints->list.length == 0) {
        breakpoints->is_hooked = false;
        return stop_at_hook(call, false);
    }
    if (pid == 0 || breakpoints->pid == pid || breakpoints->list.length == 0)
        return NULL;
    breakpoints->pid = pid;
    breakpoints->is_written = false;
    for (size_t i = 0; i < breakpoints->list.length && !error; i++) {
        struct mt_breakpoint *breakpoint = &breakpoints->list.data[i];
        breakpoint->is_over = false;
        if (breakpoint->pid == 0 || breakpoint->pid == pid)
            error = mt_breakpoints_write(call, breakpoint);
    }
    return error;
}

static struct mt_error *clear_python_slots(struct mt_call *call, struct mt_target *target) {
    struct mt_python_stops_view view;
    struct mt_error *error = mt_python_stops_open(target, &call->watch, &view);
    if (error)
        return error;
    memset(view.stops.stops, 0, sizeof view.stops.stops);
    view.stops.step = MT_PYTHON_STEP_NONE;
    return mt_python_stops_ask(&view);
}

static struct mt_error *clear_slots(struct mt_call *call, struct mt_target *target) {
    static const struct mt_stop none = {0};
    struct mt_breakpoints *breakpoints = mt_session_breakpoints(call->session);
    bool has_python = false;
    uint64_t image;
    struct mt_error *error = mt_stops_find(target, &call->watch, &image);
    for (size_t i = 0; i < breakpoints->list.length && !error; i++) {
        const struct mt_breakpoint *breakpoint = &breakpoints->list.data[i];
        if (mt_breakpoint_is_python(breakpoint))
            has_python = true;
        else if (breakpoint->kind != MT_BREAK_REFS)
            error = mt_stops_write(target, image, breakpoint->slot, &none);
    }
    return !error && has_python ? clear_python_slots(call, target) : error;
}

struct mt_error *mt_breakpoints_leave(struct mt_call *call, int32_t pid) {
    struct mt_breakpoints *breakpoints = mt_session_breakpoints(call->session);
    struct mt_host_description description;
    struct mt_target *target;
    if (!breakpoints->is_written || breakpoints->pid != pid)
        return NULL;
    struct mt_error *error = mt_session_describe(call->session, &description);
    if (error)
        return error;
    breakpoints->is_written = false;
    breakpoints->pid = 0;
    if (description.pid == pid) {
        error = mt_call_target(call, &target);
        return error ? error : clear_slots(call, target);
    }
    error = mt_target_open_live(pid, true, &target);
    if (error)
        return error;
    error = clear_slots(call, target);
    mt_target_destroy(target);
    return error;
}

/* --- the list ------------------------------------------------------------------------------------------------------
 */

static struct mt_error *enter_list(struct mt_call *call, struct mt_breakpoint *breakpoint, bool is_live) {
    struct mt_breakpoints *breakpoints = mt_session_breakpoints(call->session);
    bool is_python = mt_breakpoint_is_python(breakpoint), has_slot = breakpoint->kind != MT_BREAK_REFS;
    breakpoint->slot = has_slot ? choose_slot(breakpoints, is_python) : MT_STOPS;
    if (has_slot && breakpoint->slot == MT_STOPS)
        return mt_error_create(MT_ERROR_UNSUPPORTED,
                               "there are %d memtrace breakpoints already: `memtrace break delete N`",
                               (int)slot_counts[is_python]);
    if (!mt_vector_reserve(&breakpoints->list, breakpoints->list.length + 1))
        return &mt_error_no_memory;
    /* Of Python's lines too: it tells that a recorder is there. */
    struct mt_error *error = has_slot ? stop_at_hook(call, true) : NULL;
    if (!error && is_python)
        error = mt_python_stops_hook(call);
    if (!error && is_live)
        error = mt_breakpoints_write(call, breakpoint);
    if (error)
        return error;
    breakpoints->is_hooked |= has_slot;
    breakpoint->number = ++breakpoints->last_number;
    breakpoints->list.data[breakpoints->list.length++] = *breakpoint;
    return NULL;
}

struct mt_error *mt_breakpoints_add(struct mt_call *call, struct mt_breakpoint breakpoint, bool is_live,
                                    const struct mt_breakpoint **ret) {
    struct mt_breakpoints *breakpoints = mt_session_breakpoints(call->session);
    struct mt_error *error = enter_list(call, &breakpoint, is_live);
    if (error)
        free_strings(&breakpoint);
    else
        *ret = &breakpoints->list.data[breakpoints->list.length - 1];
    return error;
}

struct mt_error *mt_breakpoints_remove(struct mt_call *call, size_t index) {
    static const struct mt_stop none = {0};
    struct mt_breakpoints *breakpoints = mt_session_breakpoints(call->session);
    struct mt_breakpoint *breakpoint = &breakpoints->list.data[index];
    struct mt_host_description description;
    struct mt_error *error = mt_session_describe(call->session, &description);
    if (!error && breakpoint->kind == MT_BREAK_REFS)
        error = mt_ref_watch_end(call, breakpoint->argument);
    else if (!error && breakpoints->is_written && description.pid == breakpoints->pid && !description.running)
        error = mt_breakpoint_is_python(breakpoint) ? write_python_slot(call, breakpoint, false)
                                                    : write_slot(call, breakpoint->slot, &none);
    if (error)
        return error;
    free_strings(breakpoint);
    memmove(breakpoint, breakpoint + 1, (--breakpoints->list.length - index) * sizeof *breakpoint);
    return NULL;
}

bool mt_breakpoints_find(const struct mt_breakpoints *breakpoints, uint32_t number, size_t *ret_index) {
    for (size_t i = 0; i < breakpoints->list.length; i++) {
        if (breakpoints->list.data[i].number != number)
            continue;
        *ret_index = i;
        return true;
    }
    return false;
}

void mt_breakpoints_deinit(struct mt_breakpoints *breakpoints) {
    for (size_t i = 0; i < breakpoints->list.length; i++)
        free_strings(&breakpoints->list.data[i]);
    mt_vector_deinit(&breakpoints->list);
}

void mt_breakpoint_append(struct mt_strbuf *out, const struct mt_breakpoint *breakpoint) {
    switch (breakpoint->kind) {
    case MT_BREAK_HEAP:
        mt_strbuf_append(out, "heap over ");
        mt_size_append(out, breakpoint->argument);
        break;
    case MT_BREAK_ALLOCATION:
        mt_strbuf_append(out, "one allocation of ");
        mt_size_append(out, breakpoint->argument);
        mt_strbuf_append(out, " or more");
        break;
    case MT_BREAK_PEAK:
        mt_strbuf_append(out, "a new peak");
        if (breakpoint->argument == 0)
            break;
        mt_strbuf_append(out, " above ");
        mt_size_append(out, breakpoint->argument);
        break;
    case MT_BREAK_FREE:
        mt_strbuf_append(out, "the end of the block of ");
        mt_text_count(out, breakpoint->size);
        mt_strbuf_printf(out, " byte%s at 0x%" PRIx64, breakpoint->size == 1 ? "" : "s", breakpoint->argument);
        break;
    case MT_BREAK_TYPE_COUNT:
        mt_text_count(out, breakpoint->argument);
        mt_strbuf_printf(out, " instances of %s", breakpoint->type_name);
        break;
    case MT_BREAK_LINE:
        mt_strbuf_printf(out, "line %" PRIu64 " of %s", breakpoint->argument, breakpoint->type_name);
        break;
    case MT_BREAK_FUNCTION:
        mt_strbuf_printf(out, "calls of %s()", breakpoint->type_name);
        break;
    case MT_BREAK_REFS:
        mt_strbuf_printf(out, "references to the %s at 0x%" PRIx64, breakpoint->type_name, breakpoint->argument);
        break;
    case MT_BREAK_NEXT:
        mt_strbuf_printf(out, "references to the next %s that is made", breakpoint->type_name);
        break;
    }
}
