#include "commands/row_answer.h"

#include <inttypes.h>
#include <stdio.h>

#include "commands/listing.h"
#include "output/text.h"

static const struct mt_amount *amount_of(const struct mt_row *row, enum mt_rows_of of) {
    return of == MT_ROWS_PEAK ? &row->peak : &row->live;
}

/* How much a row weighs among the others. */
static uint64_t weight_of(const struct mt_row *row, enum mt_rows_of of) {
    return of == MT_ROWS_CHANGE ? mt_magnitude(row->change.bytes) : amount_of(row, of)->bytes;
}

size_t mt_row_answer_choose(const struct mt_call *call, const struct mt_rows *rows, enum mt_rows_of of) {
    size_t most = mt_listing_shown(call, rows->count);
    if ((call->options.given & MT_OPTION_LIMIT) || call->emitter.json)
        return most;
    uint64_t whole = 0, sum = 0;
    for (size_t i = 0; i < rows->count; i++)
        whole += weight_of(&rows->rows[i], of);
    size_t shown = 0;
    for (; shown < most; shown++) {
        uint64_t bytes = weight_of(&rows->rows[shown], of);
        /* A program of a thousand equal parts has no row of 1 %: then the first ones stand for it. */
        if (bytes < whole / 100 && sum >= whole - whole / 10)
            break;
        sum += bytes;
    }
    return shown;
}

static const char *group_title(enum mt_group_by by) {
    switch (by) {
    case MT_BY_STACK:
        return "allocated by";
    case MT_BY_LINE:
        return "line";
    case MT_BY_FUNCTION:
        return "function";
    case MT_BY_FILE:
        return "file";
    case MT_BY_THREAD:
        return "thread";
    case MT_BY_ALLOCATOR:
        return "allocator";
    }
    return "";
}

static const char *const no_frame = "no Python frame";

static const char *group_plural(enum mt_group_by by) {
    return by == MT_BY_STACK ? "stack" : group_title(by);
}

/* The row's last cell, and its `stack` or `key`. */
static bool emit_group(struct mt_emitter *emitter, const struct mt_image *image, const struct mt_row *row,
                       enum mt_group_by by, struct mt_frame_list *list) {
    struct mt_frame frame;
    char key[64];
    size_t count;
    switch (by) {
    case MT_BY_STACK:
        if (!mt_image_stack(image, row->key, list, &count))
            return false;
        if (count > 0 || emitter->json)
            mt_emit_cell_stack(emitter, list->frames, count);
        else
            mt_emit_cell_text(emitter, no_frame);
        break;
    case MT_BY_LINE:
    case MT_BY_FUNCTION:
        if (row->key == 0) {
            mt_emit_cell_text(emitter, no_frame);
            mt_emit_string(emitter, "key", no_frame);
            break;
        }
        if (by == MT_BY_LINE) {
            frame = mt_image_frame(image, row->key);
        } else {
            const struct mt_function *function = &image->functions.data[row->key];
            frame = (struct mt_frame){.function = mt_string_table_get(&image->strings, function->function),
                                      .file = mt_string_table_get(&image->strings, function->file),
                                      .line = function->first_line};
        }
        mt_emit_cell_stack(emitter, &frame, 1);
        if (by == MT_BY_LINE) {
            struct mt_strbuf place = MT_STRBUF_INIT;
            mt_strbuf_printf(&place, "%s:%" PRIu32, frame.file, frame.line);
            mt_emit_string(emitter, "key", place.data);
            mt_strbuf_deinit(&place);
        } else {
            mt_emit_string(emitter, "key", frame.function);
        }
        mt_emit_string(emitter, "function", frame.function);
        mt_emit_string(emitter, "file", frame.file);
        mt_emit_unsigned(emitter, "line", frame.line);
        break;
    case MT_BY_FILE: {
        /* String 0 is the file of what has no frame. */
        const char *file = row->key == 0 ? no_frame : mt_string_table_get(&image->strings, row->key);
        mt_emit_cell_text(emitter, file);
        mt_emit_string(emitter, "key", file);
        break;
    }
    case MT_BY_THREAD: {
        const char *name = mt_image_thread_name(image, row->key);
        if (!name)
            name = "(ended)";
        if (row->key == MT_THREAD_GONE)
            snprintf(key, sizeof key, "%s", name);
        else
            snprintf(key, sizeof key, "%" PRIu32 " %s", image->threads[row->key].tid, name);
        mt_emit_cell_text(emitter, key);
        mt_emit_string(emitter, "key", name);
        break;
    }
    case MT_BY_ALLOCATOR:
        mt_emit_cell_text(emitter, mt_allocator_name(row->key));
        mt_emit_string(emitter, "key", mt_allocator_name(row->key));
        break;
    }
    return true;
}

