#include "target/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Flags of a task, from the kernel's include/linux/sched.h; stable because /proc/PID/stat shows them. */
#define TASK_EXITING 0x00000004u
#define TASK_KERNEL_THREAD 0x00200000u

/* The start of a small file, NUL-terminated; its length, or -1. */
static ssize_t read_text(const char *path, char *text, size_t size) {
    MT_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t length = 0;
    while (length < size - 1) {
        ssize_t got = read(fd, text + length, size - 1 - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (!got)
            break;
        length += (size_t)got;
    }
    text[length] = '\0';
    return (ssize_t)length;
}

bool mt_proc_task(pid_t pid, pid_t tid, struct mt_proc_task *ret) {
    char path[64], text[512];
    snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)tid);
    if (read_text(path, text, sizeof(text)) <= 0)
        return false;
    const char *after_name = strrchr(text, ')'); /* the name may hold anything, parentheses too */
    char state;
    unsigned flags;
    if (!after_name || sscanf(after_name + 1, " %c %*d %*d %*d %*d %*d %u", &state, &flags) != 2)
        return false;
    *ret = (struct mt_proc_task){state, flags & TASK_KERNEL_THREAD, flags & TASK_EXITING};
    return true;
}

bool mt_proc_identity(pid_t pid, pid_t *ret_process, pid_t *ret_tracer, uid_t *ret_user) {
    char path[64], text[4096];
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    if (read_text(path, text, sizeof(text)) <= 0)
        return false;
    int process, tracer;
    unsigned user;
    const char *process_line = strstr(text, "\nTgid:"), *tracer_line = strstr(text, "\nTracerPid:"),
               *user_line = strstr(text, "\nUid:");
    if (!process_line || !tracer_line || !user_line || sscanf(process_line, "\nTgid: %d", &process) != 1 ||
        sscanf(tracer_line, "\nTracerPid: %d", &tracer) != 1 || sscanf(user_line, "\nUid: %u", &user) != 1)
        return false;
    *ret_process = process;
    *ret_tracer = tracer;
    *ret_user = user;
    return true;
}

struct mt_error *mt_proc_threads(pid_t pid, mt_pids *ret) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *directory = opendir(path);
    if (!directory)
        return mt_error_create(MT_ERROR_NO_PROCESS, "no process %d", (int)pid);
    struct dirent *entry;
    bool ok = true;
    while (ok && (entry = readdir(directory)))
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
            ok = mt_vector_push(ret, (pid_t)strtol(entry->d_name, NULL, 10));
    closedir(directory);
    return ok ? NULL : &mt_error_no_memory;
}

/* On its way out, a thread has let go of the memory already, or will at any moment. */
static bool has_memory(const struct mt_proc_task *task) {
    return task->state != 'Z' && task->state != 'X' && task->state != 'x' && !task->exiting;
}

pid_t mt_proc_living_thread(pid_t pid) {
    struct mt_proc_task task;
    if (mt_proc_task(pid, pid, &task) && has_memory(&task))
        return pid;
    mt_pids threads = {0};
    pid_t living = 0;
    mt_error_destroy(mt_proc_threads(pid, &threads));
    for (size_t i = 0; i < threads.length && !living; i++)
        if (mt_proc_task(pid, threads.data[i], &task) && has_memory(&task))
            living = threads.data[i];
    mt_vector_deinit(&threads);
    return living;
}

/* Undoes the kernel's escapes (\012 for a newline) in place; returns the new length. */
static size_t unescape(char *path, size_t length) {
    size_t put = 0;
    for (size_t i = 0; i < length; i++) {
        if (path[i] == '\\' && i + 3 < length && !strncmp(path + i + 1, "012", 3)) {
            path[put++] = '\n';
            i += 3;
        } else {
            path[put++] = path[i];
        }
    }
    return put;
}

static struct mt_error *add_line(struct mt_regions *regions, char *line, size_t length) {
    struct mt_region region = {0};
    char permissions[5];
    int path_at = 0;
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %n", &region.start, &region.end, permissions,
               &region.file_offset, &path_at) < 4 ||
        !path_at)
        return NULL;
    region.readable = permissions[0] == 'r';
    region.writable = permissions[1] == 'w';
    region.executable = permissions[2] == 'x';
    region.held = region.end - region.start;
    size_t path_length = (size_t)path_at < length ? unescape(line + path_at, length - (size_t)path_at) : 0;
    region.path = path_length ? line + path_at : NULL;
    return mt_regions_add(regions, region, path_length);
}

