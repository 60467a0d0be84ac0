#include "python/str.h"

#include <string.h>

#include "python/object.h"

#define UNICODE_SUBCLASS (1u << 28) /* Py_TPFLAGS_UNICODE_SUBCLASS */
/* PyASCIIObject.state, a word of 32 bits (builds with the GIL; Include/cpython/unicodeobject.h). */
enum { INTERNED_MASK = 3, KIND_SHIFT = 2, KIND_MASK = 7, COMPACT = 1 << 5, ASCII = 1 << 6 };
#define WIDE_SIZE 4 /* sizeof(wchar_t) */
#define CHUNK 512
#define MAX_STR_BODY 80 /* sizeof(PyUnicodeObject) of 3.9 to 3.11 */

static uint64_t word_at(const uint8_t *body, int64_t offset) {
    uint64_t word;
    memcpy(&word, body + offset, sizeof word);
    return word;
}

static bool fits(uint64_t address, uint64_t count, unsigned size) {
    return count < MT_ADDRESS_LIMIT / size && address < MT_ADDRESS_LIMIT - (count + 1) * size;
}

/* Up to 3.11 a legacy string may have its characters as wchar_t alone, until somebody asks for them. */
static void read_wide(const struct mt_python_layout *layout, const uint8_t *body, bool compact_ascii,
                      struct mt_str *str) {
    if (!MT_HAS(layout, PyASCIIObject, wstr))
        return;
    uint64_t wide = word_at(body, MT_AT(layout, PyASCIIObject, wstr));
    uint64_t length = compact_ascii ? str->length : word_at(body, MT_AT(layout, PyCompactUnicodeObject, wstr_length));
    if (wide == 0 || !fits(wide, length, WIDE_SIZE))
        return;
    if (str->kind == 0) {
        str->kind = WIDE_SIZE;
        str->length = length;
        str->data = 0;
    }
    if (wide != str->data) {
        str->wide = wide;
        str->wide_size = (length + 1) * WIDE_SIZE;
    }
}

static void read_utf8(const struct mt_python_layout *layout, const uint8_t *body, struct mt_str *str) {
    uint64_t utf8 = word_at(body, MT_AT(layout, PyCompactUnicodeObject, utf8));
    uint64_t length = word_at(body, MT_AT(layout, PyCompactUnicodeObject, utf8_length));
    if (utf8 != 0 && utf8 != str->data && fits(utf8, length, 1)) {
        str->utf8 = utf8;
        str->utf8_size = length + 1;
    }
}

bool mt_str_read(struct mt_python *python, uint64_t address, struct mt_str *ret) {
    const struct mt_python_layout *layout = &python->layout;
    uint8_t body[MAX_STR_BODY];
    uint32_t state;
    size_t size = (size_t)MT_AT(layout, PyASCIIObject, sizeof);
    if (!mt_view_read(python->view, address, body, size))
        return false;
    memcpy(&state, body + MT_AT(layout, PyASCIIObject, state), sizeof state);
    struct mt_str str = {
        .length = word_at(body, MT_AT(layout, PyASCIIObject, length)),
        .kind = state >> KIND_SHIFT & KIND_MASK,
        .ascii = state & ASCII,
        .compact = state & COMPACT,
        .interned = state & INTERNED_MASK,
        .data = address + size,
    };
    if (!str.compact || !str.ascii) {
        size = (size_t)(str.compact ? MT_AT(layout, PyCompactUnicodeObject, sizeof)
                                    : MT_AT(layout, PyUnicodeObject, sizeof));
        if (!mt_view_read(python->view, address, body, size))
            return false;
        str.data = str.compact ? address + size : word_at(body, MT_AT(layout, PyUnicodeObject, data));
        read_utf8(layout, body, &str);
    }
    read_wide(layout, body, str.compact && str.ascii, &str);
    if ((str.kind != 1 && str.kind != 2 && str.kind != 4) || !fits(str.data, str.length, str.kind))
        return false;
    *ret = str;
    return true;
}

bool mt_str_code_points(struct mt_python *python, const struct mt_str *str, uint64_t index, size_t room, uint32_t *ret,
                        size_t *ret_count) {
    uint8_t bytes[CHUNK * sizeof *ret];
    uint64_t count = str->length - index, data = str->data ? str->data : str->wide;
    count = count < room ? count : room;
    count = count < CHUNK ? count : CHUNK;
    if (!mt_view_read(python->view, data + index * str->kind, bytes, (size_t)count * str->kind))
        return false;
    for (size_t i = 0; i < count; i++) {
        ret[i] = 0;
        memcpy(&ret[i], bytes + i * str->kind, str->kind); /* little endian */
    }
    *ret_count = (size_t)count;
    return true;
}

bool mt_utf8_append(struct mt_strbuf *out, uint32_t c) {
    char bytes[4];
    size_t size;
    if (c < 0x80) {
        bytes[0] = (char)c;
        size = 1;
    } else if (c < 0x800) {
        bytes[0] = (char)(0xc0 | c >> 6);
        size = 2;
    } else if (c >= 0xd800 && c < 0xe000) {
        return mt_strbuf_printf(out, "\\u%04x", c);
    } else if (c < 0x10000) {
        bytes[0] = (char)(0xe0 | c >> 12);
        size = 3;
    } else {
        bytes[0] = (char)(0xf0 | (c >> 18 & 7));
        size = 4;
    }
    for (size_t i = 1; i < size; i++)
        bytes[i] = (char)(0x80 | (c >> 6 * (size - 1 - i) & 0x3f));
    return mt_strbuf_append_bytes(out, bytes, size);
}

/* By the flag alone: naming a type needs strings before the type str itself is known. */
static bool is_str(struct mt_python *python, uint64_t address) {
    uint64_t type, flags;
    return mt_view_u64(python->view, address + MT_OB_TYPE, &type) &&
           mt_view_u64(python->view, type + MT_OFFSET(python, PyTypeObject, tp_flags), &flags) &&
           (flags & UNICODE_SUBCLASS);
}

bool mt_str_append(struct mt_python *python, uint64_t address, size_t limit, struct mt_strbuf *out) {
    struct mt_str str;
    if (!is_str(python, address) || !mt_str_read(python, address, &str))
        return false;
    size_t start = out->length;
    for (uint64_t index = 0; index < str.length;) {
        uint32_t points[CHUNK];
        size_t count;
        if (!mt_str_code_points(python, &str, index, CHUNK, points, &count))
            return false;
        for (size_t i = 0; i < count; i++) {
            if (out->length - start >= limit)
                return mt_strbuf_append(out, "...");
            if (!mt_utf8_append(out, points[i]))
                return false;
        }
        index += count;
    }
    return true;
}

bool mt_str_equals(struct mt_python *python, uint64_t address, const char *text) {
    struct mt_str str;
    size_t length = strlen(text);
    uint8_t bytes[CHUNK];
    if (!is_str(python, address) || !mt_str_read(python, address, &str) || str.kind != 1 || str.length != length ||
        length > sizeof bytes)
        return false;
    return mt_view_read(python->view, str.data, bytes, length) && memcmp(bytes, text, length) == 0;
}
