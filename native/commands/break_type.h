/* `break --type-count`: how many instances of a class there are. Each holds a reference to its class, so the class's
 * reference count tells the recorder when it is worth to count. */
#ifndef MEMTRACE_COMMANDS_BREAK_TYPE_H
#define MEMTRACE_COMMANDS_BREAK_TYPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "commands/breakpoints.h"
#include "commands/command.h"

/* The class that is called `word`; an error when there is none, or several. */
struct mt_error *mt_break_type_find(struct mt_call *call, const struct mt_census *census, const char *word,
                                    const struct mt_type **ret);
/* From the options: the class, how many instances there are now (last.instances), and where the recorder is to stop. */
struct mt_error *mt_break_type_fill(struct mt_call *call, struct mt_breakpoint *breakpoint);
/* Counts anew into last.instances; where they are not yet enough (there are other references to the class), the limit
 * is moved. */
struct mt_error *mt_break_type_count(struct mt_call *call, struct mt_breakpoint *breakpoint, bool *ret_enough);

#endif
