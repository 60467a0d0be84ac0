/* Following a program by ptrace to its end, without being noticed: its signals, stops and threads are as they would be.
 */
#ifndef MEMTRACE_CLI_RUN_WATCH_H
#define MEMTRACE_CLI_RUN_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* For mt_child_start. */
unsigned mt_watch_trace_options(void);

struct mt_watched_end {
    int wait_status;
    bool began; /* the program was executed */
    bool seen;  /* `at_end` or `at_limit` was called */
    bool passed_limit;
};

struct mt_watch_handlers {
    /* Nothing of the program can run any more, and its memory is still there. */
    void (*at_end)(void *context);
    /* The recorder says that the heap has passed its limit, in thread `tid`; `event` is the address of its struct
     * mt_stop_event. All threads stand still. When this returns the program is killed, and `at_end` is not called. NULL
     * unless there is a limit. */
    void (*at_limit)(void *context, pid_t tid, uint64_t event);
    void *context;
};

/* Follows the process `pid`, traced, until it is gone. */
struct mt_watched_end mt_watch_traced(pid_t pid, const struct mt_watch_handlers *handlers);
/* The same for a process that could not be traced: no `at_end`. */
struct mt_watched_end mt_watch_untraced(pid_t pid);

#endif
