#define _GNU_SOURCE /* sigabbrev_np, dladdr */
#include "commands/session.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "attach/tracee.h"
#include "base/cleanup.h"
#include "commands/reached.h"
#include "commands/words.h"
#include "image/python_stops.h"
#include "output/text.h"
#include "target/host.h"
#include "target/target.h"
#include "trace/blocks.h"

#define VERSION "0.1.0"
#define COMMANDS_HINTED 32

struct mt_answer {
    int32_t status;
    char *text;
    size_t length;
};

enum source { SOURCE_DEBUGGER, SOURCE_PID, SOURCE_STOPPED, SOURCE_CORE };

struct mt_session {
    enum source source;
    struct mt_host host; /* what is not there is NULL */
    char *library_directory;
    int32_t pid;
    char *core;
    char *executable;
    /* The target at this stop and what was read from it. */
    struct mt_target *target;
    struct mt_image *image;
    struct mt_python *python;
    struct mt_census *census;
    struct mt_graph *graph;
    double lent_seconds; /* how long a command has had the process in its hands otherwise than by `target` */
    bool keeps_stopped;  /* the process may not run between commands */
    bool saves_memory;   /* of ours */
    uint64_t generation; /* of the debugger, when the target was opened */
    int32_t kind;
    int32_t stop_pid;
    struct mt_handles handles;
    struct mt_settings settings;
    struct mt_session_environment environment;
    struct mt_breakpoints breakpoints;
    struct mt_ref_sheet ref_sheet;
    struct mt_step step;
    uint32_t hinted; /* bit i: the hint of command i was shown */
    struct mt_answer answer;
    char *completion;
};

unsigned mt_abi(void) {
    return MT_ABI;
}

const char *mt_version(void) {
    return VERSION;
}

/* --- answers ---------------------------------------------------------------------------------------------------- */

static char no_memory_text[] = "memtrace: out of memory";
static const struct mt_answer no_memory_answer = {1, no_memory_text, sizeof no_memory_text - 1};

static void drop_answer(struct mt_answer *answer) {
    free(answer->text);
    *answer = (struct mt_answer){0};
}

/* Takes the text out of `text`. */
static const struct mt_answer *set_answer(struct mt_answer *answer, int32_t status, struct mt_strbuf *text) {
    drop_answer(answer);
    answer->status = status;
    answer->length = text->length;
    answer->text = mt_strbuf_steal(text);
    return answer->text ? answer : &no_memory_answer;
}

int32_t mt_answer_status(const struct mt_answer *answer) {
    return answer->status;
}

const char *mt_answer_text(const struct mt_answer *answer) {
    return answer->text;
}

size_t mt_answer_length(const struct mt_answer *answer) {
    return answer->length;
}

/* --- the target at a stop --------------------------------------------------------------------------------------- */

/* What was made of the target's memory. */
static void drop_analysis(struct mt_session *session) {
    mt_image_destroy(session->image);
    session->image = NULL;
    mt_graph_destroy(session->graph);
    session->graph = NULL;
    mt_census_destroy(session->census);
    session->census = NULL;
    mt_python_destroy(session->python);
    session->python = NULL;
}

static void close_target(struct mt_session *session) {
    drop_analysis(session);
    if (session->target)
        mt_target_destroy(session->target);
    session->target = NULL;
}

const struct mt_host *mt_session_debugger(const struct mt_session *session) {
    return session->source == SOURCE_DEBUGGER ? &session->host : NULL;
}

struct mt_error *mt_session_describe(struct mt_session *session, struct mt_host_description *ret) {
    struct mt_host_description description = {0};
    switch (session->source) {
    case SOURCE_DEBUGGER: {
        int32_t status = session->host.describe ? session->host.describe(session->host.context, &description) : -1;
        if (status == 1)
            return mt_error_create(MT_ERROR_INTERRUPTED, "interrupted");
        if (status != 0)
            return mt_error_create(MT_ERROR_SYSTEM, "the debugger does not say what it is looking at");
        break;
    }
    case SOURCE_PID:
    case SOURCE_STOPPED:
        description = (struct mt_host_description){.kind = MT_HOST_LIVE, .pid = session->pid, .local = 1};
        break;
    case SOURCE_CORE:
        description = (struct mt_host_description){
            .kind = MT_HOST_CORE, .core = session->core, .executable = session->executable};
        break;
    }
    *ret = description;
    return NULL;
}

