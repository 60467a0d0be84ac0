#include "commands/break_hit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "commands/break_type.h"
#include "commands/breakpoints.h"
#include "commands/python_stack.h"
#include "commands/ref_next.h"
#include "commands/session.h"
#include "commands/size_words.h"
#include "output/place.h"
#include "output/text.h"
#include "trace/stops.h"

/* Threads other than the one at the hook may still run (gdb): then an image may change while it is read. */
#define IMAGE_ATTEMPTS 3
/* Columns that a place needs to be worth reading: else it gets a line of its own. */
#define PLACE_COLUMNS 40

/* The stop that is being judged. */
struct hit {
    struct mt_stop_event event;
    uint64_t tid;
    struct mt_frame_list list;    /* of the stack, when the recorder's image told it */
    struct mt_python_stack stack; /* when the thread's own frames did */
    const struct mt_frame *frames;
    size_t frame_count;
};

/* --- where it happened ---------------------------------------------------------------------------------------------
 */

/* The stack of the allocation, as `peak` and `live` will show it. */
static struct mt_error *read_site_stack(struct mt_call *call, struct hit *hit) {
    struct mt_image *image;
    struct mt_error *error = NULL;
    for (int attempt = 0; attempt < IMAGE_ATTEMPTS; attempt++) {
        mt_error_destroy(error);
        error = mt_call_image(call, &image);
        if (!error || error->code != MT_ERROR_FORMAT)
            break;
    }
    if (error)
        return error;
    uint32_t site = hit->event.site;
    bool is_known = site < image->site_count && image->sites[site].state != 0;
    if (!mt_image_stack(image, is_known ? image->sites[site].stack : 0, &hit->list, &hit->frame_count))
        return &mt_error_no_memory;
    hit->frames = hit->list.frames;
    return NULL;
}

/* The stack of a thread that allocated nothing. */
static struct mt_error *read_thread_stack(struct mt_call *call, struct hit *hit) {
    struct mt_python *python;
    struct mt_error *error = mt_call_python(call, &python);
    if (!error)
        error = mt_python_stack_read(python, hit->tid, &call->watch, &hit->stack);
    if (error)
        return error;
    hit->frames = hit->stack.frames.data;
    hit->frame_count = hit->stack.frames.length;
    return NULL;
}

static struct mt_error *read_stack(struct mt_call *call, struct hit *hit) {
    if (hit->frames)
        return NULL;
    struct mt_error *error = hit->event.site != 0 ? read_site_stack(call, hit) : read_thread_stack(call, hit);
    if (!error || error->code == MT_ERROR_NO_MEMORY || error->code == MT_ERROR_INTERRUPTED)
        return error;
    /* What has happened is told, if not where: a process without Python, or one that can't be read. */
    mt_error_destroy(error);
    return NULL;
}

/* --- what happened -------------------------------------------------------------------------------------------------
 */

static void append_change(struct mt_strbuf *out, int64_t bytes) {
    mt_text_change(out, bytes);
    mt_strbuf_append(out, bytes == 1 || bytes == -1 ? " byte" : " bytes");
}

static void append_bytes(struct mt_strbuf *out, uint64_t bytes) {
    mt_text_count(out, bytes);
    mt_strbuf_append(out, bytes == 1 ? " byte" : " bytes");
}

static void append_live(struct mt_strbuf *out, const struct mt_stop_event *event) {
    mt_text_size(out, event->live_bytes > 0 ? (uint64_t)event->live_bytes : 0);
}