static void emit_origin(struct mt_emitter *emitter, const struct mt_image *image, const struct mt_row *row) {
    const struct mt_origin *origin = &row->origin;
    if (!row->mixed_threads && origin->thread != MT_THREAD_GONE) {
        mt_emit_unsigned(emitter, "thread", image->threads[origin->thread].tid);
        mt_emit_string(emitter, "thread_name", mt_image_thread_name(image, origin->thread));
    }
    if (!row->mixed_allocators)
        mt_emit_string(emitter, "allocator", mt_allocator_name(origin->allocator));
    if (!row->mixed_generations)
        mt_emit_unsigned(emitter, "generation", origin->generation);
}

static void emit_sample(struct mt_emitter *emitter, const struct mt_row *row) {
    mt_emit_begin(emitter, "blocks_sample", '[');
    for (uint32_t i = 0; i < row->sample_count; i++) {
        mt_emit_begin(emitter, NULL, '{');
        mt_emit_address(emitter, "address", row->sample[i].address);
        mt_emit_unsigned(emitter, "size", row->sample[i].size);
        mt_emit_boolean(emitter, "alive", true);
        mt_emit_end(emitter, '}');
    }
    mt_emit_end(emitter, ']');
}

static size_t number_row(struct mt_call *call, const struct mt_row *row, enum mt_rows_of of) {
    return mt_listing_number(call, (struct mt_handle){.address = row->sample_count > 0 ? row->sample[0].address : 0,
                                                      .blocks = of == MT_ROWS_CHANGE ? 0 : amount_of(row, of)->blocks,
                                                      .live_blocks = row->live.blocks});
}

/* The cells of a row's amounts. */
static void emit_amounts(struct mt_emitter *emitter, const struct mt_row *row, enum mt_rows_of of) {
    if (of == MT_ROWS_CHANGE) {
        mt_emit_cell_change(emitter, row->change.bytes);
        mt_emit_cell_change(emitter, row->change.blocks);
        return;
    }
    const struct mt_amount *amount = amount_of(row, of);
    mt_emit_cell_number(emitter, amount->bytes);
    mt_emit_cell_number(emitter, row->live.bytes);
    mt_emit_cell_number(emitter, amount->blocks);
    mt_emit_unsigned(emitter, "live_blocks", row->live.blocks);
}

/* All rows from `first` on as one. */
static struct mt_row sum_rest(const struct mt_rows *rows, size_t first) {
    struct mt_row rest = {0};
    for (size_t i = first; i < rows->count; i++) {
        const struct mt_row *row = &rows->rows[i];
        rest.peak.bytes += row->peak.bytes;
        rest.peak.blocks += row->peak.blocks;
        rest.live.bytes += row->live.bytes;
        rest.live.blocks += row->live.blocks;
        rest.change.bytes = mt_change_add(rest.change.bytes, row->change.bytes);
        rest.change.blocks += row->change.blocks;
    }
    return rest;
}

