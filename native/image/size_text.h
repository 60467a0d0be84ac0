/* A size as people write it: 1500, 300M (10^6), 300Mi (2^20), 2G. For the recorder and the command line alike. */
#ifndef MEMTRACE_IMAGE_SIZE_TEXT_H
#define MEMTRACE_IMAGE_SIZE_TEXT_H

#include <stdbool.h>
#include <stdint.h>

/* The whole of `text`; false: it is no size, or more than 63 bits hold. */
static inline bool mt_size_from_text(const char *text, uint64_t *ret) {
    static const char units[] = "kMGT";
    uint64_t value = 0, scale = 1;
    if (*text < '0' || *text > '9')
        return false;
    for (; *text >= '0' && *text <= '9'; text++)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
            return false;
    char letter = *text == 'K' ? 'k' : *text;
    for (unsigned i = 0; i < sizeof units - 1; i++) {
        if (letter != units[i])
            continue;
        uint64_t step = text[1] == 'i' ? 1024 : 1000;
        for (unsigned power = 0; power <= i; power++)
            scale *= step;
        text += text[1] == 'i' ? 2 : 1;
        break;
    }
    if (*text == 'B')
        text++;
    if (*text != '\0' || __builtin_mul_overflow(value, scale, &value) || value > INT64_MAX)
        return false;
    *ret = value;
    return true;
}

#endif
