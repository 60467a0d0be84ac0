/* What the commands that stop at Python's lines share: the recorder's wishes of the process that stands still, and how
 * a line and what it did are told. */
#ifndef MEMTRACE_COMMANDS_PYTHON_STOPS_H
#define MEMTRACE_COMMANDS_PYTHON_STOPS_H

#include <stdbool.h>

#include "base/error.h"
#include "commands/command.h"
#include "trace/python_stops.h"

/* Slots of breakpoints; the one behind them is that of `lines`. */
#define MT_PYTHON_BREAKPOINTS (MT_PYTHON_STOPS - 1)
#define MT_PYTHON_LINES_SLOT MT_PYTHON_BREAKPOINTS

/* The wishes as they are now. Errors say how to get a recorder into the process. */
struct mt_error *mt_python_stops_read(struct mt_call *call, struct mt_python_stops_view *ret);
/* As above, for a process that can be stopped: it is being recorded, and the debugger stops where the recorder tells.
 */
struct mt_error *mt_python_stops_prepare(struct mt_call *call, struct mt_python_stops_view *ret);
/* NULL where Python's lines can be stopped at, else why not. */
struct mt_error *mt_python_stops_check(const struct mt_image_header *header);
/* Writes the wishes. Any step that was under way ends. */
struct mt_error *mt_python_stops_wish(struct mt_call *call, struct mt_python_stops_view *view);
/* Asks the debugger to stop where the recorder tells of a line. */
struct mt_error *mt_python_stops_hook(struct mt_call *call);
/* Sets a slot, checking the name's length. */
struct mt_error *mt_python_stop_fill(struct mt_python_stop *slot, enum mt_python_stop_kind kind, const char *name,
                                     uint32_t line);

/* Names of a place of the recorder. */
struct mt_python_place {
    struct mt_strbuf file, function, source; /* `source`: the text of the line, as far as it can be had */
    uint32_t line;
};
void mt_python_place_read(const struct mt_python_stops_view *view, uint32_t file, uint32_t function, uint32_t line,
                          struct mt_python_place *ret);
void mt_python_place_deinit(struct mt_python_place *place);
/* One line, cut to fit: "holding.py:51  data_pow = raise_to_power(data, POWER)". `did` (NULL: nothing) follows it where
 * that fits, else on a line of its own. */
void mt_python_place_emit(struct mt_emitter *emitter, const struct mt_python_place *place, const char *did);

/* "kept +100,000,000, freed 0, peak in between +100,000,412" */
void mt_python_window_append(struct mt_strbuf *out, const struct mt_python_window *window);
/* Members `allocated`, `freed`, `kept`, `peak`. */
void mt_python_window_emit(struct mt_emitter *emitter, const struct mt_python_window *window);

#endif
