/* `lines`: what each line of a function did to memory. */
#include "commands/command.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "commands/main_thread.h"
#include "commands/python_stops.h"
#include "output/place.h"
#include "output/text.h"

static int compare(const void *a, const void *b) {
    const struct mt_python_line *left = a, *right = b;
    if (left->file != right->file)
        return left->file < right->file ? -1 : 1;
    return left->line < right->line ? -1 : left->line > right->line;
}

/* Where a function begins is no line of it, unless something happened there. */
static bool is_shown(const struct mt_python_line *line) {
    return line->count > 0 || line->sum.allocated > 0 || line->sum.freed > 0;
}

static void add(struct mt_python_window *sum, const struct mt_python_window *window) {
    sum->allocated += window->allocated;
    sum->freed += window->freed;
    if (window->peak > sum->peak)
        sum->peak = window->peak;
}

/* With `is_alone` the file and the function are told above the table. */
static void emit_row(struct mt_call *call, const struct mt_python_stops_view *view, const struct mt_python_line *line,
                     bool is_alone) {
    struct mt_emitter *emitter = &call->emitter;
    struct mt_python_place place;
    struct mt_strbuf name = MT_STRBUF_INIT;
    mt_python_place_read(view, line->file, line->function, line->line, &place);
    if (!is_alone) {
        mt_text_escape(&name, mt_place_tail(place.file.data ? place.file.data : "?", 1));
        mt_strbuf_append_char(&name, ':');
    }
    mt_strbuf_printf(&name, "%" PRIu32, line->line);
    if (place.source.data) {
        mt_strbuf_append_char(&name, ' ');
        mt_text_escape(&name, place.source.data);
    }
    mt_emit_row_begin(emitter, MT_ROW_BOTH);
    mt_emit_cell_number(emitter, line->sum.allocated);
    mt_emit_cell_number(emitter, line->sum.freed);
    mt_emit_cell_change(emitter, (int64_t)(line->sum.allocated - line->sum.freed));
    mt_emit_cell_change(emitter, line->sum.peak);
    mt_emit_cell_text(emitter, name.data);
    mt_emit_string(emitter, "function", place.function.data);
    mt_emit_string(emitter, "file", place.file.data);
    mt_emit_unsigned(emitter, "line", line->line);
    mt_emit_unsigned(emitter, "times", line->count);
    mt_emit_row_end(emitter);
    mt_strbuf_deinit(&name);
    mt_python_place_deinit(&place);
}

