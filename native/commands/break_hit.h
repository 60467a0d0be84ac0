/* The recorder's hook was reached: which memory breakpoints are hit, and what to tell of them. */
#ifndef MEMTRACE_COMMANDS_BREAK_HIT_H
#define MEMTRACE_COMMANDS_BREAK_HIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "commands/command.h"

/* `address`: the hook's argument; 0: a recorder has just come to life, and its slots want to be written. */
struct mt_error *mt_break_hit(struct mt_call *call, uint64_t address, uint64_t tid, bool *ret_stays);

#endif
