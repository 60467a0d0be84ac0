#include "commands/ref_sheet.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "commands/listing.h"
#include "commands/object_words.h"
#include "output/text.h"

/* --- counting ------------------------------------------------------------------------------------------------------
 */

static bool keep(struct mt_ref_sheet *sheet, const char *text, uint32_t *ret) {
    return mt_string_table_add(&sheet->strings, text, strlen(text), ret);
}

/* The row of this place; NULL: memory is out. */
static struct mt_ref_row *find_row(struct mt_ref_sheet *sheet, const struct mt_ref_row *wanted) {
    for (size_t i = 0; i < sheet->rows.length; i++) {
        struct mt_ref_row *row = &sheet->rows.data[i];
        if (row->native == wanted->native && row->function == wanted->function && row->file == wanted->file &&
            row->line == wanted->line)
            return row;
    }
    return mt_vector_push(&sheet->rows, *wanted) ? &sheet->rows.data[sheet->rows.length - 1] : NULL;
}

bool mt_ref_sheet_add(struct mt_ref_sheet *sheet, uint64_t now, const struct mt_ref_place *place) {
    const struct mt_frame *frame = place->frame;
    struct mt_ref_row wanted = {.line = frame ? frame->line : 0};
    if (!keep(sheet, place->native, &wanted.native) || !keep(sheet, frame ? frame->function : "", &wanted.function) ||
        !keep(sheet, frame ? frame->file : "", &wanted.file) || !keep(sheet, place->entry, &wanted.entry) ||
        !keep(sheet, place->module, &wanted.module))
        return false;
    struct mt_ref_row *row = find_row(sheet, &wanted);
    if (!row)
        return false;
    if (now > sheet->now)
        row->increments += now - sheet->now;
    else
        row->decrements += sheet->now - now;
    sheet->now = now;
    sheet->changes++;
    sheet->lost += place->is_lost;
    return true;
}

/* --- showing -------------------------------------------------------------------------------------------------------
 */

static int64_t net_of(const struct mt_ref_row *row) {
    return (int64_t)(row->increments - row->decrements);
}

/* What was kept comes first; places that are in balance, by how much they did, stand between what was kept and what was
 * dropped. */
static int compare(const void *left, const void *right) {
    const struct mt_ref_row *a = left, *b = right;
    int64_t first = net_of(a), second = net_of(b);
    if (first != second)
        return first > second ? -1 : 1;
    if (a->increments != b->increments)
        return a->increments > b->increments ? -1 : 1;
    return a->native < b->native ? -1 : a->native > b->native;
}

static void emit_functions(struct mt_emitter *emitter, const char *native) {
    mt_emit_begin(emitter, "stack", '[');
    for (const char *at = native; *at != '\0';) {
        const char *end = strstr(at, MT_REF_SEPARATOR);
        size_t length = end ? (size_t)(end - at) : strlen(at);
        struct mt_strbuf function = MT_STRBUF_INIT;
        mt_strbuf_append_bytes(&function, at, length);
        mt_emit_string(emitter, NULL, mt_strbuf_text(&function));
        mt_strbuf_deinit(&function);
        at += length + (end ? sizeof MT_REF_SEPARATOR - 1 : 0);
    }
    mt_emit_end(emitter, ']');
}

static void emit_row(struct mt_emitter *emitter, const struct mt_ref_sheet *sheet, const struct mt_ref_row *row) {
    const char *native = mt_string_table_get(&sheet->strings, row->native);
    struct mt_frame frame = {.function = mt_string_table_get(&sheet->strings, row->function),
                             .file = mt_string_table_get(&sheet->strings, row->file),
                             .line = row->line};
    mt_emit_row_begin(emitter, MT_ROW_BOTH);
    mt_emit_cell_change(emitter, net_of(row));
    mt_emit_cell_number(emitter, row->increments);
    mt_emit_cell_number(emitter, row->decrements);
    struct mt_strbuf cut = MT_STRBUF_INIT;
    mt_text_cut(&cut, native, emitter->width / 2);
    mt_emit_cell_value(emitter, mt_strbuf_text(&cut), NULL);
    mt_strbuf_deinit(&cut);
    if (frame.function[0] != '\0')
        mt_emit_cell_stack(emitter, &frame, 1);
    else
        mt_emit_cell_text(emitter, "(outside Python)");
    emit_functions(emitter, native);
    if (frame.function[0] != '\0') {
        mt_emit_begin(emitter, "python", '{');
        mt_emit_string(emitter, "function", frame.function);
        mt_emit_string(emitter, "file", frame.file);
        mt_emit_unsigned(emitter, "line", frame.line);
        mt_emit_end(emitter, '}');
    } else {
        mt_emit_string(emitter, "python", NULL);
    }
    mt_emit_row_end(emitter);
}

/* --- by function ---------------------------------------------------------------------------------------------------
 */

typedef MT_VECTOR(struct mt_ref_row) row_vector;

/* The rows of one entry function become one. */
static bool sum_by_entry(const struct mt_ref_sheet *sheet, row_vector *ret) {
    for (size_t i = 0; i < sheet->rows.length; i++) {
        const struct mt_ref_row *row = &sheet->rows.data[i];
        size_t j = 0;
        if (mt_string_table_get(&sheet->strings, row->entry)[0] == '\0')
            continue;
        while (j < ret->length && (ret->data[j].entry != row->entry || ret->data[j].module != row->module))
            j++;
        if (j == ret->length && !mt_vector_push(ret, (struct mt_ref_row){.entry = row->entry, .module = row->module}))
            return false;
        ret->data[j].increments += row->increments;
        ret->data[j].decrements += row->decrements;
    }
    if (ret->length > 0)
        qsort(ret->data, ret->length, sizeof *ret->data, compare);
    return true;
}

