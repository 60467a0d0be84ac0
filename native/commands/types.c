#include "commands/command.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/string_table.h"
#include "base/vector.h"
#include "commands/listing.h"
#include "commands/object_words.h"
#include "heap/census.h"
#include "heap/size.h"
#include "output/text.h"

#define POLL_EVERY 4096 /* objects between two looks at the clock */

/* All types of one full name: programs make classes of the same name again and again. */
struct row {
    const struct mt_type *type; /* the first of them */
    uint64_t count;
    uint64_t own_bytes;
    uint64_t types;
};

struct histogram {
    MT_VECTOR(struct row) rows;
    struct row total;
};

static int by_size(const void *left, const void *right) {
    const struct row *a = left, *b = right;
    if (a->own_bytes != b->own_bytes)
        return a->own_bytes > b->own_bytes ? -1 : 1;
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    return strcmp(a->type->qualified, b->type->qualified);
}

/* Counts and sizes by type, in `rows` (by index of the type). */
static struct mt_error *measure(struct mt_call *call, struct mt_census *census, struct row *rows) {
    for (uint32_t i = 0; i < census->count; i++) {
        if (i % POLL_EVERY == 0) {
            struct mt_error *error = mt_watch_poll(&call->watch, "measuring objects");
            if (error)
                return error;
        }
        struct row *row = &rows[census->types[i]];
        const struct mt_type *type = mt_census_type(census, i);
        row->type = type;
        row->types = 1;
        row->count++;
        row->own_bytes += mt_object_own_size(census->python, census->addresses[i], type);
    }
    return NULL;
}

/* Puts types of one name together, the biggest first. */
static bool merge(const struct row *rows, size_t count, struct histogram *histogram) {
    struct mt_string_table names = {0};
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        uint32_t number;
        if (rows[i].count == 0)
            continue;
        size_t before = names.count;
        ok = mt_string_table_add(&names, rows[i].type->qualified, strlen(rows[i].type->qualified), &number);
        if (ok && names.count > before)
            ok = mt_vector_push(&histogram->rows, (struct row){.type = rows[i].type});
        if (!ok)
            break;
        struct row *row = &histogram->rows.data[number];
        row->count += rows[i].count;
        row->own_bytes += rows[i].own_bytes;
        row->types += rows[i].types;
        histogram->total.count += rows[i].count;
        histogram->total.own_bytes += rows[i].own_bytes;
    }
    mt_string_table_deinit(&names);
    if (ok && histogram->rows.length > 0)
        qsort(histogram->rows.data, histogram->rows.length, sizeof *histogram->rows.data, by_size);
    return ok;
}

static void emit_rest(struct mt_call *call, const struct histogram *histogram, size_t shown) {
    struct row rest = {0};
    struct mt_strbuf text = MT_STRBUF_INIT;
    for (size_t i = shown; i < histogram->rows.length; i++) {
        rest.count += histogram->rows.data[i].count;
        rest.own_bytes += histogram->rows.data[i].own_bytes;
    }
    mt_words_counted(&text, histogram->rows.length - shown, "other type", "other types");
    mt_emit_row_begin(&call->emitter, MT_ROW_TEXT);
    mt_emit_cell_number(&call->emitter, rest.own_bytes);
    mt_emit_cell_number(&call->emitter, rest.count);
    mt_emit_cell_text(&call->emitter, text.data);
    mt_emit_row_end(&call->emitter);
    mt_strbuf_deinit(&text);
}

static uint64_t rest_bytes(const struct histogram *histogram, size_t shown) {
    uint64_t bytes = 0;
    for (size_t i = shown; i < histogram->rows.length; i++)
        bytes += histogram->rows.data[i].own_bytes;
    return bytes;
}

static void emit_headline(struct mt_call *call, const struct histogram *histogram) {
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_words_counted(&line, histogram->total.count, "object", "objects");
    mt_strbuf_append(&line, " of ");
    mt_words_counted(&line, histogram->rows.length, "type", "types");
    mt_strbuf_append(&line, ", ");
    mt_text_size(&line, histogram->total.own_bytes);
    mt_strbuf_append(&line, " of their own (sys.getsizeof)");
    mt_emit_line(&call->emitter, "%s", mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
}

static void emit_histogram(struct mt_call *call, const struct histogram *histogram) {
    static const struct mt_column columns[] = {
        {MT_COLUMN_NUMBER, "own bytes", "own_bytes"},
        {MT_COLUMN_NUMBER, "count", "count"},
        {MT_COLUMN_VALUE, "type", "type"},
    };
    struct mt_emitter *emitter = &call->emitter;
    size_t shown = mt_listing_shown(call, histogram->rows.length);
    emit_headline(call, histogram);
    mt_emit_unsigned(emitter, "count", histogram->total.count);
    mt_emit_unsigned(emitter, "own_bytes", histogram->total.own_bytes);
    mt_emit_table_begin(emitter, "rows", columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < shown; i++) {
        const struct row *row = &histogram->rows.data[i];
        mt_emit_row_begin(emitter, MT_ROW_BOTH);
        mt_emit_cell_number(emitter, row->own_bytes);
        mt_emit_cell_number(emitter, row->count);
        mt_emit_cell_text(emitter, row->type->name);
        mt_emit_string(emitter, "qualified", row->type->qualified);
        mt_emit_unsigned(emitter, "types", row->types);
        mt_emit_row_end(emitter);
    }
    if (shown < histogram->rows.length)
        emit_rest(call, histogram, shown);
    mt_emit_table_end(emitter);
    if (shown < histogram->rows.length)
        mt_listing_omitted(call, histogram->rows.length - shown, rest_bytes(histogram, shown));
}

static struct mt_error *run(struct mt_call *call) {
    struct mt_census *census;
    struct mt_error *error = mt_call_census(call, &census);
    if (error)
        return error;
    size_t count = census->python->types->list.length;
    MT_AUTO_FREE struct row *rows = calloc(count + 1, sizeof *rows);
    struct histogram histogram = {0};
    error = rows ? measure(call, census, rows) : &mt_error_no_memory;
    if (!error && !merge(rows, count, &histogram))
        error = &mt_error_no_memory;
    if (!error) {
        emit_histogram(call, &histogram);
        mt_call_warn_census(call, census);
        mt_call_hint(call, "try: memtrace instances TYPE · memtrace who-holds --type TYPE");
    }
    mt_vector_deinit(&histogram.rows);
    return error;
}

const struct mt_command mt_types_command = {
    .name = "types",
    .summary = "Show what live objects there are, by type: how many, and their own bytes.",
    .options = MT_OPTION_LIMIT | MT_OPTION_JSON,
    .details = "Own bytes are what sys.getsizeof() says: the object and its own storage, without what it refers to. "
               "Types of one full name are one row. The biggest comes first.",
    .run = run,
};
