#include <inttypes.h>
#include <string.h>

#include "python/attribute.h"
#include "python/dict.h"
#include "python/numpy.h"
#include "python/object.h"
#include "python/value_parts.h"

enum { MAX_NAME = 256 };
enum { POINTER = 8 };
#define AT(structure, member) MT_OFFSET(python, structure, member)

static uint64_t word(struct mt_python *python, uint64_t address) {
    uint64_t value = 0;
    mt_view_u64(python->view, address, &value);
    return value;
}

/* The text of a str that is somebody's name. */
static void append_name(struct mt_python *python, uint64_t str, struct mt_strbuf *out) {
    if (!mt_str_append(python, str, MAX_NAME, out))
        mt_strbuf_append_char(out, '?');
}

/* Of the type at `address`. */
static void append_type_name(struct mt_python *python, uint64_t address, struct mt_strbuf *out) {
    const struct mt_type *type = mt_types_get(python->types, address);
    mt_strbuf_append(out, type ? type->name : "?");
}

static void append_c_string(struct mt_python *python, uint64_t address, struct mt_strbuf *out) {
    char name[MAX_NAME];
    mt_strbuf_append(out, address && mt_view_string(python->view, address, name, sizeof name) ? name : "?");
}

/* --- what has a name ---------------------------------------------------------------------------------------------- */

static void append_class(struct mt_python *python, uint64_t address, struct mt_strbuf *out) {
    const struct mt_type *type = mt_types_get(python->types, address);
    bool is_builtin = type && strcmp(type->module, "builtins") == 0;
    mt_strbuf_printf(out, "<class '%s'>", !type ? "?" : is_builtin ? type->name : type->qualified);
}

/* module.qualname, where the module is not the program itself. */
static void append_function_name(struct mt_python *python, uint64_t function, struct mt_strbuf *out) {
    uint64_t module = word(python, function + AT(PyFunctionObject, func_module));
    if (module && !mt_str_equals(python, module, "__main__") && mt_str_append(python, module, MAX_NAME, out))
        mt_strbuf_append_char(out, '.');
    append_name(python, word(python, function + AT(PyFunctionObject, func_qualname)), out);
}

static void append_function(struct mt_python *python, uint64_t address, struct mt_strbuf *out) {
    mt_strbuf_append(out, "<function ");
    append_function_name(python, address, out);
    mt_strbuf_printf(out, " at 0x%" PRIx64 ">", address);
}

/* `<app.Order at 0x..>` */
static void append_object(uint64_t address, const struct mt_type *type, struct mt_strbuf *out) {
    mt_strbuf_printf(out, "<%s at 0x%" PRIx64 ">", type->name, address);
}

static void append_object_at(struct mt_python *python, uint64_t address, struct mt_strbuf *out) {
    const struct mt_type *type = mt_object_type(python, address);
    if (type && mt_type_is_metatype(type))
        append_class(python, address, out);
    else if (type)
        append_object(address, type, out);
    else
        mt_strbuf_append(out, MT_VALUE_UNREADABLE);
}

static void append_method(struct mt_python *python, uint64_t address, struct mt_strbuf *out) {
    uint64_t function = word(python, address + AT(PyMethodObject, im_func));
    const struct mt_type *type = mt_object_type(python, function);
    mt_strbuf_append(out, "<bound method ");
    if (type && type->kind == MT_KIND_FUNCTION)
        append_name(python, word(python, function + AT(PyFunctionObject, func_qualname)), out);
    else
        mt_strbuf_append_char(out, '?');
    mt_strbuf_append(out, " of ");
    append_object_at(python, word(python, address + AT(PyMethodObject, im_self)), out);
    mt_strbuf_append_char(out, '>');
}

/* Functions of a module have the module as self. */
static void append_builtin(struct mt_python *python, uint64_t address, struct mt_strbuf *out) {
    uint64_t method = word(python, address + AT(PyCFunctionObject, m_ml));
    uint64_t self = word(python, address + AT(PyCFunctionObject, m_self));
    const struct mt_type *type = self ? mt_object_type(python, self) : NULL;
    bool is_method = type && type->kind != MT_KIND_MODULE;
    mt_strbuf_append(out, is_method ? "<built-in method " : "<built-in function ");
    append_c_string(python, word(python, method + AT(PyMethodDef, ml_name)), out);
    if (is_method) {
        mt_strbuf_append(out, " of ");
        append_object_at(python, self, out);
    }
    mt_strbuf_append_char(out, '>');
}

