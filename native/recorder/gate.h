/* The door of every hook: lets an outer event of a recorded process in, and all else through. */
#ifndef MEMTRACE_RECORDER_GATE_H
#define MEMTRACE_RECORDER_GATE_H

#include <stdbool.h>
#include <stddef.h>

#include "recorder/header.h"
#include "recorder/stops.h"
#include "recorder/thread.h"

/* Resolves the wrapped functions and starts the recorder, at the first call of any hook. */
void mt_start_up(void);
extern bool mt_started;

/* Obeys the request word. */
void mt_obey_request(void);

/* The calling thread, now inside an event, or NULL when the call is to pass through: nothing is recorded, or an outer
 * event causes this one. */
static inline struct mt_self *mt_enter(enum mt_operation operation) {
    if (__builtin_expect(memtrace_image.request != MT_REQUEST_NONE, 0))
        mt_obey_request();
    if (memtrace_image.state != MT_RECORDING_ON)
        return NULL;
    struct mt_self *self = mt_self();
    if (self == NULL)
        return NULL;
    if (self->image.operation != MT_IDLE) {
        if (__builtin_expect(self->critical, 0))
            memtrace_image.dropped[MT_DROP_SIGNAL]++;
        return NULL;
    }
    self->image.operation = operation;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return self;
}

static inline void mt_leave(struct mt_self *self) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    self->image.operation = MT_IDLE;
    if (mt_stops_is_to_tell(self)) {
        mt_stops_tell(self);
        /* What was asked for at that stop need not wait for another event: a step is to begin soon. */
        if (memtrace_image.request != MT_REQUEST_NONE)
            mt_obey_request();
    }
}

/* Whether the thread is inside an event of its own that causes this call. */
static inline bool mt_is_inner(void) {
    return mt_self_pointer != NULL && mt_self_pointer->image.operation != MT_IDLE && !mt_self_pointer->critical;
}

#endif
