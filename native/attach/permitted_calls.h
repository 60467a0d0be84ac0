/* Whether a process may make the system calls that recording takes. Some seccomp filters kill the process for a call
 * that they don't know, and then it would have died of us: so they are read and asked before anything is called. */
#ifndef MEMTRACE_PERMITTED_CALLS_H
#define MEMTRACE_PERMITTED_CALLS_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

enum mt_calls_way {
    MT_CALLS_BY_MEMORY = 1,     /* the recorder's file comes to it in memory (memfd_create) */
    MT_CALLS_BY_DEBUGGER = 2,   /* with breakpoints in its code: it is guarded from them (trap_guard.h) */
    MT_CALLS_TRUST_FILTERS = 4, /* takes filters that can't be read for such that allow it all */
};

/* `pid` stands still. NULL: all its threads may make the calls that loading takes in this way (a sum of mt_calls_way).
 * Filters can be read by the administrator alone, and by the one who traces the process. */
struct mt_error *mt_permitted_calls_check(pid_t pid, unsigned way);

#endif
