#include "output/emitter.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "output/place.h"
#include "output/text.h"

#define GAP 2
#define CONTINUATION "    "
#define BELOW "     " /* in front of what stands below a row: as wide as a handle */

struct mt_cell {
    char *text;   /* escaped, except in a path column */
    char *tail;   /* of a value; escaped; NULL: none */
    char *remark; /* of a row's first cell: about the row; escaped; NULL: none */
    struct mt_frame *frames;
    size_t frame_count;
};

void mt_emitter_init(struct mt_emitter *emitter, bool json, unsigned width) {
    *emitter = (struct mt_emitter){.json = json, .width = width};
    mt_json_init(&emitter->writer, &emitter->body);
}

static void drop_cells(struct mt_emitter *emitter) {
    for (size_t i = 0; i < emitter->cell_count; i++) {
        free(emitter->cells[i].text);
        free(emitter->cells[i].tail);
        free(emitter->cells[i].remark);
        free(emitter->cells[i].frames);
    }
    emitter->cell_count = 0;
}

void mt_emitter_deinit(struct mt_emitter *emitter) {
    drop_cells(emitter);
    free(emitter->cells);
    mt_strbuf_deinit(&emitter->body);
    *emitter = (struct mt_emitter){0};
}

bool mt_emitter_ok(const struct mt_emitter *emitter) {
    return mt_strbuf_ok(&emitter->body);
}

void mt_emit_unsigned(struct mt_emitter *emitter, const char *key, uint64_t value) {
    if (emitter->json && !emitter->row_hidden)
        mt_json_unsigned(&emitter->writer, key, value);
}

void mt_emit_integer(struct mt_emitter *emitter, const char *key, int64_t value) {
    if (emitter->json && !emitter->row_hidden)
        mt_json_integer(&emitter->writer, key, value);
}

void mt_emit_boolean(struct mt_emitter *emitter, const char *key, bool value) {
    if (emitter->json && !emitter->row_hidden)
        mt_json_boolean(&emitter->writer, key, value);
}

void mt_emit_string(struct mt_emitter *emitter, const char *key, const char *value) {
    if (emitter->json && !emitter->row_hidden)
        mt_json_string(&emitter->writer, key, value);
}

void mt_emit_address(struct mt_emitter *emitter, const char *key, uint64_t value) {
    if (emitter->json && !emitter->row_hidden)
        mt_json_address(&emitter->writer, key, value);
}

void mt_emit_seconds(struct mt_emitter *emitter, const char *key, uint64_t nanoseconds) {
    if (emitter->json && !emitter->row_hidden)
        mt_json_seconds(&emitter->writer, key, nanoseconds);
}

void mt_emit_begin(struct mt_emitter *emitter, const char *key, char bracket) {
    if (emitter->json && !emitter->row_hidden)
        mt_json_begin(&emitter->writer, key, bracket);
}

void mt_emit_end(struct mt_emitter *emitter, char bracket) {
    if (emitter->json && !emitter->row_hidden)
        mt_json_end(&emitter->writer, bracket);
}

void mt_emit_stack(struct mt_emitter *emitter, const char *key, const struct mt_frame *frames, size_t count) {
    mt_emit_begin(emitter, key, '[');
    for (size_t i = 0; i < count; i++) {
        mt_emit_begin(emitter, NULL, '{');
        mt_emit_string(emitter, "function", frames[i].function);
        mt_emit_string(emitter, "file", frames[i].file);
        mt_emit_unsigned(emitter, "line", frames[i].line);
        mt_emit_end(emitter, '}');
    }
    mt_emit_end(emitter, ']');
}

/* Appends `line` to the body, broken at blanks where it is longer than the width; `continuation` begins further lines.
 */
static void append_wrapped(struct mt_emitter *emitter, const char *line, const char *continuation) {
    size_t indent = 0;
    while (emitter->width > 0 && indent + mt_text_columns(line) > emitter->width) {
        size_t best = 0, columns = indent, words = strspn(line, " ");
        for (size_t i = 0; line[i] != '\0'; i++) {
            if (line[i] == ' ' && i > words) {
                if (best > 0 && columns > emitter->width)
                    break;
                best = i;
            }
            columns += mt_text_columns_of(line + i, 1) * (((unsigned char)line[i] & 0xc0) != 0x80);
        }
        if (best == 0)
            break;
        mt_strbuf_append_bytes(&emitter->body, line, best);
        mt_strbuf_append_char(&emitter->body, '\n');
        mt_strbuf_append(&emitter->body, continuation);
        indent = strlen(continuation);
        line += best + strspn(line + best, " ");
    }
    mt_strbuf_append(&emitter->body, line);
    mt_strbuf_append_char(&emitter->body, '\n');
}

