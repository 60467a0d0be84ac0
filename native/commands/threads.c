#include "commands/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "commands/listing.h"
#include "commands/object_words.h"
#include "output/text.h"
#include "python/object.h"
#include "python/scope.h"
#include "python/threads.h"

/* Bytes of a variable's name that are shown. */
#define NAME_MAX_SHOWN 100

/* What is told of one frame's variables. */
struct variables {
    struct mt_call *call;
    struct mt_python *python;
    size_t shown;
    size_t omitted;
    bool is_module; /* the variables are a module's globals */
};

/* One thread as it is walked. */
struct stack {
    struct mt_call *call;
    struct mt_python *python;
    const struct mt_python_thread *thread;
    size_t shown;
    size_t total;
    struct mt_error *error;
};

/* --- variables ------------------------------------------------------------------------------------------------------
 */

/* What every module is full of, and what hides the data among its globals. */
static bool is_module_furniture(const char *name, const struct mt_type *type) {
    size_t length = strlen(name);
    bool is_special = length > 4 && strncmp(name, "__", 2) == 0 && strcmp(name + length - 2, "__") == 0;
    return is_special || type->kind == MT_KIND_MODULE || type->kind == MT_KIND_FUNCTION || type->kind == MT_KIND_TYPE ||
           type->kind == MT_KIND_BUILTIN_FUNCTION;
}

/* A line of text that is cut where others are wrapped. */
static void emit_cut_line(struct mt_emitter *emitter, const char *text) {
    struct mt_strbuf escaped = MT_STRBUF_INIT, cut = MT_STRBUF_INIT;
    mt_text_escape(&escaped, text);
    mt_text_cut(&cut, mt_strbuf_text(&escaped), emitter->width);
    mt_emit_line(emitter, "%s", mt_strbuf_text(&cut));
    mt_strbuf_deinit(&escaped);
    mt_strbuf_deinit(&cut);
}

