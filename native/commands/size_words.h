/* Sizes as people write and read them exactly: "300M", "300 MB". */
#ifndef MEMTRACE_COMMANDS_SIZE_WORDS_H
#define MEMTRACE_COMMANDS_SIZE_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"

/* Bytes: a number, then nothing, K, M, G or T (of 1000) or Ki, Mi, Gi, Ti (of 1024), with or without a B. Fractions are
 * taken where they are whole bytes: 1.5M. False: it is no size. */
bool mt_size_parse(const char *word, uint64_t *ret);
/* Appends the exact size: "300 MB", "1.5 GB"; "314,572,800 bytes". */
void mt_size_append(struct mt_strbuf *out, uint64_t bytes);

#endif
