#include "commands/record.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "attach/loading.h"
#include "base/cleanup.h"
#include "commands/preload.h"
#include "commands/request.h"
#include "commands/session.h"

#define RECORDER "libmemtrace-recorder.so"
#define LEVEL_VARIABLE "MEMTRACE_LEVEL"
#define PRELOAD_VARIABLE "LD_PRELOAD"

/* Our recorder library's file. `loaded`: it is in the process, and may be gone here. */
static struct mt_error *recorder_file(struct mt_call *call, bool loaded, char **ret) {
    struct mt_strbuf path = MT_STRBUF_INIT;
    mt_strbuf_printf(&path, "%s/" RECORDER, mt_session_library_directory(call->session));
    char *text = mt_strbuf_steal(&path);
    if (!text)
        return &mt_error_no_memory;
    struct mt_error *error = NULL;
    if (!loaded && access(text, R_OK) != 0)
        error = mt_error_create(MT_ERROR_NOT_FOUND, "the recorder %s is not there: build it with `make`", text);
    if (error)
        free(text);
    else
        *ret = text;
    return error;
}

/* The same as LD_PRELOAD can hold it. */
static struct mt_error *recorder_path(struct mt_call *call, char **ret) {
    char *text = NULL;
    struct mt_error *error = recorder_file(call, false, &text);
    if (!error && strpbrk(text, ": "))
        error = mt_error_create(
            MT_ERROR_UNSUPPORTED,
            "the recorder's path %s has a blank or a colon, which LD_PRELOAD can't hold: move memtrace", text);
    if (error)
        free(text);
    else
        *ret = text;
    return error;
}

/* The debugger whose next `run` can be prepared. */
static struct mt_error *environment_host(struct mt_call *call, const struct mt_host **ret) {
    const struct mt_host *host = mt_session_debugger(call->session);
    if (!host || !host->set_environment || !host->get_environment)
        return mt_error_create(MT_ERROR_NO_PROCESS,
                               "no process to record: use `memtrace run [--level LEVEL] -- PROGRAM`");
    *ret = host;
    return NULL;
}

static struct mt_error *set_variable(const struct mt_host *host, const char *name, const char *value) {
    if (host->set_environment(host->context, name, value) != 0)
        return mt_error_create(MT_ERROR_SYSTEM, "the debugger did not set %s for the next `run`", name);
    return NULL;
}

/* What the next `run` would give `name`, as a copy; *ret is NULL when nothing. */
static struct mt_error *get_variable(const struct mt_host *host, const char *name, char **ret) {
    const char *value = host->get_environment(host->context, name);
    char *copy = value ? strdup(value) : NULL;
    if (value && !copy)
        return &mt_error_no_memory;
    *ret = copy;
    return NULL;
}

/* The debugger, the recorder's path, and what the next `run` would preload; the caller frees both texts, also after an
 * error. */
static struct mt_error *find_preload(struct mt_call *call, const struct mt_host **ret_host, char **ret_path,
                                     char **ret_preload) {
    struct mt_error *error = environment_host(call, ret_host);
    if (!error)
        error = recorder_path(call, ret_path);
    return error ? error : get_variable(*ret_host, PRELOAD_VARIABLE, ret_preload);
}

static void emit_action(struct mt_call *call, const char *action, uint32_t level) {
    mt_emit_string(&call->emitter, "action", action);
    if (mt_level_name(level))
        mt_emit_string(&call->emitter, "level", mt_level_name(level));
}

/* --- before the program runs ------------------------------------------------------------------------------------ */

static struct mt_error *arm(struct mt_call *call) {
    const struct mt_host *host = NULL;
    MT_AUTO_FREE char *path = NULL, *preload = NULL, *level = NULL, *value = NULL;
    struct mt_session_environment *saved = mt_session_environment(call->session);
    struct mt_error *error = find_preload(call, &host, &path, &preload);
    if (!error)
        error = get_variable(host, LEVEL_VARIABLE, &level);
    if (error)
        return error;
    if (!mt_preload_contains(preload, path)) {
        value = mt_preload_with(preload, path);
        if (!value)
            return &mt_error_no_memory;
        error = set_variable(host, PRELOAD_VARIABLE, value);
        if (error)
            return error;
        free(saved->preload);
        free(saved->level);
        *saved = (struct mt_session_environment){.armed = true, .preload = preload, .level = level};
        preload = level = NULL;
    }
    error = set_variable(host, LEVEL_VARIABLE, mt_level_name(call->options.level));
    if (error)
        return error;
    emit_action(call, "armed", call->options.level);
    mt_emit_line(&call->emitter, "the next `run` records from its first instruction on, level %s",
                 mt_level_name(call->options.level));
    return NULL;
}