static void emit_variable_line(const struct variables *variables, const char *name, const struct mt_type *type,
                               uint64_t value, const char *repr) {
    struct mt_emitter *emitter = &variables->call->emitter;
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_strbuf_printf(&line, "%9zu  %s = %s", mt_listing_number_object(variables->call, value), name, type->name);
    if (repr[0] != '\0')
        mt_strbuf_printf(&line, " %s", repr);
    emit_cut_line(emitter, mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
}

static void emit_variable_object(const struct variables *variables, const char *name, const struct mt_type *type,
                                 uint64_t value, const char *repr) {
    struct mt_emitter *emitter = &variables->call->emitter;
    mt_emit_begin(emitter, NULL, '{');
    mt_emit_string(emitter, "name", name);
    mt_emit_address(emitter, "address", value);
    mt_emit_string(emitter, "type", type->name);
    if (!(variables->call->options.given & MT_OPTION_NO_VALUES))
        mt_emit_string(emitter, "repr", repr);
    mt_emit_end(emitter, '}');
}

static bool emit_variable(void *context, uint64_t name_object, uint64_t value) {
    struct variables *variables = context;
    struct mt_call *call = variables->call;
    const struct mt_type *type = mt_object_type(variables->python, value);
    struct mt_strbuf name = MT_STRBUF_INIT, repr = MT_STRBUF_INIT;
    if (type && mt_str_append(variables->python, name_object, NAME_MAX_SHOWN, &name) && name.data &&
        !(variables->is_module && is_module_furniture(name.data, type))) {
        bool is_shown = variables->shown < mt_listing_shown(call, SIZE_MAX);
        if (is_shown)
            mt_object_value(call, variables->python, value, call->emitter.json ? MT_VALUE_LIMIT_JSON : MT_VALUE_LIMIT,
                            &repr);
        if (is_shown)
            (call->emitter.json ? emit_variable_object : emit_variable_line)(variables, name.data, type, value,
                                                                             mt_strbuf_text(&repr));
        variables->shown += is_shown;
        variables->omitted += !is_shown;
    }
    mt_strbuf_deinit(&name);
    mt_strbuf_deinit(&repr);
    return true;
}

/* --- frames ---------------------------------------------------------------------------------------------------------
 */

static void emit_frame(const struct stack *stack, const struct mt_python_frame *frame, uint32_t number) {
    struct mt_emitter *emitter = &stack->call->emitter;
    struct mt_frame_place place;
    char label[16];
    if (!mt_frame_place(stack->python, frame, &place))
        place = (struct mt_frame_place){.function = "?", .file = "?"};
    struct mt_frame shown = {
        .function = place.function, .file = place.file, .line = place.line > 0 ? (uint32_t)place.line : 0};
    snprintf(label, sizeof label, "%3" PRIu32, number);
    mt_emit_place(emitter, label, &shown, 1);
    mt_emit_begin(emitter, NULL, '{');
    mt_emit_unsigned(emitter, "number", number);
    mt_emit_string(emitter, "function", place.function);
    mt_emit_string(emitter, "file", place.file);
    mt_emit_unsigned(emitter, "line", shown.line);
    mt_emit_begin(emitter, "locals", '[');
    struct variables variables = {
        .call = stack->call,
        .python = stack->python,
        .is_module = frame->has_namespace && frame->locals_dict == frame->globals,
    };
    mt_scope_visit_variables(stack->python, frame, emit_variable, &variables);
    mt_emit_end(emitter, ']');
    if (variables.omitted > 0) {
        mt_emit_line(emitter, "           %zu more variables", variables.omitted);
        mt_listing_omitted(stack->call, variables.omitted, 0);
    }
    mt_emit_end(emitter, '}');
}

static bool visit_frame(void *context, const struct mt_python_frame *frame, uint32_t number) {
    struct stack *stack = context;
    stack->error = mt_watch_poll(&stack->call->watch, "reading frames");
    if (stack->error)
        return false;
    if (frame->incomplete)
        return true;
    if (stack->total++ < stack->shown)
        emit_frame(stack, frame, number);
    return true;
}

static struct mt_error *emit_thread(struct stack *stack, bool several_interpreters) {
    const struct mt_python_thread *thread = stack->thread;
    struct mt_emitter *emitter = &stack->call->emitter;
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_strbuf_printf(&line, "thread %" PRIu32, thread->number);
    if (thread->name[0] != '\0')
        mt_strbuf_printf(&line, " %s", thread->name);
    if (thread->tid != 0)
        mt_strbuf_printf(&line, ", tid %" PRIu64, thread->tid);
    if (several_interpreters)
        mt_strbuf_printf(&line, ", interpreter %" PRIu64, thread->interpreter_id);
    if (thread->has_gil)
        mt_strbuf_append(&line, ", has the GIL");
    mt_emit_line(emitter, "%s", mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
    mt_emit_begin(emitter, NULL, '{');
    mt_emit_unsigned(emitter, "number", thread->number);
    mt_emit_unsigned(emitter, "tid", thread->tid);
    mt_emit_string(emitter, "name", thread->name);
    mt_emit_boolean(emitter, "gil", thread->has_gil);
    if (several_interpreters)
        mt_emit_unsigned(emitter, "interpreter", thread->interpreter_id);
    mt_emit_begin(emitter, "frames", '[');
    mt_frames_visit(stack->python, thread, visit_frame, stack);
    mt_emit_end(emitter, ']');
    if (stack->total == 0)
        mt_emit_line(emitter, "    no Python frames");
    if (stack->total > stack->shown) {
        mt_emit_line(emitter, "    %zu more frames further out", stack->total - stack->shown);
        mt_listing_omitted(stack->call, stack->total - stack->shown, 0);
    }
    mt_emit_end(emitter, '}');
    return stack->error;
}

/* --- all ------------------------------------------------------------------------------------------------------------
 */

/* "3 Python threads; 1 MainThread has the GIL" */
static void emit_headline(struct mt_call *call, const struct mt_threads *threads) {
    struct mt_strbuf line = MT_STRBUF_INIT;
    const char *separator = "; ";
    mt_words_counted(&line, threads->list.length, "Python thread", "Python threads");
    for (size_t i = 0; i < threads->list.length; i++) {
        const struct mt_python_thread *thread = &threads->list.data[i];
        if (!thread->has_gil)
            continue;
        mt_strbuf_printf(&line, "%s%" PRIu32 "%s%s has %s GIL", separator, thread->number, thread->name[0] ? " " : "",
                         thread->name, separator[0] == ';' ? "the" : "its");
        separator = ", ";
    }
    if (separator[0] == ';')
        mt_strbuf_append(&line, "; none has the GIL");
    mt_emit_line(&call->emitter, "%s", mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
}

static struct mt_error *emit_threads(struct mt_call *call, struct mt_python *python, const struct mt_threads *threads) {
    struct mt_error *error = NULL;
    size_t count = threads->list.length, frames = 0, first = 0;
    if (call->options.given & MT_OPTION_THREAD) {
        if (call->options.thread == 0 || call->options.thread > count)
            return mt_error_create(MT_ERROR_NOT_FOUND, "there is no thread %zu: the threads are 1 to %zu",
                                   call->options.thread, count);
        first = call->options.thread - 1;
        count = first + 1;
    }
    emit_headline(call, threads);
    mt_emit_begin(&call->emitter, "rows", '[');
    for (size_t i = first; i < count && !error; i++) {
        struct stack stack = {
            .call = call,
            .python = python,
            .thread = &threads->list.data[i],
            .shown = mt_listing_shown(call, SIZE_MAX),
        };
        error = emit_thread(&stack, python->interpreters.length > 1);
        frames += stack.total;
    }
    mt_emit_end(&call->emitter, ']');
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_words_counted(&line, count - first, "thread", "threads");
    mt_strbuf_append(&line, ", ");
    mt_words_counted(&line, frames, "frame", "frames");
    mt_emit_line(&call->emitter, "%s", mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
    return error;
}

static struct mt_error *run(struct mt_call *call) {
    struct mt_python *python;
    struct mt_threads threads = {0};
    struct mt_error *error = mt_call_python(call, &python);
    if (!error)
        error = mt_threads_read(python, &call->watch, &threads);
    if (!error)
        error = emit_threads(call, python, &threads);
    if (!error)
        mt_call_hint(call, "try: memtrace object py@2:NAME · memtrace who-holds py:NAME");
    mt_threads_deinit(&threads);
    return error;
}

const struct mt_command mt_threads_command = {
    .name = "threads",
    .summary = "Show the Python stack of every thread, with the local variables.",
    .options = MT_OPTION_THREAD | MT_OPTION_LIMIT | MT_OPTION_NO_VALUES | MT_OPTION_JSON,
    .details = "Frame 0 is the innermost. `--limit` is for the frames of each thread, and for the variables of each "
               "frame. Of a module's own frame, functions, classes and modules among the globals are left out.",
    .run = run,
};
