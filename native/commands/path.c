#include "commands/command.h"

#include <string.h>

#include "commands/expression.h"
#include "commands/holder_words.h"
#include "commands/listing.h"
#include "commands/object_address.h"
#include "commands/object_words.h"
#include "heap/path.h"
#include "output/text.h"
#include "python/object.h"

#define DEFAULT_PATHS 5  /* without --all-roots and --limit */
#define MOST_SHOWN 12    /* steps of a way, in text */
#define INDENT "       " /* below a row's name */
#define NEXT_LINE INDENT " "

struct answer {
    struct mt_call *call;
    struct mt_graph *graph;
    struct mt_object_address asked;
    struct mt_paths paths;
    struct mt_expressions expressions;
};

/* One row while it is written. */
struct row {
    const struct mt_path_end *end;
    struct mt_path path;
    struct mt_strbuf expression; /* empty: there is none */
    struct mt_holder_name name;  /* of the root */
};

/* --- roots -------------------------------------------------------------------------------------------------------- */

static const char *form_name(enum mt_path_form form) {
    switch (form) {
    case MT_PATH_GLOBAL:
        return "module";
    case MT_PATH_LOCAL:
        return "local";
    case MT_PATH_ROOT:
        return "root";
    case MT_PATH_IMMORTAL:
        return "immortal";
    case MT_PATH_GUESS:
        return "guess";
    case MT_PATH_UNKNOWN:
        return "unknown";
    }
    return "?";
}

/* Up to 3.10 the root is a frame object, and how it holds is the first step of the way. */
static struct mt_root root_of(const struct row *row) {
    struct mt_root root = *row->end->root;
    if (row->end->holder != MT_NO_OBJECT) {
        root.edge.link = row->path.steps.data[0].link;
        if (root.edge.link.form == MT_LINK_NAMED)
            root.form = MT_ROOT_LOCAL;
    }
    return root;
}

static void name_root(const struct answer *answer, struct row *row) {
    struct mt_python *python = answer->graph->census->python;
    struct mt_strbuf *text = &row->name.text;
    if (row->end->root) {
        const struct mt_climber climber = {.graph = answer->graph}; /* a root has nothing to climb */
        const struct mt_root root = root_of(row);
        mt_holder_name(answer->call, &climber, &(struct mt_chain){.root = &root}, MT_NAME_EXACT, &row->name);
        if (root.edge.kind == MT_EDGE_GUESS)
            mt_strbuf_append(text, " (guess)");
    } else if (row->end->name != 0) {
        mt_strbuf_append(text, "module ");
        mt_str_append(python, row->end->name, SIZE_MAX, text);
    } else {
        mt_strbuf_append(text, row->end->form == MT_PATH_IMMORTAL ? "CPython itself: it is immortal"
                                                                  : "unknown: it has more references than were found");
    }
}

/* --- ways --------------------------------------------------------------------------------------------------------- */

/* Does this step lead to a namespace, and the next to something in it by a name? Then they are one for people. */
static bool is_attribute(struct mt_python *python, const struct mt_path_step *step, const struct mt_path_step *after) {
    return mt_link_is_namespace(&step->link) && after && mt_holder_link_is_name(python, &after->link);
}

static void append_object(const struct answer *answer, uint32_t object, struct mt_strbuf *out) {
    const struct mt_census *census = answer->graph->census;
    const struct mt_type *type = mt_census_type(census, object);
    const struct mt_type *class =
        type->kind == MT_KIND_TYPE ? mt_types_get(census->python->types, census->addresses[object]) : NULL;
    if (class)
        mt_strbuf_printf(out, " class %s", class->name);
    else
        mt_strbuf_printf(out, " %s", type->name);
}

/* A way as it is written, line after line. */
struct way {
    struct mt_strbuf text;
    size_t column;
    unsigned width; /* 0: any */
};

/* Appends a piece that is not broken, but cut where it is longer than a line. */
static void append_piece(struct way *way, const char *piece) {
    struct mt_strbuf escaped = MT_STRBUF_INIT, cut = MT_STRBUF_INIT;
    const size_t indent = strlen(NEXT_LINE);
    mt_text_escape(&escaped, piece);
    mt_text_cut(&cut, mt_strbuf_text(&escaped), way->width > indent ? way->width - indent : 0);
    size_t columns = mt_text_columns(mt_strbuf_text(&cut));
    if (way->width > 0 && way->text.length > 0 && way->column + columns > way->width) {
        mt_strbuf_append(&way->text, "\n" NEXT_LINE);
        way->column = indent;
    }
    mt_strbuf_append(&way->text, mt_strbuf_text(&cut));
    way->column += columns;
    mt_strbuf_deinit(&escaped);
    mt_strbuf_deinit(&cut);
}

