#include "commands/command.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "commands/moment.h"
#include "commands/row_answer.h"
#include "commands/words.h"
#include "output/text.h"
#include "trace/rows.h"

/* A and B of the command line; B is `now` when there is none. */
struct sides {
    struct mt_marks marks;
    struct mt_moment from, to;
};

static struct mt_error *find_sides(struct mt_call *call, const struct mt_image *image, struct sides *ret) {
    const char *first = call->argument, *second = mt_word_skip_blanks(first + mt_word_length(first));
    const char *rest = mt_word_skip_blanks(second + mt_word_length(second));
    if (*first == '\0')
        return mt_error_create(
            MT_ERROR_USAGE, "since when? Give a mark's number or name, or `start` (`memtrace status` lists the marks)");
    if (*rest != '\0')
        return mt_error_create(MT_ERROR_USAGE, "takes one mark or two (options come before them): `%s`", rest);
    MT_AUTO_FREE char *from = mt_word_copy(first, mt_word_length(first));
    MT_AUTO_FREE char *to = *second != '\0' ? mt_word_copy(second, mt_word_length(second)) : mt_word_copy("now", 3);
    if (!from || !to)
        return &mt_error_no_memory;
    struct mt_error *error = mt_moment_parse(call, image, from, &ret->marks, &ret->from);
    return error ? error : mt_moment_find(image, &ret->marks, to, &ret->to);
}

static void append_moment(struct mt_strbuf *line, const struct mt_moment *moment) {
    mt_moment_append(line, moment);
    if (moment->kind == MT_MOMENT_MARK) {
        mt_strbuf_append(line, " at +");
        mt_text_seconds(line, moment->time);
    }
}

static void emit_headline(struct mt_call *call, const struct sides *sides, const struct mt_rows *rows) {
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_strbuf_append(&line, sides->to.kind == MT_MOMENT_NOW ? "since " : "from ");
    append_moment(&line, &sides->from);
    if (sides->to.kind != MT_MOMENT_NOW) {
        mt_strbuf_append(&line, " to ");
        append_moment(&line, &sides->to);
    }
    mt_strbuf_append(&line, ": ");
    if (rows->count == 0) {
        mt_strbuf_append(&line, "no change");
    } else {
        mt_text_size_change(&line, rows->change.bytes);
        mt_strbuf_append(&line, ", ");
        mt_text_change(&line, rows->change.blocks);
        mt_strbuf_append(&line, mt_magnitude(rows->change.blocks) == 1 ? " block" : " blocks");
    }
    mt_emit_line(&call->emitter, "%s", mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
}

static struct mt_error *run(struct mt_call *call) {
    struct mt_image *image;
    struct sides sides;
    struct mt_rows *rows;
    struct mt_error *error = mt_call_recording(call, &image);
    if (!error)
        error = find_sides(call, image, &sides);
    if (!error)
        error = mt_rows_load_change(image, &call->watch, &sides.marks, &sides.from, &sides.to, call->options.by, &rows);
    if (error)
        return error;
    emit_headline(call, &sides, rows);
    mt_moment_emit(&call->emitter, "from", &sides.from);
    mt_moment_emit(&call->emitter, "to", &sides.to);
    mt_emit_integer(&call->emitter, "bytes_delta", rows->change.bytes);
    mt_emit_integer(&call->emitter, "blocks_delta", rows->change.blocks);
    error = mt_row_answer(call, image, rows, MT_ROWS_CHANGE, mt_row_answer_choose(call, rows, MT_ROWS_CHANGE));
    if (!error)
        mt_call_warn_image(call, image, &rows->gaps);
    mt_rows_destroy(rows);
    mt_call_hint(call, "try: memtrace live --since 1 · memtrace diff --by line 1 · memtrace born 1");
    return error;
}

const struct mt_command mt_diff_command = {
    .name = "diff",
    .summary = "Show what changed since a mark, or between two, by where it was allocated.",
    .argument = "A [B]",
    .options = MT_OPTION_BY | MT_OPTION_LIMIT | MT_OPTION_JSON,
    .details =
        "A and B are marks: a number, a name (the latest mark that has it), `start` (nothing was alive) or `now`. "
        "Without B it is `now`. What grew and shrank most comes first. A row's number stands for the largest "
        "block that was born between the two and is alive now. Rows under 1 % are summed up in the last line.",
    .run = run,
};
