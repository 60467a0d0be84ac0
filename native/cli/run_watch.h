/* Following a program by ptrace to its end, without being noticed: its signals, stops and threads are as they would be.
 */
#ifndef MEMTRACE_CLI_RUN_WATCH_H
#define MEMTRACE_CLI_RUN_WATCH_H

#include <stdbool.h>
#include <sys/types.h>

/* For mt_child_start. */
unsigned mt_watch_trace_options(void);

struct mt_watched_end {
    int wait_status;
    bool began; /* the program was executed */
    bool seen;  /* `at_end` was called */
};

/* Follows the process `pid`, traced, until it is gone. When nothing of the program can run any more, and its memory is
 * still there, calls `at_end`. */
struct mt_watched_end mt_watch_traced(pid_t pid, void (*at_end)(void *context), void *context);
/* The same for a process that could not be traced: no `at_end`. */
struct mt_watched_end mt_watch_untraced(pid_t pid);

#endif
