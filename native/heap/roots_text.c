/* Strings that C code keeps in static variables beside their own text. The text proves what such a word is.
 *
 *   struct _Py_Identifier of 3.9 (Include/cpython/object.h): {next, const char *string, PyObject *object}
 *   struct wrapperbase (Include/cpython/descrobject.h), up to 3.11 with the string of a slot's name:
 *       {const char *name; int offset; void *function; wrapper; const char *doc; int flags; PyObject *name_strobj;}
 *   unicode_latin1 of 3.9 (Objects/unicodeobject.c), characters of 3.9 (Objects/bytesobject.c): a table of the 256
 *       strings and bytes of one character; later ones lie in the interpreter */
#include "heap/roots_parts.h"

#include "python/object.h"
#include "python/str.h"

#define L (&python->layout)

/* The longest name that CPython's own C code looks up. */
#define TEXT_MAX 256
/* From the text's address to the object's. */
enum { IDENTIFIER_DISTANCE = 8, WRAPPER_DISTANCE = 48 };
enum { CHARACTERS = 256 };

static bool names_text(struct mt_python *python, uint64_t where, uint64_t object) {
    uint64_t text;
    char copy[TEXT_MAX];
    return mt_view_u64(python->view, where, &text) && text != 0 &&
           mt_view_string(python->view, text, copy, sizeof copy) && copy[0] != '\0' &&
           mt_str_equals(python, object, copy);
}

/* The code of a str or bytes of one character; negative: it is none, or none of the tables has it. */
static int character_of(struct mt_python *python, uint64_t object, enum mt_kind kind) {
    const struct mt_type *type = object % 8 == 0 ? mt_object_type(python, object) : NULL;
    struct mt_str str;
    uint8_t code = 0;
    if (!type || type->kind != kind)
        return -1;
    if (kind == MT_KIND_STR) {
        bool is_one = mt_str_read(python, object, &str) && str.length == 1 && str.kind == 1;
        return is_one && mt_view_u8(python->view, str.data, &code) ? code : -1;
    }
    bool is_one = mt_object_item_count(python, object, type) == 1;
    return is_one && mt_view_u8(python->view, object + (uint64_t)MT_AT(L, PyBytesObject, ob_sval), &code) ? code : -1;
}

/* Does the word lie in a table of all characters, at its own place? */
static bool is_in_table(struct mt_python *python, uint64_t where, uint64_t object, enum mt_kind kind) {
    int own = character_of(python, object, kind);
    if (own < 0)
        return false;
    uint64_t table = where - 8 * (uint64_t)own;
    for (int code = 0; code < CHARACTERS; code++) {
        uint64_t entry;
        if (!mt_view_u64(python->view, table + 8 * (uint64_t)code, &entry) ||
            (entry != 0 && character_of(python, entry, kind) != code))
            return false;
    }
    return true;
}

const char *mt_roots_known_text(struct mt_python *python, uint64_t where, uint64_t object) {
    const struct mt_type *type =
        python->minor <= 11 && object != 0 && object % 8 == 0 ? mt_object_type(python, object) : NULL;
    if (!type || (type->kind != MT_KIND_STR && type->kind != MT_KIND_BYTES))
        return NULL;
    if (python->minor == 9 && is_in_table(python, where, object, type->kind))
        return "character";
    if (type->kind != MT_KIND_STR)
        return NULL;
    if (python->minor == 9 && names_text(python, where - IDENTIFIER_DISTANCE, object))
        return "identifier";
    return names_text(python, where - WRAPPER_DISTANCE, object) ? "slot's name" : NULL;
}
