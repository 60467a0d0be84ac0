#include "commands/command.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "commands/listing.h"
#include "commands/object_words.h"
#include "commands/type_words.h"
#include "heap/size.h"
#include "output/text.h"

#define POLL_EVERY 4096 /* objects between two looks at the clock */

struct row {
    uint64_t address;
    uint64_t own_bytes;
    const struct mt_type *type;
};

static int by_size(const void *left, const void *right) {
    const struct row *a = left, *b = right;
    if (a->own_bytes != b->own_bytes)
        return a->own_bytes > b->own_bytes ? -1 : 1;
    return a->address < b->address ? -1 : a->address > b->address;
}

static struct mt_error *measure(struct mt_call *call, const struct mt_census *census,
                                const struct mt_instances *instances, struct row *rows, uint64_t *ret_bytes) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < instances->count; i++) {
        struct mt_error *error = i % POLL_EVERY == 0 ? mt_watch_poll(&call->watch, "measuring objects") : NULL;
        if (error)
            return error;
        uint64_t address = census->addresses[instances->objects[i]];
        const struct mt_type *type = mt_census_type(census, instances->objects[i]);
        rows[i] = (struct row){address, mt_object_own_size(census->python, address, type), type};
        bytes += rows[i].own_bytes;
    }
    qsort(rows, instances->count, sizeof *rows, by_size);
    *ret_bytes = bytes;
    return NULL;
}

static void emit_row(struct mt_call *call, struct mt_python *python, const struct row *row, bool name_type) {
    struct mt_emitter *emitter = &call->emitter;
    struct mt_strbuf value = MT_STRBUF_INIT;
    char address[32];
    snprintf(address, sizeof address, "0x%llx", (unsigned long long)row->address);
    mt_object_value(call, python, row->address, emitter->json ? MT_VALUE_LIMIT_JSON : MT_VALUE_LIMIT, &value);
    mt_emit_row_begin(emitter, MT_ROW_BOTH);
    mt_emit_cell_number(emitter, mt_listing_number_object(call, row->address));
    mt_emit_cell_text(emitter, address);
    mt_emit_cell_number(emitter, row->own_bytes);
    mt_emit_cell_text(emitter, value.data);
    if (name_type)
        mt_emit_string(emitter, "type", row->type->qualified);
    mt_emit_row_end(emitter);
    mt_strbuf_deinit(&value);
}

static void emit_rest(struct mt_call *call, const struct row *rows, size_t shown, size_t count) {
    uint64_t bytes = 0;
    struct mt_strbuf text = MT_STRBUF_INIT;
    for (size_t i = shown; i < count; i++)
        bytes += rows[i].own_bytes;
    mt_words_counted(&text, count - shown, "other", "others");
    mt_emit_row_begin(&call->emitter, MT_ROW_TEXT);
    mt_emit_cell_text(&call->emitter, NULL);
    mt_emit_cell_text(&call->emitter, text.data);
    mt_emit_cell_number(&call->emitter, bytes);
    mt_emit_cell_text(&call->emitter, NULL);
    mt_emit_row_end(&call->emitter);
    mt_strbuf_deinit(&text);
}

static struct mt_error *emit(struct mt_call *call, struct mt_python *python, const struct mt_instances *instances,
                             const struct row *rows, uint64_t bytes) {
    static const struct mt_column columns[] = {
        {MT_COLUMN_HANDLE, "#", NULL},
        {MT_COLUMN_TEXT, "address", "address"},
        {MT_COLUMN_NUMBER, "own bytes", "own_bytes"},
        {MT_COLUMN_VALUE, "value", "repr"},
    };
    struct mt_emitter *emitter = &call->emitter;
    size_t shown = mt_listing_shown(call, instances->count);
    struct mt_strbuf line = MT_STRBUF_INIT;
    struct mt_error *error = NULL;
    mt_instances_words(instances, &line);
    mt_strbuf_append(&line, ", ");
    mt_text_size(&line, bytes);
    mt_emit_line(emitter, "%s", mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
    mt_emit_string(emitter, "type", instances->name);
    mt_emit_unsigned(emitter, "count", instances->count);
    mt_emit_unsigned(emitter, "own_bytes", bytes);
    mt_emit_table_begin(emitter, "rows", columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < shown && !error; i++) {
        emit_row(call, python, &rows[i], instances->types > 1);
        error = mt_watch_poll(&call->watch, "writing rows");
    }
    if (shown < instances->count)
        emit_rest(call, rows, shown, instances->count);
    mt_emit_table_end(emitter);
    uint64_t omitted = 0;
    for (size_t i = shown; i < instances->count; i++)
        omitted += rows[i].own_bytes;
    if (shown < instances->count)
        mt_listing_omitted(call, instances->count - shown, omitted);
    return error;
}

static struct mt_error *run(struct mt_call *call) {
    if (call->argument[0] == '\0')
        return mt_error_create(MT_ERROR_USAGE, "of which type? Give its name (`memtrace types` lists them)");
    struct mt_census *census;
    struct mt_error *error = mt_call_census(call, &census);
    if (error)
        return error;
    struct mt_instances instances;
    error = mt_instances_find(call, census, call->argument, &instances);
    if (error)
        return error;
    MT_AUTO_FREE struct row *rows = malloc(instances.count * sizeof *rows);
    uint64_t bytes = 0;
    error = rows ? measure(call, census, &instances, rows, &bytes) : &mt_error_no_memory;
    if (!error)
        error = emit(call, census->python, &instances, rows, bytes);
    if (!error) {
        mt_call_warn_census(call, census);
        mt_call_hint(call, "try: memtrace object 1 · memtrace who-holds 1");
    }
    mt_instances_deinit(&instances);
    return error;
}

static void complete(struct mt_session *session, const char *before, const char *word, struct mt_strbuf *out) {
    if (*before == '\0')
        mt_type_words_complete(session, word, out);
}

const struct mt_command mt_instances_command = {
    .name = "instances",
    .summary = "List the live instances of a type, the biggest first.",
    .argument = "TYPE",
    .options = MT_OPTION_LIMIT | MT_OPTION_NO_VALUES | MT_OPTION_JSON,
    .details = "TYPE is a name as programs write it (`Order`, `app.Order`, `dict`, `builtins.dict`). Instances of "
               "derived types are not listed. Rows have numbers that stand for their objects in later commands.",
    .run = run,
    .complete = complete,
};
