#define _GNU_SOURCE 1

#include "attach/loading.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "attach/permitted_calls.h"
#include "attach/remote_call.h"
#include "attach/safe_point.h"
#include "base/cleanup.h"
#include "image/attach.h"
#include "image/image.h"
#include "target/elf_file.h"
#include "target/proc.h"

/* How long a safe point is looked for; how long the process runs between two looks. */
#define SEARCH_SECONDS 5.0
#define PAUSE_MIN_MILLISECONDS 1
#define PAUSE_MAX_MILLISECONDS 20

/* As much of a function as tells it from another build's. */
#define PROBE_BYTES 48

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* --- the safe point ------------------------------------------------------------------------------------------------
 */

struct search {
    struct mt_tracee_thread chosen;
    enum mt_moment moment;
    uint64_t tid; /* of a thread that would not do, and why */
    const char *why;
};

static struct mt_error *look_at_threads(struct mt_tracee *tracee, struct mt_backtraces *backtraces,
                                        const mt_tracee_threads *threads, struct search *search) {
    mt_code_frames frames = {0};
    struct mt_error *error = NULL;
    for (size_t i = 0; i < threads->length && !error; i++) {
        const struct mt_tracee_thread *thread = &threads->data[i];
        /* Where all the others run on, one that waits is enough. */
        if (search->moment == MT_MOMENT_WAIT && !tracee->is_stopped_job)
            break;
        bool complete = false;
        const char *why;
        frames.length = 0;
        error = mt_backtraces_of(backtraces, thread, &frames, &complete);
        if (error)
            break;
        enum mt_moment moment = mt_moment_of(thread, frames.data, frames.length, complete, &why);
        if (moment > search->moment) {
            search->moment = moment;
            search->chosen = *thread;
        } else if (moment == MT_MOMENT_BAD) {
            search->tid = thread->tid;
            search->why = why;
        }
    }
    mt_vector_deinit(&frames);
    /* None of those that are kept standing may hold a lock. */
    if (!error && tracee->is_stopped_job && search->why)
        search->moment = MT_MOMENT_BAD;
    return error;
}

static struct mt_error *look(struct mt_tracee *tracee, struct search *search) {
    mt_tracee_threads threads = {0};
    struct mt_backtraces *backtraces = NULL;
    tracee->target->regions_loaded = false; /* it has run since */
    search->moment = MT_MOMENT_BAD;
    struct mt_error *error = mt_backtraces_create(tracee, &backtraces);
    if (!error)
        error = mt_tracee_threads_of(tracee, &threads);
    if (!error)
        error = look_at_threads(tracee, backtraces, &threads, search);
    mt_backtraces_destroy(backtraces);
    mt_vector_deinit(&threads);
    return error;
}

static struct mt_error *no_safe_point(const struct mt_tracee *tracee, const struct search *search) {
    const char *advice = tracee->is_stopped_job ? "let the job go on (SIGCONT), and try again" : "try again later";
    if (!search->why)
        return mt_error_create(MT_ERROR_SYSTEM, "process %d has no thread that could load the recorder: %s",
                               (int)tracee->pid, advice);
    return mt_error_create(MT_ERROR_SYSTEM,
                           "no moment to load the recorder was found in process %d: thread %" PRIu64
                           " is %s. Nothing was "
                           "changed: %s",
                           (int)tracee->pid, search->tid, search->why, advice);
}

static struct mt_error *find_safe_point(const struct mt_loading *loading, struct mt_tracee_thread *ret) {
    struct mt_tracee *tracee = loading->tracee;
    struct search search = {0};
    double limit = now() + SEARCH_SECONDS;
    uint32_t pause = PAUSE_MIN_MILLISECONDS;
    for (;;) {
        struct mt_error *error = look(tracee, &search);
        if (error || search.moment != MT_MOMENT_BAD) {
            *ret = search.chosen;
            return error;
        }
        if (tracee->is_stopped_job || now() > limit)
            return no_safe_point(tracee, &search);
        bool ignored;
        error = mt_watch_poll(loading->watch, "looking for a moment to load the recorder");
        if (!error)
            error = tracee->ops->run(tracee, 0, 0, pause, false, &ignored);
        if (error)
            return error;
        pause = pause * 2 < PAUSE_MAX_MILLISECONDS ? pause * 2 : PAUSE_MAX_MILLISECONDS;
    }
}

