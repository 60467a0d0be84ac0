/* The recorder tells of a Python line: a breakpoint, or the end of a step. */
#ifndef MEMTRACE_COMMANDS_PYTHON_HIT_H
#define MEMTRACE_COMMANDS_PYTHON_HIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "commands/command.h"

/* `address`: the struct mt_python_stop_event. */
struct mt_error *mt_python_hit(struct mt_call *call, uint64_t address, bool *ret_stays);
/* The process ran for a step and does not any more: told if it is gone. */
struct mt_error *mt_python_step_end(struct mt_call *call, bool *ret_stays);

#endif