struct mt_error *mt_proc_regions(pid_t pid, pid_t tid, struct mt_regions *ret) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task/%d/maps", (int)pid, (int)tid);
    FILE *file = fopen(path, "re");
    if (!file)
        return errno == EACCES || errno == EPERM ? mt_proc_permission_error(pid)
                                                 : mt_error_create(MT_ERROR_NO_PROCESS, "no process %d", (int)pid);
    struct mt_regions regions = MT_REGIONS_INIT;
    struct mt_error *error = NULL;
    MT_AUTO_FREE char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    while (!error && (length = getline(&line, &capacity, file)) > 0) {
        if (line[length - 1] == '\n')
            line[--length] = '\0';
        error = add_line(&regions, line, (size_t)length);
    }
    if (!error && ferror(file))
        error = mt_proc_permission_error(pid);
    fclose(file);
    if (error) {
        mt_regions_deinit(&regions);
        return error;
    }
    mt_regions_settle(&regions);
    *ret = regions;
    return NULL;
}

struct mt_error *mt_proc_check(pid_t pid) {
    pid_t process, tracer;
    uid_t user;
    struct mt_proc_task task;
    if (pid <= 0)
        return mt_error_create(MT_ERROR_USAGE, "%d is not the number of a process", (int)pid);
    if (!mt_proc_identity(pid, &process, &tracer, &user))
        return mt_error_create(MT_ERROR_NO_PROCESS, "no process %d", (int)pid);
    if (process != pid)
        return mt_error_create(MT_ERROR_USAGE, "%d is a thread of process %d: give the process", (int)pid,
                               (int)process);
    if (pid == getpid())
        return mt_error_create(MT_ERROR_USAGE, "process %d is memtrace itself", (int)pid);
    if (!mt_proc_task(pid, pid, &task))
        return mt_error_create(MT_ERROR_NO_PROCESS, "no process %d", (int)pid);
    if (task.is_kernel)
        return mt_error_create(MT_ERROR_UNSUPPORTED, "process %d is a kernel thread: it has no memory of its own",
                               (int)pid);
    if (!mt_proc_living_thread(pid))
        return mt_error_create(MT_ERROR_NO_PROCESS,
                               "process %d has ended (a zombie): its memory is gone, ask a core file of it", (int)pid);
    return NULL;
}

bool mt_proc_shares_file(pid_t pid, const char *path) {
    char theirs[PATH_MAX];
    struct stat here, there;
    int length = snprintf(theirs, sizeof theirs, "/proc/%d/root%s", (int)pid, path);
    return length < (int)sizeof theirs && !stat(path, &here) && !stat(theirs, &there) && here.st_dev == there.st_dev &&
           here.st_ino == there.st_ino;
}

struct mt_error *mt_proc_permission_error(pid_t pid) {
    pid_t process = 0, tracer = 0;
    uid_t user = 0;
    if (!mt_proc_identity(pid, &process, &tracer, &user))
        return mt_error_create(MT_ERROR_NO_PROCESS, "no process %d", (int)pid);
    if (tracer && tracer != getpid())
        return mt_error_create(
            MT_ERROR_PERMISSION,
            "may not read pid %d: process %d already debugs it. Ask inside that debugger, or let it detach", (int)pid,
            (int)tracer);
    if (geteuid() && user != geteuid())
        return mt_error_create(MT_ERROR_PERMISSION,
                               "may not read pid %d: it belongs to user %u. Run as root, or with CAP_SYS_PTRACE",
                               (int)pid, (unsigned)user);
    char text[16];
    int scope = read_text("/proc/sys/kernel/yama/ptrace_scope", text, sizeof(text)) > 0 ? atoi(text) : 0;
    if (scope == 1)
        return mt_error_create(
            MT_ERROR_PERMISSION,
            "may not read pid %d: Yama allows only its parent (kernel.yama.ptrace_scope=1). Run as root, "
            "or with CAP_SYS_PTRACE",
            (int)pid);
    if (scope == 2)
        return mt_error_create(
            MT_ERROR_PERMISSION,
            "may not read pid %d: Yama allows only administrators (kernel.yama.ptrace_scope=2). Run as "
            "root, or with CAP_SYS_PTRACE",
            (int)pid);
    if (scope >= 3)
        return mt_error_create(
            MT_ERROR_PERMISSION,
            "may not read pid %d: Yama allows nobody (kernel.yama.ptrace_scope=%d). Take a core file, "
            "and ask that",
            (int)pid, scope);
    return mt_error_create(
        MT_ERROR_PERMISSION,
        "may not read pid %d: the kernel forbids it here (ptrace). Run as root, or with CAP_SYS_PTRACE", (int)pid);
}