/* Appends " -> .sinks list"; returns how many steps that were. */
static size_t append_step(const struct answer *answer, const struct mt_path *path, size_t index, struct way *way) {
    struct mt_python *python = answer->graph->census->python;
    const struct mt_path_step *steps = path->steps.data, *step = &steps[index];
    struct mt_link link = step->link;
    struct mt_strbuf piece = MT_STRBUF_INIT;
    size_t taken = 1;
    if (index > 0 && index + 1 < path->steps.length && is_attribute(python, step, step + 1)) {
        link = (struct mt_link){.form = MT_LINK_ATTRIBUTE, .name = steps[index + 1].link.name};
        step++;
        taken = 2;
    }
    mt_strbuf_append(&piece, " -> ");
    mt_holder_link(answer->call, python, &link, &piece);
    append_object(answer, step->object, &piece);
    append_piece(way, mt_strbuf_text(&piece));
    mt_strbuf_deinit(&piece);
    return taken;
}

/* What stands in front of the first arrow: "module app", or the variable or other root and what it holds. */
static void append_beginning(const struct answer *answer, const struct row *row, struct way *way) {
    const struct mt_path_step *first = &row->path.steps.data[0];
    struct mt_strbuf piece = MT_STRBUF_INIT;
    if (row->end->form == MT_PATH_GLOBAL) {
        mt_strbuf_append(&piece, mt_strbuf_text(&row->name.text));
    } else {
        if (first->link.form == MT_LINK_NAMED)
            mt_str_append(answer->graph->census->python, first->link.name, SIZE_MAX, &piece);
        else
            mt_strbuf_append(&piece, "it ->");
        append_object(answer, first->object, &piece);
    }
    append_piece(way, mt_strbuf_text(&piece));
    mt_strbuf_deinit(&piece);
}

/* "module app -> ['CTX'] Context -> .sinks list -> [0] Sink". What is in the middle of a long way is counted. */
static void append_way(const struct answer *answer, const struct row *row, struct way *way) {
    const struct mt_path *path = &row->path;
    size_t count = path->steps.length, hidden = count > MOST_SHOWN ? count - MOST_SHOWN : 0;
    size_t at = row->end->form == MT_PATH_GLOBAL ? 0 : 1;
    append_beginning(answer, row, way);
    while (at < count) {
        if (at < MOST_SHOWN / 2 || at >= MOST_SHOWN / 2 + hidden) {
            at += append_step(answer, path, at, way);
        } else {
            struct mt_strbuf piece = MT_STRBUF_INIT;
            mt_strbuf_append(&piece, " -> ");
            mt_words_counted(&piece, MOST_SHOWN / 2 + hidden - at, "more", "more");
            append_piece(way, mt_strbuf_text(&piece));
            mt_strbuf_deinit(&piece);
            at = MOST_SHOWN / 2 + hidden;
        }
    }
}

/* --- text --------------------------------------------------------------------------------------------------------- */

/* A line that is to be copied: neither broken nor cut, however wide the screen is. */
static void emit_expression(struct mt_emitter *emitter, const char *before, const char *expression) {
    mt_strbuf_append(&emitter->body, before);
    mt_text_escape(&emitter->body, expression);
    mt_strbuf_append_char(&emitter->body, '\n');
}

static void emit_way(const struct answer *answer, const struct row *row) {
    struct mt_emitter *emitter = &answer->call->emitter;
    struct way way = {.column = strlen(INDENT), .width = emitter->width};
    append_way(answer, row, &way);
    mt_strbuf_append(&emitter->body, INDENT);
    mt_strbuf_append(&emitter->body, mt_strbuf_text(&way.text));
    mt_strbuf_append_char(&emitter->body, '\n');
    mt_strbuf_deinit(&way.text);
}