void mt_emit_line(struct mt_emitter *emitter, const char *format, ...) {
    if (emitter->json)
        return;
    struct mt_strbuf line = MT_STRBUF_INIT, escaped = MT_STRBUF_INIT;
    va_list arguments;
    va_start(arguments, format);
    mt_strbuf_vprintf(&line, format, arguments);
    va_end(arguments);
    if (line.data)
        mt_text_escape(&escaped, line.data);
    append_wrapped(emitter, mt_strbuf_text(&escaped), CONTINUATION);
    emitter->body.failed |= line.failed || escaped.failed;
    mt_strbuf_deinit(&line);
    mt_strbuf_deinit(&escaped);
}

void mt_emit_sentences(struct mt_emitter *emitter, const char *first, const char *second) {
    if (emitter->width == 0 || mt_text_columns(first) + 2 + mt_text_columns(second) <= emitter->width) {
        mt_emit_line(emitter, "%s. %s", first, second);
        return;
    }
    mt_emit_line(emitter, "%s", first);
    mt_emit_line(emitter, "%s", second);
}

static size_t room(const struct mt_emitter *emitter, size_t used) {
    if (emitter->width == 0)
        return 0;
    return emitter->width > used + 8 ? emitter->width - used : 8;
}

void mt_emit_place(struct mt_emitter *emitter, const char *label, const struct mt_frame *frames, size_t count) {
    if (emitter->json || count == 0)
        return;
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_text_escape(&line, label);
    mt_strbuf_append_char(&line, ' ');
    mt_place_function(&line, frames[0].function, room(emitter, 0) / 2);
    mt_strbuf_append_char(&line, ' ');
    mt_place_location(&line, frames, count, room(emitter, mt_text_columns(mt_strbuf_text(&line))));
    mt_strbuf_append_char(&line, '\n');
    mt_strbuf_append(&emitter->body, mt_strbuf_text(&line));
    emitter->body.failed |= line.failed;
    mt_strbuf_deinit(&line);
}

void mt_emit_table_begin(struct mt_emitter *emitter, const char *key, const struct mt_column *columns, size_t count) {
    emitter->columns = columns;
    emitter->column_count = count;
    mt_emit_begin(emitter, key, '[');
}

void mt_emit_row_begin(struct mt_emitter *emitter, enum mt_row_scope scope) {
    emitter->column = 0;
    emitter->row_hidden = emitter->json && scope == MT_ROW_TEXT;
    mt_emit_begin(emitter, NULL, '{');
}

/* The cell for the next column of a text table, or NULL. */
static struct mt_cell *add_cell(struct mt_emitter *emitter) {
    if (emitter->cell_count == emitter->cell_capacity) {
        size_t capacity = emitter->cell_capacity > 0 ? 2 * emitter->cell_capacity : 128;
        struct mt_cell *cells = realloc(emitter->cells, capacity * sizeof *cells);
        if (!cells) {
            emitter->body.failed = true;
            return NULL;
        }
        emitter->cells = cells;
        emitter->cell_capacity = capacity;
    }
    struct mt_cell *cell = &emitter->cells[emitter->cell_count++];
    *cell = (struct mt_cell){0};
    return cell;
}

static const struct mt_column *next_column(struct mt_emitter *emitter) {
    static const struct mt_column beyond = {.kind = MT_COLUMN_TEXT};
    return emitter->column < emitter->column_count ? &emitter->columns[emitter->column++] : &beyond;
}

static void add_text_cell(struct mt_emitter *emitter, struct mt_strbuf *text) {
    struct mt_cell *cell = add_cell(emitter);
    emitter->body.failed |= text->failed;
    if (cell)
        cell->text = mt_strbuf_steal(text);
    mt_strbuf_deinit(text);
}

