/* Where CPython keeps what: the offset of every structure member that the heap reader uses, by version and build.
 *
 * A layout is one flat array: MT_AT(layout, PyDictObject, ma_keys) is the offset of that member in bytes, sizes are
 * MT_AT(layout, PyDictObject, sizeof), the distance of an array's elements ..._stride, a member of each element
 * ..._each_member, constants MT_CONSTANT(layout, FRAME_CLEARED). -1: this version has no such thing. The names are
 * CPython's own; native/layout/offsets.json says how each was measured. x86-64 Linux, builds with the GIL. */
#ifndef MEMTRACE_PYTHON_LAYOUT_H
#define MEMTRACE_PYTHON_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "python_fields.h" /* made by the build */

/* Variants of a build that move members. */
enum { MT_PYTHON_DEBUG = 1, MT_PYTHON_JIT = 2 };

struct mt_python_layout {
    uint32_t version;  /* as PY_VERSION_HEX: 0x030e08f0 */
    uint32_t measured; /* the release that was measured and taken for it: `version` itself, or one near to it */
    unsigned variant;
    int64_t value[MT_FIELD_COUNT];
};

#define MT_AT(layout, structure, member) ((layout)->value[MT_FIELD_##structure##__##member])
#define MT_HAS(layout, structure, member) (MT_AT(layout, structure, member) >= 0)
#define MT_CONSTANT(layout, name) ((layout)->value[MT_FIELD_constant__##name])

/* The minor version, 9 to 15. */
static inline unsigned mt_python_layout_minor(const struct mt_python_layout *layout) {
    return layout->version >> 16 & 0xff;
}

#define MT_PYTHON_FIRST_MINOR 9
#define MT_PYTHON_LAST_MINOR 15

/* The built-in layout of a version; false: its minor version is not known. A release that was not measured gets what
 * was measured last before it (else the first that was). What a variant moves was measured at some releases only: it
 * moves the same fields by as much in those near to them. */
bool mt_python_layout_choose(uint32_t version, unsigned variant, struct mt_python_layout *ret);
/* The measured releases of a version's minor version: the nearest earlier one first (the version itself, if it was
 * measured), then the other earlier ones, then the later ones. At most `room`; returns how many. */
size_t mt_python_layout_nearest(uint32_t version, uint32_t *ret, size_t room);
/* "PyDictObject.ma_keys" of a field, for messages and for the search in debug information: where CPython's own name
 * has a dot or brackets, this has them too; "sizeof(PyDictObject)"; a constant's bare name. */
const char *mt_python_field_name(enum mt_python_field field);

/* --- the form of the generated tables ---------------------------------------------------------------------------- */

struct mt_python_value {
    uint16_t field;
    int64_t value;
};

/* What changed in a release: applied in order, those of `variant` after the others. */
struct mt_python_revision {
    uint32_t version;
    unsigned variant; /* 0: of every build */
    const struct mt_python_value *values;
    size_t count;
};

struct mt_python_minor {
    unsigned minor;
    const struct mt_python_revision *revisions;
    size_t revision_count;
    const uint32_t *releases; /* that were measured, in order */
    size_t release_count;
};

extern const struct mt_python_minor mt_python_3_9, mt_python_3_10, mt_python_3_11, mt_python_3_12, mt_python_3_13,
    mt_python_3_14, mt_python_3_15;
extern const char *const mt_python_field_names[MT_FIELD_COUNT];

#endif
