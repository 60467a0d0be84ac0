#include "layout/python_layout.h"

static const struct mt_python_minor *const minors[] = {
    &mt_python_3_9,  &mt_python_3_10, &mt_python_3_11, &mt_python_3_12,
    &mt_python_3_13, &mt_python_3_14, &mt_python_3_15,
};

static const struct mt_python_minor *minor_of(uint32_t version) {
    for (size_t i = 0; i < sizeof minors / sizeof minors[0]; i++)
        if (version >> 16 == (3u << 8 | minors[i]->minor))
            return minors[i];
    return NULL;
}

/* --- values ------------------------------------------------------------------------------------------------------- */

/* One field of a release build: the last revision up to `version` that sets it says what it is; the first is for all.
 */
static void apply_releases(const struct mt_python_minor *minor, uint32_t version, struct mt_python_layout *layout) {
    for (size_t i = 0; i < minor->revision_count; i++) {
        const struct mt_python_revision *revision = &minor->revisions[i];
        if (revision->variant != 0 || (i > 0 && revision->version > version))
            continue;
        for (size_t k = 0; k < revision->count; k++)
            layout->value[revision->values[k].field] = revision->values[k].value;
    }
}

static int64_t release_value(const struct mt_python_minor *minor, uint32_t version, uint16_t field) {
    int64_t value = -1;
    for (size_t i = 0; i < minor->revision_count; i++) {
        const struct mt_python_revision *revision = &minor->revisions[i];
        for (size_t k = 0; revision->variant == 0 && (i == 0 || revision->version <= version) && k < revision->count;
             k++)
            if (revision->values[k].field == field)
                value = revision->values[k].value;
    }
    return value;
}

/* The revision of a variant that was measured last before `version`, else the first one; NULL: it moves nothing. */
static const struct mt_python_revision *variant_near(const struct mt_python_minor *minor, uint32_t version,
                                                     unsigned variant) {
    const struct mt_python_revision *nearest = NULL;
    for (size_t i = 0; i < minor->revision_count; i++)
        if (minor->revisions[i].variant == variant && (!nearest || minor->revisions[i].version <= version))
            nearest = &minor->revisions[i];
    return nearest;
}

static void apply_variant(const struct mt_python_minor *minor, const struct mt_python_revision *revision,
                          struct mt_python_layout *layout) {
    for (size_t i = 0; i < revision->count; i++) {
        const struct mt_python_value *moved = &revision->values[i];
        int64_t from = release_value(minor, revision->version, moved->field), *value = &layout->value[moved->field];
        *value = from < 0 || moved->value < 0 || *value < 0 ? moved->value : *value + (moved->value - from);
    }
}

bool mt_python_layout_choose(uint32_t version, unsigned variant, struct mt_python_layout *ret) {
    const struct mt_python_minor *minor = minor_of(version);
    if (!minor)
        return false;
    *ret = (struct mt_python_layout){.version = version, .variant = variant};
    mt_python_layout_nearest(version, &ret->measured, 1);
    for (size_t i = 0; i < MT_FIELD_COUNT; i++)
        ret->value[i] = -1;
    apply_releases(minor, version, ret);
    for (unsigned bit = MT_PYTHON_DEBUG; bit <= MT_PYTHON_JIT; bit <<= 1) {
        const struct mt_python_revision *revision = variant & bit ? variant_near(minor, version, bit) : NULL;
        if (revision)
            apply_variant(minor, revision, ret);
    }
    return true;
}

/* --- releases ----------------------------------------------------------------------------------------------------- */

size_t mt_python_layout_nearest(uint32_t version, uint32_t *ret, size_t room) {
    const struct mt_python_minor *minor = minor_of(version);
    size_t count = 0, later = 0;
    if (!minor)
        return 0;
    while (later < minor->release_count && minor->releases[later] <= version)
        later++;
    for (size_t i = later; i > 0 && count < room; i--)
        ret[count++] = minor->releases[i - 1];
    for (size_t i = later; i < minor->release_count && count < room; i++)
        ret[count++] = minor->releases[i];
    return count;
}

const char *mt_python_field_name(enum mt_python_field field) {
    return field < MT_FIELD_COUNT ? mt_python_field_names[field] : "?";
}
