/* The session's memory breakpoints: a numbered list that outlives processes, and its slots in the recorder's image of
 * the process that runs now. */
#ifndef MEMTRACE_COMMANDS_BREAKPOINTS_H
#define MEMTRACE_COMMANDS_BREAKPOINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/strbuf.h"
#include "base/vector.h"
#include "commands/command.h"
#include "image/image.h"

enum mt_breakpoint_kind {
    MT_BREAK_HEAP,
    MT_BREAK_ALLOCATION,
    MT_BREAK_PEAK,
    MT_BREAK_FREE,
    MT_BREAK_TYPE_COUNT,
    MT_BREAK_LINE, /* of Python: these two have slots of their own, and stop elsewhere (python_stops.h) */
    MT_BREAK_FUNCTION,
    MT_BREAK_REFS, /* has no slot: a watchpoint of the debugger (ref_watch.h) */
    MT_BREAK_NEXT, /* becomes REFS at its first hit (ref_next.h) */
};

/* What happened when a breakpoint last stopped the process. */
struct mt_breakpoint_hit {
    char *text; /* as it was told; NULL: it has not stopped yet */
    struct mt_stop_event event;
    uint64_t tid;
    uint64_t instances; /* of TYPE_COUNT */
};

struct mt_breakpoint {
    uint32_t number;
    enum mt_breakpoint_kind kind;
    uint64_t argument; /* bytes; FREE: the block's address; REFS: the object's; TYPE_COUNT: how many instances */
    uint64_t size;     /* FREE: of the block */
    uint64_t type;     /* TYPE_COUNT, NEXT: the class's address */
    char *type_name;   /* TYPE_COUNT, REFS, NEXT; LINE: the file; FUNCTION: its name */
    int64_t limit;     /* TYPE_COUNT: of the word at the class's reference count; NEXT: bytes in front of an object */
    bool is_over;      /* HEAP: it is over the argument already, when the breakpoint is set */
    int32_t pid;       /* FREE, TYPE_COUNT, REFS, NEXT: the process that it is about; 0: any */
    char *condition;   /* for the debugger; NULL: none */
    bool temporary;
    unsigned slot; /* MT_STOPS: none */
    uint64_t hits;
    struct mt_breakpoint_hit last;
};

struct mt_breakpoints {
    MT_VECTOR(struct mt_breakpoint) list; /* by number */
    uint32_t last_number;                 /* numbers are never used again */
    int32_t pid;                          /* the process that was looked at last; 0: none */
    bool is_written;                      /* it has our slots */
    bool is_hooked;                       /* the debugger stops at the recorder's hook */
};

/* Adds a copy, whose strings it takes over (also when it fails), and gives it a number and a slot. With `is_live` its
 * slot is written to the process that stands still now. The debugger is asked to stop at the recorder's hook. */
struct mt_error *mt_breakpoints_add(struct mt_call *call, struct mt_breakpoint breakpoint, bool is_live,
                                    const struct mt_breakpoint **ret);
/* Takes the element at `index` away, from the process too where there is one that stands still. */
struct mt_error *mt_breakpoints_remove(struct mt_call *call, size_t index);
/* The index of a number; false: there is no such breakpoint. */
bool mt_breakpoints_find(const struct mt_breakpoints *breakpoints, uint32_t number, size_t *ret_index);
/* Writes the slot of a breakpoint to the process that stands still now. */
struct mt_error *mt_breakpoints_write(struct mt_call *call, const struct mt_breakpoint *breakpoint);
/* Brings the debugger and process `pid` (0: there is none that stands still) in line with the list: writes all slots,
 * unless that was done for this process before (what is about an earlier process is left out); lets go of the hook when
 * the list is empty. */
struct mt_error *mt_breakpoints_enter(struct mt_call *call, int32_t pid);
/* Takes all slots out of process `pid`, which the debugger lets go of: where it runs already, it is stopped for that.
 */
struct mt_error *mt_breakpoints_leave(struct mt_call *call, int32_t pid);
/* Is it a line or a function of Python that it stops at? */
bool mt_breakpoint_is_python(const struct mt_breakpoint *breakpoint);
void mt_breakpoints_deinit(struct mt_breakpoints *breakpoints);

/* Appends what it waits for: "heap over 300 MB", "1,000 instances of Order". */
void mt_breakpoint_append(struct mt_strbuf *out, const struct mt_breakpoint *breakpoint);

#endif