const char *mt_session_library_directory(const struct mt_session *session) {
    return session->library_directory ? session->library_directory : ".";
}

struct mt_error *mt_session_tracee(struct mt_session *session, struct mt_tracee **ret) {
    if (session->source == SOURCE_STOPPED)
        return mt_error_create(MT_ERROR_UNSUPPORTED, "a process that `memtrace run` started has its recorder already");
    close_target(session);
    mt_handles_reset(&session->handles);
    return session->source == SOURCE_DEBUGGER ? mt_tracee_open_host(&session->host, ret)
                                              : mt_tracee_open_process(session->pid, ret);
}

void mt_session_note_lent(struct mt_session *session, double seconds) {
    session->lent_seconds += seconds;
}

struct mt_session_environment *mt_session_environment(struct mt_session *session) {
    return &session->environment;
}

struct mt_breakpoints *mt_session_breakpoints(struct mt_session *session) {
    return &session->breakpoints;
}

struct mt_ref_sheet *mt_session_ref_sheet(struct mt_session *session) {
    return &session->ref_sheet;
}

struct mt_step *mt_session_step(struct mt_session *session) {
    return &session->step;
}

struct mt_handles *mt_session_handles(struct mt_session *session) {
    return &session->handles;
}

struct mt_settings *mt_session_settings(struct mt_session *session) {
    return &session->settings;
}

const struct mt_census *mt_session_known_census(const struct mt_session *session) {
    return session->census;
}

void mt_session_forget_image(struct mt_session *session) {
    mt_image_destroy(session->image);
    session->image = NULL;
}

/* Drops what belongs to an earlier stop. */
static void forget_stop(struct mt_session *session, const struct mt_host_description *description) {
    if (session->generation == description->generation && session->kind == description->kind &&
        session->stop_pid == description->pid)
        return;
    close_target(session);
    mt_handles_reset(&session->handles);
    session->generation = description->generation;
    session->kind = description->kind;
    session->stop_pid = description->pid;
}

/* Memory breakpoints come to a process that the debugger has turned to, if it carries a recorder. */
static void offer_breakpoints(struct mt_call *call, const struct mt_host_description *description) {
    bool is_process = description->kind == MT_HOST_LIVE || description->kind == MT_HOST_REMOTE;
    if (is_process && !description->running)
        mt_error_destroy(mt_breakpoints_enter(call, description->pid));
}

static struct mt_error *open_in_debugger(struct mt_session *session, const struct mt_host_description *description) {
    if (description->kind == MT_HOST_NONE)
        return mt_error_create(MT_ERROR_NO_PROCESS, "no process: start one with `run`, attach to one, or open a core");
    if (description->running)
        return mt_error_create(MT_ERROR_RUNNING, "the process is running: stop it first (Ctrl-C, or a breakpoint)");
    if (description->kind == MT_HOST_CORE && description->core) {
        /* Mapped, a core is read far faster than through the debugger; but only the debugger may be able to reach it.
         */
        struct mt_error *error = mt_target_open_core(description->core, description->executable, &session->target);
        if (!error)
            return NULL;
        mt_error_destroy(error);
    }
    return mt_target_open_host(&session->host, &session->target);
}

struct mt_error *mt_call_target(struct mt_call *call, struct mt_target **ret) {
    struct mt_session *session = call->session;
    struct mt_error *error = NULL;
    if (!session->target) {
        switch (session->source) {
        case SOURCE_DEBUGGER: {
            struct mt_host_description description;
            error = mt_session_describe(session, &description);
            if (!error)
                error = open_in_debugger(session, &description);
            break;
        }
        case SOURCE_PID:
            error = mt_target_open_live(session->pid, true, &session->target);
            break;
        case SOURCE_STOPPED:
            error = mt_target_open_live(session->pid, false, &session->target);
            break;
        case SOURCE_CORE:
            error = mt_target_open_core(session->core, session->executable, &session->target);
            break;
        }
    }
    if (!error)
        *ret = session->target;
    return error;
}

