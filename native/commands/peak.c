#include "commands/command.h"

#include <inttypes.h>
#include <stdio.h>

#include "commands/row_answer.h"
#include "output/text.h"
#include "trace/rows.h"

static uint64_t peak_time(const struct mt_image *image) {
    uint64_t start = image->header.start_monotonic, time = mt_image_shard(image)->peak_time;
    return time > start ? time - start : 0;
}

static void emit_headline(struct mt_call *call, const struct mt_image *image, const struct mt_rows *rows,
                          size_t shown) {
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_strbuf_append(&line, "peak ");
    mt_text_size(&line, rows->peak.bytes);
    mt_strbuf_append(&line, " at +");
    mt_text_seconds(&line, peak_time(image));
    mt_strbuf_append(&line, ", ");
    mt_text_count(&line, rows->peak.blocks);
    mt_strbuf_append(&line, rows->peak.blocks == 1 ? " block" : " blocks");
    struct mt_amount top = {0};
    for (size_t i = 0; i < shown; i++) {
        top.bytes += rows->rows[i].peak.bytes;
        top.blocks += rows->rows[i].peak.blocks;
    }
    if (top.blocks > 0 && top.blocks < rows->peak.blocks && rows->peak.bytes > 0) {
        mt_strbuf_append(&line, "; ");
        mt_text_count(&line, top.blocks);
        mt_strbuf_append(&line, top.blocks == 1 ? " block is " : " blocks are ");
        mt_text_percent(&line, top.bytes, rows->peak.bytes);
        mt_strbuf_append(&line, " of it");
    }
    struct mt_strbuf alive = MT_STRBUF_INIT;
    mt_strbuf_append(&alive, "Alive now: ");
    mt_text_size(&alive, rows->live.bytes);
    mt_emit_sentences(&call->emitter, mt_strbuf_text(&line), mt_strbuf_text(&alive));
    mt_strbuf_deinit(&line);
    mt_strbuf_deinit(&alive);
}

/* Where every thread last allocated before the peak; in text only the thread that set it, if there was a peak at all.
 */
static bool emit_threads(struct mt_call *call, const struct mt_image *image, bool was_set) {
    struct mt_frame_list list = {0};
    bool ok = true;
    uint32_t setter = mt_image_shard(image)->peak_thread;
    mt_emit_begin(&call->emitter, "threads", '[');
    for (uint32_t i = 0; i < image->thread_count && ok; i++) {
        const char *name = mt_image_thread_name(image, i);
        size_t count;
        if (!name)
            continue;
        ok = mt_image_stack(image, mt_thread_at_peak(image, i), &list, &count);
        if (!ok)
            break;
        mt_emit_begin(&call->emitter, NULL, '{');
        mt_emit_unsigned(&call->emitter, "tid", image->threads[i].tid);
        mt_emit_string(&call->emitter, "name", name);
        mt_emit_boolean(&call->emitter, "set_peak", was_set && i == setter);
        mt_emit_stack(&call->emitter, "stack", list.frames, count);
        mt_emit_end(&call->emitter, '}');
        if (was_set && i == setter) {
            char label[96];
            snprintf(label, sizeof label, "set by thread %" PRIu32 " %s%s", image->threads[i].tid, name,
                     count > 0 ? " in" : "");
            if (count > 0)
                mt_emit_place(&call->emitter, label, list.frames, 1);
            else
                mt_emit_line(&call->emitter, "%s outside Python", label);
        }
    }
    mt_emit_end(&call->emitter, ']');
    mt_frame_list_deinit(&list);
    return ok;
}

static struct mt_error *run(struct mt_call *call) {
    struct mt_image *image;
    struct mt_error *error = mt_call_recording(call, &image);
    if (error)
        return error;
    struct mt_rows *rows;
    error = mt_rows_load(image, &call->watch, MT_ROWS_PEAK, call->options.by, 0, &rows);
    if (error)
        return error;
    size_t shown = mt_row_answer_choose(call, rows, MT_ROWS_PEAK);
    emit_headline(call, image, rows, shown);
    mt_emit_unsigned(&call->emitter, "peak_bytes", rows->peak.bytes);
    mt_emit_unsigned(&call->emitter, "peak_blocks", rows->peak.blocks);
    mt_emit_seconds(&call->emitter, "peak_time", peak_time(image));
    error = mt_row_answer(call, image, rows, MT_ROWS_PEAK, shown);
    if (!error && !emit_threads(call, image, rows->peak.blocks > 0))
        error = &mt_error_no_memory;
    if (!error) {
        mt_call_warn_image(call, image, &rows->gaps);
        mt_call_warn_attached(call, image);
    }
    mt_rows_destroy(rows);
    mt_call_hint(call, "try: memtrace live · memtrace peak --by file · memtrace born 1");
    return error;
}

const struct mt_command mt_peak_command = {
    .name = "peak",
    .summary = "Show what was alive when the recorded memory was at its highest, and how much of it is alive now.",
    .options = MT_OPTION_BY | MT_OPTION_LIMIT | MT_OPTION_JSON,
    .details = "Rows are the biggest first. Their numbers can stand where an address is wanted (`memtrace born 1`) and "
               "count on "
               "through all answers of one stop. Rows under 1 % are summed up in the last line.",
    .run = run,
};
