/* What /proc says about a local process. */
#ifndef MEMTRACE_PROC_H
#define MEMTRACE_PROC_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/vector.h"
#include "target/regions.h"

struct mt_proc_task {
    char state;     /* R, S, D, T, t, Z, X ... */
    bool is_kernel; /* a kernel thread */
    bool exiting;   /* on its way out: it runs no more code of the program */
};

typedef MT_VECTOR(pid_t) mt_pids;

/* One thread of a process; false: it is not there. */
bool mt_proc_task(pid_t pid, pid_t tid, struct mt_proc_task *ret);
/* The process that a task belongs to, its tracer (0: none) and its user; false: it is not there. */
bool mt_proc_identity(pid_t pid, pid_t *ret_process, pid_t *ret_tracer, uid_t *ret_user);
/* All threads of a process, dead main thread included. */
struct mt_error *mt_proc_threads(pid_t pid, mt_pids *ret);
/* A thread that still has the process's memory: the main one, unless it ended before the others. 0: none. */
pid_t mt_proc_living_thread(pid_t pid);
/* The mappings that thread `tid` of `pid` sees, in order. */
struct mt_error *mt_proc_regions(pid_t pid, pid_t tid, struct mt_regions *ret);
/* NULL when a process of the user can be examined at all, else why not: not there, ended, ourselves, a kernel thread,
 * only a thread. */
struct mt_error *mt_proc_check(pid_t pid);
/* Whether the process finds the same file by a path as we do: it may have a root or a mount namespace of its own. */
bool mt_proc_shares_file(pid_t pid, const char *path);
/* The one line for a refused ptrace or memory read. */
struct mt_error *mt_proc_permission_error(pid_t pid);

#endif
