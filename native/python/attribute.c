#include "python/attribute.h"

#include <string.h>

#include "python/dict.h"
#include "python/object.h"

#define L (&python->layout)

/* No class has that many bases. */
#define MRO_MAX 4096

struct search {
    struct mt_python *python;
    const char *name;
    uint64_t value;
};

static bool compare_name(void *context, uint64_t key, uint64_t value, uint64_t index) {
    struct search *search = context;
    if (!mt_str_equals(search->python, key, search->name))
        return true;
    search->value = value;
    return false;
}

static uint64_t find_member(struct mt_python *python, uint64_t object, const struct mt_type *type, const char *name) {
    uint64_t value = 0;
    for (size_t i = 0; i < type->member_count && value == 0; i++)
        if (strcmp(type->members[i].name, name) == 0)
            mt_view_u64(python->view, object + type->members[i].offset, &value);
    return value;
}

uint64_t mt_attribute_own(struct mt_python *python, uint64_t object, const char *name) {
    const struct mt_type *type = mt_object_type(python, object);
    if (!type)
        return 0;
    if (type->kind == MT_KIND_MODULE) {
        uint64_t dict = 0;
        mt_view_u64(python->view, object + (uint64_t)MT_AT(L, PyModuleObject, md_dict), &dict);
        return mt_dict_get(python, dict, name);
    }
    struct search search = {.python = python, .name = name};
    struct mt_attributes attributes;
    if (mt_attributes_read(python, object, type, &attributes)) {
        if (attributes.dict)
            search.value = mt_dict_get(python, attributes.dict, name);
        else
            mt_attributes_visit(python, &attributes, compare_name, &search);
    }
    return search.value ? search.value : find_member(python, object, type, name);
}

/* The value in the __dict__ of the first class along the MRO that has it. */
static uint64_t find_in_classes(struct mt_python *python, uint64_t class, const char *name) {
    uint64_t mro, count;
    if (!mt_view_u64(python->view, class + (uint64_t)MT_AT(L, PyTypeObject, tp_mro), &mro) ||
        !mt_view_u64(python->view, mro + MT_OB_SIZE, &count))
        return 0;
    for (uint64_t i = 0; i < count && i < MRO_MAX; i++) {
        uint64_t base;
        if (!mt_view_u64(python->view, mro + (uint64_t)MT_AT(L, PyTupleObject, ob_item) + 8 * i, &base))
            return 0;
        const struct mt_type *type = mt_types_get(python->types, base);
        uint64_t dict = type ? mt_type_dict(python->types, type) : 0;
        uint64_t value = dict ? mt_dict_get(python, dict, name) : 0;
        if (value)
            return value;
    }
    return 0;
}

/* Is the value of a class what an attribute look-up gives, though perhaps bound to the instance? */
static bool is_plain(struct mt_python *python, uint64_t value) {
    const struct mt_type *type = mt_object_type(python, value);
    if (!type)
        return false;
    switch (type->kind) {
    case MT_KIND_PROPERTY:
    case MT_KIND_MEMBER_DESCRIPTOR:
    case MT_KIND_GETSET_DESCRIPTOR:
        return false;
    case MT_KIND_OBJECT:
        return find_in_classes(python, type->address, "__get__") == 0;
    default:
        return true;
    }
}

/* staticmethod and classmethod objects stand for the function that they wrap. */
static uint64_t unwrap(struct mt_python *python, uint64_t value) {
    const struct mt_type *type = mt_object_type(python, value);
    uint64_t callable = 0;
    if (type && type->kind == MT_KIND_STATICMETHOD)
        mt_view_u64(python->view, value + (uint64_t)MT_AT(L, staticmethod, sm_callable), &callable);
    else if (type && type->kind == MT_KIND_CLASSMETHOD)
        mt_view_u64(python->view, value + (uint64_t)MT_AT(L, classmethod, cm_callable), &callable);
    return callable ? callable : value;
}

/* The object's real __dict__; 0: it has none, or none yet. */
static uint64_t own_dict(struct mt_python *python, uint64_t object, const struct mt_type *type) {
    struct mt_attributes attributes;
    uint64_t dict = 0;
    if (type->kind == MT_KIND_TYPE) {
        const struct mt_type *class = mt_types_get(python->types, object);
        return class ? mt_type_dict(python->types, class) : 0;
    }
    if (type->kind == MT_KIND_MODULE)
        mt_view_u64(python->view, object + (uint64_t)MT_AT(L, PyModuleObject, md_dict), &dict);
    else if (mt_attributes_read(python, object, type, &attributes))
        dict = attributes.dict;
    return dict;
}

/* What every object has, and no __dict__ says. */
static uint64_t find_special(struct mt_python *python, uint64_t object, const struct mt_type *type, const char *name) {
    if (strcmp(name, "__class__") == 0)
        return type->address;
    return strcmp(name, "__dict__") == 0 ? own_dict(python, object, type) : 0;
}

enum mt_attribute_state mt_attribute_find(struct mt_python *python, uint64_t object, const char *name, uint64_t *ret) {
    const struct mt_type *type = mt_object_type(python, object);
    if (!type)
        return MT_ATTRIBUTE_NONE;
    bool is_class = type->kind == MT_KIND_TYPE;
    uint64_t value = find_special(python, object, type, name);
    if (!value)
        value = is_class ? find_in_classes(python, object, name) : mt_attribute_own(python, object, name);
    if (value) {
        *ret = is_class ? unwrap(python, value) : value;
        return MT_ATTRIBUTE_FOUND;
    }
    value = find_in_classes(python, type->address, name);
    if (!value)
        return MT_ATTRIBUTE_NONE;
    *ret = unwrap(python, value);
    return is_plain(python, value) ? MT_ATTRIBUTE_FOUND : MT_ATTRIBUTE_DESCRIPTOR;
}