/* --- the recorder's file in the process -----------------------------------------------------------------------------
 */

static struct mt_error *copy_file(const char *from, const char *to) {
    MT_AUTO_CLOSE int in = open(from, O_RDONLY | O_CLOEXEC);
    MT_AUTO_CLOSE int out = open(to, O_WRONLY | O_CLOEXEC);
    if (in < 0 || out < 0)
        return mt_error_system(errno, "can't hand %s to the process", from);
    ssize_t sent;
    while ((sent = sendfile(out, in, NULL, 1 << 20)) > 0)
        ;
    return sent < 0 ? mt_error_system(errno, "can't hand %s to the process", from) : NULL;
}

/* A file in the process's memory, which takes no file system that both can see. */
static struct mt_error *make_memory_file(struct mt_remote_calls *calls, const char *recorder, int *ret_fd) {
    uint64_t name = 0;
    int64_t fd = -1;
    char path[64];
    struct mt_error *error = mt_remote_string(calls, "libmemtrace-recorder.so", &name);
    if (!error)
        error = mt_remote_system_call(calls, SYS_memfd_create, (const uint64_t[6]){name, MFD_CLOEXEC}, &fd);
    if (!error && fd < 0)
        error = mt_error_system((int)-fd, "process %d does not see %s, and may not make a file in memory",
                                (int)calls->tracee->pid, recorder);
    if (error)
        return error;
    *ret_fd = (int)fd;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)calls->tracee->pid, (int)fd);
    return copy_file(recorder, path);
}

/* --- calls ----------------------------------------------------------------------------------------------------------
 */

static struct mt_error *loader_error(struct mt_remote_calls *calls) {
    uint64_t text = 0;
    char message[512] = "";
    struct mt_error *error = mt_remote_call(calls, "dlerror", calls->library->dlerror, (const uint64_t[2]){0}, &text);
    if (error)
        return error;
    for (size_t i = 0; text && i < sizeof message - 1; i++)
        if (calls->tracee->target->ops->read(calls->tracee->target, text + i, &message[i], 1) != 1 || !message[i])
            break;
    /* Of thread-local storage there is always enough for what is loaded at the start. */
    const char *advice = strstr(message, "static TLS") ? ": start it recorded, `memtrace run -- PROGRAM`" : "";
    return mt_error_create(MT_ERROR_UNSUPPORTED, "the process's loader refused the recorder: %s%s",
                           message[0] ? message : "it does not say why", advice);
}

static struct mt_error *load(struct mt_remote_calls *calls, const char *path, uint64_t *ret_handle) {
    uint64_t text = 0, handle = 0;
    struct mt_error *error = mt_remote_string(calls, path, &text);
    if (!error)
        error = mt_remote_call(calls, "dlopen", calls->library->dlopen,
                               (const uint64_t[2]){text, RTLD_NOW | RTLD_LOCAL}, &handle);
    if (!error && !handle)
        error = loader_error(calls);
    if (!error)
        *ret_handle = handle;
    return error;
}

