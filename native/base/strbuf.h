/* A growing text. Appends return false when memory is out; the buffer then stays valid, and mt_strbuf_ok() stays false,
 * so callers may check once at the end. */
#ifndef MEMTRACE_STRBUF_H
#define MEMTRACE_STRBUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct mt_strbuf {
    char *data; /* NUL-terminated when length > 0 */
    size_t length;
    size_t capacity;
    bool failed;
};

#define MT_STRBUF_INIT                                                                                                 \
    { 0 }

void mt_strbuf_deinit(struct mt_strbuf *buffer);
bool mt_strbuf_append(struct mt_strbuf *buffer, const char *text);
bool mt_strbuf_append_bytes(struct mt_strbuf *buffer, const void *bytes, size_t size);
bool mt_strbuf_append_char(struct mt_strbuf *buffer, char c);
bool mt_strbuf_printf(struct mt_strbuf *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool mt_strbuf_vprintf(struct mt_strbuf *buffer, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));
bool mt_strbuf_ok(const struct mt_strbuf *buffer);
/* The text, "" when there is none. The buffer keeps it. */
static inline const char *mt_strbuf_text(const struct mt_strbuf *buffer) {
    return buffer->data ? buffer->data : "";
}
/* Hands over the text (free() it), leaves the buffer empty; NULL when memory ran out. */
char *mt_strbuf_steal(struct mt_strbuf *buffer);

#endif