static void emit_text(const struct answer *answer, const struct row *row, size_t number) {
    struct mt_emitter *emitter = &answer->call->emitter;
    struct mt_strbuf line = MT_STRBUF_INIT;
    bool is_global = row->end->form == MT_PATH_GLOBAL, has_expression = row->expression.length > 0;
    mt_strbuf_printf(&line, "%3zu  ", number);
    if (is_global && has_expression) {
        emit_expression(emitter, mt_strbuf_text(&line), row->expression.data);
    } else {
        mt_strbuf_append(&line, mt_strbuf_text(&row->name.text));
        if (row->name.place.length > 0)
            mt_strbuf_printf(&line, "  %s", row->name.place.data);
        mt_emit_line(emitter, "%s", mt_strbuf_text(&line));
    }
    if (is_global || row->path.steps.length > 1)
        emit_way(answer, row);
    if (!is_global && has_expression)
        emit_expression(emitter, INDENT, row->expression.data);
    mt_strbuf_deinit(&line);
}

/* --- JSON --------------------------------------------------------------------------------------------------------- */

static void emit_root(const struct answer *answer, const struct row *row) {
    struct mt_emitter *emitter = &answer->call->emitter;
    struct mt_python *python = answer->graph->census->python;
    const struct mt_link *link = &row->path.steps.data[0].link;
    mt_emit_string(emitter, "root", mt_strbuf_text(&row->name.text));
    mt_emit_string(emitter, "kind", form_name(row->end->form));
    if (row->name.has_frame) {
        struct mt_strbuf variable = MT_STRBUF_INIT;
        mt_emit_string(emitter, "function", row->name.frame.function);
        mt_emit_string(emitter, "file", row->name.frame.file);
        mt_emit_integer(emitter, "line", row->name.frame.line);
        if (link->form == MT_LINK_NAMED && mt_str_append(python, link->name, SIZE_MAX, &variable))
            mt_emit_string(emitter, "variable", mt_strbuf_text(&variable));
        mt_strbuf_deinit(&variable);
    }
    if (row->end->root && row->end->root->thread > 0)
        mt_emit_unsigned(emitter, "thread", row->end->root->thread);
    if (row->name.thread > 0)
        mt_emit_unsigned(emitter, "frame", row->name.frame_number);
}

static void emit_chain(const struct answer *answer, const struct mt_path *path) {
    const struct mt_census *census = answer->graph->census;
    struct mt_emitter *emitter = &answer->call->emitter;
    mt_emit_begin(emitter, "chain", '[');
    for (size_t i = 0; i < path->steps.length; i++) {
        const struct mt_path_step *step = &path->steps.data[i];
        struct mt_strbuf link = MT_STRBUF_INIT;
        mt_holder_link(answer->call, census->python, &step->link, &link);
        mt_emit_begin(emitter, NULL, '{');
        mt_emit_address(emitter, "address", census->addresses[step->object]);
        mt_emit_string(emitter, "type", mt_census_type(census, step->object)->name);
        mt_emit_string(emitter, "link", mt_strbuf_text(&link));
        mt_emit_end(emitter, '}');
        mt_strbuf_deinit(&link);
    }
    mt_emit_end(emitter, ']');
}