struct mt_error *mt_call_image(struct mt_call *call, struct mt_image **ret) {
    struct mt_target *target;
    struct mt_error *error = mt_call_target(call, &target);
    if (!error && !call->session->image)
        error = mt_image_load(target, &call->watch, &call->session->image);
    if (!error)
        *ret = call->session->image;
    return error;
}

struct mt_error *mt_call_recording(struct mt_call *call, struct mt_image **ret) {
    struct mt_error *error = mt_call_image(call, ret);
    return error ? error : mt_image_check_recorded(*ret);
}

struct mt_error *mt_call_python(struct mt_call *call, struct mt_python **ret) {
    struct mt_target *target;
    struct mt_error *error = mt_call_target(call, &target);
    if (!error && !call->session->python) {
        target->saves_memory = call->session->saves_memory;
        error = mt_python_open(target, &call->watch, &call->session->python);
    }
    if (!error)
        *ret = call->session->python;
    return error;
}

struct mt_error *mt_call_census(struct mt_call *call, struct mt_census **ret) {
    struct mt_python *python;
    struct mt_error *error = mt_call_python(call, &python);
    if (!error && !call->session->census) {
        mt_target_expect_heap(call->session->target);
        error = mt_census_create(python, &call->watch, &call->session->census);
    }
    if (!error)
        *ret = call->session->census;
    return error;
}

struct mt_error *mt_call_graph(struct mt_call *call, struct mt_graph **ret) {
    struct mt_census *census;
    struct mt_error *error = mt_call_census(call, &census);
    if (!error && !call->session->graph)
        error = mt_graph_create(census, &call->watch, &call->session->graph);
    if (!error)
        *ret = call->session->graph;
    return error;
}

/* --- warnings and hints ----------------------------------------------------------------------------------------- */

void mt_call_warn(struct mt_call *call, const char *format, ...) {
    struct mt_strbuf text = MT_STRBUF_INIT;
    va_list arguments;
    va_start(arguments, format);
    mt_strbuf_vprintf(&text, format, arguments);
    va_end(arguments);
    if (text.data && call->emitter.json)
        mt_json_string(&call->warnings, NULL, text.data);
    else if (text.data)
        mt_emit_line(&call->emitter, "note: %s", text.data);
    mt_strbuf_deinit(&text);
}

void mt_call_warn_image(struct mt_call *call, const struct mt_image *image, const struct mt_block_gaps *gaps) {
    size_t in_flight = mt_image_in_flight(image);
    if (image->header.state == MT_RECORDING_STOPPED)
        mt_call_warn(call, "recording was stopped: this is how it was then");
    if (in_flight > 0)
        mt_call_warn(call, "%zu event%s in flight: %s may be counted or not", in_flight, in_flight == 1 ? "" : "s",
                     in_flight == 1 ? "its block" : "their blocks");
    if (gaps->unreadable_pages > 0)
        mt_call_warn(call, "%llu pages of the recorder's tables are missing: blocks are missing from what is alive now",
                     (unsigned long long)gaps->unreadable_pages);
    if (gaps->strays > 0)
        mt_call_warn(call, "%llu blocks name no origin that is known, and are left out",
                     (unsigned long long)gaps->strays);
}

void mt_call_warn_attached(struct mt_call *call, const struct mt_image *image) {
    if (image->header.attached != 0)
        mt_call_warn(call, "recorded from the middle: what was allocated before is not known");
}

void mt_call_hint(struct mt_call *call, const char *hint) {
    struct mt_session *session = call->session;
    if (call->emitter.json || !session->host.progress || !session->settings.of[MT_SETTING_HINTS])
        return;
    for (size_t i = 0; i < COMMANDS_HINTED && mt_command_at(i); i++) {
        if (mt_command_at(i) != call->command || (session->hinted & 1u << i))
            continue;
        session->hinted |= 1u << i;
        mt_emit_line(&call->emitter, "%s", hint);
    }
}

