#include "commands/command.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "commands/listing.h"
#include "commands/object_words.h"
#include "output/text.h"

#define POLL_EVERY 4096

/* How far the references of objects are explained: of one type, or of all. */
struct row {
    const struct mt_type *type;
    uint64_t objects;   /* with a count that means something */
    uint64_t exact;     /* all references found: references of objects and named roots */
    uint64_t in_static; /* with words in static memory of C code besides */
    uint64_t guessed;   /* with other guesses besides */
    uint64_t unknown;   /* some reference was not found */
    uint64_t over;      /* more found than there are */
};

static void count(struct row *row, const struct mt_explanation *explanation, uint32_t in_static) {
    uint64_t refcount = explanation->refcount, exact = explanation->exact;
    row->objects++;
    if (exact > refcount)
        row->over++;
    else if (exact == refcount)
        row->exact++;
    else if (exact + in_static >= refcount)
        row->in_static++;
    else if (exact + explanation->guessed >= refcount)
        row->guessed++;
    else
        row->unknown++;
}

/* How many references of each object are words in static memory. */
static uint32_t *count_static(const struct mt_graph *graph) {
    uint32_t *counts = calloc((size_t)graph->census->count + 1, sizeof *counts);
    for (size_t i = 0; counts && i < graph->roots.length; i++) {
        const struct mt_root_edge *root = &graph->roots.data[i];
        if (root->root.edge.kind == MT_EDGE_GUESS &&
            (root->root.form == MT_ROOT_DATA || root->root.form == MT_ROOT_RUNTIME ||
             root->root.form == MT_ROOT_INTERPRETER))
            counts[root->target]++;
    }
    return counts;
}

static struct mt_error *audit(struct mt_call *call, const struct mt_graph *graph, struct row *rows, struct row *all) {
    const struct mt_census *census = graph->census;
    MT_AUTO_FREE uint32_t *in_static = count_static(graph);
    if (!in_static)
        return &mt_error_no_memory;
    for (uint32_t i = 0; i < census->count; i++) {
        struct mt_explanation explanation;
        if (i % POLL_EVERY == 0) {
            struct mt_error *error = mt_watch_poll(&call->watch, "auditing reference counts");
            if (error)
                return error;
        }
        mt_graph_explain(graph, i, &explanation);
        if (explanation.immortal)
            continue;
        rows[census->types[i]].type = mt_census_type(census, i);
        count(&rows[census->types[i]], &explanation, in_static[i]);
        count(all, &explanation, in_static[i]);
    }
    return NULL;
}

static int by_doubt(const void *left, const void *right) {
    const struct row *a = left, *b = right;
    uint64_t left_doubt = a->unknown + a->over, right_doubt = b->unknown + b->over;
    if (left_doubt != right_doubt)
        return left_doubt > right_doubt ? -1 : 1;
    if (a->guessed != b->guessed)
        return a->guessed > b->guessed ? -1 : 1;
    if (a->objects - a->exact != b->objects - b->exact)
        return a->objects - a->exact > b->objects - b->exact ? -1 : 1;
    if (!a->type || !b->type)
        return a->type ? -1 : b->type != NULL;
    return strcmp(a->type->qualified, b->type->qualified);
}

static void emit_sum(struct mt_call *call, const struct row *all) {
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_words_counted(&line, all->objects, "object that is counted", "objects that are counted");
    mt_strbuf_append(&line, ": every reference of ");
    mt_text_percent(&line, all->exact, all->objects);
    mt_strbuf_append(&line, " found exactly, of ");
    mt_text_percent(&line, all->exact + all->in_static, all->objects);
    mt_strbuf_append(&line, " with static data of C code, of ");
    mt_text_percent(&line, all->exact + all->in_static + all->guessed, all->objects);
    mt_strbuf_append(&line, " with guesses");
    mt_emit_line(&call->emitter, "%s", mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
    mt_emit_unsigned(&call->emitter, "objects", all->objects);
    mt_emit_unsigned(&call->emitter, "exact", all->exact);
    mt_emit_unsigned(&call->emitter, "static_data", all->in_static);
    mt_emit_unsigned(&call->emitter, "guessed", all->guessed);
    mt_emit_unsigned(&call->emitter, "unknown", all->unknown);
    mt_emit_unsigned(&call->emitter, "over", all->over);
}

static void emit_rows(struct mt_call *call, const struct row *rows, size_t length) {
    static const struct mt_column columns[] = {
        {MT_COLUMN_NUMBER, "unknown", "unknown"},    {MT_COLUMN_NUMBER, "too many", "over"},
        {MT_COLUMN_NUMBER, "guessed", "guessed"},    {MT_COLUMN_NUMBER, "static data", "static_data"},
        {MT_COLUMN_NUMBER, "of so many", "objects"}, {MT_COLUMN_VALUE, "type", "type"},
    };
    struct mt_emitter *emitter = &call->emitter;
    size_t shown = mt_listing_shown(call, length);
    mt_emit_table_begin(emitter, "rows", columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < shown; i++) {
        mt_emit_row_begin(emitter, MT_ROW_BOTH);
        mt_emit_cell_number(emitter, rows[i].unknown);
        mt_emit_cell_number(emitter, rows[i].over);
        mt_emit_cell_number(emitter, rows[i].guessed);
        mt_emit_cell_number(emitter, rows[i].in_static);
        mt_emit_cell_number(emitter, rows[i].objects);
        mt_emit_cell_text(emitter, rows[i].type->name);
        mt_emit_row_end(emitter);
    }
    mt_emit_table_end(emitter);
    if (shown < length) {
        struct mt_strbuf text = MT_STRBUF_INIT;
        mt_words_counted(&text, length - shown, "other type", "other types");
        mt_emit_line(emitter, "%s", mt_strbuf_text(&text));
        mt_strbuf_deinit(&text);
        mt_listing_omitted(call, length - shown, 0);
    }
}

static struct mt_error *run(struct mt_call *call) {
    struct mt_graph *graph;
    struct mt_error *error = mt_call_graph(call, &graph);
    if (error)
        return error;
    size_t count_of_types = graph->census->python->types->list.length, length = 0;
    MT_AUTO_FREE struct row *rows = calloc(count_of_types + 1, sizeof *rows);
    struct row all = {0};
    error = rows ? audit(call, graph, rows, &all) : &mt_error_no_memory;
    if (error)
        return error;
    qsort(rows, count_of_types, sizeof *rows, by_doubt);
    while (length < count_of_types && rows[length].objects > rows[length].exact)
        length++;
    emit_sum(call, &all);
    emit_rows(call, rows, length);
    mt_call_warn_census(call, graph->census);
    mt_call_hint(call, "try: memtrace instances TYPE · memtrace who-holds ADDR");
    return NULL;
}

const struct mt_command mt_audit_command = {
    .name = "audit",
    .summary = "Tell how far all reference counts are explained, and of which types they are not.",
    .options = MT_OPTION_LIMIT | MT_OPTION_JSON,
    .details = "A reference that nobody was found to hold is either held by C code where we can't look, or leaked: a "
               "missing Py_DECREF. An object with more references found than it has is about to be freed too early, or "
               "was read amiss. Objects whose count means nothing (immortal ones) are left out.",
    .run = run,
};
