#include "output/text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

size_t mt_utf8_next(const char *text, size_t length, uint32_t *ret_code) {
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *bytes = (const unsigned char *)text;
    if (length == 0)
        return 0;
    if (bytes[0] < 0x80) {
        *ret_code = bytes[0];
        return 1;
    }
    size_t size = bytes[0] >= 0xf0 ? 4 : bytes[0] >= 0xe0 ? 3 : 2;
    if (bytes[0] < 0xc2 || bytes[0] > 0xf4 || size > length)
        return 0;
    uint32_t code = bytes[0] & (0xffu >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (bytes[i] & 0x3f);
    }
    if (code < smallest[size] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    *ret_code = code;
    return size;
}

/* Characters that move the cursor, reorder what follows, or can't be seen. */
static bool steers(uint32_t code) {
    return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0xad || code == 0x61c ||
           (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2060 && code <= 0x206f) || code == 0xfeff || (code >= 0xfff9 && code <= 0xfffb) ||
           (code >= 0xe0000 && code <= 0xe0fff);
}

void mt_text_escape(struct mt_strbuf *out, const char *text) {
    size_t length = strlen(text);
    for (size_t i = 0; i < length;) {
        uint32_t code;
        size_t size = mt_utf8_next(text + i, length - i, &code);
        if (size == 0) {
            mt_strbuf_printf(out, "\\x%02x", (unsigned char)text[i]);
            size = 1;
        } else if (!steers(code)) {
            mt_strbuf_append_bytes(out, text + i, size);
        } else if (code < 0x100) {
            mt_strbuf_printf(out, "\\x%02" PRIx32, code);
        } else if (code < 0x10000) {
            mt_strbuf_printf(out, "\\u%04" PRIx32, code);
        } else {
            mt_strbuf_printf(out, "\\U%08" PRIx32, code);
        }
        i += size;
    }
}

static bool is_wide(uint32_t code) {
    return (code >= 0x1100 && code <= 0x115f) || (code >= 0x2e80 && code <= 0xa4cf) ||
           (code >= 0xac00 && code <= 0xd7a3) || (code >= 0xf900 && code <= 0xfaff) ||
           (code >= 0xfe30 && code <= 0xfe6f) || (code >= 0xff00 && code <= 0xff60) ||
           (code >= 0xffe0 && code <= 0xffe6) || (code >= 0x1f300 && code <= 0x1faff) ||
           (code >= 0x20000 && code <= 0x3fffd);
}

size_t mt_text_columns(const char *text) {
    return mt_text_columns_of(text, strlen(text));
}

size_t mt_text_columns_of(const char *text, size_t length) {
    size_t columns = 0;
    for (size_t i = 0; i < length;) {
        uint32_t code;
        size_t size = mt_utf8_next(text + i, length - i, &code);
        columns += size > 0 && is_wide(code) ? 2 : 1;
        i += size > 0 ? size : 1;
    }
    return columns;
}

void mt_text_cut(struct mt_strbuf *out, const char *text, size_t width) {
    static const char ellipsis[] = "..";
    size_t length = strlen(text), columns = 0, end = 0;
    if (width == 0 || mt_text_columns_of(text, length) <= width) {
        mt_strbuf_append(out, text);
        return;
    }
    size_t room = width > strlen(ellipsis) ? width - strlen(ellipsis) : 0;
    while (end < length) {
        uint32_t code;
        size_t size = mt_utf8_next(text + end, length - end, &code);
        columns += size > 0 && is_wide(code) ? 2 : 1;
        if (columns > room)
            break;
        end += size > 0 ? size : 1;
    }
    mt_strbuf_append_bytes(out, text, end);
    mt_strbuf_append(out, ellipsis);
}

void mt_text_count(struct mt_strbuf *out, uint64_t value) {
    char text[32];
    size_t start = sizeof text, digits = 0;
    do {
        if (digits > 0 && digits % 3 == 0)
            text[--start] = ',';
        text[--start] = (char)('0' + value % 10);
        value /= 10;
        digits++;
    } while (value > 0);
    mt_strbuf_append_bytes(out, text + start, sizeof text - start);
}

void mt_text_size(struct mt_strbuf *out, uint64_t bytes) {
    if (bytes < 100000) {
        mt_text_count(out, bytes);
        mt_strbuf_append(out, bytes == 1 ? " byte" : " bytes");
        return;
    }
    uint64_t tenths = bytes / 100000 + (bytes % 100000 >= 50000);
    mt_text_count(out, tenths / 10);
    mt_strbuf_printf(out, ".%d MB", (int)(tenths % 10));
}

/* Appends the sign of a change; returns how much it is. */
static uint64_t take_sign(struct mt_strbuf *out, int64_t change) {
    if (change != 0)
        mt_strbuf_append_char(out, change < 0 ? '-' : '+');
    return change < 0 ? 0 - (uint64_t)change : (uint64_t)change;
}

void mt_text_change(struct mt_strbuf *out, int64_t value) {
    mt_text_count(out, take_sign(out, value));
}

void mt_text_size_change(struct mt_strbuf *out, int64_t bytes) {
    mt_text_size(out, take_sign(out, bytes));
}

void mt_text_seconds(struct mt_strbuf *out, uint64_t nanoseconds) {
    uint64_t thousandths = nanoseconds / 1000000 + (nanoseconds % 1000000 >= 500000);
    if (thousandths < 100) {
        mt_strbuf_printf(out, "0.%03d s", (int)thousandths);
        return;
    }
    uint64_t hundredths = nanoseconds / 10000000 + (nanoseconds % 10000000 >= 5000000);
    mt_text_count(out, hundredths / 100);
    mt_strbuf_printf(out, ".%02d s", (int)(hundredths % 100));
}

void mt_text_percent(struct mt_strbuf *out, uint64_t part, uint64_t whole) {
    uint64_t permille = whole > 0 ? (uint64_t)((unsigned __int128)part * 1000 / whole) : 1000;
    mt_strbuf_printf(out, "%" PRIu64 ".%d %%", permille / 10, (int)(permille % 10));
}
