/* Signals while the program of `memtrace run` runs: what somebody sends to us is meant for the program. */
#ifndef MEMTRACE_CLI_RUN_SIGNALS_H
#define MEMTRACE_CLI_RUN_SIGNALS_H

#include <stdbool.h>
#include <sys/types.h>

/* From now on signals that a process sends to us go to `pid`; those that the terminal sends reach both of us anyway,
 * and we ignore ours. Signals that were ignored when we were started stay so. */
void mt_signals_forward(pid_t pid);
/* Back to how it was before. */
void mt_signals_restore(void);
/* Stops us by this stop signal, as the program was, so that the shell sees its job stopped; returns when we are
 * continued. */
void mt_signals_stop_self(int signal_number);
/* Ends as a process with this wait status ended: exits with its status, or dies by its signal (without a core of our
 * own). */
_Noreturn void mt_end_as(int wait_status);

#endif