struct mt_error *mt_record_is_armed(struct mt_call *call, bool *ret) {
    const struct mt_host *host = NULL;
    MT_AUTO_FREE char *path = NULL, *preload = NULL;
    struct mt_error *error = find_preload(call, &host, &path, &preload);
    if (!error)
        *ret = mt_preload_contains(preload, path);
    return error;
}

static struct mt_error *disarm(struct mt_call *call, bool *ret_done) {
    const struct mt_host *host = NULL;
    MT_AUTO_FREE char *path = NULL, *preload = NULL, *rest = NULL;
    struct mt_session_environment *saved = mt_session_environment(call->session);
    struct mt_error *error = find_preload(call, &host, &path, &preload);
    if (error)
        return error;
    if (!mt_preload_contains(preload, path)) {
        *ret_done = false;
        return NULL;
    }
    rest = mt_preload_without(preload, path);
    if (!rest)
        return &mt_error_no_memory;
    /* An empty variable is not the same as none. */
    bool none = rest[0] == '\0' && !(saved->armed && saved->preload);
    error = set_variable(host, PRELOAD_VARIABLE, none ? NULL : rest);
    if (!error)
        error = set_variable(host, LEVEL_VARIABLE, saved->level);
    if (error)
        return error;
    free(saved->preload);
    free(saved->level);
    *saved = (struct mt_session_environment){0};
    *ret_done = true;
    return NULL;
}

/* --- while it runs ---------------------------------------------------------------------------------------------- */

/* The recorder is there since the program started: it is asked. */
static struct mt_error *request_start(struct mt_call *call, struct mt_image *image) {
    struct mt_error *error;
    const struct mt_image_header *header = &image->header;
    uint32_t level = call->options.level, generation = header->generation;
    if (header->state == MT_RECORDING_DORMANT)
        return mt_error_create(MT_ERROR_UNSUPPORTED,
                               "the recorder in this process was told to leave this program alone");
    enum mt_request asked = mt_image_pending(image);
    bool pending = asked == MT_REQUEST_START;
    bool recording = header->state == MT_RECORDING_ON && asked != MT_REQUEST_STOP;
    uint32_t current = pending ? header->request_argument : header->level;
    const char *name = mt_level_name(current);
    if ((pending || recording) && current != level && (call->options.given & MT_OPTION_LEVEL))
        return mt_error_create(MT_ERROR_USAGE, "already recording at level %s: `memtrace record stop` first",
                               name ? name : "?");
    if (pending || recording) {
        emit_action(call, "none", current);
        mt_emit_line(&call->emitter, "already recording, level %s", name ? name : "?");
    } else if (header->state == MT_RECORDING_ON && header->level == level) {
        /* A stop was asked for and has not happened yet; a mark that was to come before it still comes. */
        bool mark = mt_image_mark_is_pending(image);
        error = mt_request_write(call, image, mark ? MT_REQUEST_MARK : MT_REQUEST_NONE, mark ? generation + 1 : 0);
        if (error)
            return error;
        emit_action(call, "cancel", level);
        mt_emit_line(&call->emitter, "recording goes on, level %s", mt_level_name(level));
    } else {
        error = mt_request_write(call, image, MT_REQUEST_START, level);
        if (error)
            return error;
        emit_action(call, "start", level);
        mt_emit_line(&call->emitter, "recording begins at the next allocation, level %s", mt_level_name(level));
    }
    mt_emit_unsigned(&call->emitter, "generation", generation);
    return NULL;
}

/* --- while it runs, and was started without the recorder ---------------------------------------------------------- */

/* Has the recorder to be called, for no event of the process comes to it? */
static bool is_unhooked(const struct mt_image_header *header) {
    return header->minor > 0 && (header->hooked == MT_HOOKED_NOT || header->hooked == MT_HOOKED_OUT);
}

/* The image's address, 0 when the process does not carry the recorder. */
static struct mt_error *find_image(struct mt_call *call, struct mt_image **ret) {
    struct mt_error *error = mt_call_image(call, ret);
    if (error && error->code == MT_ERROR_NOT_RECORDED) {
        mt_error_destroy(error);
        *ret = NULL;
        return NULL;
    }
    return error;
}

/* `call_recorder`: attaches or detaches. Everything read from the process is dropped. */
static struct mt_error *call_into_process(struct mt_call *call, uint64_t image,
                                          struct mt_error *(*call_recorder)(const struct mt_loading *loading,
                                                                            uint32_t level)) {
    MT_AUTO_FREE char *recorder = NULL;
    struct mt_tracee *tracee = NULL;
    struct mt_error *error = recorder_file(call, image != 0, &recorder);
    if (!error)
        error = mt_session_tracee(call->session, &tracee);
    if (error)
        return error;
    struct mt_loading loading = {
        .tracee = tracee,
        .recorder = recorder,
        .image = image,
        .trust_filters = call->options.given & MT_OPTION_FORCE,
        .watch = &call->watch,
    };
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    error = call_recorder(&loading, call->options.level);
    mt_tracee_destroy(tracee);
    clock_gettime(CLOCK_MONOTONIC, &end);
    mt_session_note_lent(call->session,
                         (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) * 1e-9);
    return error;
}

