/* MEMTRACE_MAX_HEAP (docs/environment.md): live bytes beyond which the process is reported on and ended.
 *
 * The limit is the last slot of the stops. Who reports is either the tracer that started us, `memtrace run`: it is told
 * by a breakpoint instruction; or the `memtrace` command, which is started then and attaches. Nothing here allocates
 * after the start-up. */
#ifndef MEMTRACE_RECORDER_LIMIT_H
#define MEMTRACE_RECORDER_LIMIT_H

/* Reads the variables; before they are removed, and before recording begins. */
void mt_limit_init(void);

#endif