static void append_method_wrapper(struct mt_python *python, uint64_t address, struct mt_strbuf *out) {
    uint64_t descriptor = word(python, address + AT(wrapperobject, descr));
    mt_strbuf_append(out, "<method-wrapper '");
    append_name(python, word(python, descriptor + AT(PyDescrObject, d_name)), out);
    mt_strbuf_append(out, "' of ");
    append_object_at(python, word(python, address + AT(wrapperobject, self)), out);
    mt_strbuf_append_char(out, '>');
}

/* `what`: as repr() calls descriptors of this kind. */
static void append_descriptor(struct mt_python *python, uint64_t address, const char *what, struct mt_strbuf *out) {
    mt_strbuf_printf(out, "<%s '", what);
    append_name(python, word(python, address + AT(PyDescrObject, d_name)), out);
    mt_strbuf_append(out, "' of '");
    append_type_name(python, word(python, address + AT(PyDescrObject, d_type)), out);
    mt_strbuf_append(out, "' objects>");
}

static void append_module(struct mt_python *python, uint64_t address, struct mt_strbuf *out) {
    uint64_t dict = word(python, address + AT(PyModuleObject, md_dict));
    uint64_t name = dict ? mt_dict_get(python, dict, "__name__") : 0;
    mt_strbuf_append(out, "<module '");
    append_name(python, name ? name : word(python, address + AT(PyModuleObject, md_name)), out);
    mt_strbuf_append(out, "'>");
}

static void append_generator(struct mt_python *python, uint64_t address, const struct mt_type *type,
                             struct mt_strbuf *out) {
    mt_strbuf_printf(out, "<%s object ", type->name);
    append_name(python, word(python, address + AT(PyGenObject, gi_qualname)), out);
    mt_strbuf_printf(out, " at 0x%" PRIx64 ">", address);
}

static void append_code(struct mt_python *python, uint64_t address, struct mt_strbuf *out) {
    int32_t line = 0;
    mt_view_i32(python->view, address + AT(PyCodeObject, co_firstlineno), &line);
    mt_strbuf_append(out, "<code object ");
    append_name(python, word(python, address + AT(PyCodeObject, co_name)), out);
    mt_strbuf_printf(out, " at 0x%" PRIx64 ", file \"", address);
    append_name(python, word(python, address + AT(PyCodeObject, co_filename)), out);
    mt_strbuf_printf(out, "\", line %" PRId32 ">", line);
}

/* --- small composed values ---------------------------------------------------------------------------------------- */

/* A member of a class that is made by enum: `<Color.RED: 1>`; false: it is none. */
static bool append_enum(struct mt_python *python, uint64_t address, const struct mt_type *type, size_t limit,
                        mt_value_append_element *append_element, struct mt_strbuf *out) {
    const struct mt_type *metatype = mt_types_get(python->types, type->metatype);
    if (!metatype || strcmp(metatype->module, "enum") != 0)
        return false;
    uint64_t name = mt_attribute_own(python, address, "_name_"), value = mt_attribute_own(python, address, "_value_");
    if (!name || !value)
        return false;
    mt_strbuf_printf(out, "<%s.", type->name);
    append_name(python, name, out);
    mt_strbuf_append(out, ": ");
    append_element(python, value, limit, out);
    mt_strbuf_append_char(out, '>');
    return true;
}

