#include "commands/expression_attribute.h"

#include <string.h>

#include "python/attribute.h"
#include "python/object.h"

/* PyMemberDef (Include/descrobject.h): {const char *name; int type; Py_ssize_t offset; ...}. */
enum { MEMBER_OFFSET = 16 };

/* C fields by the names that edges have, and what Python calls them. Fields of one name and attribute (a member that
 * its type declares) need not be here: mt_member_is finds them. */
static const struct field {
    enum mt_kind kind;
    const char *field, *attribute;
} fields[] = {
    {MT_KIND_FUNCTION, "func_code", "__code__"},
    {MT_KIND_FUNCTION, "func_globals", "__globals__"},
    {MT_KIND_FUNCTION, "func_builtins", "__builtins__"},
    {MT_KIND_FUNCTION, "func_name", "__name__"},
    {MT_KIND_FUNCTION, "func_qualname", "__qualname__"},
    {MT_KIND_FUNCTION, "func_defaults", "__defaults__"},
    {MT_KIND_FUNCTION, "func_kwdefaults", "__kwdefaults__"},
    {MT_KIND_FUNCTION, "func_closure", "__closure__"},
    {MT_KIND_FUNCTION, "func_doc", "__doc__"},
    {MT_KIND_FUNCTION, "func_module", "__module__"},
    {MT_KIND_FUNCTION, "func_annotate", "__annotate__"},
    {MT_KIND_FUNCTION, "func_typeparams", "__type_params__"},
    {MT_KIND_METHOD, "func", "__func__"},
    {MT_KIND_METHOD, "self", "__self__"},
    {MT_KIND_BUILTIN_FUNCTION, "self", "__self__"},
    {MT_KIND_BUILTIN_FUNCTION, "m_module", "__module__"},
    {MT_KIND_BUILTIN_METHOD, "self", "__self__"},
    {MT_KIND_BUILTIN_METHOD, "m_module", "__module__"},
    {MT_KIND_METHOD_WRAPPER, "self", "__self__"},
    {MT_KIND_WRAPPER_DESCRIPTOR, "d_type", "__objclass__"},
    {MT_KIND_WRAPPER_DESCRIPTOR, "d_name", "__name__"},
    {MT_KIND_WRAPPER_DESCRIPTOR, "d_qualname", "__qualname__"},
    {MT_KIND_METHOD_DESCRIPTOR, "d_type", "__objclass__"},
    {MT_KIND_METHOD_DESCRIPTOR, "d_name", "__name__"},
    {MT_KIND_METHOD_DESCRIPTOR, "d_qualname", "__qualname__"},
    {MT_KIND_CLASSMETHOD_DESCRIPTOR, "d_type", "__objclass__"},
    {MT_KIND_CLASSMETHOD_DESCRIPTOR, "d_name", "__name__"},
    {MT_KIND_CLASSMETHOD_DESCRIPTOR, "d_qualname", "__qualname__"},
    {MT_KIND_MEMBER_DESCRIPTOR, "d_type", "__objclass__"},
    {MT_KIND_MEMBER_DESCRIPTOR, "d_name", "__name__"},
    {MT_KIND_MEMBER_DESCRIPTOR, "d_qualname", "__qualname__"},
    {MT_KIND_GETSET_DESCRIPTOR, "d_type", "__objclass__"},
    {MT_KIND_GETSET_DESCRIPTOR, "d_name", "__name__"},
    {MT_KIND_GETSET_DESCRIPTOR, "d_qualname", "__qualname__"},
    {MT_KIND_CLASSMETHOD, "cm_callable", "__func__"},
    {MT_KIND_STATICMETHOD, "sm_callable", "__func__"},
    {MT_KIND_PROPERTY, "prop_get", "fget"},
    {MT_KIND_PROPERTY, "prop_set", "fset"},
    {MT_KIND_PROPERTY, "prop_del", "fdel"},
    {MT_KIND_PROPERTY, "prop_doc", "__doc__"},
    {MT_KIND_CELL, "ob_ref", "cell_contents"},
    {MT_KIND_CODE, "co_code", "co_code"},
    {MT_KIND_CODE, "_co_code", "co_code"},
    {MT_KIND_CODE, "co_varnames", "co_varnames"},
    {MT_KIND_CODE, "_co_varnames", "co_varnames"},
    {MT_KIND_CODE, "co_cellvars", "co_cellvars"},
    {MT_KIND_CODE, "_co_cellvars", "co_cellvars"},
    {MT_KIND_CODE, "co_freevars", "co_freevars"},
    {MT_KIND_CODE, "_co_freevars", "co_freevars"},
    {MT_KIND_FRAME, "f_back", "f_back"},
    {MT_KIND_FRAME, "f_code", "f_code"},
    {MT_KIND_FRAME, "f_executable", "f_code"},
    {MT_KIND_FRAME, "f_globals", "f_globals"},
    {MT_KIND_FRAME, "f_builtins", "f_builtins"},
    {MT_KIND_FRAME, "f_locals", "f_locals"},
    {MT_KIND_FRAME, "f_trace", "f_trace"},
    {MT_KIND_TRACEBACK, "tb_next", "tb_next"},
    {MT_KIND_TRACEBACK, "tb_frame", "tb_frame"},
    {MT_KIND_GENERATOR, "f_code", "gi_code"},
    {MT_KIND_GENERATOR, "f_executable", "gi_code"},
    {MT_KIND_GENERATOR, "frame_obj", "gi_frame"},
    {MT_KIND_GENERATOR, "gi_frame", "gi_frame"},
    {MT_KIND_GENERATOR, "gi_code", "gi_code"},
    {MT_KIND_GENERATOR, "gi_name", "__name__"},
    {MT_KIND_GENERATOR, "gi_qualname", "__qualname__"},
    {MT_KIND_COROUTINE, "f_code", "cr_code"},
    {MT_KIND_COROUTINE, "f_executable", "cr_code"},
    {MT_KIND_COROUTINE, "frame_obj", "cr_frame"},
    {MT_KIND_COROUTINE, "cr_frame", "cr_frame"},
    {MT_KIND_COROUTINE, "cr_code", "cr_code"},
    {MT_KIND_COROUTINE, "cr_name", "__name__"},
    {MT_KIND_COROUTINE, "cr_qualname", "__qualname__"},
    {MT_KIND_ASYNC_GENERATOR, "f_code", "ag_code"},
    {MT_KIND_ASYNC_GENERATOR, "f_executable", "ag_code"},
    {MT_KIND_ASYNC_GENERATOR, "frame_obj", "ag_frame"},
    {MT_KIND_ASYNC_GENERATOR, "ag_frame", "ag_frame"},
    {MT_KIND_ASYNC_GENERATOR, "ag_code", "ag_code"},
    {MT_KIND_ASYNC_GENERATOR, "ag_name", "__name__"},
    {MT_KIND_ASYNC_GENERATOR, "ag_qualname", "__qualname__"},
    {MT_KIND_EXCEPTION, "args", "args"},
    {MT_KIND_EXCEPTION, "traceback", "__traceback__"},
    {MT_KIND_EXCEPTION, "context", "__context__"},
    {MT_KIND_EXCEPTION, "cause", "__cause__"},
    {MT_KIND_OS_ERROR, "myerrno", "errno"},
    {MT_KIND_EXCEPTION_GROUP, "msg", "message"},
    {MT_KIND_EXCEPTION_GROUP, "excs", "exceptions"},
    {MT_KIND_WEAKREF, "wr_callback", "__callback__"},
    {MT_KIND_WEAKREF_REFERENCE, "wr_callback", "__callback__"},
    {MT_KIND_PARTIAL, "kw", "keywords"},
    {MT_KIND_TYPE, "tp_bases", "__bases__"},
    {MT_KIND_TYPE, "tp_mro", "__mro__"},
    {MT_KIND_TYPE, "tp_base", "__base__"},
    {MT_KIND_TYPE, "ht_name", "__name__"},
    {MT_KIND_TYPE, "ht_qualname", "__qualname__"},
    {MT_KIND_NUMPY_ARRAY, "base", "base"},
    {MT_KIND_NUMPY_ARRAY, "descr", "dtype"},
};
/* The same of types that share one kind. */
static const struct type_field {
    const char *type, *field, *attribute;
} type_fields[] = {
    {"re.Match", "pattern", "re"},
    {"datetime.datetime", "tzinfo", "tzinfo"},
    {"datetime.time", "tzinfo", "tzinfo"},
    {"typing.TypeVar", "name", "__name__"},
    {"typing.ParamSpec", "name", "__name__"},
    {"typing.TypeVarTuple", "name", "__name__"},
    {"typing.TypeAliasType", "name", "__name__"},
};