static struct mt_error *emit_entries(struct mt_emitter *emitter, const struct mt_ref_sheet *sheet) {
    static const struct mt_column columns[] = {
        {MT_COLUMN_NUMBER, "net", "net"},
        {MT_COLUMN_NUMBER, "taken", "increments"},
        {MT_COLUMN_NUMBER, "dropped", "decrements"},
        {MT_COLUMN_TEXT, "in function of C", "function"},
        {MT_COLUMN_PATH, "of", "module"},
    };
    row_vector rows = {0};
    bool done = sum_by_entry(sheet, &rows);
    if (done && (rows.length > 0 || emitter->json)) {
        mt_emit_table_begin(emitter, "functions", columns, sizeof columns / sizeof columns[0]);
        for (size_t i = 0; i < rows.length; i++) {
            mt_emit_row_begin(emitter, MT_ROW_BOTH);
            mt_emit_cell_change(emitter, net_of(&rows.data[i]));
            mt_emit_cell_number(emitter, rows.data[i].increments);
            mt_emit_cell_number(emitter, rows.data[i].decrements);
            mt_emit_cell_text(emitter, mt_string_table_get(&sheet->strings, rows.data[i].entry));
            mt_emit_cell_text(emitter, mt_string_table_get(&sheet->strings, rows.data[i].module));
            mt_emit_row_end(emitter);
        }
        mt_emit_table_end(emitter);
        if (rows.length > 0)
            mt_emit_line(emitter, "all places:");
    }
    mt_vector_deinit(&rows);
    return done ? NULL : &mt_error_no_memory;
}

/* --- all -----------------------------------------------------------------------------------------------------------
 */

static void emit_head(struct mt_emitter *emitter, const struct mt_ref_sheet *sheet, uint64_t increments,
                      uint64_t decrements) {
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_strbuf_printf(&line, "%s at 0x%" PRIx64 ": refcount %" PRIu64 " -> %" PRIu64 " in ", sheet->type_name,
                     sheet->object, sheet->start, sheet->now);
    mt_words_counted(&line, sheet->changes, "change", "changes");
    mt_strbuf_printf(&line, ": +%" PRIu64 " -%" PRIu64, increments, decrements);
    mt_emit_sentences(emitter, mt_strbuf_text(&line), sheet->end ? sheet->end : "still counted");
    mt_strbuf_deinit(&line);
    mt_emit_address(emitter, "address", sheet->object);
    mt_emit_string(emitter, "type", sheet->type_name);
    mt_emit_unsigned(emitter, "refcount_at_start", sheet->start);
    mt_emit_unsigned(emitter, "refcount", sheet->now);
    mt_emit_unsigned(emitter, "changes", sheet->changes);
    mt_emit_unsigned(emitter, "increments", increments);
    mt_emit_unsigned(emitter, "decrements", decrements);
    mt_emit_string(emitter, "ended", sheet->end);
    mt_emit_unsigned(emitter, "lost", sheet->lost);
}

struct mt_error *mt_ref_sheet_emit(struct mt_call *call, struct mt_ref_sheet *sheet, size_t limit) {
    static const struct mt_column columns[] = {
        {MT_COLUMN_NUMBER, "net", "net"},
        {MT_COLUMN_NUMBER, "taken", "increments"},
        {MT_COLUMN_NUMBER, "dropped", "decrements"},
        {MT_COLUMN_VALUE, "in C", NULL},
        {MT_COLUMN_STACK, "in Python", NULL},
    };
    struct mt_emitter *emitter = &call->emitter;
    uint64_t increments = 0, decrements = 0;
    size_t shown = mt_listing_shown(call, sheet->rows.length);
    if (!emitter->json && shown > limit)
        shown = limit;
    for (size_t i = 0; i < sheet->rows.length; i++) {
        increments += sheet->rows.data[i].increments;
        decrements += sheet->rows.data[i].decrements;
    }
    if (sheet->rows.length > 0)
        qsort(sheet->rows.data, sheet->rows.length, sizeof *sheet->rows.data, compare);
    emit_head(emitter, sheet, increments, decrements);
    if (sheet->lost > 0) {
        struct mt_strbuf count = MT_STRBUF_INIT;
        mt_words_counted(&count, sheet->lost, "change", "changes");
        mt_call_warn(call, "of %s the debugger could not tell the calling functions: they are missing from the balance",
                     mt_strbuf_text(&count));
        mt_strbuf_deinit(&count);
    }
    struct mt_error *error = emit_entries(emitter, sheet);
    if (error)
        return error;
    mt_emit_table_begin(emitter, "rows", columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < shown; i++)
        emit_row(emitter, sheet, &sheet->rows.data[i]);
    mt_emit_table_end(emitter);
    if (shown < sheet->rows.length)
        mt_emit_line(emitter, "%zu more places: `memtrace refs --limit all`", sheet->rows.length - shown);
    return NULL;
}

void mt_ref_sheet_deinit(struct mt_ref_sheet *sheet) {
    mt_vector_deinit(&sheet->rows);
    mt_string_table_deinit(&sheet->strings);
    free(sheet->type_name);
    free(sheet->python);
    *sheet = (struct mt_ref_sheet){0};
}
