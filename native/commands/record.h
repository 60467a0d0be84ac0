/* Whether the next `run` records. */
#ifndef MEMTRACE_COMMANDS_RECORD_H
#define MEMTRACE_COMMANDS_RECORD_H

#include <stdbool.h>

#include "base/error.h"
#include "commands/command.h"

/* Is the recorder in LD_PRELOAD of what the debugger starts next? */
struct mt_error *mt_record_is_armed(struct mt_call *call, bool *ret);

#endif