/* --- running a command line ------------------------------------------------------------------------------------- */

static bool ask_interrupted(void *context) {
    const struct mt_session *session = context;
    return session->host.interrupted && session->host.interrupted(session->host.context) != 0;
}

static void show_progress(void *context, const char *line) {
    const struct mt_session *session = context;
    char waiting[128];
    if (line && session->target && mt_target_waiting(session->target, waiting, sizeof waiting))
        line = waiting;
    session->host.progress(session->host.context, line);
}

bool mt_session_share(struct mt_target *target, uint64_t *ret_described, uint64_t *ret_held) {
    const struct mt_region *regions;
    size_t count;
    struct mt_error *error = mt_target_regions(target, &regions, &count);
    if (error) {
        mt_error_destroy(error);
        return false;
    }
    uint64_t described = 0, held = 0;
    for (size_t i = 0; i < count; i++) {
        described += regions[i].end - regions[i].start;
        held += regions[i].held;
    }
    *ret_described = described;
    *ret_held = held;
    return true;
}

static void write_core(struct mt_json *json, struct mt_target *target) {
    uint64_t described, held;
    const char *name = target->info.signal > 0 ? sigabbrev_np(target->info.signal) : NULL;
    char signal[32] = "SIG";
    mt_json_string(json, "signal", name ? strncat(signal, name, sizeof signal - 4) : NULL);
    if (!mt_session_share(target, &described, &held))
        return;
    mt_json_unsigned(json, "bytes_described", described);
    mt_json_unsigned(json, "bytes_held", held);
}

static void write_target(struct mt_json *json, const struct mt_session *session) {
    static const char *const kinds[] = {"none", "live", "core", "remote", "synthetic"};
    struct mt_target *target = session->target;
    const struct mt_image *image = session->image;
    uint32_t version = image ? image->header.python_version : 0;
    mt_json_begin(json, "target", '{');
    mt_json_string(json, "kind", kinds[target ? target->info.kind : MT_TARGET_NONE]);
    if (target && target->info.pid > 0)
        mt_json_integer(json, "pid", target->info.pid);
    else
        mt_json_null(json, "pid");
    mt_json_string(json, "core", target ? target->info.core : NULL);
    if (session->python) {
        mt_json_string(json, "python", session->python->version_text);
    } else if (version != 0) {
        struct mt_strbuf text = MT_STRBUF_INIT;
        mt_strbuf_printf(&text, "%u.%u.%u", version >> 24, version >> 16 & 0xff, version >> 8 & 0xff);
        mt_json_string(json, "python", text.data);
        mt_strbuf_deinit(&text);
    } else {
        mt_json_null(json, "python");
    }
    if (target && target->info.kind == MT_TARGET_CORE)
        write_core(json, target);
    if (target && target->info.stopped_seconds > 0)
        mt_json_seconds(json, "stopped_seconds", (uint64_t)(target->info.stopped_seconds * 1e9));
    mt_json_end(json, '}');
}

static void write_answer(const struct mt_call *call, struct mt_strbuf *out) {
    const struct mt_strbuf *body = &call->emitter.body;
    const struct mt_session *session = call->session;
    if (!call->emitter.json) {
        mt_strbuf_append_bytes(out, body->data, body->length);
        double seconds = session->source == SOURCE_PID && session->target && !session->keeps_stopped
                             ? session->target->info.stopped_seconds + session->lent_seconds
                             : 0;
        if (seconds > 0) {
            mt_strbuf_printf(out, "(stopped pid %d for ", (int)session->pid);
            mt_text_seconds(out, (uint64_t)(seconds * 1e9));
            mt_strbuf_append(out, ")\n");
        }
        return;
    }
    struct mt_json json;
    mt_json_init(&json, out);
    mt_json_begin(&json, NULL, '{');
    mt_json_integer(&json, "schema", 1);
    mt_json_string(&json, "command", call->command->name);
    write_target(&json, session);
    mt_json_begin(&json, "warnings", '[');
    mt_strbuf_append_bytes(out, call->warnings_text.data, call->warnings_text.length);
    mt_json_end(&json, ']');
    if (body->length > 0)
        mt_strbuf_append_char(out, ',');
    mt_strbuf_append_bytes(out, body->data, body->length);
    mt_json_end(&json, '}');
    mt_strbuf_append_char(out, '\n');
}