/* `ValueError('x', 1)` */
static void append_exception(struct mt_python *python, uint64_t address, const struct mt_type *type, size_t limit,
                             mt_value_append_element *append_element, struct mt_strbuf *out) {
    enum { MAX_ARGUMENTS = 8 };
    uint64_t arguments = word(python, address + AT(PyBaseExceptionObject, args));
    const struct mt_type *tuple = arguments ? mt_object_type(python, arguments) : NULL;
    uint64_t count = tuple ? mt_object_item_count(python, arguments, tuple) : 0;
    mt_strbuf_printf(out, "%s(", type->name);
    for (uint64_t i = 0; i < count && i <= MAX_ARGUMENTS; i++) {
        mt_strbuf_append(out, i > 0 ? ", " : "");
        if (i == MAX_ARGUMENTS)
            mt_strbuf_append(out, "...");
        else
            append_element(python, word(python, arguments + AT(PyTupleObject, ob_item) + i * POINTER), limit, out);
    }
    mt_strbuf_append_char(out, ')');
}

static void append_range(struct mt_python *python, uint64_t address, size_t limit,
                         mt_value_append_element *append_element, struct mt_strbuf *out) {
    uint64_t step = word(python, address + AT(rangeobject, step));
    int64_t step_value = 0;
    mt_strbuf_append(out, "range(");
    append_element(python, word(python, address + AT(rangeobject, start)), limit, out);
    mt_strbuf_append(out, ", ");
    append_element(python, word(python, address + AT(rangeobject, stop)), limit, out);
    if (!mt_int_value(python, step, &step_value) || step_value != 1) {
        mt_strbuf_append(out, ", ");
        append_element(python, step, limit, out);
    }
    mt_strbuf_append_char(out, ')');
}

static void append_slice(struct mt_python *python, uint64_t address, size_t limit,
                         mt_value_append_element *append_element, struct mt_strbuf *out) {
    mt_strbuf_append(out, "slice(");
    append_element(python, word(python, address + AT(PySliceObject, start)), limit, out);
    mt_strbuf_append(out, ", ");
    append_element(python, word(python, address + AT(PySliceObject, stop)), limit, out);
    mt_strbuf_append(out, ", ");
    append_element(python, word(python, address + AT(PySliceObject, step)), limit, out);
    mt_strbuf_append_char(out, ')');
}

/* `<numpy.ndarray (3, 4) at 0x..>` */
static void append_array(struct mt_python *python, uint64_t address, const struct mt_type *type,
                         struct mt_strbuf *out) {
    struct mt_numpy_array array;
    if (!mt_numpy_array_read(python, address, &array)) {
        append_object(address, type, out);
        return;
    }
    mt_strbuf_printf(out, "<%s (", type->name);
    for (unsigned i = 0; i < array.dimensions; i++)
        mt_strbuf_printf(out, "%s%" PRIu64, i > 0 ? ", " : "", word(python, array.shape + i * POINTER));
    mt_strbuf_printf(out, "%s) at 0x%" PRIx64 ">", array.dimensions == 1 ? "," : "", address);
}

static void append_bytearray(struct mt_python *python, uint64_t address, size_t limit, struct mt_strbuf *out) {
    uint64_t size = word(python, address + MT_OB_SIZE);
    mt_strbuf_append(out, "bytearray(");
    mt_value_append_bytes(python, word(python, address + AT(PyByteArrayObject, ob_start)), size, true, limit, out);
    mt_strbuf_append_char(out, ')');
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

/* What says all in a word; NULL: nothing of that kind. */
static const char *constant_of(const struct mt_type *type) {
    static const char *const constants[][2] = {
        {"NoneType", "None"}, {"ellipsis", "Ellipsis"}, {"NotImplementedType", "NotImplemented"}};
    for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++)
        if (strcmp(type->name, constants[i][0]) == 0)
            return constants[i][1];
    return NULL;
}

/* Values without elements; false: it is something else. */
static bool append_scalar(struct mt_python *python, uint64_t address, const struct mt_type *type, size_t limit,
                          struct mt_strbuf *out) {
    int64_t value;
    switch (type->kind) {
    case MT_KIND_BOOL:
        mt_strbuf_append(out, mt_int_value(python, address, &value) && value != 0 ? "True" : "False");
        return true;
    case MT_KIND_INT:
        mt_value_append_int(python, address, type, limit, out);
        return true;
    case MT_KIND_FLOAT:
        mt_value_append_float(python, address, out);
        return true;
    case MT_KIND_COMPLEX:
        mt_value_append_complex(python, address, out);
        return true;
    case MT_KIND_STR:
        mt_value_append_str(python, address, limit, out);
        return true;
    case MT_KIND_BYTES:
        mt_value_append_bytes(python, address + AT(PyBytesObject, ob_sval), word(python, address + MT_OB_SIZE), false,
                              limit, out);
        return true;
    case MT_KIND_BYTEARRAY:
        append_bytearray(python, address, limit, out);
        return true;
    default:
        return false;
    }
}

