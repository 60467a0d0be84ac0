/* An ADDR argument: a number, a row, a name of Python code, or an expression of the debugger. */
#ifndef MEMTRACE_COMMANDS_ADDRESS_H
#define MEMTRACE_COMMANDS_ADDRESS_H

#include <stdint.h>

#include "base/error.h"
#include "commands/command.h"

struct mt_address {
    uint64_t value;
    size_t row;           /* the row that was named; 0: none */
    uint64_t live_blocks; /* of that row: `value` is the largest of them; 0: no row, or it stands for an object */
};

/* `0x..`: as it is; `17` and `#17`: what that row stands for, an object or its largest live block; `py:NAME`: the
 * object of that name in Python code; anything else: the debugger evaluates it. */
struct mt_error *mt_address_parse(struct mt_call *call, const char *text, struct mt_address *ret);

#endif