static void write_error(const struct mt_call *call, const struct mt_error *error, struct mt_strbuf *out) {
    const char *name = call->command ? call->command->name : NULL;
    if (call->emitter.json) {
        struct mt_json json;
        mt_json_init(&json, out);
        mt_json_begin(&json, NULL, '{');
        mt_json_integer(&json, "schema", 1);
        mt_json_string(&json, "command", name);
        mt_json_begin(&json, "error", '{');
        mt_json_string(&json, "code", mt_error_code_name(error->code));
        mt_json_string(&json, "message", error->message);
        mt_json_end(&json, '}');
        mt_json_end(&json, '}');
        return;
    }
    mt_strbuf_printf(out, "memtrace%s%s: ", name ? " " : "", name ? name : "");
    mt_text_escape(out, error->message);
}

static bool ends_with(const char *text, size_t length, const char *end) {
    size_t size = strlen(end);
    return length > size && memcmp(text + length - size, end, size) == 0;
}

/* Is there a process or a core at all, whether it can be read or not? */
static bool has_subject(struct mt_session *session) {
    struct mt_host_description description;
    struct mt_error *error = mt_session_describe(session, &description);
    bool has = !error && description.kind != MT_HOST_NONE;
    mt_error_destroy(error);
    return has;
}

/* Finds the command and its options. The form of the answer is set as far as it is known also when there is an error.
 */
static struct mt_error *parse(struct mt_call *call, const char *line, char **ret_argument) {
    const char *rest = "";
    struct mt_error *error = NULL;
    line = mt_word_skip_blanks(line);
    if ((*line == '\0' || *line == '-') && has_subject(call->session)) {
        call->command = &mt_summary_command;
        rest = line;
    } else if (*line == '\0') {
        call->command = &mt_help_command;
    } else {
        error = mt_command_find(line, &call->command, &rest);
    }
    if (error) {
        /* Whatever command was meant: scripts want JSON. */
        for (rest = line; *rest != '\0'; rest = mt_word_skip_blanks(rest + mt_word_length(rest)))
            call->emitter.json |= mt_word_is(rest, "--json") || mt_word_is(rest, "-json");
        return error;
    }
    error = mt_options_parse(rest, call->command->options, &call->options, &rest);
    call->emitter.json = call->options.given & MT_OPTION_JSON;
    if (!call->session->settings.of[MT_SETTING_VALUES])
        call->options.given |= MT_OPTION_NO_VALUES & call->command->options;
    if (error)
        return error;
    size_t length = strlen(rest);
    while (length > 0 && mt_word_length(rest + length - 1) == 0)
        length--;
    /* Options come first, but no argument ends like this. */
    if (length > 0 && (ends_with(rest, length, " --json") || ends_with(rest, length, " -json"))) {
        call->emitter.json = true;
        while (mt_word_length(rest + length - 1) > 0)
            length--;
        length--;
    }
    *ret_argument = mt_word_copy(rest, length);
    if (!*ret_argument)
        return &mt_error_no_memory;
    if (length > 0 && !call->command->argument)
        return mt_error_create(MT_ERROR_USAGE, "takes no argument: `%s`", *ret_argument);
    call->argument = *ret_argument;
    return NULL;
}

/* Memory that was not read as the user had enough is not "unreadable": nothing may be concluded from it, now or later.
 * The memory itself is kept by the target. */
static struct mt_error *forget_interrupted(struct mt_session *session, struct mt_error *error) {
    struct mt_target *target = session->target;
    if (!target)
        return error;
    if (session->host.progress)
        session->host.progress(session->host.context, NULL);
    if (!target->interrupted)
        return error;
    target->interrupted = false;
    drop_analysis(session);
    mt_error_destroy(error);
    return mt_error_create(MT_ERROR_INTERRUPTED, "interrupted");
}

