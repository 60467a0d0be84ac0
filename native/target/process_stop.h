/* Stopping a whole local process for a moment, and letting it go as it was: a running one runs on, a stopped job stays
 * stopped, pending signals arrive, waiting system calls go on waiting. Create, use and release from one thread (ptrace
 * wants that). */
#ifndef MEMTRACE_PROCESS_STOP_H
#define MEMTRACE_PROCESS_STOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct mt_process_stop;

/* When it fails, every thread that was stopped runs again. */
struct mt_error *mt_process_stop_create(pid_t pid, struct mt_process_stop **ret);
/* Lets it go. NULL is fine. */
void mt_process_stop_release(struct mt_process_stop *stop);
/* How long it has been stopped so far. */
double mt_process_stop_seconds(const struct mt_process_stop *stop);

/* --- letting it run for a while ---------------------------------------------------------------------------------- */

struct mt_stopped_thread {
    pid_t tid;
    bool stopped;
    bool gone;
    bool in_stopped_job; /* it stands because the job is stopped, and would stand without us */
    int signal;          /* that it was about to receive when it stopped; 0: none */
};

/* The threads, at any moment of the stop; *ret_count of them. Those that are gone are listed too. */
const struct mt_stopped_thread *mt_process_stop_threads(const struct mt_process_stop *stop, size_t *ret_count);

/* Lets the process run on for at most `milliseconds`, or until thread `tid` has come to `address`, which is that of a
 * system call instruction (which is then not executed) or of the instruction behind one. No breakpoint is set for this:
 * whatever becomes of us, the process runs on. `alone`: only `tid` runs. Threads of a stopped job never run, but for
 * `tid`. All stand still again at the end. address 0: just for that long. An error: `tid` (if not 0) or the process is
 * gone. */
struct mt_error *mt_process_stop_run(struct mt_process_stop *stop, pid_t tid, uint64_t address, unsigned milliseconds,
                                     bool alone, bool *ret_reached);

#endif
