#include "recorder/code.h"

#include <stddef.h>
#include <string.h>

#include "recorder/index.h"
#include "recorder/names.h"
#include "recorder/peek.h"

#define CACHE_BITS 9

/* What was last seen at a code object's address. */
struct known_code {
    uint64_t code;
    uint64_t file, function, lines;    /* the objects' addresses */
    uint64_t file_hash, function_hash; /* as cached in the str objects; -1: not computed */
    uint32_t first_line, lines_size;
    uint32_t id;
    uint32_t file_name, function_name; /* in the string pool */
    uint32_t version;
    uint64_t lines_ends; /* the first and last bytes of the line table */
};

static struct known_code cache[1 << CACHE_BITS];

/* A str's characters as UTF-8, at most MT_STRING_MAX bytes, the end of longer ones. */
static size_t read_text(const struct mt_frame_layout *layout, uint64_t text, char *out) {
    uint32_t state = mt_peek32(text, layout->str_state);
    uint64_t length = mt_peek64(text, layout->str_length);
    unsigned kind = state >> layout->str_kind_shift & 7;
    bool compact = state >> layout->str_compact_shift & 1, ascii = state >> layout->str_ascii_shift & 1;
    if (!compact || (kind != 1 && kind != 2 && kind != 4) || (int64_t)length < 0) {
        memcpy(out, "?", 1); /* a legacy string: no code object has had one since 3.3 */
        return 1;
    }
    uint64_t data = text + (ascii ? layout->str_ascii_data : layout->str_compact_data);
    uint64_t first = length > MT_STRING_MAX ? length - MT_STRING_MAX : 0;
    if (ascii) {
        memcpy(out, (const char *)data + first, length - first);
        return length - first;
    }
    size_t size = 0;
    for (uint64_t i = length > MT_STRING_MAX / 4 ? length - MT_STRING_MAX / 4 : 0; i < length; i++) {
        uint32_t c = kind == 1   ? mt_peek8(data, (unsigned)i)
                     : kind == 2 ? *(const volatile uint16_t *)(data + 2 * i)
                                 : mt_peek32(data, (unsigned)(4 * i));
        if (c < 0x80) {
            out[size++] = (char)c;
        } else if (c < 0x800) {
            out[size++] = (char)(0xC0 | c >> 6);
            out[size++] = (char)(0x80 | (c & 63));
        } else if (c < 0x10000) {
            out[size++] = (char)(0xE0 | c >> 12);
            out[size++] = (char)(0x80 | (c >> 6 & 63));
            out[size++] = (char)(0x80 | (c & 63));
        } else {
            out[size++] = (char)(0xF0 | (c >> 18 & 7));
            out[size++] = (char)(0x80 | (c >> 12 & 63));
            out[size++] = (char)(0x80 | (c >> 6 & 63));
            out[size++] = (char)(0x80 | (c & 63));
        }
    }
    return size;
}

/* Whether the str at `text` still reads as the copy. Two equal cached hashes settle it without a look at the
 * characters. */
static bool same_text(const struct mt_frame_layout *layout, uint64_t text, uint64_t known_hash, uint32_t known) {
    uint64_t hash = mt_peek64(text, layout->str_hash);
    if (hash != UINT64_MAX && hash == known_hash)
        return true;
    const char *copy = mt_string_at(known);
    uint64_t length = mt_peek64(text, layout->str_length);
    if ((mt_peek32(text, layout->str_state) >> layout->str_ascii_shift & 1) && length <= MT_STRING_MAX)
        return strlen(copy) == length && memcmp(copy, (const char *)text + layout->str_ascii_data, length) == 0;
    char now[MT_STRING_MAX + 1];
    size_t size = read_text(layout, text, now);
    return strlen(copy) == size && memcmp(copy, now, size) == 0;
}

/* Two bodies of one name often have tables of one length at one address; their ends tell most of them apart. */
static uint64_t read_ends(const struct mt_frame_layout *layout, uint64_t lines, uint32_t size) {
    uint64_t first = 0, last = 0, data = lines + layout->bytes_data;
    uint32_t part = size < sizeof first ? size : sizeof first;
    memcpy(&first, (const char *)data, part);
    memcpy(&last, (const char *)data + size - part, part);
    return mt_mix(first) ^ last;
}

bool mt_code_at(const struct mt_frame_layout *layout, uint64_t code, uint32_t *ret_id, uint32_t *ret_version) {
    static uint32_t versions;
    struct known_code *known = &cache[(code >> 4) * 0x9E3779B97F4A7C15u >> (64 - CACHE_BITS)];
    uint64_t file = mt_peek64(code, layout->code_filename);
    uint64_t function =
        mt_peek64(code, layout->code_qualname >= 0 ? (unsigned)layout->code_qualname : layout->code_name);
    uint64_t lines = mt_peek64(code, layout->code_lines);
    uint32_t first_line = mt_peek32(code, layout->code_first_line);
    uint32_t lines_size = mt_peek32(lines, layout->var_size);
    uint64_t lines_ends = read_ends(layout, lines, lines_size);
    if (known->code == code && known->file == file && known->function == function && known->lines == lines &&
        known->first_line == first_line && known->lines_size == lines_size && known->lines_ends == lines_ends &&
        same_text(layout, file, known->file_hash, known->file_name) &&
        same_text(layout, function, known->function_hash, known->function_name)) {
        *ret_id = known->id;
        *ret_version = known->version;
        return true;
    }
    struct known_code fresh = {
        .code = code,
        .file = file,
        .function = function,
        .lines = lines,
        .file_hash = mt_peek64(file, layout->str_hash),
        .function_hash = mt_peek64(function, layout->str_hash),
        .first_line = first_line,
        .lines_size = lines_size,
        .lines_ends = lines_ends,
        .version = ++versions,
    };
    char text[MT_STRING_MAX + 1];
    if (!mt_string_intern(text, read_text(layout, file, text), &fresh.file_name) ||
        !mt_string_intern(text, read_text(layout, function, text), &fresh.function_name) ||
        !mt_code_intern(fresh.file_name, fresh.function_name, first_line, &fresh.id))
        return false;
    *known = fresh;
    *ret_id = fresh.id;
    *ret_version = fresh.version;
    return true;
}

uint32_t mt_code_offset(const struct mt_frame_layout *layout, uint64_t code, uint64_t instruction) {
    int64_t offset = layout->instruction_size == 8 ? (int64_t)(instruction - (code + layout->code_bytecode))
                                                   : (int64_t)(int32_t)instruction * layout->instruction_scale;
    return offset < 0 ? 0 : (uint32_t)offset;
}

uint32_t mt_code_line(const struct mt_frame_layout *layout, uint64_t code, uint32_t offset) {
    uint64_t lines = mt_peek64(code, layout->code_lines);
    const uint8_t *table = (const uint8_t *)lines + layout->bytes_data;
    uint32_t size = mt_peek32(lines, layout->var_size), first_line = mt_peek32(code, layout->code_first_line);
    return mt_line_at((enum mt_line_table)layout->line_table, table, size, first_line, offset);
}