static struct mt_error *load_and_find(struct mt_remote_calls *calls, const char *recorder, uint64_t *ret_function) {
    char path[PATH_MAX];
    int fd = -1;
    uint64_t handle = 0, name = 0, function = 0;
    struct mt_error *error = NULL;
    if (mt_proc_shares_file(calls->tracee->pid, recorder)) {
        snprintf(path, sizeof path, "%s", recorder);
    } else {
        error = make_memory_file(calls, recorder, &fd);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    if (!error)
        error = load(calls, path, &handle);
    if (!error)
        error = mt_remote_string(calls, MT_ATTACH_SYMBOL, &name);
    if (!error)
        error = mt_remote_call(calls, "dlsym", calls->library->dlsym, (const uint64_t[2]){handle, name}, &function);
    if (!error && !function)
        error = mt_error_create(MT_ERROR_UNSUPPORTED, "%s is an older recorder, which can't be loaded into a process",
                                recorder);
    if (fd >= 0 && !calls->is_abandoned) {
        int64_t ignored;
        struct mt_error *closing = mt_remote_system_call(calls, SYS_close, (const uint64_t[6]){(uint64_t)fd}, &ignored);
        if (error)
            mt_error_destroy(closing);
        else
            error = closing;
    }
    if (!error)
        *ret_function = function;
    return error;
}

/* In a recorder that is loaded, as far from its image as in the file `fd` (closed here; -1: there is none), if that is
 * the same build. */
static bool find_by_file(const struct mt_loading *loading, int fd, const char *name, uint64_t *ret) {
    struct mt_elf_range image, function;
    uint8_t theirs[PROBE_BYTES], ours[PROBE_BYTES];
    MT_AUTO_CLOSE int again = fd >= 0 ? dup(fd) : -1;
    struct mt_elf_file *file = fd >= 0 ? mt_elf_file_create(fd) : NULL;
    bool found = file && mt_elf_file_find_symbol(file, MT_SYMBOLS_DYNAMIC, MT_IMAGE_SYMBOL, &image) &&
                 mt_elf_file_find_symbol(file, MT_SYMBOLS_DYNAMIC, name, &function);
    mt_elf_file_destroy(file);
    if (!found)
        return false;
    uint64_t address = loading->image - image.address + function.address;
    /* Code lies in the file at the address that it is linked for. */
    found =
        again >= 0 && pread(again, ours, sizeof ours, (off_t)function.address) == sizeof ours &&
        loading->tracee->target->ops->read(loading->tracee->target, address, theirs, sizeof theirs) == sizeof theirs &&
        !memcmp(ours, theirs, sizeof ours);
    if (found)
        *ret = address;
    return found;
}

/* Of a recorder that is loaded. Its own file is right also when another has taken its place since, but then only the
 * administrator can open it. */
static struct mt_error *find_in_loaded(const struct mt_loading *loading, const char *name, uint64_t *ret) {
    struct mt_target *target = loading->tracee->target;
    const struct mt_region *regions, *region;
    size_t count;
    struct mt_error *error = mt_target_regions(target, &regions, &count);
    if (error)
        return error;
    region = mt_region_of(regions, count, loading->image);
    if ((region && region->path && find_by_file(loading, mt_target_open_file(target, region), name, ret)) ||
        find_by_file(loading, open(loading->recorder, O_RDONLY | O_CLOEXEC), name, ret))
        return NULL;
    return mt_error_create(MT_ERROR_UNSUPPORTED,
                           "process %d has loaded another build of the recorder than %s, and its file is gone: run as "
                           "root, who can still open it, or use the memtrace that loaded it",
                           (int)loading->tracee->pid, loading->recorder);
}

static unsigned way_of(const struct mt_loading *loading) {
    bool by_memory = !loading->image && !mt_proc_shares_file(loading->tracee->pid, loading->recorder);
    return (by_memory ? MT_CALLS_BY_MEMORY : 0u) | (loading->tracee->has_breakpoints ? MT_CALLS_BY_DEBUGGER : 0u) |
           (loading->trust_filters ? MT_CALLS_TRUST_FILTERS : 0u);
}

/* `name`: of a function of the recorder, which gets `argument`. */
static struct mt_error *call_recorder_once(const struct mt_loading *loading, const char *name, uint64_t argument,
                                           uint32_t *ret) {
    struct mt_c_library library;
    struct mt_tracee_thread thread;
    struct mt_remote_calls calls;
    uint64_t function = 0, result = 0;
    pid_t pid = loading->tracee->pid;
    struct mt_error *error = mt_c_library_find(loading->tracee->target, &library);
    if (!error)
        error = mt_permitted_calls_check(pid, way_of(loading));
    if (!error && loading->image)
        error = find_in_loaded(loading, name, &function);
    if (!error)
        error = find_safe_point(loading, &thread);
    if (!error)
        error = mt_remote_calls_begin(loading->tracee, &library, &thread, &calls);
    if (error)
        return error;
    if (!function)
        error = load_and_find(&calls, loading->recorder, &function);
    if (!error)
        error = mt_remote_call(&calls, "the recorder", function, (const uint64_t[2]){argument}, &result);
    struct mt_error *ending = mt_remote_calls_end(&calls);
    if (error)
        mt_error_destroy(ending);
    else if (ending)
        error = ending;
    else
        *ret = (uint32_t)result;
    return error;
}

/* `busy`: what the function returns when it is to be called again after the process ran on. */
static struct mt_error *call_recorder(struct mt_loading loading, const char *name, uint64_t argument, uint32_t busy,
                                      uint32_t *ret) {
    double limit = now() + SEARCH_SECONDS;
    for (;;) {
        bool ignored;
        struct mt_error *error = call_recorder_once(&loading, name, argument, ret);
        if (error || *ret != busy)
            return error;
        if (loading.tracee->is_stopped_job || now() > limit)
            return mt_error_create(MT_ERROR_SYSTEM,
                                   "a thread of process %d stands inside the recorder: try again later",
                                   (int)loading.tracee->pid);
        error = mt_watch_poll(loading.watch, "waiting for the recorder");
        if (!error)
            error = loading.tracee->ops->run(loading.tracee, 0, 0, PAUSE_MAX_MILLISECONDS, false, &ignored);
        if (error)
            return error;
    }
}

struct mt_error *mt_loading_attach(const struct mt_loading *loading, uint32_t level) {
    uint32_t result = 0;
    struct mt_error *error = call_recorder(*loading, MT_ATTACH_SYMBOL, level, MT_ATTACH_BUSY, &result);
    if (error)
        return error;
    switch ((enum mt_attach_result)result) {
    case MT_ATTACH_RECORDING:
    case MT_ATTACH_ALREADY:
        return NULL;
    case MT_ATTACH_BUSY:
        break; /* not here any more */
    case MT_ATTACH_OTHER:
        return mt_error_create(MT_ERROR_UNSUPPORTED, "another copy of the recorder is in this process already");
    case MT_ATTACH_NO_MEMORY:
        return mt_error_create(MT_ERROR_SYSTEM, "the process has no memory left for the recorder's tables (a limit?)");
    case MT_ATTACH_NO_MALLOC:
        return mt_error_create(MT_ERROR_UNSUPPORTED,
                               "the recorder found no malloc in this process that it could watch");
    case MT_ATTACH_FORBIDDEN:
        return mt_error_create(
            MT_ERROR_UNSUPPORTED,
            "the process may not change its libraries' tables (SELinux, seccomp): start it recorded, "
            "`memtrace run -- PROGRAM`");
    case MT_ATTACH_BAD_LEVEL:
        return mt_error_create(MT_ERROR_UNSUPPORTED, "the recorder in this process does not know this level");
    }
    return mt_error_create(MT_ERROR_UNSUPPORTED, "the recorder in this process answers %u: use one of this version",
                           (unsigned)result);
}

struct mt_error *mt_loading_detach(const struct mt_loading *loading) {
    uint32_t result = 0;
    struct mt_error *error = call_recorder(*loading, MT_DETACH_SYMBOL, 0, MT_DETACH_BUSY, &result);
    if (!error && result == MT_DETACH_NOT_ATTACHED)
        error = mt_error_create(MT_ERROR_NOT_RECORDED, "nothing is being recorded");
    return error;
}