/* Things that are known by a name; false: it is something else. */
static bool append_named(struct mt_python *python, uint64_t address, const struct mt_type *type,
                         struct mt_strbuf *out) {
    if (mt_type_is_metatype(type)) {
        append_class(python, address, out);
        return true;
    }
    switch (type->kind) {
    case MT_KIND_FUNCTION:
        append_function(python, address, out);
        return true;
    case MT_KIND_METHOD:
        append_method(python, address, out);
        return true;
    case MT_KIND_BUILTIN_FUNCTION:
    case MT_KIND_BUILTIN_METHOD:
        append_builtin(python, address, out);
        return true;
    case MT_KIND_METHOD_WRAPPER:
        append_method_wrapper(python, address, out);
        return true;
    case MT_KIND_WRAPPER_DESCRIPTOR:
        append_descriptor(python, address, "slot wrapper", out);
        return true;
    case MT_KIND_METHOD_DESCRIPTOR:
    case MT_KIND_CLASSMETHOD_DESCRIPTOR:
        append_descriptor(python, address, "method", out);
        return true;
    case MT_KIND_MEMBER_DESCRIPTOR:
        append_descriptor(python, address, "member", out);
        return true;
    case MT_KIND_GETSET_DESCRIPTOR:
        append_descriptor(python, address, "attribute", out);
        return true;
    case MT_KIND_MODULE:
        append_module(python, address, out);
        return true;
    case MT_KIND_GENERATOR:
    case MT_KIND_COROUTINE:
    case MT_KIND_ASYNC_GENERATOR:
        append_generator(python, address, type, out);
        return true;
    case MT_KIND_CODE:
        append_code(python, address, out);
        return true;
    case MT_KIND_NUMPY_ARRAY:
        append_array(python, address, type, out);
        return true;
    default:
        return false;
    }
}

static bool is_exception(const struct mt_type *type) {
    return type->kind >= MT_KIND_EXCEPTION && type->kind <= MT_KIND_EXCEPTION_GROUP;
}

/* An element of something that is shown: itself without elements. */
static void append_inner(struct mt_python *python, uint64_t address, size_t limit, struct mt_strbuf *out) {
    const struct mt_type *type = mt_object_type(python, address);
    if (!type)
        mt_strbuf_append(out, MT_VALUE_UNREADABLE);
    else if (mt_value_is_container(type))
        mt_value_append_closed_container(python, address, type, out);
    else if (constant_of(type))
        mt_strbuf_append(out, constant_of(type));
    else if (!append_scalar(python, address, type, limit, out) && !append_named(python, address, type, out))
        mt_strbuf_printf(out, "<%s>", type->name);
}

void mt_value_append(struct mt_python *python, uint64_t address, size_t limit, struct mt_strbuf *out) {
    const struct mt_type *type = mt_object_type(python, address);
    if (!type)
        mt_strbuf_printf(out, "<no object at 0x%" PRIx64 ">", address);
    else if (append_enum(python, address, type, limit, append_inner, out))
        return;
    else if (mt_value_is_container(type))
        mt_value_append_container(python, address, type, limit, append_inner, out);
    else if (type->kind == MT_KIND_RANGE)
        append_range(python, address, limit, append_inner, out);
    else if (type->kind == MT_KIND_SLICE)
        append_slice(python, address, limit, append_inner, out);
    else if (is_exception(type))
        append_exception(python, address, type, limit, append_inner, out);
    else if (constant_of(type))
        mt_strbuf_append(out, constant_of(type));
    else if (!append_scalar(python, address, type, limit, out) && !append_named(python, address, type, out))
        append_object(address, type, out);
}