static void append_sentence(struct mt_strbuf *out, const struct mt_breakpoint *breakpoint,
                            const struct mt_stop_event *event) {
    switch (breakpoint->kind) {
    case MT_BREAK_HEAP:
        mt_strbuf_append(out, "heap passed ");
        mt_size_append(out, breakpoint->argument);
        mt_strbuf_append(out, ": now ");
        append_live(out, event);
        mt_strbuf_append(out, ", ");
        append_change(out, event->net_bytes);
        break;
    case MT_BREAK_ALLOCATION:
        append_bytes(out, event->size);
        mt_strbuf_printf(out, " allocated at 0x%" PRIx64, event->address);
        break;
    case MT_BREAK_PEAK:
        mt_strbuf_append(out, "new peak: ");
        append_live(out, event);
        mt_strbuf_append(out, ", ");
        append_change(out, event->net_bytes);
        break;
    case MT_BREAK_FREE:
        mt_strbuf_append(out, "the block of ");
        append_bytes(out, breakpoint->size);
        mt_strbuf_printf(out, " at 0x%" PRIx64, breakpoint->argument);
        if (event->old_address == breakpoint->argument)
            mt_strbuf_printf(out, " was moved to 0x%" PRIx64, event->address);
        else
            mt_strbuf_append(out, " was freed");
        break;
    case MT_BREAK_TYPE_COUNT:
        mt_text_count(out, breakpoint->last.instances);
        mt_strbuf_printf(out, " instances of %s", breakpoint->type_name);
        break;
    case MT_BREAK_REFS: /* that has just begun */
        mt_strbuf_printf(out, "watching the %s at 0x%" PRIx64 ", made", breakpoint->type_name, breakpoint->argument);
        break;
    case MT_BREAK_LINE:
    case MT_BREAK_FUNCTION:
    case MT_BREAK_NEXT:
        break;
    }
}

/* What a script finds as `last`, whatever the width of the console was. */
static struct mt_error *remember(struct mt_breakpoint *breakpoint, const struct hit *hit, const char *sentence) {
    struct mt_strbuf text = MT_STRBUF_INIT;
    mt_strbuf_append(&text, sentence);
    if (hit->frame_count > 0) {
        mt_strbuf_append(&text, " in ");
        mt_place_function(&text, hit->frames[0].function, 0);
        mt_strbuf_append_char(&text, ' ');
        mt_place_location(&text, hit->frames, hit->frame_count, 0);
    }
    free(breakpoint->last.text);
    breakpoint->last.event = hit->event;
    breakpoint->last.tid = hit->tid;
    breakpoint->last.text = mt_strbuf_steal(&text);
    return breakpoint->last.text ? NULL : &mt_error_no_memory;
}

static struct mt_error *tell(struct mt_call *call, struct mt_breakpoint *breakpoint, struct hit *hit) {
    struct mt_emitter *emitter = &call->emitter;
    struct mt_strbuf line = MT_STRBUF_INIT;
    struct mt_error *error = read_stack(call, hit);
    if (error)
        return error;
    append_sentence(&line, breakpoint, &hit->event);
    if (hit->frame_count == 0)
        mt_strbuf_append(&line, " outside Python");
    if (line.failed)
        return &mt_error_no_memory;
    error = remember(breakpoint, hit, line.data);
    bool has_place = hit->frame_count > 0;
    if (has_place && (emitter->width == 0 || mt_text_columns(line.data) + PLACE_COLUMNS <= emitter->width)) {
        mt_strbuf_append(&line, " in");
        mt_emit_place(emitter, line.data, hit->frames, hit->frame_count);
    } else {
        mt_emit_line(emitter, "%s", line.data);
        mt_emit_place(emitter, "in", hit->frames, hit->frame_count);
    }
    mt_strbuf_deinit(&line);
    return error;
}

/* --- whether to stop -----------------------------------------------------------------------------------------------
 */

struct mt_error *mt_break_condition_holds(struct mt_call *call, const struct mt_breakpoint *breakpoint, bool *ret) {
    const struct mt_host *host = mt_session_debugger(call->session);
    uint64_t value = 0;
    if (!breakpoint->condition) {
        *ret = true;
        return NULL;
    }
    int32_t status = host && host->evaluate ? host->evaluate(host->context, breakpoint->condition, &value) : -1;
    if (status == 1)
        return mt_error_create(MT_ERROR_INTERRUPTED, "interrupted");
    if (status != 0)
        mt_emit_line(&call->emitter, "breakpoint %" PRIu32 ": its condition `%s` has no value here", breakpoint->number,
                     breakpoint->condition);
    *ret = status != 0 || value != 0;
    return NULL;
}

