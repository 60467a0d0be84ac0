/* What the library does when a thread reaches what it had asked the debugger to stop at. */
#ifndef MEMTRACE_COMMANDS_REACHED_H
#define MEMTRACE_COMMANDS_REACHED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "commands/command.h"

/* mt_session_reached(): `what` is the symbol of a function (NULL: a watchpoint), `address` its first argument, `tid`
 * the thread (0: unknown). *ret_stays: the process stays stopped, and what was emitted says why. */
struct mt_error *mt_reached(struct mt_call *call, const char *what, uint64_t address, uint64_t tid, bool *ret_stays);

#endif
