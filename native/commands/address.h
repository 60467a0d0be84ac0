/* An ADDR argument: a number, a row, or an expression of the debugger. */
#ifndef MEMTRACE_COMMANDS_ADDRESS_H
#define MEMTRACE_COMMANDS_ADDRESS_H

#include <stdint.h>

#include "base/error.h"
#include "commands/command.h"

struct mt_address {
    uint64_t value;
    size_t row;           /* the row that was named; 0: none */
    uint64_t live_blocks; /* of that row: `value` is the largest of them */
};

/* `0x..`: as it is; `17` and `#17`: the largest live block of that row; anything else: the debugger evaluates it. */
struct mt_error *mt_address_parse(struct mt_call *call, const char *text, struct mt_address *ret);

#endif
