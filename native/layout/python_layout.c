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

static void apply(struct mt_python_layout *layout, const struct mt_python_revision *revision) {
    for (size_t i = 0; i < revision->count; i++)
        layout->value[revision->values[i].field] = revision->values[i].value;
}

bool mt_python_layout_choose(uint32_t version, unsigned variant, struct mt_python_layout *ret) {
    const struct mt_python_minor *minor = minor_of(version);
    if (!minor)
        return false;
    *ret = (struct mt_python_layout){.version = version, .variant = variant};
    for (size_t i = 0; i < MT_FIELD_COUNT; i++)
        ret->value[i] = -1;
    for (size_t i = 0; i < minor->revision_count; i++)
        if (minor->revisions[i].variant == 0 && (i == 0 || minor->revisions[i].version <= version))
            apply(ret, &minor->revisions[i]);
    for (unsigned bit = MT_PYTHON_DEBUG; bit <= MT_PYTHON_JIT; bit <<= 1) {
        const struct mt_python_revision *nearest = NULL;
        for (size_t i = 0; variant & bit && i < minor->revision_count; i++)
            if (minor->revisions[i].variant == bit && (!nearest || minor->revisions[i].version <= version))
                nearest = &minor->revisions[i];
        if (nearest)
            apply(ret, nearest);
    }
    for (size_t i = 0; i < minor->release_count; i++)
        ret->measured |= minor->releases[i].version == version;
    return true;
}

uint64_t mt_python_layout_runtime_size(uint32_t version) {
    const struct mt_python_minor *minor = minor_of(version);
    for (size_t i = 0; minor && i < minor->release_count; i++)
        if (minor->releases[i].version == version)
            return minor->releases[i].runtime_size;
    return 0;
}

const char *mt_python_field_name(enum mt_python_field field) {
    return field < MT_FIELD_COUNT ? mt_python_field_names[field] : "?";
}
