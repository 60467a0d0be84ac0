#include "python/threads.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "layout/line_table.h"
#include "python/object.h"

/* No line table is that long: the largest modules of the standard library have some 100 KB. */
#define LINE_TABLE_MAX (16u << 20)

#define L (&python->layout)

/* The start of a str, with "..." where it is cut. */
static bool copy_text(struct mt_python *python, uint64_t text, char *buffer, size_t size) {
    static const char cut[] = "...";
    struct mt_strbuf out = MT_STRBUF_INIT;
    bool known = mt_str_append(python, text, size - sizeof cut, &out) && !out.failed;
    size_t length = out.length < size ? out.length : size - 1;
    if (known && length > 0)
        memcpy(buffer, out.data, length);
    buffer[known ? length : 0] = '\0';
    mt_strbuf_deinit(&out);
    return known;
}

static bool read_member(struct mt_python *python, uint64_t code, int64_t offset, uint64_t *ret) {
    return offset >= 0 && mt_view_u64(python->view, code + (uint64_t)offset, ret);
}

static enum mt_line_table line_table_form(const struct mt_python *python) {
    return python->minor == 9 ? MT_LINES_LNOTAB : python->minor == 10 ? MT_LINES_PAIRS : MT_LINES_LOCATION;
}

int32_t mt_code_line(struct mt_python *python, uint64_t code, int64_t instruction_offset) {
    int64_t lines_at = MT_HAS(L, PyCodeObject, co_linetable) ? MT_AT(L, PyCodeObject, co_linetable)
                                                             : MT_AT(L, PyCodeObject, co_lnotab);
    uint64_t lines, size;
    int32_t first_line;
    if (!mt_view_i32(python->view, code + (uint64_t)MT_AT(L, PyCodeObject, co_firstlineno), &first_line))
        return 0;
    if (instruction_offset < 0)
        return first_line;
    if (instruction_offset > INT32_MAX || !read_member(python, code, lines_at, &lines) ||
        !mt_view_u64(python->view, lines + MT_OB_SIZE, &size) || size > LINE_TABLE_MAX)
        return 0;
    MT_AUTO_FREE uint8_t *table = malloc(size > 0 ? size : 1);
    if (!table || !mt_view_read(python->view, lines + (uint64_t)MT_AT(L, PyBytesObject, ob_sval), table, size))
        return 0;
    return (int32_t)mt_line_at(line_table_form(python), table, (uint32_t)size, (uint32_t)first_line,
                               (uint32_t)instruction_offset);
}

static bool read_place(struct mt_python *python, uint64_t code, int64_t instruction, struct mt_frame_place *ret) {
    int64_t name_at =
        MT_HAS(L, PyCodeObject, co_qualname) ? MT_AT(L, PyCodeObject, co_qualname) : MT_AT(L, PyCodeObject, co_name);
    uint64_t name, file;
    struct mt_frame_place place;
    if (!read_member(python, code, name_at, &name) ||
        !read_member(python, code, MT_AT(L, PyCodeObject, co_filename), &file) ||
        !copy_text(python, name, place.function, sizeof place.function))
        return false;
    copy_text(python, file, place.file, sizeof place.file);
    place.line = mt_code_line(python, code, instruction);
    *ret = place;
    return true;
}

bool mt_code_place(struct mt_python *python, uint64_t code, struct mt_frame_place *ret) {
    return read_place(python, code, -1, ret);
}

bool mt_frame_place(struct mt_python *python, const struct mt_python_frame *frame, struct mt_frame_place *ret) {
    return read_place(python, frame->code, frame->instruction, ret);
}
