/* The rows of an answer: how many are shown, and the numbers that they get (handles.h), also as variables of the
 * debugger: `$mt17`. */
#ifndef MEMTRACE_COMMANDS_LISTING_H
#define MEMTRACE_COMMANDS_LISTING_H

#include <stddef.h>
#include <stdint.h>

#include "commands/command.h"
#include "commands/handles.h"

/* How many of `count` rows are shown: as `--limit` says; else as it is set (settings.h) in text, all in JSON. */
size_t mt_listing_shown(const struct mt_call *call, size_t count);
/* The object `omitted` of JSON: what was not shown. */
void mt_listing_omitted(struct mt_call *call, size_t rows, uint64_t bytes);

/* The new row's number; 0: no memory. Scripts don't number: with --json it is 0 as well, which no column shows. */
size_t mt_listing_number(struct mt_call *call, struct mt_handle handle);
/* The same for a Python object. */
size_t mt_listing_number_object(struct mt_call *call, uint64_t address);

#endif
