/* Pieces of text for people: escaped target text, numbers, sizes, times. Independent of the locale, which debuggers
 * set. */
#ifndef MEMTRACE_OUTPUT_TEXT_H
#define MEMTRACE_OUTPUT_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"

/* Length in bytes (1 to 4) of the valid UTF-8 character at `text`, of which `length` bytes may be read; 0: not valid.
 * Overlong forms, surrogates and values over U+10FFFF are not valid. *ret_code gets the code point. */
size_t mt_utf8_next(const char *text, size_t length, uint32_t *ret_code);

/* Appends `text` so that it can't steer a terminal: control and bidi characters as \xNN or \uNNNN, bytes that are not
 * UTF-8 as \xNN. */
void mt_text_escape(struct mt_strbuf *out, const char *text);

/* Columns that `text` takes on a terminal (one a character; wide East Asian characters two). */
size_t mt_text_columns(const char *text);
size_t mt_text_columns_of(const char *text, size_t length);

/* Appends as much of `text` as fits `width` columns (0: all of it), with ".." at the end of what was cut. */
void mt_text_cut(struct mt_strbuf *out, const char *text, size_t width);

/* 1234567 -> "1,234,567" */
void mt_text_count(struct mt_strbuf *out, uint64_t value);
/* With its sign, also when it is more: "+1,234"; "0" has none. */
void mt_text_change(struct mt_strbuf *out, int64_t value);
/* For sentences: "400.1 MB" (10^6 bytes), below 100,000 "12,345 bytes". */
void mt_text_size(struct mt_strbuf *out, uint64_t bytes);
/* "+400.1 MB"; "0 bytes". */
void mt_text_size_change(struct mt_strbuf *out, int64_t bytes);
/* Nanoseconds as seconds: "1.43 s", below a tenth "0.021 s". */
void mt_text_seconds(struct mt_strbuf *out, uint64_t nanoseconds);
/* part of whole: "99.9 %". Rounded down, so that "100.0 %" means all of it. */
void mt_text_percent(struct mt_strbuf *out, uint64_t part, uint64_t whole);

#endif
