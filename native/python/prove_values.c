#include "python/prove_parts.h"

/* A module and the dict that the interpreter has of it besides. */
static bool is_module_with(struct mt_python *python, uint64_t module, uint64_t dict) {
    uint64_t itself, type = type_of(python, module);
    return may_be_called(python, type, "module") && READ(PyModuleObject, md_dict, module, &itself) && itself == dict &&
           is_instance(python, dict, DICT_SUBCLASS);
}

struct mt_error *mt_prove_modules(struct mt_python *python) {
    uint64_t interpreter = main_interpreter(python), modules = modules_of(python, interpreter), sysdict, builtins;
    uint64_t sys = mt_dict_get(python, modules, "sys");
    if (sys == 0)
        return FAIL("sys.modules has no str key 'sys'");
    if (!READ(PyInterpreterState, sysdict, interpreter, &sysdict) || !is_module_with(python, sys, sysdict))
        return FAIL("sys.modules['sys'] is not the module sys");
    if (!READ(PyInterpreterState, builtins, interpreter, &builtins) ||
        !is_module_with(python, mt_dict_get(python, modules, "builtins"), builtins))
        return FAIL("sys.modules['builtins'] is not the module builtins");
    if (!has_places(python, type_of(python, sys), MT_AT(L, PyModuleObject, sizeof), MT_AT(L, PyModuleObject, md_dict),
                    MT_AT(L, PyModuleObject, md_weaklist)))
        return FAIL("modules have their __dict__ elsewhere");
    return NULL;
}

/* sys.hexversion is this version, in one digit of an int. */
static bool has_version(struct mt_python *python, uint64_t number) {
    bool tagged = MT_HAS(L, PyLongObject, long_value_lv_tag);
    int64_t digits_at = tagged ? MT_AT(L, PyLongObject, long_value_ob_digit) : MT_AT(L, PyLongObject, ob_digit);
    uint64_t size;
    uint32_t digit;
    if (!(tagged ? READ(PyLongObject, long_value_lv_tag, number, &size) : READ(PyVarObject, ob_size, number, &size)))
        return false;
    if (tagged)
        size >>= MT_CONSTANT(L, NON_SIZE_BITS);
    return size == 1 && mt_view_u32(python->view, number + (uint64_t)digits_at, &digit) &&
           digit == python->layout.version;
}

struct mt_error *mt_prove_values(struct mt_python *python) {
    uint64_t interpreter = main_interpreter(python), sysdict, builtins;
    if (!READ(PyInterpreterState, sysdict, interpreter, &sysdict) ||
        !READ(PyInterpreterState, builtins, interpreter, &builtins))
        return FAIL("an interpreter can't be read");
    uint64_t number = mt_dict_get(python, sysdict, "hexversion"), platform = mt_dict_get(python, sysdict, "platform");
    if (number != 0 && !has_version(python, number))
        return FAIL("sys.hexversion is not the version");
    if (platform != 0 && !mt_str_equals(python, platform, "linux"))
        return FAIL("sys.platform is not 'linux'");
    uint64_t none = mt_dict_get(python, builtins, "None");
    if (none == 0 || !is_type(python, type_of(python, none)) ||
        !may_be_called(python, type_of(python, none), "NoneType"))
        return FAIL("None is not there");
    python->none = none;
    return NULL;
}

/* Builtin classes that are called by their name in builtins, and the field that says how large their instances are:
 * those with items behind them as far as the first item. */
static const struct {
    const char *name;
    uint16_t size;
    uint16_t more;
} sizes[] = {
    {"type", MT_FIELD_PyHeapTypeObject__sizeof, 0},
    {"str", MT_FIELD_PyUnicodeObject__sizeof, 0},
    {"list", MT_FIELD_PyListObject__sizeof, 0},
    {"dict", MT_FIELD_PyDictObject__sizeof, 0},
    {"set", MT_FIELD_PySetObject__sizeof, 0},
    {"frozenset", MT_FIELD_PySetObject__sizeof, 0},
    {"float", MT_FIELD_PyFloatObject__sizeof, 0},
    {"complex", MT_FIELD_PyComplexObject__sizeof, 0},
    {"bytearray", MT_FIELD_PyByteArrayObject__sizeof, 0},
    {"slice", MT_FIELD_PySliceObject__sizeof, 0},
    {"range", MT_FIELD_rangeobject__sizeof, 0},
    {"property", MT_FIELD_propertyobject__sizeof, 0},
    {"classmethod", MT_FIELD_classmethod__sizeof, 0},
    {"staticmethod", MT_FIELD_staticmethod__sizeof, 0},
    {"super", MT_FIELD_superobject__sizeof, 0},
    {"enumerate", MT_FIELD_enumobject__sizeof, 0},
    {"filter", MT_FIELD_filterobject__sizeof, 0},
    {"map", MT_FIELD_mapobject__sizeof, 0},
    {"zip", MT_FIELD_zipobject__sizeof, 0},
    {"BaseException", MT_FIELD_PyBaseExceptionObject__sizeof, 0},
    {"OSError", MT_FIELD_PyOSErrorObject__sizeof, 0},
    {"ImportError", MT_FIELD_PyImportErrorObject__sizeof, 0},
    {"SyntaxError", MT_FIELD_PySyntaxErrorObject__sizeof, 0},
    {"StopIteration", MT_FIELD_PyStopIterationObject__sizeof, 0},
    {"int", MT_FIELD_PyLongObject__ob_digit, 0},
    {"int", MT_FIELD_PyLongObject__long_value_ob_digit, 0},
    {"tuple", MT_FIELD_PyTupleObject__ob_item, 0},
    {"bytes", MT_FIELD_PyBytesObject__ob_sval, 1}, /* a zero byte ends it */
};

/* Somebody may have put something else there: then it says nothing. */
static struct mt_error *prove_size(struct mt_python *python, uint64_t type, size_t index) {
    int64_t known = L->value[sizes[index].size];
    uint64_t size;
    if (known < 0 || type_of(python, type) != python->type_type || (flags_of(python, type) & MT_TYPE_HEAP) ||
        !may_be_called(python, type, sizes[index].name))
        return NULL;
    if (!READ(PyTypeObject, tp_basicsize, type, &size) || size != (uint64_t)known + sizes[index].more)
        return FAIL("instances of %s are not as large as they should be", sizes[index].name);
    return NULL;
}

struct size_visit {
    struct mt_python *python;
    struct mt_error *error;
};

static bool visit_builtin(void *context, uint64_t key, uint64_t value, uint64_t index) {
    struct size_visit *visit = context;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0] && !visit->error; i++)
        if (mt_str_equals(visit->python, key, sizes[i].name))
            visit->error = prove_size(visit->python, value, i);
    return !visit->error;
}

struct mt_error *mt_prove_sizes(struct mt_python *python) {
    struct size_visit visit = {.python = python};
    uint64_t builtins;
    if (!READ(PyInterpreterState, builtins, main_interpreter(python), &builtins) ||
        !mt_dict_visit(python, builtins, visit_builtin, &visit))
        return visit.error ? visit.error : FAIL("the module builtins can't be read");
    return visit.error;
}