static struct mt_error *attach(struct mt_call *call, uint64_t address) {
    struct mt_image *image;
    struct mt_error *error = call_into_process(call, address, mt_loading_attach);
    if (!error)
        error = mt_request_image(call, &image);
    if (error)
        return error;
    emit_action(call, "attach", image->header.level);
    mt_emit_line(&call->emitter, "recording, level %s; what was allocated before is not known",
                 mt_level_name(image->header.level));
    mt_emit_unsigned(&call->emitter, "generation", image->header.generation);
    return NULL;
}

static struct mt_error *detach(const struct mt_loading *loading, uint32_t level) {
    return mt_loading_detach(loading);
}

static struct mt_error *start_in_process(struct mt_call *call) {
    struct mt_image *image;
    struct mt_error *error = find_image(call, &image);
    if (error)
        return error;
    if (image && !is_unhooked(&image->header))
        return request_start(call, image);
    return attach(call, image ? image->address : 0);
}

static struct mt_error *run_record(struct mt_call *call) {
    struct mt_host_description description;
    struct mt_error *error = mt_request_describe(call, "recorded", &description);
    if (error)
        return error;
    return description.kind == MT_HOST_NONE ? arm(call) : start_in_process(call);
}

static struct mt_error *stop_in_process(struct mt_call *call) {
    struct mt_image *image;
    struct mt_error *error = mt_request_image(call, &image);
    if (error)
        return error;
    const struct mt_image_header *header = &image->header;
    uint32_t level = header->level, generation = header->generation;
    if (header->minor > 0 && header->hooked == MT_HOOKED_SLOTS) {
        error = call_into_process(call, image->address, detach);
        if (error)
            return error;
        emit_action(call, "detach", level);
        mt_emit_line(&call->emitter, "recording has ended, and the recorder is out of the process's way; what was "
                                     "recorded stays readable");
        mt_emit_unsigned(&call->emitter, "generation", generation);
        return NULL;
    }
    enum mt_request asked = mt_image_pending(image);
    if (asked == MT_REQUEST_START) {
        error = mt_request_write(call, image, MT_REQUEST_NONE, 0);
        if (error)
            return error;
        emit_action(call, "cancel", level);
        mt_emit_line(&call->emitter, "recording will not begin");
    } else if (header->state != MT_RECORDING_ON || asked == MT_REQUEST_STOP) {
        return mt_error_create(MT_ERROR_NOT_RECORDED, "nothing is being recorded");
    } else {
        /* A mark of this very stop is set before recording ends. */
        error = mt_request_write(call, image, MT_REQUEST_STOP, asked == MT_REQUEST_MARK ? generation + 1 : 0);
        if (error)
            return error;
        emit_action(call, "stop", level);
        mt_emit_line(&call->emitter, "recording ends at the next allocation; what was recorded stays readable");
    }
    mt_emit_unsigned(&call->emitter, "generation", generation);
    return NULL;
}

static struct mt_error *run_record_stop(struct mt_call *call) {
    struct mt_host_description description;
    struct mt_error *error = mt_request_describe(call, "recorded", &description);
    if (error)
        return error;
    if (description.kind != MT_HOST_NONE)
        return stop_in_process(call);
    bool done;
    error = disarm(call, &done);
    if (error)
        return error;
    if (!done)
        return mt_error_create(MT_ERROR_NOT_RECORDED, "nothing to stop: `memtrace record` was not used");
    emit_action(call, "disarmed", MT_LEVEL_NONE);
    mt_emit_line(&call->emitter, "the next `run` will not record");
    return NULL;
}

const struct mt_command mt_record_command = {
    .name = "record",
    .summary = "Begin recording: at the next `run`, or now in a process that runs already.",
    .options = MT_OPTION_LEVEL | MT_OPTION_FORCE | MT_OPTION_JSON,
    .details =
        "Before `run`, the recorder is put into LD_PRELOAD of the program that the debugger starts. In a process that "
        "was started with it, recording begins at the next allocation of any thread. Into another process it is "
        "loaded: "
        "one thread of it is made to call the loader, at a moment at which it holds no lock that matters. What was "
        "allocated before that is not known; its frees are counted and left out. A process that can't be recorded so "
        "is "
        "refused: its seccomp filters, for one, are read beforehand, which takes root.",
    .run = run_record,
};

const struct mt_command mt_record_stop_command = {
    .name = "record stop",
    .summary = "End recording; what was recorded stays readable.",
    .options = MT_OPTION_FORCE | MT_OPTION_JSON,
    .details = "Before `run`, it takes back what `memtrace record` did to the environment of the next `run`.",
    .run = run_record_stop,
};
