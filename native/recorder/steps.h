/* What happens at Python's lines and calls: breakpoints, steps, and the sums of lines that are measured.
 *
 * The events come from tracing.c or monitoring.c, in the thread that they are about, with the GIL held; the thread's
 * own work is hidden meanwhile and its windows are paused (python_stops.c sees to that). */
#ifndef MEMTRACE_RECORDER_STEPS_H
#define MEMTRACE_RECORDER_STEPS_H

#include <stdbool.h>
#include <stdint.h>

#include "image/python_stops.h"
#include "recorder/thread.h"
#include "recorder/watched.h"

enum mt_python_event {
    MT_EVENT_START,  /* a call begins */
    MT_EVENT_RESUME, /* a generator goes on */
    MT_EVENT_LINE,   /* a line is to be executed */
    MT_EVENT_RETURN,
    MT_EVENT_YIELD,
    MT_EVENT_UNWIND, /* an exception leaves the frame */
};

/* The innermost frame of the thread, whose code is `watched`, has come to something. true: the process is to stop;
 * *ret says why. */
bool mt_steps_event(struct mt_self *self, enum mt_python_event event, struct mt_watched *watched, uint32_t line,
                    struct mt_python_stop_event *ret);
/* Begins a step in `frame`, which is one of the thread's. `caller`: the thread that calls. `is_leaving`: its end was
 * told already, so that the step is about its caller. NULL: begun; else what is in the way. */
const char *mt_steps_begin(struct mt_self *caller, struct mt_self *self, enum mt_python_step kind, uint64_t frame,
                           bool is_leaving);
bool mt_steps_is_stepping(void);
void mt_steps_cancel(void);

/* The thread has come to a line, and its function may have become one that is measured since that was told. */
void mt_steps_measure_from_here(struct mt_self *self, const struct mt_watched *watched, uint32_t line);
/* The lines that are being measured end here. */
void mt_steps_measure_end(void);

void mt_steps_pause(struct mt_self *self);
void mt_steps_resume(struct mt_self *self);

#endif