void mt_emit_cell_number(struct mt_emitter *emitter, uint64_t value) {
    const struct mt_column *column = next_column(emitter);
    if (emitter->json) {
        if (column->key)
            mt_emit_unsigned(emitter, column->key, value);
        return;
    }
    struct mt_strbuf text = MT_STRBUF_INIT;
    if (column->kind == MT_COLUMN_HANDLE)
        mt_strbuf_printf(&text, "%llu", (unsigned long long)value);
    else
        mt_text_count(&text, value);
    add_text_cell(emitter, &text);
}

void mt_emit_cell_change(struct mt_emitter *emitter, int64_t value) {
    const struct mt_column *column = next_column(emitter);
    if (emitter->json) {
        if (column->key)
            mt_emit_integer(emitter, column->key, value);
        return;
    }
    struct mt_strbuf text = MT_STRBUF_INIT;
    mt_text_change(&text, value);
    add_text_cell(emitter, &text);
}

void mt_emit_cell_text(struct mt_emitter *emitter, const char *value) {
    const struct mt_column *column = next_column(emitter);
    if (emitter->json) {
        if (column->key && value)
            mt_emit_string(emitter, column->key, value);
        return;
    }
    struct mt_strbuf text = MT_STRBUF_INIT;
    if (value && column->kind == MT_COLUMN_PATH)
        mt_strbuf_append(&text, value);
    else if (value)
        mt_text_escape(&text, value);
    add_text_cell(emitter, &text);
}

void mt_emit_cell_value(struct mt_emitter *emitter, const char *value, const char *tail) {
    size_t before = emitter->cell_count;
    mt_emit_cell_text(emitter, emitter->json ? NULL : value);
    if (emitter->json || !tail || *tail == '\0' || emitter->cell_count == before)
        return;
    struct mt_strbuf text = MT_STRBUF_INIT;
    mt_text_escape(&text, tail);
    emitter->body.failed |= text.failed;
    emitter->cells[before].tail = mt_strbuf_steal(&text);
    mt_strbuf_deinit(&text);
}

void mt_emit_cell_stack(struct mt_emitter *emitter, const struct mt_frame *frames, size_t count) {
    const struct mt_column *column = next_column(emitter);
    if (emitter->json) {
        if (column->key)
            mt_emit_stack(emitter, column->key, frames, count);
        return;
    }
    struct mt_cell *cell = add_cell(emitter);
    if (!cell || count == 0)
        return;
    cell->frames = malloc(count * sizeof *frames);
    if (!cell->frames) {
        emitter->body.failed = true;
        return;
    }
    memcpy(cell->frames, frames, count * sizeof *frames);
    cell->frame_count = count;
}

void mt_emit_row_end(struct mt_emitter *emitter) {
    mt_emit_end(emitter, '}');
    emitter->row_hidden = false;
}

void mt_emit_row_remark(struct mt_emitter *emitter, const char *remark) {
    if (emitter->json || emitter->column_count == 0 || emitter->cell_count < emitter->column_count)
        return;
    struct mt_cell *first = &emitter->cells[emitter->cell_count - emitter->column_count];
    struct mt_strbuf text = MT_STRBUF_INIT;
    mt_text_escape(&text, remark);
    emitter->body.failed |= text.failed;
    free(first->remark);
    first->remark = mt_strbuf_steal(&text);
    mt_strbuf_deinit(&text);
}

static void pad(struct mt_strbuf *out, size_t columns) {
    for (size_t i = 0; i < columns; i++)
        mt_strbuf_append_char(out, ' ');
}

static bool right_aligned(const struct mt_column *column) {
    return column->kind == MT_COLUMN_HANDLE || column->kind == MT_COLUMN_NUMBER;
}

static void append_aligned(struct mt_strbuf *line, const char *text, size_t width, bool right) {
    size_t columns = mt_text_columns(text), fill = width > columns ? width - columns : 0;
    if (right)
        pad(line, fill);
    mt_strbuf_append(line, text);
    if (!right)
        pad(line, fill);
}

/* Width of the function names in a stack column. */
static size_t measure_functions(const struct mt_emitter *emitter, size_t column, size_t width) {
    size_t most = 0, limit = width > 0 ? width * 2 / 5 : SIZE_MAX;
    for (size_t i = column; i < emitter->cell_count; i += emitter->column_count) {
        const struct mt_cell *cell = &emitter->cells[i];
        if (cell->frame_count == 0)
            continue;
        struct mt_strbuf name = MT_STRBUF_INIT;
        mt_place_function(&name, cell->frames[0].function, width > 0 ? limit : 0);
        size_t columns = mt_text_columns(mt_strbuf_text(&name));
        if (columns > most)
            most = columns;
        mt_strbuf_deinit(&name);
    }
    return most < limit ? most : limit;
}

