#include "commands/main_thread.h"

#include <inttypes.h>

#include "output/place.h"
#include "output/text.h"
#include "python/threads.h"

static bool take_frame(void *context, const struct mt_python_frame *frame, uint32_t number) {
    struct mt_python_frame *taken = context;
    if (frame->incomplete)
        return true;
    *taken = *frame;
    return false;
}

/* The first thread of the main interpreter; NULL: some thread has the GIL, or there is none. */
static const struct mt_python_thread *find_waiting(const struct mt_threads *threads) {
    const struct mt_python_thread *first = NULL;
    for (size_t i = 0; i < threads->list.length; i++) {
        const struct mt_python_thread *thread = &threads->list.data[i];
        if (thread->has_gil)
            return NULL;
        if (thread->number == 1)
            first = thread;
    }
    return first;
}

static void emit(struct mt_call *call, const struct mt_frame_place *place) {
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_strbuf_append(&line, "it waits for the main thread, which is in C code that ");
    mt_text_escape(&line, place->function);
    mt_strbuf_append(&line, "() called at ");
    mt_text_escape(&line, mt_place_tail(place->file, 1));
    mt_strbuf_printf(&line, ":%" PRId32, place->line);
    mt_emit_line(&call->emitter, "%s", mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
    mt_emit_begin(&call->emitter, "waits_for", '{');
    mt_emit_string(&call->emitter, "function", place->function);
    mt_emit_string(&call->emitter, "file", place->file);
    mt_emit_unsigned(&call->emitter, "line", place->line > 0 ? (uint64_t)place->line : 0);
    mt_emit_end(&call->emitter, '}');
}

void mt_main_thread_tell(struct mt_call *call) {
    struct mt_python *python;
    struct mt_threads threads = {0};
    struct mt_python_frame frame = {0};
    struct mt_frame_place place;
    struct mt_error *error = mt_call_python(call, &python);
    if (!error)
        error = mt_threads_read(python, &call->watch, &threads);
    const struct mt_python_thread *waiting = error ? NULL : find_waiting(&threads);
    if (waiting)
        mt_frames_visit(python, waiting, take_frame, &frame);
    if (frame.code != 0 && mt_frame_place(python, &frame, &place))
        emit(call, &place);
    mt_threads_deinit(&threads);
    mt_error_destroy(error);
}
