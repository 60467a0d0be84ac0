/* Stops at Python's lines and calls: the debugger's wishes (image/python_stops.h), and safe points to obey them at.
 *
 * Nothing here is done in a hook but to ask CPython for a safe point. There, and in the calls that CPython makes for
 * the events, the thread runs code of CPython for us: it is marked `hidden`, and what it allocates is not the
 * program's. */
#ifndef MEMTRACE_RECORDER_PYTHON_STOPS_H
#define MEMTRACE_RECORDER_PYTHON_STOPS_H

#include <stdbool.h>
#include <stdint.h>

#include "image/python_stops.h"
#include "recorder/elf_module.h"
#include "recorder/steps.h"
#include "recorder/thread.h"

extern struct mt_python_stops mt_python_stops;

/* Debuggers put their breakpoint on it. */
void memtrace_python_stop(const struct mt_python_stop_event *event);

/* Notes where the CPython is: in this module, or in the one that has it (NULL). */
void mt_python_stops_find(const struct mt_elf *module);

/* Looks for wishes, in a hook. false: the safe point could not be asked for; to be called again. */
bool mt_python_stops_look(void);
/* A thread allocates for the first time: it is to be traced too. */
void mt_python_stops_meet_thread(void);
/* Recording ends: so do all stops, at the next safe point. */
void mt_python_stops_end(void);

/* --- for the sources of events --- */

/* What CPython may have made for the sake of an event. That is not the program's. */
struct mt_python_made {
    uint64_t object;  /* of the call; 0: none */
    uint64_t code;    /* a code object that has got memory; 0: none */
    uint64_t another; /* likewise */
};
/* Around each event. begin: false when the event is none of ours to handle. */
bool mt_python_event_begin(struct mt_self *self, struct mt_python_made made);
void mt_python_event_end(struct mt_self *self);
/* Between the two. Stops the process if it is to. */
void mt_python_event(struct mt_self *self, enum mt_python_event event, struct mt_watched *watched, uint32_t line);

#endif