static size_t measure(const struct mt_emitter *emitter, size_t column) {
    size_t most = mt_text_columns(emitter->columns[column].title);
    for (size_t i = column; i < emitter->cell_count; i += emitter->column_count) {
        const char *text = emitter->cells[i].text, *tail = emitter->cells[i].tail;
        size_t columns = (text ? mt_text_columns(text) : 0) + (tail ? GAP + mt_text_columns(tail) : 0);
        if (columns > most)
            most = columns;
    }
    return most;
}

static void append_stack_cell(struct mt_strbuf *line, const struct mt_cell *cell, size_t function_width, size_t width) {
    if (cell->frame_count == 0) {
        mt_strbuf_append(line, cell->text ? cell->text : "");
        return;
    }
    struct mt_strbuf name = MT_STRBUF_INIT;
    mt_place_function(&name, cell->frames[0].function, function_width);
    append_aligned(line, mt_strbuf_text(&name), function_width, false);
    pad(line, GAP);
    mt_place_location(line, cell->frames, cell->frame_count,
                      width == 0                         ? 0
                      : width > function_width + GAP + 8 ? width - function_width - GAP
                                                         : 8);
    mt_strbuf_deinit(&name);
}

static void append_line(struct mt_emitter *emitter, struct mt_strbuf *line) {
    while (line->length > 0 && line->data[line->length - 1] == ' ')
        line->length--;
    if (line->length > 0)
        mt_strbuf_append_bytes(&emitter->body, line->data, line->length);
    mt_strbuf_append_char(&emitter->body, '\n');
    emitter->body.failed |= line->failed;
    line->length = 0;
}

#define MAX_COLUMNS 16
#define LEAST_VALUE 8 /* columns that a value keeps however narrow the line is */

/* Cuts the widest columns of values until `used` fits the line. */
static void shrink_values(const struct mt_emitter *emitter, size_t *widths, size_t used) {
    while (emitter->width > 0 && used > emitter->width) {
        size_t widest = SIZE_MAX;
        for (size_t c = 0; c < emitter->column_count; c++)
            if (emitter->columns[c].title && emitter->columns[c].kind == MT_COLUMN_VALUE && widths[c] > LEAST_VALUE &&
                (widest == SIZE_MAX || widths[c] > widths[widest]))
                widest = c;
        if (widest == SIZE_MAX)
            break;
        widths[widest]--;
        used--;
    }
}

/* How a text table stands on the line. */
struct layout {
    size_t widths[MAX_COLUMNS];
    size_t rest;           /* columns for the last one, of a stack or path */
    size_t function_width; /* of a stack column */
};

static void measure_table(const struct mt_emitter *emitter, struct layout *layout) {
    size_t used = 0;
    for (size_t c = 0; c < emitter->column_count; c++) {
        const struct mt_column *column = &emitter->columns[c];
        if (!column->title)
            continue;
        if (column->kind == MT_COLUMN_STACK || column->kind == MT_COLUMN_PATH || column->kind == MT_COLUMN_NAME) {
            layout->rest = room(emitter, used);
            if (column->kind == MT_COLUMN_STACK)
                layout->function_width = measure_functions(emitter, c, layout->rest);
            continue;
        }
        /* Three columns for a handle: tables of one stop then line up. */
        layout->widths[c] = measure(emitter, c);
        if (column->kind == MT_COLUMN_HANDLE && layout->widths[c] < 3)
            layout->widths[c] = 3;
        used += layout->widths[c] + GAP;
    }
    shrink_values(emitter, layout->widths, used > GAP ? used - GAP : 0);
}

/* The value is cut first; what follows it, when that alone takes more than half of the room. */
static void append_value(struct mt_strbuf *line, const struct mt_cell *cell, size_t width) {
    struct mt_strbuf text = MT_STRBUF_INIT;
    const char *value = cell->text ? cell->text : "";
    size_t whole = mt_text_columns(value), tail = cell->tail ? mt_text_columns(cell->tail) + GAP : 0;
    if (whole + tail > width && tail > width / 2)
        tail = whole < width / 2 ? width - whole : width / 2;
    if (width > tail)
        mt_text_cut(&text, value, width - tail);
    if (tail > GAP) {
        pad(&text, GAP);
        mt_text_cut(&text, cell->tail, tail - GAP);
    }
    append_aligned(line, mt_strbuf_text(&text), width, false);
    mt_strbuf_deinit(&text);
}

