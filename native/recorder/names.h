/* What a code object is called, copied at first sight: strings and (file, function, first line) records, each kept
 * once. The recorder's lock is held. */
#ifndef MEMTRACE_RECORDER_NAMES_H
#define MEMTRACE_RECORDER_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MT_STRING_MAX 1023 /* bytes; longer ones keep their end, which tells most of a path */

/* Offset of `text` in the string pool; false when memory is out. */
bool mt_string_intern(const char *text, size_t length, uint32_t *ret);
const char *mt_string_at(uint32_t offset);

/* Index in the code pool; false when memory is out. */
bool mt_code_intern(uint32_t file, uint32_t function, uint32_t first_line, uint32_t *ret);

void mt_names_init(void);

#endif
