/* Reads of the interpreter's structures by offset. */
#ifndef MEMTRACE_RECORDER_PEEK_H
#define MEMTRACE_RECORDER_PEEK_H

#include <stdint.h>

static inline uint64_t mt_peek64(uint64_t address, unsigned offset) {
    return *(const volatile uint64_t *)(address + offset);
}

/* For loops where every instruction counts: the compiler may make the read a part of another instruction, or leave out
 * the second of two. mt_peek_anew() stands before the loop. */
static inline uint64_t mt_peek64_plainly(uint64_t address, unsigned offset) {
    typedef uint64_t __attribute__((may_alias)) word;
    return *(const word *)(address + offset);
}

static inline void mt_peek_anew(void) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline uint32_t mt_peek32(uint64_t address, unsigned offset) {
    return *(const volatile uint32_t *)(address + offset);
}

static inline uint8_t mt_peek8(uint64_t address, unsigned offset) {
    return *(const volatile uint8_t *)(address + offset);
}

#endif
