/* Telling the calls that an allocator makes from those of a signal handler.
 *
 * While a thread is inside an event, the allocator that serves it may call others (pymalloc maps arenas, a domain asks
 * malloc): those belong to the event. A signal handler that comes in between may allocate too: that is an event of its
 * own, a guest. The guest is known by its caller, which lies in no allocator's module. */
#ifndef MEMTRACE_RECORDER_INNER_H
#define MEMTRACE_RECORDER_INNER_H

#include <stdbool.h>
#include <stddef.h>

#include "recorder/thread.h"

/* The module of this function belongs to an allocator that we stand in front of. */
void mt_inner_add(const void *function);
/* Whether a call from there belongs to the event that the thread is in. true when there is no way to know. */
bool mt_inner_is_caller(const void *caller);

/* The calling thread when its call is a guest; NULL when it passes through. For calls that mt_enter() turned away.
 * Nothing that the interrupted event has in hand may be touched for a guest: not the descriptor, not the frames. */
static inline struct mt_self *mt_guest(const void *caller) {
    struct mt_self *self = mt_self_pointer;
    if (self == NULL || memtrace_image.state != MT_RECORDING_ON || self->image.operation == MT_IDLE || self->critical ||
        mt_inner_is_caller(caller))
        return NULL;
    return self;
}

#endif
