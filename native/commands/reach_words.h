/* How much an object leads to, and how much it alone keeps alive. */
#ifndef MEMTRACE_COMMANDS_REACH_WORDS_H
#define MEMTRACE_COMMANDS_REACH_WORDS_H

#include <stdint.h>

#include "base/error.h"
#include "commands/command.h"

/* What --deep and --exclusive ask for: a line each; in JSON `deep` and `exclusive`: {"objects", "bytes"}. Nothing when
 * neither is given. */
struct mt_error *mt_reach_emit(struct mt_call *call, uint32_t object);

#endif
