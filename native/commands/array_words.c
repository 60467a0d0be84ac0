#include "commands/array_words.h"

#include <inttypes.h>

#include "commands/object_words.h"
#include "output/text.h"
#include "python/numpy.h"
#include "python/object.h"

#define DESCR_KIND 24 /* PyArray_Descr.kind, the same in numpy 1.x and 2.x: 'u' of uint8 */

/* "uint8", "float64", "object", "str32": numpy's name of a kind, with its bits where it is one of a family. */
static void append_dtype(struct mt_python *python, const struct mt_numpy_array *array, struct mt_strbuf *out) {
    static const struct {
        char kind;
        bool has_bits;
        const char *name;
    } kinds[] = {
        {'b', false, "bool"},   {'i', true, "int"},         {'u', true, "uint"},         {'f', true, "float"},
        {'c', true, "complex"}, {'O', false, "object"},     {'S', true, "bytes"},        {'U', true, "str"},
        {'V', true, "void"},    {'M', false, "datetime64"}, {'m', false, "timedelta64"}, {'T', false, "StringDType"},
    };
    uint8_t kind = 0;
    mt_view_u8(python->view, array->descr + DESCR_KIND, &kind);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].kind != (char)kind)
            continue;
        mt_strbuf_append(out, kinds[i].name);
        if (kinds[i].has_bits)
            mt_strbuf_printf(out, "%" PRIu64, array->item_size * 8);
        return;
    }
    mt_strbuf_append(out, "an unknown dtype");
}

/* The file that is mapped where the data lie; NULL: none. */
static const char *find_file(struct mt_target *target, uint64_t address) {
    const struct mt_region *regions;
    size_t count;
    struct mt_error *error = mt_target_regions(target, &regions, &count);
    mt_error_destroy(error);
    for (size_t i = 0; !error && i < count; i++)
        if (address >= regions[i].start && address < regions[i].end)
            return regions[i].path && regions[i].path[0] == '/' ? regions[i].path : NULL;
    return NULL;
}

static void emit_shape(struct mt_emitter *emitter, struct mt_python *python, const struct mt_numpy_array *array,
                       struct mt_strbuf *out) {
    mt_strbuf_append_char(out, '(');
    mt_emit_begin(emitter, "shape", '[');
    for (unsigned i = 0; i < array->dimensions; i++) {
        uint64_t length = 0;
        mt_view_u64(python->view, array->shape + i * sizeof length, &length);
        mt_strbuf_printf(out, i == 0 ? "%" PRIu64 : ", %" PRIu64, length);
        mt_emit_unsigned(emitter, NULL, length);
    }
    mt_emit_end(emitter, ']');
    mt_strbuf_append(out, array->dimensions == 1 ? ",)" : ")");
}

void mt_array_emit(struct mt_call *call, struct mt_python *python, uint64_t address) {
    struct mt_emitter *emitter = &call->emitter;
    struct mt_numpy_array array;
    if (!mt_numpy_array_read(python, address, &array))
        return;
    struct mt_strbuf line = MT_STRBUF_INIT, dtype = MT_STRBUF_INIT;
    const char *file = find_file(python->view->target, array.data);
    const struct mt_type *base = array.base ? mt_object_type(python, array.base) : NULL;
    append_dtype(python, &array, &dtype);
    mt_strbuf_printf(&line, "%s ", mt_strbuf_text(&dtype));
    mt_emit_begin(emitter, "buffer", '{');
    emit_shape(emitter, python, &array, &line);
    mt_strbuf_append(&line, ", data of ");
    mt_words_counted(&line, array.size, "byte", "bytes");
    mt_strbuf_printf(&line, " at 0x%" PRIx64, array.data);
    if (file)
        mt_strbuf_printf(&line, ", mapped from %s", file);
    if (array.owns_data)
        mt_strbuf_append(&line, ", its own");
    else if (base)
        mt_strbuf_printf(&line, ", lent by %s at 0x%" PRIx64, base->name, array.base);
    mt_emit_line(emitter, "%s", mt_strbuf_text(&line));
    mt_emit_address(emitter, "address", array.data);
    mt_emit_unsigned(emitter, "bytes", array.size);
    mt_emit_string(emitter, "dtype", dtype.data);
    mt_emit_boolean(emitter, "owned", array.owns_data);
    if (base)
        mt_emit_address(emitter, "base", array.base);
    if (file)
        mt_emit_string(emitter, "file", file);
    mt_emit_end(emitter, '}');
    mt_strbuf_deinit(&line);
    mt_strbuf_deinit(&dtype);
}
