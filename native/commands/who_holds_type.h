/* Who holds the instances of a type: `who-holds --type`. */
#ifndef MEMTRACE_COMMANDS_WHO_HOLDS_TYPE_H
#define MEMTRACE_COMMANDS_WHO_HOLDS_TYPE_H

#include "base/error.h"
#include "commands/command.h"

struct mt_error *mt_who_holds_type(struct mt_call *call, const char *word);

#endif
