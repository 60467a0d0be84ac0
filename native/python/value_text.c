/* str, bytes: Objects/unicodeobject.c, Objects/bytesobject.c. */
#include "python/str.h"
#include "python/value_parts.h"

enum { CHUNK = 256 };

/* Code points of Unicode's categories C and Z, which repr() escapes: controls, formats, spaces, surrogates, private
 * use, and what no version of Unicode will name. (Code points that only the target's version of Unicode does not name
 * yet are shown as they are.) */
static const struct {
    uint32_t first, last;
} hidden[] = {
    {0x7f, 0xa0},       {0xad, 0xad},       {0x600, 0x605},        {0x61c, 0x61c},     {0x6dd, 0x6dd},
    {0x70f, 0x70f},     {0x890, 0x891},     {0x8e2, 0x8e2},        {0x1680, 0x1680},   {0x180e, 0x180e},
    {0x2000, 0x200f},   {0x2028, 0x202f},   {0x205f, 0x206f},      {0x3000, 0x3000},   {0xd800, 0xf8ff},
    {0xfdd0, 0xfdef},   {0xfeff, 0xfeff},   {0xfff0, 0xfffb},      {0xfffe, 0xffff},   {0x110bd, 0x110bd},
    {0x110cd, 0x110cd}, {0x13430, 0x1343f}, {0x1bca0, 0x1bca3},    {0x1d173, 0x1d17a}, {0x1fffe, 0x1ffff},
    {0x2fffe, 0x2ffff}, {0x3fffe, 0xe00ff}, {0xe01f0, 0xffffffff},
};

static bool is_hidden(uint32_t c) {
    for (size_t i = 0; c >= hidden[0].first && i < sizeof hidden / sizeof hidden[0] && hidden[i].first <= c; i++)
        if (c <= hidden[i].last)
            return true;
    return c < ' ';
}

/* What both kinds of text escape alike. */
static bool append_escape(uint32_t c, char quote, struct mt_strbuf *out) {
    if (c == (unsigned char)quote || c == '\\')
        mt_strbuf_printf(out, "\\%c", (char)c);
    else if (c == '\t' || c == '\n' || c == '\r')
        mt_strbuf_append(out, c == '\t' ? "\\t" : c == '\n' ? "\\n" : "\\r");
    else
        return false;
    return true;
}

static void append_code_point(uint32_t c, char quote, struct mt_strbuf *out) {
    if (append_escape(c, quote, out))
        return;
    if (!is_hidden(c))
        mt_utf8_append(out, c);
    else if (c <= 0xff)
        mt_strbuf_printf(out, "\\x%02x", c);
    else
        mt_strbuf_printf(out, c <= 0xffff ? "\\u%04x" : "\\U%08x", c);
}

static void append_byte(uint32_t c, char quote, struct mt_strbuf *out) {
    if (append_escape(c, quote, out))
        return;
    if (c < ' ' || c >= 0x7f)
        mt_strbuf_printf(out, "\\x%02x", c);
    else
        mt_strbuf_append_char(out, (char)c);
}

/* Up to 3.14 bytearray escapes single quotes between double ones, too. */
static void append_bytearray_byte(uint32_t c, char quote, struct mt_strbuf *out) {
    append_byte(c, '\'', out);
}

/* A text of either kind in the target; only as much of it is read as is shown. */
struct text {
    struct mt_python *python;
    const struct mt_str *str;
    void (*append)(uint32_t c, char quote, struct mt_strbuf *out);
    size_t limit;
};

/* Single quotes, unless there are such in it and no double ones. */
static bool choose_quote(const struct text *text, char *ret) {
    uint32_t points[CHUNK];
    size_t count;
    bool is_single = false, is_double = false;
    for (uint64_t at = 0; at < text->str->length && at < text->limit; at += count) {
        if (!mt_str_code_points(text->python, text->str, at, CHUNK, points, &count))
            return false;
        for (size_t i = 0; i < count; i++) {
            is_single |= points[i] == '\'';
            is_double |= points[i] == '"';
        }
    }
    *ret = is_single && !is_double ? '"' : '\'';
    return true;
}

/* `'abc'`, or `'abc'...` when it is longer than the limit. */
static void append_text(const struct text *text, struct mt_strbuf *out) {
    uint32_t points[CHUNK];
    size_t count, start = out->length;
    char quote;
    if (!choose_quote(text, &quote)) {
        mt_strbuf_append(out, MT_VALUE_UNREADABLE);
        return;
    }
    mt_strbuf_append_char(out, quote);
    bool is_cut = false;
    for (uint64_t at = 0; at < text->str->length && !is_cut && mt_strbuf_ok(out); at += count) {
        is_cut = !mt_str_code_points(text->python, text->str, at, CHUNK, points, &count);
        for (size_t i = 0; i < count && !is_cut; i++) {
            is_cut = out->length - start > text->limit;
            if (!is_cut)
                text->append(points[i], quote, out);
        }
    }
    mt_strbuf_append_char(out, quote);
    if (is_cut)
        mt_strbuf_append(out, "...");
}

void mt_value_append_str(struct mt_python *python, uint64_t address, size_t limit, struct mt_strbuf *out) {
    struct mt_str str;
    if (!mt_str_read(python, address, &str)) {
        mt_strbuf_append(out, MT_VALUE_UNREADABLE);
        return;
    }
    struct text text = {.python = python, .str = &str, .append = append_code_point, .limit = limit};
    append_text(&text, out);
}

void mt_value_append_bytes(struct mt_python *python, uint64_t bytes, uint64_t size, bool is_bytearray, size_t limit,
                           struct mt_strbuf *out) {
    struct mt_str str = {.length = size, .kind = 1, .data = bytes};
    bool escapes_more = is_bytearray && python->minor < 15;
    struct text text = {
        .python = python, .str = &str, .append = escapes_more ? append_bytearray_byte : append_byte, .limit = limit};
    mt_strbuf_append_char(out, 'b');
    append_text(&text, out);
}