static uint64_t type_word(struct mt_python *python, uint64_t type, uint64_t offset) {
    uint64_t word = 0;
    mt_view_u64(python->view, type + offset, &word);
    return word;
}

/* What the classes of an object have under a name, the first of them; 0: nothing. */
static uint64_t of_classes(struct mt_python *python, const struct mt_type *type, const char *name) {
    uint64_t value = 0;
    return mt_attribute_find(python, type->address, name, &value) == MT_ATTRIBUTE_NONE ? 0 : value;
}

bool mt_looks_up_plainly(struct mt_python *python, const struct mt_type *type) {
    uint64_t getattro = MT_OFFSET(python, PyTypeObject, tp_getattro);
    if (type_word(python, type->address, getattro) == type_word(python, python->object_type, getattro))
        return true;
    /* A class that has a __getattr__, which is asked last. */
    uint64_t general = 0, own = of_classes(python, type, "__getattribute__");
    return mt_attribute_find(python, python->object_type, "__getattribute__", &general) != MT_ATTRIBUTE_NONE &&
           own == general && own != 0;
}

bool mt_attribute_is_own(struct mt_python *python, const struct mt_type *type, const char *name) {
    uint64_t value = of_classes(python, type, name);
    const struct mt_type *of_value = value ? mt_object_type(python, value) : NULL;
    if (!mt_looks_up_plainly(python, type) || (value && !of_value))
        return false;
    return !value || type_word(python, of_value->address, MT_OFFSET(python, PyTypeObject, tp_descr_set)) == 0;
}

