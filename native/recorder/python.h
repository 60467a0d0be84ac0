/* The thread's Python stack, read from the interpreter's own frame chain at the event itself: no profile function, so a
 * program that calls much and allocates little pays nothing. Nothing here allocates, locks or touches a reference
 * count; of CPython's C API only two leaf reads of the thread state are called. */
#ifndef MEMTRACE_RECORDER_PYTHON_H
#define MEMTRACE_RECORDER_PYTHON_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/elf_module.h"
#include "recorder/thread.h"

/* Looks for a CPython in a module, or among all (NULL: where the loader may be asked), and picks its layout. true when
 * one is there (supported or not: the header says). */
bool mt_python_find(const struct mt_elf *module);

/* Outside the lock: brings self->frames in line with the thread's frame chain. Returns how many leading entries are
 * what they were at the last event. */
uint32_t mt_python_walk_slowly(struct mt_self *self);
/* Under the lock, after a walk: the stack node of the whole chain. */
uint32_t mt_python_stack_slowly(struct mt_self *self, uint32_t kept);

static inline bool mt_python_has_frames(void) {
    return memtrace_image.python_state == MT_PYTHON_PROVEN || memtrace_image.python_state == MT_PYTHON_FOUND;
}

static inline uint32_t mt_python_walk(struct mt_self *self) {
    return mt_python_has_frames() ? mt_python_walk_slowly(self) : 0;
}

static inline uint32_t mt_python_stack(struct mt_self *self, uint32_t kept) {
    return mt_python_has_frames() ? mt_python_stack_slowly(self, kept) : 0;
}

#endif
