/* `break --refs-of-next`: waits for the next object of a type, and then counts its references as `break --refs` does.
 * The recorder tells of it (MT_STOP_TYPE) at the first event of its thread after it was made. */
#ifndef MEMTRACE_COMMANDS_REF_NEXT_H
#define MEMTRACE_COMMANDS_REF_NEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "commands/breakpoints.h"
#include "commands/command.h"

/* From the options: the type, and where in its block an object of it begins. */
struct mt_error *mt_ref_next_fill(struct mt_call *call, const struct mt_image *image, struct mt_breakpoint *breakpoint);
/* Begins to watch `object`, of which the recorder has told: the breakpoint is one of MT_BREAK_REFS then. *ret_watched
 * false: it is not there any more, and the next one is waited for. */
struct mt_error *mt_ref_next_watch(struct mt_call *call, struct mt_breakpoint *breakpoint, uint64_t object,
                                   bool *ret_watched);

#endif
