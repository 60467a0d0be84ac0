#include "commands/python_stops.h"

#include <inttypes.h>
#include <string.h>

#include "commands/request.h"
#include "commands/session.h"
#include "commands/source_line.h"
#include "output/place.h"
#include "output/text.h"

#define DID_GAP 4 /* columns before what a line did */

struct mt_error *mt_python_stops_read(struct mt_call *call, struct mt_python_stops_view *ret) {
    struct mt_target *target;
    struct mt_error *error = mt_call_target(call, &target);
    return error ? error : mt_python_stops_open(target, &call->watch, ret);
}

struct mt_error *mt_python_stops_hook(struct mt_call *call) {
    const struct mt_host *host = mt_session_debugger(call->session);
    int32_t status = host && host->stop_at ? host->stop_at(host->context, MT_PYTHON_STOP_SYMBOL, 1) : -1;
    if (status == 1)
        return mt_error_create(MT_ERROR_INTERRUPTED, "interrupted");
    if (status != 0)
        return mt_error_create(MT_ERROR_UNSUPPORTED, "only a debugger can stop a process: use gdb or lldb");
    return NULL;
}

struct mt_error *mt_python_stops_check(const struct mt_image_header *header) {
    return header->python_free_threaded
               ? mt_error_create(MT_ERROR_UNSUPPORTED, "free-threaded CPython has no safe point for this")
               : NULL;
}

struct mt_error *mt_python_stops_prepare(struct mt_call *call, struct mt_python_stops_view *ret) {
    struct mt_host_description description;
    struct mt_image *image;
    struct mt_error *error = mt_request_describe(call, "stepped", &description);
    if (!error)
        error = mt_request_image(call, &image);
    enum mt_request asked = error ? MT_REQUEST_NONE : mt_image_pending(image);
    if (!error && asked != MT_REQUEST_START && (image->header.state != MT_RECORDING_ON || asked == MT_REQUEST_STOP))
        error = mt_error_create(MT_ERROR_NOT_RECORDED, "nothing is being recorded: `memtrace record` first");
    if (!error)
        error = mt_python_stops_hook(call);
    if (!error)
        error = mt_python_stops_read(call, ret);
    return error ? error : mt_python_stops_check(&ret->header);
}

struct mt_error *mt_python_stops_wish(struct mt_call *call, struct mt_python_stops_view *view) {
    struct mt_error *error = mt_python_stops_ask(view);
    if (!error)
        mt_session_forget_image(call->session);
    return error;
}

struct mt_error *mt_python_stop_fill(struct mt_python_stop *slot, enum mt_python_stop_kind kind, const char *name,
                                     uint32_t line) {
    if (strlen(name) >= MT_PYTHON_NAME)
        return mt_error_create(MT_ERROR_USAGE, "the name is too long: give the end of it, at most %d bytes",
                               MT_PYTHON_NAME - 1);
    *slot = (struct mt_python_stop){.kind = kind, .line = line};
    strcpy(slot->name, name);
    return NULL;
}

void mt_python_place_read(const struct mt_python_stops_view *view, uint32_t file, uint32_t function, uint32_t line,
                          struct mt_python_place *ret) {
    *ret = (struct mt_python_place){.line = line};
    mt_python_stops_string(view, file, &ret->file);
    mt_python_stops_string(view, function, &ret->function);
    if (ret->file.data)
        mt_source_line_append(&ret->source, ret->file.data, line,
                              view->target->info.kind == MT_TARGET_LIVE ? view->target->info.pid : 0);
}

void mt_python_place_deinit(struct mt_python_place *place) {
    mt_strbuf_deinit(&place->file);
    mt_strbuf_deinit(&place->function);
    mt_strbuf_deinit(&place->source);
}

void mt_python_place_emit(struct mt_emitter *emitter, const struct mt_python_place *place, const char *did) {
    struct mt_strbuf line = MT_STRBUF_INIT, cut = MT_STRBUF_INIT;
    mt_text_escape(&line, mt_place_tail(place->file.data ? place->file.data : "?", 1));
    mt_strbuf_printf(&line, ":%" PRIu32 "  ", place->line);
    if (place->source.data)
        mt_text_escape(&line, place->source.data);
    const char *text = mt_strbuf_text(&line);
    size_t columns = mt_text_columns(text) + DID_GAP + (did ? mt_text_columns(did) : 0);
    bool has_room = emitter->width == 0 || columns <= emitter->width;
    mt_text_cut(&cut, text, emitter->width);
    if (did && has_room) {
        mt_emit_line(emitter, "%s%*s%s", text, DID_GAP, "", did);
    } else {
        mt_emit_line(emitter, "%s", mt_strbuf_text(&cut));
        if (did)
            mt_emit_line(emitter, "%*s%s", DID_GAP, "", did);
    }
    mt_strbuf_deinit(&line);
    mt_strbuf_deinit(&cut);
}

static int64_t kept(const struct mt_python_window *window) {
    return (int64_t)(window->allocated - window->freed);
}

void mt_python_window_append(struct mt_strbuf *out, const struct mt_python_window *window) {
    mt_strbuf_append(out, "kept ");
    mt_text_change(out, kept(window));
    mt_strbuf_append(out, ", freed ");
    mt_text_count(out, window->freed);
    mt_strbuf_append(out, ", peak in between ");
    mt_text_change(out, window->peak);
}

void mt_python_window_emit(struct mt_emitter *emitter, const struct mt_python_window *window) {
    mt_emit_unsigned(emitter, "allocated", window->allocated);
    mt_emit_unsigned(emitter, "freed", window->freed);
    mt_emit_integer(emitter, "kept", kept(window));
    mt_emit_integer(emitter, "peak", window->peak);
}
