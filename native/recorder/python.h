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

/* For who holds the GIL, at a safe point. Frames are numbers: PyFrameObject up to 3.10, else _PyInterpreterFrame; 0:
 * none. */
bool mt_python_is_proven(void);
uint64_t mt_python_innermost(const struct mt_self *self);
uint64_t mt_python_innermost_of(uint64_t thread_state);
uint64_t mt_python_thread_id(uint64_t thread_state); /* pthread_self() of its thread */
uint64_t mt_python_caller(uint64_t frame);
uint64_t mt_python_code(uint64_t frame);
uint32_t mt_python_line(uint64_t frame); /* that it executes; 0: unknown */
/* Up to 3.11: whether the frame, which is being left, only waits for its next value to be asked for. */
bool mt_python_is_at_yield(uint64_t frame);
/* Whether an instruction of the code object is on the line. */
bool mt_python_has_line(uint64_t code, uint32_t line);
/* Index into the code pool. Takes the lock itself. */
bool mt_python_code_id(struct mt_self *self, uint64_t code, uint32_t *ret);

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
