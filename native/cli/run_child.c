#define _GNU_SOURCE 1

#include "cli/run_child.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/report.h"

/* The limits of the user's own environment are not ours. */
static bool set_limit(const struct mt_child_options *options) {
    char bytes[24], tracer[16];
    snprintf(bytes, sizeof(bytes), "%" PRIu64, options->max_heap);
    snprintf(tracer, sizeof(tracer), "%d", (int)getppid());
    if (!options->max_heap)
        return !unsetenv("MEMTRACE_MAX_HEAP");
    return !setenv("MEMTRACE_MAX_HEAP", bytes, 1) && !setenv("MEMTRACE_TRACER", tracer, 1);
}

static bool set_environment(const struct mt_child_options *options) {
    MT_AUTO_FREE char *preload = NULL;
    const char *users = getenv("LD_PRELOAD");
    char pid[16];
    if (asprintf(&preload, "%s%s%s", options->recorder, users && *users ? ":" : "", users ? users : "") < 0) {
        preload = NULL;
        return false;
    }
    if (setenv("LD_PRELOAD", preload, 1) || setenv("MEMTRACE_LEVEL", options->level, 1) || !set_limit(options))
        return false;
    if (options->follow)
        return !setenv("MEMTRACE_FOLLOW", "1", 1) && !unsetenv("MEMTRACE_PID");
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    return !setenv("MEMTRACE_PID", pid, 1) && !unsetenv("MEMTRACE_FOLLOW");
}

static _Noreturn void be_the_program(const struct mt_child_options *options, int go_fd, const sigset_t *mask) {
    char byte;
    ssize_t got;
    while ((got = read(go_fd, &byte, 1)) < 0 && errno == EINTR)
        ;
    if (got != 1)
        _exit(MT_EXIT_ERROR); /* our parent died before it began */
    if (!set_environment(options)) {
        mt_complain("out of memory");
        _exit(MT_EXIT_ERROR);
    }
    sigprocmask(SIG_SETMASK, mask, NULL);
    execvp(options->arguments[0], options->arguments);
    int exec_errno = errno;
    mt_complain("can't run %s: %s", options->arguments[0], strerror(exec_errno));
    _exit(exec_errno == ENOENT || exec_errno == ENOTDIR ? MT_EXIT_NOT_FOUND : MT_EXIT_NOT_EXECUTABLE);
}

bool mt_child_start(const struct mt_child_options *options, bool trace, unsigned trace_options, struct mt_child *ret) {
    int go[2];
    if (pipe2(go, O_CLOEXEC))
        return false;
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) {
        close(go[1]);
        be_the_program(options, go[0], &before);
    }
    int fork_errno = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(go[0]);
    if (pid < 0) {
        close(go[1]);
        errno = fork_errno;
        return false;
    }
    *ret = (struct mt_child){.pid = pid, .go_fd = go[1]};
    if (trace && ptrace(PTRACE_SEIZE, pid, NULL, (void *)(unsigned long)trace_options))
        ret->trace_errno = errno;
    return true;
}

void mt_child_go(struct mt_child *child) {
    while (write(child->go_fd, "", 1) < 0 && errno == EINTR)
        ;
    close(child->go_fd);
    child->go_fd = -1;
}

/* The file that execvp will find; false: none. */
static bool find_program(const char *program, char *ret, size_t size) {
    if (strchr(program, '/'))
        return snprintf(ret, size, "%s", program) < (int)size;
    const char *folder = getenv("PATH");
    while (folder) {
        size_t length = strcspn(folder, ":");
        int written = snprintf(ret, size, "%.*s/%s", length ? (int)length : 1, length ? folder : ".", program);
        if (written < (int)size && access(ret, X_OK) == 0)
            return true;
        folder = folder[length] ? folder + length + 1 : NULL;
    }
    return false;
}

bool mt_child_has_special_rights(const char *program) {
    char path[PATH_MAX];
    struct stat status;
    if (geteuid() == 0 || !find_program(program, path, sizeof(path)) || stat(path, &status))
        return false;
    return ((status.st_mode & S_ISUID) && status.st_uid != geteuid()) ||
           ((status.st_mode & S_ISGID) && (status.st_mode & S_IXGRP) && status.st_gid != getegid()) ||
           getxattr(path, "security.capability", NULL, 0) > 0;
}