/* "process_data() of holding.py", when all lines are of one function. */
static bool emit_headline(struct mt_call *call, const struct mt_python_stops_view *view,
                          const struct mt_python_line *lines, size_t count) {
    struct mt_python_place place;
    struct mt_strbuf line = MT_STRBUF_INIT;
    for (size_t i = 0; i < count; i++)
        if (lines[i].file != lines[0].file || lines[i].function != lines[0].function)
            return false;
    if (count == 0)
        return false;
    mt_python_place_read(view, lines[0].file, lines[0].function, lines[0].line, &place);
    mt_text_escape(&line, place.function.data ? place.function.data : "?");
    mt_strbuf_append(&line, "() of ");
    mt_text_escape(&line, mt_place_tail(place.file.data ? place.file.data : "?", 1));
    mt_emit_line(&call->emitter, "%s", mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
    mt_python_place_deinit(&place);
    return true;
}

static void emit_ended(struct mt_call *call, uint64_t bytes) {
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_text_count(&line, bytes);
    mt_strbuf_append(&line, " bytes of the program ended in CPython's work for memtrace: in no line");
    mt_emit_line(&call->emitter, "%s", mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
}

static struct mt_error *show(struct mt_call *call) {
    static const struct mt_column columns[] = {{MT_COLUMN_NUMBER, "allocated", "allocated"},
                                               {MT_COLUMN_NUMBER, "freed", "freed"},
                                               {MT_COLUMN_NUMBER, "kept", "kept"},
                                               {MT_COLUMN_NUMBER, "peak", "peak"},
                                               {MT_COLUMN_VALUE, "line", NULL}};
    struct mt_python_stops_view view;
    MT_AUTO_FREE struct mt_python_line *lines = NULL;
    size_t count = 0;
    struct mt_python_window sum = {0};
    struct mt_error *error = mt_python_stops_read(call, &view);
    if (!error && view.stops.measurement == 0)
        error = mt_error_create(MT_ERROR_NOT_FOUND, "no function is measured: `memtrace lines FUNCTION`");
    if (!error)
        error = mt_python_stops_lines(&view, &call->watch, &lines, &count);
    if (error)
        return error;
    size_t shown = 0;
    for (size_t i = 0; i < count; i++)
        if (lines[i].measurement == view.stops.measurement && is_shown(&lines[i]))
            lines[shown++] = lines[i];
    if (shown > 0)
        qsort(lines, shown, sizeof *lines, compare);
    if (shown == 0)
        mt_emit_line(&call->emitter, "no line of it was executed yet: let the process run");
    bool is_alone = emit_headline(call, &view, lines, shown);
    mt_emit_table_begin(&call->emitter, "rows", columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < shown; i++) {
        add(&sum, &lines[i].sum);
        emit_row(call, &view, &lines[i], is_alone);
    }
    if (shown > 0) {
        mt_emit_row_begin(&call->emitter, MT_ROW_TEXT);
        mt_emit_cell_number(&call->emitter, sum.allocated);
        mt_emit_cell_number(&call->emitter, sum.freed);
        mt_emit_cell_change(&call->emitter, (int64_t)(sum.allocated - sum.freed));
        mt_emit_cell_change(&call->emitter, sum.peak);
        mt_emit_cell_text(&call->emitter, "all of them");
        mt_emit_row_end(&call->emitter);
    }
    mt_emit_table_end(&call->emitter);
    mt_emit_begin(&call->emitter, "total", '{');
    mt_python_window_emit(&call->emitter, &sum);
    mt_emit_end(&call->emitter, '}');
    mt_emit_unsigned(&call->emitter, "freed_by_memtrace", view.stops.ended);
    if (view.stops.ended > 0)
        emit_ended(call, view.stops.ended);
    return NULL;
}

static struct mt_error *measure(struct mt_call *call) {
    struct mt_python_stops_view view;
    struct mt_error *error = mt_python_stops_prepare(call, &view);
    if (!error)
        error = mt_python_stop_fill(&view.stops.stops[MT_PYTHON_LINES_SLOT], MT_PYTHON_MEASURE, call->argument, 0);
    if (error)
        return error;
    view.stops.measurement++;
    view.stops.step = MT_PYTHON_STEP_NONE;
    error = mt_python_stops_wish(call, &view);
    if (error)
        return error;
    mt_emit_string(&call->emitter, "action", "measure");
    mt_emit_string(&call->emitter, "name", call->argument);
    mt_emit_line(&call->emitter, "the lines of %s() are measured from its next line on", call->argument);
    mt_main_thread_tell(call);
    mt_call_hint(call, "try: continue, and at a later stop: memtrace lines");
    return NULL;
}

static struct mt_error *run(struct mt_call *call) {
    return call->argument[0] != '\0' ? measure(call) : show(call);
}

static struct mt_error *run_stop(struct mt_call *call) {
    struct mt_python_stops_view view;
    struct mt_error *error = mt_python_stops_prepare(call, &view);
    if (!error && view.stops.stops[MT_PYTHON_LINES_SLOT].kind != MT_PYTHON_MEASURE)
        error = mt_error_create(MT_ERROR_NOT_FOUND, "no function is measured");
    if (error)
        return error;
    view.stops.stops[MT_PYTHON_LINES_SLOT] = (struct mt_python_stop){0};
    view.stops.step = MT_PYTHON_STEP_NONE;
    error = mt_python_stops_wish(call, &view);
    if (error)
        return error;
    mt_emit_string(&call->emitter, "action", "stop");
    mt_emit_line(&call->emitter, "no lines are measured any more; `memtrace lines` shows those that were");
    return NULL;
}

const struct mt_command mt_lines_command = {
    .name = "lines",
    .summary = "Measure what each line of a Python function does to memory; alone, show it.",
    .argument = "[FUNCTION]",
    .options = MT_OPTION_JSON,
    .details =
        "FUNCTION is a function's name (or the end of its qualified name: `Cache.get`); all that have it are measured, "
        "in all threads, from then on until `lines stop` or another `lines FUNCTION`.\n"
        "A line counts with all that it calls, in all its executions, but for calls of the same function, whose "
        "lines count themselves: so the table sums up to what the function did, and to what `diff` tells of marks at "
        "its begin and end. `peak` is the highest that the memory of the whole process rose above what it was when "
        "the line began. What is freed after the return (the function's variables) belongs to no line, nor does the "
        "line that executes now. What CPython allocates for the sake of the measurement is in no number, but before "
        "3.12 a bound method (72 bytes) for each call of a method of a C type: allocated, freed, and in the peak. What "
        "of the program ends in CPython's work for the measurement (names that a cache lets go) is told below the "
        "table: `diff` counts it, no line does.\n"
        "This runs code in the process: the recorder sets CPython's own events for the function (sys.monitoring from "
        "3.12 on; before that a trace function, which slows down all Python code), as soon as the main thread comes "
        "to a safe point.",
    .run = run,
};

const struct mt_command mt_lines_stop_command = {
    .name = "lines stop",
    .summary = "Measure no lines any more.",
    .options = MT_OPTION_JSON,
    .run = run_stop,
};
