/* `break --refs`: a hardware watchpoint on one object's reference count. At each change the process stops for as long
 * as it takes to look who did it, and goes on. */
#ifndef MEMTRACE_COMMANDS_REF_WATCH_H
#define MEMTRACE_COMMANDS_REF_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "commands/command.h"

/* Each costs a stop of the debugger: an object that changes more often than this is too hot to be looked at. */
#define MT_REF_CHANGES_MAX 10000

struct mt_breakpoint;

/* Begins to watch the object that --refs names, as one more breakpoint of the list; the sheet is empty again. There is
 * one at a time. */
struct mt_error *mt_ref_watch_begin(struct mt_call *call);
/* Takes a breakpoint about the references of an object of an earlier process out of the list; an error where one is
 * about this process. */
struct mt_error *mt_ref_watch_make_room(struct mt_call *call, int32_t pid);
/* Sets the watchpoint on an object of `type` (an address), which the breakpoint is about from now on: it becomes one of
 * MT_BREAK_REFS. The sheet is empty again. An error leaves all as it was, but for the sheet. */
struct mt_error *mt_ref_watch_turn(struct mt_call *call, struct mt_breakpoint *breakpoint, uint64_t object,
                                   uint64_t type, uint64_t count);
/* The error for an object whose count never changes. */
struct mt_error *mt_ref_watch_is_immortal(const char *type_name, uint64_t object);
/* Thread `tid` has written to the watched `address`. *ret_stays: the watching is over, and the sheet was emitted. */
struct mt_error *mt_ref_watch_hit(struct mt_call *call, uint64_t address, uint64_t tid, bool *ret_stays);
/* Takes the watchpoint at `address` away; the sheet stays. */
struct mt_error *mt_ref_watch_end(struct mt_call *call, uint64_t address);

#endif