static struct mt_error *run(struct mt_call *call) {
    struct mt_host_description description;
    struct mt_error *error = NULL;
    bool needs_process = !call->command->needs_no_process;
    if (needs_process)
        error = mt_session_describe(call->session, &description);
    if (!error && needs_process)
        forget_stop(call->session, &description);
    if (!error && needs_process)
        offer_breakpoints(call, &description);
    if (!error)
        error = call->command->run(call);
    if (!error && (!mt_emitter_ok(&call->emitter) || call->warnings_text.failed))
        error = &mt_error_no_memory;
    mt_watch_done(&call->watch);
    return forget_interrupted(call->session, error);
}

static void begin_call(struct mt_session *session, struct mt_call *ret) {
    const struct mt_host *host = &session->host;
    int32_t told = host->width ? host->width(host->context) : 80;
    size_t width = session->settings.of[MT_SETTING_WIDTH];
    if (width == MT_WIDTH_AUTO)
        width = told > 0 ? (size_t)told : 0;
    *ret = (struct mt_call){.session = session,
                            .argument = "",
                            .watch = {.context = session,
                                      .interrupted = ask_interrupted,
                                      .progress = host->progress ? show_progress : NULL}};
    mt_emitter_init(&ret->emitter, false, width < UINT_MAX ? (unsigned)width : 0);
    mt_json_init(&ret->warnings, &ret->warnings_text);
}

/* Takes over `error` and `text`. */
static const struct mt_answer *end_call(struct mt_call *call, int32_t status, struct mt_error *error,
                                        struct mt_strbuf *text) {
    const struct mt_answer *answer = set_answer(&call->session->answer, status, text);
    mt_error_destroy(error);
    mt_emitter_deinit(&call->emitter);
    mt_strbuf_deinit(&call->warnings_text);
    mt_strbuf_deinit(text);
    return answer;
}

const struct mt_answer *mt_session_run(struct mt_session *session, const char *command_line) {
    struct mt_call call;
    MT_AUTO_FREE char *argument = NULL;
    begin_call(session, &call);
    struct mt_error *error = parse(&call, command_line, &argument);
    if (!error)
        error = run(&call);
    struct mt_strbuf text = MT_STRBUF_INIT;
    if (error)
        write_error(&call, error, &text);
    else if (!call.resumes)
        write_answer(&call, &text);
    int32_t status = error ? 1 : call.resumes ? MT_ANSWER_RESUME : 0;
    const struct mt_answer *answer = end_call(&call, status, error, &text);
    /* A process that we stopped ourselves goes on as soon as it can; a core and a debugger's process stay as they are.
     */
    if ((session->source == SOURCE_PID || session->source == SOURCE_STOPPED) && !session->keeps_stopped) {
        close_target(session);
        mt_handles_reset(&session->handles);
    }
    return answer;
}

const struct mt_answer *mt_session_reached(struct mt_session *session, const char *what, uint64_t address,
                                           uint64_t tid) {
    struct mt_host_description description;
    struct mt_call call;
    bool stays = false;
    begin_call(session, &call);
    /* The end of a step is the answer of the command that began it. */
    bool ends = what && (strcmp(what, MT_PYTHON_STOP_SYMBOL) == 0 || strcmp(what, MT_REACHED_RESUMED) == 0);
    call.command = ends && session->step.command ? session->step.command : &mt_break_command;
    call.emitter.json = ends && session->step.command && session->step.json;
    struct mt_error *error = mt_session_describe(session, &description);
    if (!error) {
        forget_stop(session, &description);
        error = mt_reached(&call, what, address, tid, &stays);
    }
    mt_watch_done(&call.watch);
    struct mt_strbuf text = MT_STRBUF_INIT;
    if (stays && call.emitter.json && !error)
        write_answer(&call, &text);
    else if (!call.emitter.json)
        mt_strbuf_append_bytes(&text, call.emitter.body.data, call.emitter.body.length);
    if (stays || error)
        session->step = (struct mt_step){0};
    if (error) { /* the user is to know */
        write_error(&call, error, &text);
        mt_strbuf_append_char(&text, '\n');
    }
    const struct mt_answer *answer = end_call(&call, stays || error ? 0 : MT_ANSWER_GO_ON, error, &text);
    /* Only the thread that reached it is sure to stand still yet. */
    close_target(session);
    return answer;
}

