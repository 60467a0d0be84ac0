/* Reads of the interpreter's structures by offset. */
#ifndef MEMTRACE_RECORDER_PEEK_H
#define MEMTRACE_RECORDER_PEEK_H

#include <stdint.h>

static inline uint64_t mt_peek64(uint64_t address, unsigned offset) {
    return *(const volatile uint64_t *)(address + offset);
}

static inline uint32_t mt_peek32(uint64_t address, unsigned offset) {
    return *(const volatile uint32_t *)(address + offset);
}

static inline uint8_t mt_peek8(uint64_t address, unsigned offset) {
    return *(const volatile uint8_t *)(address + offset);
}

#endif
