#include "commands/keeper_words.h"

#include <inttypes.h>

#include "output/place.h"
#include "python/object.h"
#include "python/threads.h"

#define LONGEST_NAME 200 /* bytes of a variable's, function's or module's name */

static uint64_t member(struct mt_python *python, uint64_t address, int64_t offset) {
    uint64_t value = 0;
    return offset >= 0 && mt_view_u64(python->view, address + (uint64_t)offset, &value) ? value : 0;
}

static void append_str(struct mt_python *python, uint64_t str, struct mt_strbuf *out) {
    if (str == 0 || !mt_str_append(python, str, LONGEST_NAME, out))
        mt_strbuf_append(out, "?");
}

static void append_place(const struct mt_frame_place *place, struct mt_strbuf *out) {
    mt_strbuf_append(out, place->file[0] != '\0' ? mt_place_tail(place->file, 1) : "?");
    if (place->line > 0)
        mt_strbuf_printf(out, ":%" PRId32, place->line);
}

static void append_cache(struct mt_python *python, uint64_t cache, struct mt_strbuf *out, struct mt_strbuf *place) {
    const struct mt_python_layout *layout = &python->layout;
    uint64_t function = member(python, cache, MT_AT(layout, lru_cache_object, func));
    const struct mt_type *type = mt_object_type(python, function);
    struct mt_frame_place where;
    mt_strbuf_append(out, "cache of ");
    if (!type || type->kind != MT_KIND_FUNCTION) {
        mt_strbuf_append(out, type ? type->name : "?");
        return;
    }
    append_str(python, member(python, function, MT_AT(layout, PyFunctionObject, func_qualname)), out);
    if (mt_code_place(python, member(python, function, MT_AT(layout, PyFunctionObject, func_code)), &where))
        append_place(&where, place);
}

static void append_frame(struct mt_python *python, uint64_t address, struct mt_strbuf *out, struct mt_strbuf *place) {
    struct mt_python_frame frame;
    struct mt_frame_place where;
    if (!mt_frame_read(python, address, &frame) || !mt_frame_place(python, &frame, &where)) {
        mt_strbuf_append(out, "a frame");
        return;
    }
    mt_strbuf_printf(out, "%s()", where.function);
    append_place(&where, place);
}

static void append_class(struct mt_python *python, uint64_t class, struct mt_strbuf *out) {
    const struct mt_type *type = mt_types_get(python->types, class);
    mt_strbuf_append(out, type ? type->name : "?");
}

void mt_keeper_words(const struct mt_census *census, const struct mt_keeper *keeper, struct mt_strbuf *out,
                     struct mt_strbuf *place) {
    struct mt_python *python = census->python;
    uint64_t object = keeper->object != MT_NO_OBJECT ? census->addresses[keeper->object] : 0;
    uint64_t owner = keeper->owner != MT_NO_OBJECT ? census->addresses[keeper->owner] : 0;
    switch (keeper->form) {
    case MT_KEEPER_NONE:
        break;
    case MT_KEEPER_CACHE:
        append_cache(python, object, out, place);
        break;
    case MT_KEEPER_GLOBAL:
        mt_strbuf_append(out, "global `");
        append_str(python, keeper->name, out);
        mt_strbuf_append(out, "` of module ");
        append_str(python, member(python, owner, MT_AT(&python->layout, PyModuleObject, md_name)), out);
        break;
    case MT_KEEPER_ATTRIBUTE:
        mt_strbuf_append(out, "class attribute `");
        append_str(python, keeper->name, out);
        mt_strbuf_append(out, "` of ");
        append_class(python, owner, out);
        break;
    case MT_KEEPER_LOCAL:
        mt_strbuf_append(out, "local `");
        append_str(python, keeper->name, out);
        mt_strbuf_append(out, "` of ");
        append_frame(python, keeper->frame, out, place);
        break;
    case MT_KEEPER_GENERATOR:
        mt_strbuf_printf(out, "suspended %s ", mt_census_type(census, keeper->object)->name);
        append_str(python, member(python, object, MT_AT(&python->layout, PyGenObject, gi_qualname)), out);
        mt_strbuf_append(out, "()");
        break;
    case MT_KEEPER_FRAME:
        mt_strbuf_append(out, "locals of ");
        append_frame(python, keeper->frame, out, place);
        break;
    }
}

const char *mt_keeper_form_name(enum mt_keeper_form form) {
    static const char *const names[] = {
        [MT_KEEPER_NONE] = "none",     [MT_KEEPER_CACHE] = "cache",
        [MT_KEEPER_GLOBAL] = "global", [MT_KEEPER_ATTRIBUTE] = "class attribute",
        [MT_KEEPER_LOCAL] = "local",   [MT_KEEPER_GENERATOR] = "generator",
        [MT_KEEPER_FRAME] = "frame",
    };
    return names[form];
}