/* One line for the rows that are not shown. */
static void emit_rest(struct mt_emitter *emitter, const struct mt_rows *rows, enum mt_rows_of of,
                      const struct mt_row *rest, size_t count) {
    struct mt_strbuf text = MT_STRBUF_INIT;
    mt_text_count(&text, count);
    mt_strbuf_printf(&text, " other %s%s", group_plural(rows->by), count == 1 ? "" : "s");
    mt_emit_row_begin(emitter, MT_ROW_TEXT);
    mt_emit_cell_text(emitter, NULL);
    emit_amounts(emitter, rest, of);
    mt_emit_cell_text(emitter, text.data);
    mt_emit_row_end(emitter);
    mt_strbuf_deinit(&text);
}

static void emit_omitted(struct mt_emitter *emitter, enum mt_rows_of of, const struct mt_row *rest, size_t count) {
    mt_emit_begin(emitter, "omitted", '{');
    mt_emit_unsigned(emitter, "rows", count);
    if (of == MT_ROWS_CHANGE)
        mt_emit_integer(emitter, "bytes", rest->change.bytes);
    else
        mt_emit_unsigned(emitter, "bytes", amount_of(rest, of)->bytes);
    mt_emit_end(emitter, '}');
}

/* The columns of an answer; how many there are. */
static size_t choose_columns(const struct mt_rows *rows, enum mt_rows_of of, struct mt_column columns[static 5]) {
    enum mt_column_kind kind = rows->by == MT_BY_FILE                                    ? MT_COLUMN_PATH
                               : rows->by == MT_BY_THREAD || rows->by == MT_BY_ALLOCATOR ? MT_COLUMN_TEXT
                                                                                         : MT_COLUMN_STACK;
    bool change = of == MT_ROWS_CHANGE;
    size_t count = 0;
    columns[count++] = (struct mt_column){MT_COLUMN_HANDLE, "#", NULL};
    columns[count++] = (struct mt_column){MT_COLUMN_NUMBER, "bytes", change ? "bytes_delta" : "bytes"};
    if (!change)
        columns[count++] = (struct mt_column){MT_COLUMN_NUMBER, of == MT_ROWS_PEAK ? "alive now" : NULL, "live_bytes"};
    columns[count++] = (struct mt_column){MT_COLUMN_NUMBER, "blocks", change ? "blocks_delta" : "blocks"};
    columns[count++] = (struct mt_column){kind, group_title(rows->by), rows->by == MT_BY_STACK ? "stack" : NULL};
    return count;
}

struct mt_error *mt_row_answer(struct mt_call *call, const struct mt_image *image, const struct mt_rows *rows,
                               enum mt_rows_of of, size_t shown) {
    struct mt_emitter *emitter = &call->emitter;
    struct mt_column columns[5];
    struct mt_frame_list list = {0};
    struct mt_error *error = NULL;
    mt_emit_table_begin(emitter, "rows", columns, choose_columns(rows, of, columns));
    for (size_t i = 0; i < shown && !error; i++) {
        const struct mt_row *row = &rows->rows[i];
        mt_emit_row_begin(emitter, MT_ROW_BOTH);
        mt_emit_cell_number(emitter, number_row(call, row, of));
        emit_amounts(emitter, row, of);
        bool ok = emit_group(emitter, image, row, rows->by, &list);
        emit_origin(emitter, image, row);
        emit_sample(emitter, row);
        mt_emit_row_end(emitter);
        error = ok && mt_emitter_ok(emitter) ? mt_watch_poll(&call->watch, "writing rows") : &mt_error_no_memory;
    }
    mt_frame_list_deinit(&list);
    if (error)
        return error;
    size_t left = rows->count - shown;
    struct mt_row rest = sum_rest(rows, shown);
    if (left > 0)
        emit_rest(emitter, rows, of, &rest, left);
    mt_emit_table_end(emitter);
    if (left > 0)
        emit_omitted(emitter, of, &rest, left);
    return NULL;
}
