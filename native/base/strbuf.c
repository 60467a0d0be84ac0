#include "base/strbuf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mt_strbuf_deinit(struct mt_strbuf *buffer) {
    free(buffer->data);
    *buffer = (struct mt_strbuf)MT_STRBUF_INIT;
}

/* Room for `size` more bytes and the NUL behind them. */
static bool reserve(struct mt_strbuf *buffer, size_t size) {
    if (buffer->failed)
        return false;
    if (size < buffer->capacity - buffer->length)
        return true;
    size_t capacity = buffer->capacity ? buffer->capacity : 64;
    while (capacity - buffer->length <= size) {
        if (capacity > (size_t)-1 / 2) {
            buffer->failed = true;
            return false;
        }
        capacity *= 2;
    }
    char *data = realloc(buffer->data, capacity);
    if (!data) {
        buffer->failed = true;
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

bool mt_strbuf_append_bytes(struct mt_strbuf *buffer, const void *bytes, size_t size) {
    if (!reserve(buffer, size))
        return false;
    if (size)
        memcpy(buffer->data + buffer->length, bytes, size);
    buffer->length += size;
    buffer->data[buffer->length] = '\0';
    return true;
}

bool mt_strbuf_append(struct mt_strbuf *buffer, const char *text) {
    return mt_strbuf_append_bytes(buffer, text, strlen(text));
}

bool mt_strbuf_append_char(struct mt_strbuf *buffer, char c) {
    return mt_strbuf_append_bytes(buffer, &c, 1);
}

bool mt_strbuf_vprintf(struct mt_strbuf *buffer, const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0) {
        buffer->failed = true;
        return false;
    }
    if (!reserve(buffer, (size_t)length))
        return false;
    vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, arguments);
    buffer->length += (size_t)length;
    return true;
}

bool mt_strbuf_printf(struct mt_strbuf *buffer, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    bool ok = mt_strbuf_vprintf(buffer, format, arguments);
    va_end(arguments);
    return ok;
}

bool mt_strbuf_ok(const struct mt_strbuf *buffer) {
    return !buffer->failed;
}

char *mt_strbuf_steal(struct mt_strbuf *buffer) {
    char *data = NULL;
    if (!buffer->failed && reserve(buffer, 0)) {
        data = buffer->data;
        data[buffer->length] = '\0';
        buffer->data = NULL;
    }
    mt_strbuf_deinit(buffer);
    return data;
}
