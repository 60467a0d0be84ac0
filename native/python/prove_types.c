#include "python/prove_parts.h"

/* Is it the tuple of these objects? */
static bool is_tuple_of(struct mt_python *python, uint64_t tuple, const uint64_t *items, size_t count) {
    uint64_t size, item;
    if (!is_instance(python, tuple, TUPLE_SUBCLASS) || !READ(PyVarObject, ob_size, tuple, &size) || size != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!read_word(python, tuple, MT_AT(L, PyTupleObject, ob_item) + (int64_t)(i * sizeof item), &item) ||
            item != items[i])
            return false;
    return true;
}

/* What stands in a class that has one base, `object`. */
static bool is_derived_from_object(struct mt_python *python, uint64_t type) {
    uint64_t base, bases, order, ancestors[] = {type, python->object_type};
    return READ(PyTypeObject, tp_base, type, &base) && base == python->object_type &&
           READ(PyTypeObject, tp_bases, type, &bases) && is_tuple_of(python, bases, &base, 1) &&
           READ(PyTypeObject, tp_mro, type, &order) && is_tuple_of(python, order, ancestors, 2);
}

struct mt_error *mt_prove_types(struct mt_python *python) {
    uint64_t modules = modules_of(python, main_interpreter(python)), dict = type_of(python, modules), base;
    if (modules == 0 || !is_instance(python, modules, DICT_SUBCLASS))
        return FAIL("sys.modules is no dict");
    python->type_type = type_of(python, dict);
    if (python->type_type == 0 || type_of(python, python->type_type) != python->type_type ||
        !is_type(python, python->type_type))
        return FAIL("type(type) is not type");
    if (!READ(PyTypeObject, tp_base, python->type_type, &python->object_type) ||
        !is_type(python, python->object_type) || !READ(PyTypeObject, tp_base, python->object_type, &base) || base != 0)
        return FAIL("the bases of type do not end with object");
    if (!may_be_called(python, python->type_type, "type"))
        return FAIL("tp_name of type is not `type`");
    if (!may_be_called(python, python->object_type, "object"))
        return FAIL("tp_name of object is not `object`");
    if (!may_be_called(python, dict, "dict"))
        return FAIL("tp_name of dict is not `dict`");
    if (!is_derived_from_object(python, python->type_type) || !is_derived_from_object(python, dict))
        return FAIL("the bases of type and dict are not object");
    return NULL;
}