static void emit_object(const struct answer *answer, const struct row *row) {
    struct mt_emitter *emitter = &answer->call->emitter;
    mt_emit_begin(emitter, NULL, '{');
    emit_root(answer, row);
    if (row->expression.length > 0)
        mt_emit_string(emitter, "expression", row->expression.data);
    mt_emit_unsigned(emitter, "length", row->end->length);
    emit_chain(answer, &row->path);
    mt_emit_end(emitter, '}');
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

static struct mt_error *emit_row(struct answer *answer, const struct mt_path_end *end) {
    struct row row = {.end = end};
    struct mt_error *error = mt_paths_read(&answer->paths, end, &row.path);
    if (error)
        return error;
    name_root(answer, &row);
    mt_expression_append(&answer->expressions, end, &row.path, &row.expression);
    uint64_t first = answer->graph->census->addresses[end->object];
    size_t number = mt_listing_number_object(answer->call, first);
    if (answer->call->emitter.json)
        emit_object(answer, &row);
    else
        emit_text(answer, &row, number);
    mt_holder_name_deinit(&row.name);
    mt_strbuf_deinit(&row.expression);
    mt_path_deinit(&row.path);
    return NULL;
}

static struct mt_error *emit_rows(struct answer *answer) {
    struct mt_call *call = answer->call;
    size_t count = answer->paths.ends.length, shown = mt_listing_shown(call, count);
    struct mt_error *error = NULL;
    mt_emit_begin(&call->emitter, "paths", '[');
    for (size_t i = 0; i < shown && !error; i++) {
        error = mt_watch_poll(&call->watch, "writing paths");
        if (!error)
            error = emit_row(answer, &answer->paths.ends.data[i]);
    }
    mt_emit_end(&call->emitter, ']');
    if (!error && shown < count) {
        struct mt_strbuf rest = MT_STRBUF_INIT;
        mt_words_counted(&rest, count - shown, "other root", "other roots");
        mt_emit_line(&call->emitter, "     %s", mt_strbuf_text(&rest));
        mt_strbuf_deinit(&rest);
        mt_listing_omitted(call, count - shown, 0);
    }
    return error;
}

/* --- what it is --------------------------------------------------------------------------------------------------- */

static size_t count_named(const struct mt_paths *paths) {
    size_t count = 0;
    for (size_t i = 0; i < paths->ends.length; i++)
        count += paths->ends.data[i].form <= MT_PATH_ROOT;
    return count;
}

static void emit_headline(const struct answer *answer) {
    struct mt_emitter *emitter = &answer->call->emitter;
    const struct mt_object_address *asked = &answer->asked;
    const struct mt_paths *paths = &answer->paths;
    size_t named = count_named(paths), others = paths->ends.length - named;
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_object_words(answer->graph->census->python, asked->address, asked->type, &line);
    mt_object_address_words(asked, &line);
    if (paths->ends.length == 0) {
        mt_strbuf_append(&line, ", reachable from no root: it waits for the collector");
    } else {
        mt_strbuf_append(&line, ", reachable from ");
        mt_words_counted(&line, named, "named root", "named roots");
        if (others > 0) {
            mt_strbuf_append(&line, " and ");
            mt_words_counted(&line, others, "other", "others");
        }
        mt_strbuf_append(&line, paths->complete ? "" : ", the nearest; more with --all-roots");
    }
    mt_emit_line(emitter, "%s", mt_strbuf_text(&line));
    mt_emit_address(emitter, "object", asked->address);
    mt_emit_string(emitter, "type", asked->type->name);
    mt_emit_boolean(emitter, "complete", paths->complete);
    mt_strbuf_deinit(&line);
}

static struct mt_error *write_answer(struct answer *answer) {
    struct mt_call *call = answer->call;
    bool no_values = call->options.given & MT_OPTION_NO_VALUES;
    struct mt_error *error = mt_expressions_init(&answer->expressions, answer->graph, no_values, &call->watch);
    if (error)
        return error;
    emit_headline(answer);
    error = emit_rows(answer);
    mt_expressions_deinit(&answer->expressions);
    if (!error) {
        mt_call_warn_census(call, answer->graph->census);
        mt_call_hint(call, "try: memtrace who-holds ADDR · memtrace path --all-roots ADDR");
    }
    return error;
}

static size_t wanted(const struct mt_options *options) {
    if (options->given & MT_OPTION_ALL_ROOTS)
        return SIZE_MAX;
    return options->given & MT_OPTION_LIMIT && options->limit > 0 ? options->limit : DEFAULT_PATHS;
}

static struct mt_error *run(struct mt_call *call) {
    struct answer answer = {.call = call};
    struct mt_error *error = mt_object_address_in_graph(call, &answer.asked, &answer.graph);
    if (!error)
        error = mt_paths_find(answer.graph, answer.asked.object, wanted(&call->options), &call->watch, &answer.paths);
    if (error)
        return error;
    error = write_answer(&answer);
    mt_paths_deinit(&answer.paths);
    return error;
}

const struct mt_command mt_path_command = {
    .name = "path",
    .summary = "Show by which ways named roots lead to an object, each as a Python expression too.",
    .argument = "ADDR",
    .options = MT_OPTION_ALL_ROOTS | MT_OPTION_LIMIT | MT_OPTION_THREAD | MT_OPTION_FRAME | MT_OPTION_NO_VALUES |
               MT_OPTION_JSON,
    .details = MT_OBJECT_ADDRESS_DETAILS
    "\nThe shortest ways come first, from the nearest 5 roots unless `--limit` says otherwise; `--all-roots` finds "
    "every root. Roots are globals of modules, variables of running functions, and what else CPython holds; words of C "
    "memory that may be references, and holders that were not found, only where there is nothing better. An expression "
    "gives the object in the process itself, as long as that has not gone on; it takes `import sys, gc`.",
    .run = run,
};
