#include "output/place.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "output/text.h"

#define ALL_PARTS SIZE_MAX

const char *mt_place_tail(const char *file, size_t parts) {
    const char *tail = file + strlen(file);
    while (tail > file) {
        if (tail[-1] == '/' && --parts == 0)
            break;
        tail--;
    }
    return tail;
}

static size_t character_size(const char *text) {
    uint32_t code;
    size_t size = mt_utf8_next(text, strnlen(text, 4), &code);
    return size > 0 ? size : 1;
}

/* Bytes at the start of `text` that take `columns` columns, or one less where a wide character stands across the end.
 */
static size_t bytes_of_columns(const char *text, size_t columns) {
    size_t at = 0;
    while (text[at] != '\0') {
        size_t size = character_size(text + at), wide = mt_text_columns_of(text + at, size);
        if (wide > columns)
            break;
        columns -= wide;
        at += size;
    }
    return at;
}

/* Appends at most `width` columns (0: any) of an escaped text, its middle left out. */
static void append_middle_cut(struct mt_strbuf *out, const char *escaped, size_t width) {
    size_t columns = mt_text_columns(escaped);
    if (width == 0 || columns <= width) {
        mt_strbuf_append(out, escaped);
        return;
    }
    size_t keep = width > 2 ? width - 2 : 0;
    const char *back = escaped + bytes_of_columns(escaped, columns - (keep - keep / 2));
    if (mt_text_columns(back) > keep - keep / 2)
        back += character_size(back);
    mt_strbuf_append_bytes(out, escaped, bytes_of_columns(escaped, keep / 2));
    mt_strbuf_append(out, "..");
    mt_strbuf_append(out, back);
}

/* The longest tail of `escaped` that starts after a `separator` (or is all of it) and takes at most `width` columns;
 * else the last part. */
static const char *fitting_tail(const char *escaped, char separator, size_t width) {
    size_t columns = mt_text_columns(escaped);
    const char *tail = escaped;
    while (columns > width) {
        const char *next = strchr(tail, separator);
        if (!next || next[1] == '\0')
            break;
        columns -= mt_text_columns_of(tail, (size_t)(next + 1 - tail));
        tail = next + 1;
    }
    return tail;
}

void mt_place_function(struct mt_strbuf *out, const char *function, size_t width) {
    struct mt_strbuf escaped = MT_STRBUF_INIT;
    mt_text_escape(&escaped, strcmp(function, "<module>") == 0 ? "module" : function);
    const char *name = mt_strbuf_text(&escaped);
    append_middle_cut(out, width > 0 ? fitting_tail(name, '.', width) : name, width);
    mt_strbuf_deinit(&escaped);
}

static void append_file_line(struct mt_strbuf *out, const struct mt_frame *frame, size_t parts) {
    mt_text_escape(out, mt_place_tail(frame->file, parts));
    if (frame->line > 0)
        mt_strbuf_printf(out, ":%" PRIu32, frame->line);
    else
        mt_strbuf_append(out, ":?");
}

/* " <- process_data:52" */
static void append_caller(struct mt_strbuf *out, const struct mt_frame *frames, size_t i, size_t parts) {
    mt_strbuf_append(out, " <- ");
    mt_place_function(out, frames[i].function, 0);
    if (strcmp(frames[i].file, frames[i - 1].file) != 0) {
        mt_strbuf_append_char(out, ' ');
        append_file_line(out, &frames[i], parts);
    } else if (frames[i].line > 0) {
        mt_strbuf_printf(out, ":%" PRIu32, frames[i].line);
    } else {
        mt_strbuf_append(out, ":?");
    }
}

static size_t columns_of(const struct mt_strbuf *text) {
    return text->data ? mt_text_columns(text->data) : 0;
}

static void append_more(struct mt_strbuf *out, size_t count) {
    mt_strbuf_printf(out, " <- %zu more", count);
}

/* Columns of append_more(). */
static size_t more_width(size_t count) {
    size_t width = sizeof " <- 0 more" - 1;
    for (; count >= 10; count /= 10)
        width++;
    return width;
}

/* Appends frames[0]'s place and the callers that fit `width` columns (0: any), and, if that fits too, how many did not.
 * Returns whether all did. */
static bool append_chain(struct mt_strbuf *out, const struct mt_frame *frames, size_t count, size_t parts,
                         size_t width) {
    struct mt_strbuf piece = MT_STRBUF_INIT;
    append_file_line(&piece, &frames[0], parts);
    size_t used = columns_of(&piece), shown = 1;
    append_middle_cut(out, mt_strbuf_text(&piece), width);
    for (; shown < count; shown++) {
        piece.length = 0;
        append_caller(&piece, frames, shown, parts);
        size_t columns = columns_of(&piece), rest = count - shown - 1;
        if (piece.failed || (width > 0 && used + columns + (rest > 0 ? more_width(rest) : 0) > width))
            break;
        used += columns;
        mt_strbuf_append(out, piece.data);
    }
    if (shown < count && used + more_width(count - shown) <= width)
        append_more(out, count - shown);
    out->failed |= piece.failed;
    mt_strbuf_deinit(&piece);
    return shown == count && (width == 0 || used <= width);
}

static size_t count_parts(const struct mt_frame *frames, size_t count) {
    size_t most = 1;
    for (size_t i = 0; i < count; i++) {
        size_t parts = 1;
        for (const char *c = frames[i].file; *c; c++)
            parts += *c == '/';
        if (parts > most)
            most = parts;
    }
    return most;
}

void mt_place_location(struct mt_strbuf *out, const struct mt_frame *frames, size_t count, size_t width) {
    if (count == 0)
        return;
    struct mt_strbuf best = MT_STRBUF_INIT;
    bool all = append_chain(&best, frames, count, width > 0 ? 1 : ALL_PARTS, width);
    /* A chain that fits may spend the room that is left on directories. */
    size_t most = all && width > 0 ? count_parts(frames, count) : 0;
    for (size_t parts = 2; parts <= most; parts++) {
        struct mt_strbuf longer = MT_STRBUF_INIT;
        if (!append_chain(&longer, frames, count, parts, width) || longer.failed) {
            mt_strbuf_deinit(&longer);
            break;
        }
        mt_strbuf_deinit(&best);
        best = longer;
    }
    mt_strbuf_append(out, mt_strbuf_text(&best));
    out->failed |= best.failed;
    mt_strbuf_deinit(&best);
}

void mt_place_path(struct mt_strbuf *out, const char *path, size_t width) {
    struct mt_strbuf escaped = MT_STRBUF_INIT;
    mt_text_escape(&escaped, path);
    const char *whole = mt_strbuf_text(&escaped);
    append_middle_cut(out, width > 0 ? fitting_tail(whole, '/', width) : whole, width);
    mt_strbuf_deinit(&escaped);
}
