/* Stopping a whole local process for a moment, and letting it go as it was: a running one runs on, a stopped job stays
 * stopped, pending signals arrive, waiting system calls go on waiting. Create, use and release from one thread (ptrace
 * wants that). */
#ifndef MEMTRACE_PROCESS_STOP_H
#define MEMTRACE_PROCESS_STOP_H

#include <sys/types.h>

#include "base/error.h"

struct mt_process_stop;

/* When it fails, every thread that was stopped runs again. */
struct mt_error *mt_process_stop_create(pid_t pid, struct mt_process_stop **ret);
/* Lets it go. NULL is fine. */
void mt_process_stop_release(struct mt_process_stop *stop);
/* How long it has been stopped so far. */
double mt_process_stop_seconds(const struct mt_process_stop *stop);

#endif
