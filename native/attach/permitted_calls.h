/* Whether a process may make the system calls that recording takes. Some seccomp filters kill the process for a call
 * that they don't know, and then it would have died of us: so they are read and asked before anything is called. */
#ifndef MEMTRACE_PERMITTED_CALLS_H
#define MEMTRACE_PERMITTED_CALLS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/* `pid` stands still. NULL: all its threads may make them. `by_memory`: the recorder's file comes to it in memory
 * (memfd_create). Filters can be read by the administrator alone, and by the one who traces the process: `trust` takes
 * those that can't be read for such that allow it all. */
struct mt_error *mt_permitted_calls_check(pid_t pid, bool by_memory, bool trust);

#endif