/* A value and its tail, in full. */
static void append_name(struct mt_strbuf *line, const struct mt_cell *cell) {
    mt_strbuf_append(line, cell->text ? cell->text : "");
    if (cell->tail)
        pad(line, GAP);
    mt_strbuf_append(line, cell->tail ? cell->tail : "");
}

static bool name_fits(const struct mt_emitter *emitter, const struct layout *layout, const struct mt_cell *cell) {
    size_t columns =
        (cell->text ? mt_text_columns(cell->text) : 0) + (cell->tail ? GAP + mt_text_columns(cell->tail) : 0);
    return emitter->width == 0 || columns <= layout->rest;
}

static void append_cell(struct mt_emitter *emitter, struct mt_strbuf *line, const struct layout *layout, size_t c,
                        const struct mt_cell *cell) {
    const struct mt_column *column = &emitter->columns[c];
    const char *text = cell->text ? cell->text : "";
    switch (column->kind) {
    case MT_COLUMN_STACK:
        append_stack_cell(line, cell, layout->function_width, layout->rest);
        break;
    case MT_COLUMN_PATH:
        mt_place_path(line, text, layout->rest);
        break;
    case MT_COLUMN_VALUE:
        append_value(line, cell, layout->widths[c]);
        break;
    case MT_COLUMN_NAME:
        if (name_fits(emitter, layout, cell))
            append_name(line, cell);
        break;
    case MT_COLUMN_HANDLE:
    case MT_COLUMN_NUMBER:
    case MT_COLUMN_TEXT:
        append_aligned(line, text, layout->widths[c], right_aligned(column));
        break;
    }
}

static void append_below(struct mt_emitter *emitter, struct mt_strbuf *line) {
    append_wrapped(emitter, mt_strbuf_text(line), BELOW);
    line->length = 0;
}

/* What stands below a row: a name that did not fit, a remark. */
static void append_rest_of_row(struct mt_emitter *emitter, struct mt_strbuf *line, const struct layout *layout,
                               const struct mt_cell *cells) {
    const struct mt_cell *last = &cells[emitter->column_count - 1];
    if (emitter->columns[emitter->column_count - 1].kind == MT_COLUMN_NAME && !name_fits(emitter, layout, last)) {
        mt_strbuf_append(line, BELOW);
        append_name(line, last);
        append_below(emitter, line);
    }
    if (cells[0].remark && *cells[0].remark != '\0') {
        mt_strbuf_printf(line, BELOW "%s", cells[0].remark);
        append_below(emitter, line);
    }
}

static void lay_out(struct mt_emitter *emitter) {
    struct layout layout = {0};
    size_t count = emitter->column_count;
    measure_table(emitter, &layout);
    struct mt_strbuf line = MT_STRBUF_INIT;
    for (size_t c = 0; c < count; c++) {
        const struct mt_column *column = &emitter->columns[c];
        if (!column->title)
            continue;
        append_aligned(&line, column->title, layout.widths[c], right_aligned(column));
        pad(&line, GAP);
    }
    append_line(emitter, &line);
    for (size_t row = 0; row + count <= emitter->cell_count; row += count) {
        for (size_t c = 0; c < count; c++) {
            if (!emitter->columns[c].title)
                continue;
            append_cell(emitter, &line, &layout, c, &emitter->cells[row + c]);
            pad(&line, GAP);
        }
        append_line(emitter, &line);
        append_rest_of_row(emitter, &line, &layout, &emitter->cells[row]);
    }
    mt_strbuf_deinit(&line);
}

void mt_emit_table_end(struct mt_emitter *emitter) {
    mt_emit_end(emitter, ']');
    if (!emitter->json && emitter->column_count > 0 && emitter->column_count <= MAX_COLUMNS && emitter->cell_count > 0)
        lay_out(emitter);
    drop_cells(emitter);
    emitter->columns = NULL;
    emitter->column_count = 0;
}