bool mt_class_attribute_is_plain(struct mt_python *python, const struct mt_type *metatype, uint64_t value) {
    const struct mt_type *type = mt_object_type(python, value);
    if (metatype->address != python->type_type || !type)
        return false;
    return type->kind == MT_KIND_FUNCTION ||
           type_word(python, type->address, MT_OFFSET(python, PyTypeObject, tp_descr_get)) == 0;
}

bool mt_member_is(struct mt_python *python, uint64_t object, const struct mt_type *type, const char *name,
                  uint64_t value) {
    uint64_t descriptor = of_classes(python, type, name), definition, offset, word;
    const struct mt_type *of_descriptor = descriptor ? mt_object_type(python, descriptor) : NULL;
    return of_descriptor && of_descriptor->kind == MT_KIND_MEMBER_DESCRIPTOR && mt_looks_up_plainly(python, type) &&
           mt_view_u64(python->view, descriptor + MT_OFFSET(python, PyMemberDescrObject, d_member), &definition) &&
           mt_view_u64(python->view, definition + MEMBER_OFFSET, &offset) && offset < MT_ADDRESS_LIMIT &&
           mt_view_u64(python->view, object + offset, &word) && word == value;
}

static bool is_exception(enum mt_kind kind) {
    return kind >= MT_KIND_EXCEPTION && kind <= MT_KIND_EXCEPTION_GROUP;
}

static const char *find_field(const struct mt_type *type, const char *field) {
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if ((fields[i].kind == type->kind || (fields[i].kind == MT_KIND_EXCEPTION && is_exception(type->kind))) &&
            strcmp(fields[i].field, field) == 0)
            return fields[i].attribute;
    for (size_t i = 0; i < sizeof type_fields / sizeof type_fields[0]; i++)
        if (strcmp(type_fields[i].type, type->name) == 0 && strcmp(type_fields[i].field, field) == 0)
            return type_fields[i].attribute;
    return NULL;
}

/* Does the attribute mean the same in this class as in the C type that it derives from? */
static bool is_inherited(struct mt_python *python, const struct mt_type *type, const char *attribute) {
    uint64_t getattro = MT_OFFSET(python, PyTypeObject, tp_getattro);
    bool as_base = type->kind_type &&
                   type_word(python, type->address, getattro) == type_word(python, type->kind_type->address, getattro);
    return (as_base || mt_looks_up_plainly(python, type)) && type->kind_type &&
           of_classes(python, type, attribute) == of_classes(python, type->kind_type, attribute);
}

const char *mt_field_attribute(struct mt_python *python, const struct mt_type *type, const char *field) {
    const char *attribute = find_field(type, field);
    return attribute && (type->is_exact || is_inherited(python, type, attribute)) ? attribute : NULL;
}

const char *mt_frame_attribute(enum mt_kind kind) {
    switch (kind) {
    case MT_KIND_GENERATOR:
        return "gi_frame";
    case MT_KIND_COROUTINE:
        return "cr_frame";
    case MT_KIND_ASYNC_GENERATOR:
        return "ag_frame";
    default:
        return NULL;
    }
}