/* --- sessions --------------------------------------------------------------------------------------------------- */

static bool copy_text(const char *text, char **ret) {
    *ret = text ? strdup(text) : NULL;
    return !text || *ret;
}

/* The directory of this library; NULL: not known, or memory is out. */
static char *own_directory(void) {
    Dl_info place;
    char *path = dladdr((void *)mt_session_create, &place) && place.dli_fname ? realpath(place.dli_fname, NULL) : NULL;
    char *slash = path ? strrchr(path, '/') : NULL;
    if (slash)
        *slash = '\0';
    return path;
}

static struct mt_session *create(enum source source, const struct mt_host *host) {
    struct mt_session *session = calloc(1, sizeof *session);
    if (!session)
        return NULL;
    session->source = source;
    session->library_directory = own_directory();
    mt_settings_init(&session->settings);
    if (host)
        session->host = *host;
    return session;
}

struct mt_session *mt_session_create(const struct mt_host *host, const char *library_directory) {
    struct mt_session *session = create(SOURCE_DEBUGGER, host);
    char *directory;
    if (!session || !copy_text(library_directory, &directory)) {
        mt_session_destroy(session);
        return NULL;
    }
    free(session->library_directory);
    session->library_directory = directory;
    return session;
}

void mt_session_keep_stopped(struct mt_session *session) {
    session->keeps_stopped = true;
}

void mt_session_save_memory(struct mt_session *session) {
    session->saves_memory = true;
}

void mt_session_destroy(struct mt_session *session) {
    if (!session)
        return;
    close_target(session);
    mt_handles_reset(&session->handles);
    mt_breakpoints_deinit(&session->breakpoints);
    mt_ref_sheet_deinit(&session->ref_sheet);
    free(session->environment.preload);
    free(session->environment.level);
    free(session->library_directory);
    free(session->core);
    free(session->executable);
    free(session->completion);
    drop_answer(&session->answer);
    free(session);
}

/* Opening only notes what to open: the first command opens it and tells what is wrong in the form that it was asked
 * for. */
static char opened_text[] = "";
static const struct mt_answer opened = {0, opened_text, 0};

static const struct mt_answer *open_process(enum source source, const struct mt_host *host, int32_t pid,
                                            struct mt_session **ret_session) {
    struct mt_session *session = create(source, host);
    if (!session)
        return &no_memory_answer;
    session->pid = pid;
    *ret_session = session;
    return &opened;
}

const struct mt_answer *mt_session_open_pid(const struct mt_host *host, int32_t pid, struct mt_session **ret_session) {
    return open_process(SOURCE_PID, host, pid, ret_session);
}

const struct mt_answer *mt_session_open_stopped(const struct mt_host *host, int32_t pid,
                                                struct mt_session **ret_session) {
    return open_process(SOURCE_STOPPED, host, pid, ret_session);
}

const struct mt_answer *mt_session_open_core(const struct mt_host *host, const char *core, const char *executable,
                                             struct mt_session **ret_session) {
    struct mt_session *session = create(SOURCE_CORE, host);
    if (!session || !copy_text(core, &session->core) || !copy_text(executable, &session->executable)) {
        mt_session_destroy(session);
        return &no_memory_answer;
    }
    *ret_session = session;
    return &opened;
}

const char *mt_complete(struct mt_session *session, const char *line) {
    struct mt_strbuf out = MT_STRBUF_INIT;
    mt_command_complete(session, line, &out);
    free(session->completion);
    session->completion = mt_strbuf_steal(&out);
    mt_strbuf_deinit(&out);
    return session->completion ? session->completion : "";
}
