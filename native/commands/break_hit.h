/* The recorder's hook was reached: which memory breakpoints are hit, and what to tell of them. */
#ifndef MEMTRACE_COMMANDS_BREAK_HIT_H
#define MEMTRACE_COMMANDS_BREAK_HIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "commands/command.h"

/* `address`: the hook's argument; 0: a recorder has just come to life, and its slots want to be written. */
struct mt_error *mt_break_hit(struct mt_call *call, uint64_t address, uint64_t tid, bool *ret_stays);

/* Whether its condition, if it has one, lets it stop here. One without a value does, as those of debuggers do, and that
 * is told. */
struct mt_breakpoint;
struct mt_error *mt_break_condition_holds(struct mt_call *call, const struct mt_breakpoint *breakpoint, bool *ret);

#endif
