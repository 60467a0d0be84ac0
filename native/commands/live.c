#include "commands/command.h"

#include "commands/moment.h"
#include "commands/row_answer.h"
#include "output/text.h"
#include "trace/rows.h"

static struct mt_error *run(struct mt_call *call) {
    struct mt_image *image;
    struct mt_error *error = mt_call_recording(call, &image);
    if (error)
        return error;
    bool only_since = call->options.given & MT_OPTION_SINCE;
    struct mt_marks marks;
    struct mt_moment since = {.kind = MT_MOMENT_START};
    if (only_since)
        error = mt_moment_parse(call, image, call->options.since, &marks, &since);
    struct mt_rows *rows;
    if (!error)
        error = mt_rows_load(image, &call->watch, MT_ROWS_LIVE, call->options.by, since.generation, &rows);
    if (error)
        return error;
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_strbuf_append(&line, "alive now");
    if (only_since) {
        mt_strbuf_append(&line, ", born since ");
        mt_moment_append(&line, &since);
        mt_moment_emit(&call->emitter, "since", &since);
    }
    mt_strbuf_append(&line, ": ");
    mt_text_size(&line, rows->live.bytes);
    mt_strbuf_append(&line, " in ");
    mt_text_count(&line, rows->live.blocks);
    mt_strbuf_append(&line, rows->live.blocks == 1 ? " block" : " blocks");
    mt_emit_line(&call->emitter, "%s", mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
    mt_emit_unsigned(&call->emitter, "live_bytes", rows->live.bytes);
    mt_emit_unsigned(&call->emitter, "live_blocks", rows->live.blocks);
    error = mt_row_answer(call, image, rows, MT_ROWS_LIVE, mt_row_answer_choose(call, rows, MT_ROWS_LIVE));
    if (!error) {
        mt_call_warn_image(call, image, &rows->gaps);
        mt_call_warn_attached(call, image);
    }
    mt_rows_destroy(rows);
    mt_call_hint(call, "try: memtrace peak · memtrace live --by line · memtrace born 1");
    return error;
}

const struct mt_command mt_live_command = {
    .name = "live",
    .summary = "Show what is alive now, by where it was allocated.",
    .options = MT_OPTION_BY | MT_OPTION_SINCE | MT_OPTION_LIMIT | MT_OPTION_JSON,
    .details =
        "Only memory that was allocated while recording is known. Rows under 1 % are summed up in the last line. "
        "With `--since`, a block that was resized counts as born then.",
    .run = run,
};