/* The next object of a type was made: it is watched from now on, and the process goes on. */
static struct mt_error *judge_next(struct mt_call *call, struct mt_breakpoint *breakpoint, const struct hit *hit) {
    struct hit made = {
        .event = {.site = hit->event.object_site, .address = hit->event.object, .live_bytes = hit->event.live_bytes},
        .tid = hit->tid};
    bool is_wanted = false, is_watched = false;
    struct mt_error *error = mt_break_condition_holds(call, breakpoint, &is_wanted);
    if (!error && !is_wanted)
        return mt_breakpoints_write(call, breakpoint);
    if (!error)
        error = mt_ref_next_watch(call, breakpoint, hit->event.object, &is_watched);
    if (!error && is_watched)
        error = tell(call, breakpoint, &made);
    mt_frame_list_deinit(&made.list);
    mt_python_stack_deinit(&made.stack);
    return error;
}

/* What one breakpoint makes of the event. *ret_done: it has nothing more to wait for. */
static struct mt_error *judge(struct mt_call *call, struct mt_breakpoint *breakpoint, struct hit *hit, bool *ret_stays,
                              bool *ret_done) {
    bool enough = true, stops = false;
    struct mt_error *error = NULL;
    if (breakpoint->kind == MT_BREAK_NEXT) {
        error = judge_next(call, breakpoint, hit);
        *ret_done = error != NULL;
        return error;
    }
    if (breakpoint->kind == MT_BREAK_TYPE_COUNT) {
        error = mt_break_type_count(call, breakpoint, &enough);
        if (!error && !enough)
            error = mt_breakpoints_write(call, breakpoint);
    }
    if (!error && enough)
        error = mt_break_condition_holds(call, breakpoint, &stops);
    if (!error && stops) {
        breakpoint->hits++;
        error = tell(call, breakpoint, hit);
    }
    *ret_stays |= stops;
    *ret_done = !error && ((stops && breakpoint->temporary) || breakpoint->kind == MT_BREAK_FREE ||
                           (breakpoint->kind == MT_BREAK_TYPE_COUNT && enough));
    return error;
}

static struct mt_error *judge_all(struct mt_call *call, struct hit *hit, bool *ret_stays) {
    struct mt_breakpoints *breakpoints = mt_session_breakpoints(call->session);
    struct mt_error *error = NULL;
    for (size_t i = 0; i < breakpoints->list.length && !error;) {
        struct mt_breakpoint *breakpoint = &breakpoints->list.data[i];
        bool done = false;
        if (!mt_breakpoint_is_python(breakpoint) && (hit->event.fired & UINT32_C(1) << breakpoint->slot))
            error = judge(call, breakpoint, hit, ret_stays, &done);
        struct mt_error *problem = done ? mt_breakpoints_remove(call, i) : NULL;
        if (error)
            mt_error_destroy(problem);
        else
            error = problem;
        i += !done;
    }
    return error;
}

struct mt_error *mt_break_hit(struct mt_call *call, uint64_t address, uint64_t tid, bool *ret_stays) {
    struct mt_breakpoints *breakpoints = mt_session_breakpoints(call->session);
    struct mt_target *target;
    struct hit hit = {.tid = tid};
    bool stays = false;
    struct mt_error *error = mt_call_target(call, &target);
    if (!error && address == 0) {
        breakpoints->pid = 0;
        error = mt_breakpoints_enter(call, target->info.pid);
    } else if (!error) {
        error = mt_stops_event(target, address, &hit.event);
        if (!error)
            error = judge_all(call, &hit, &stays);
    }
    mt_frame_list_deinit(&hit.list);
    mt_python_stack_deinit(&hit.stack);
    if (!error)
        *ret_stays = stays;
    return error;
}
