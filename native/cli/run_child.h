/* Starting the program of `memtrace run`: as a shell would, but for a few environment variables. */
#ifndef MEMTRACE_CLI_RUN_CHILD_H
#define MEMTRACE_CLI_RUN_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct mt_child_options {
    const char *recorder; /* path of the library to preload */
    const char *level;    /* "objects" or "heap" */
    bool follow;          /* record its children too, and what they run */
    uint64_t max_heap;    /* live bytes beyond which it is to trap; 0: none */
    char **arguments;     /* NULL-terminated; the first is the program, looked up in PATH */
};

struct mt_child {
    pid_t pid;
    int go_fd;       /* closed to let it begin */
    int trace_errno; /* 0: it is traced */
};

/* Forks and, unless `trace` is false, takes hold of the child by ptrace with these options. The child then waits. Must
 * be called before any signal handling is changed, since the program inherits that. False: it failed, and errno says
 * why. */
bool mt_child_start(const struct mt_child_options *options, bool trace, unsigned trace_options, struct mt_child *ret);
void mt_child_go(struct mt_child *child);

/* Would the kernel take special rights away from this program if we traced it? They matter more than our report. */
bool mt_child_has_special_rights(const char *program);

#endif
