#include "recorder/capi.h"

struct mt_capi mt_capi;

static bool bind(const struct mt_elf *module, const char *name, void **ret) {
    *ret = mt_elf_symbol(module, name);
    return *ret != NULL;
}

bool mt_capi_bind(const struct mt_elf *module) {
    bool ok = true;
#define BIND(name) ok = bind(module, #name, (void **)&mt_capi.name) && ok
    BIND(PyInterpreterState_Main);
    BIND(PyInterpreterState_ThreadHead);
    BIND(PyThreadState_Get);
    BIND(PyThreadState_Next);
    BIND(PyThreadState_GetInterpreter);
    BIND(PyErr_Clear);
    BIND(PyErr_Occurred);
    BIND(Py_IncRef);
    BIND(Py_DecRef);
    BIND(PySys_GetObject);
    BIND(PyImport_ImportModule);
    BIND(PyUnicode_InternFromString);
    BIND(PyObject_GetAttr);
    BIND(PyObject_GenericGetDict);
    BIND(PyDict_GetItemString);
    BIND(PyObject_CallObject);
    BIND(PyObject_CallFunction);
    BIND(PyCMethod_New);
    BIND(PyList_Size);
    BIND(PyList_GetItem);
    BIND(PyTuple_Size);
    BIND(PyTuple_GetItem);
    BIND(PyLong_AsLong);
    BIND(PyFunction_GetCode);
    BIND(PyFrame_GetCode);
    BIND(PyFrame_GetLineNumber);
    BIND(PyFrame_GetBack);
    BIND(PyThreadState_GetFrame);
    BIND(PyFunction_Type);
    BIND(PyCode_Type);
#undef BIND
    mt_capi._PyEval_SetTrace_of =
        (void (*)(void *, mt_trace_function *, void *))mt_elf_symbol(module, "_PyEval_SetTrace");
    return bind(module, "_Py_NoneStruct", &mt_capi.Py_None) && ok;
}
