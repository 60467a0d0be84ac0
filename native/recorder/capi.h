/* CPython's C API, for the few times that the recorder runs code of the interpreter: at a safe point only, with the GIL
 * held and the thread marked (`hidden` of struct mt_self), never in a hook. Bound by name, so that one recorder serves
 * all versions. Objects are `void *`. */
#ifndef MEMTRACE_RECORDER_CAPI_H
#define MEMTRACE_RECORDER_CAPI_H

#include <stdbool.h>
#include <stddef.h>

#include "recorder/elf_module.h"

/* PyMethodDef, and its METH_FASTCALL */
struct mt_method {
    const char *name;
    void *(*call)(void *self, void *const *arguments, ptrdiff_t count);
    int flags;
    const char *documentation;
};
#define MT_METHOD_FASTCALL 0x80

/* Py_tracefunc, and its `what` */
typedef int mt_trace_function(void *object, void *frame, int what, void *argument);
enum { MT_TRACE_CALL = 0, MT_TRACE_EXCEPTION = 1, MT_TRACE_LINE = 2, MT_TRACE_RETURN = 3 };

struct mt_capi {
    void *(*PyInterpreterState_Main)(void);
    void *(*PyInterpreterState_ThreadHead)(void *interpreter);
    void *(*PyThreadState_Get)(void);
    void *(*PyThreadState_Next)(void *thread);
    void *(*PyThreadState_GetInterpreter)(void *thread);
    void (*PyErr_Clear)(void);
    void *(*PyErr_Occurred)(void);
    void (*Py_IncRef)(void *object);
    void (*Py_DecRef)(void *object);
    void *(*PySys_GetObject)(const char *name); /* borrowed */
    void *(*PyImport_ImportModule)(const char *name);
    void *(*PyUnicode_InternFromString)(const char *text);
    void *(*PyObject_GetAttr)(void *object, void *name);
    void *(*PyObject_GenericGetDict)(void *object, void *context);
    void *(*PyDict_GetItemString)(void *dict, const char *key); /* borrowed */
    void *(*PyObject_CallObject)(void *callable, void *arguments);
    void *(*PyObject_CallFunction)(void *callable, const char *format, ...);
    void *(*PyCMethod_New)(struct mt_method *method, void *self, void *module, void *type);
    ptrdiff_t (*PyList_Size)(void *list);
    void *(*PyList_GetItem)(void *list, ptrdiff_t index);
    ptrdiff_t (*PyTuple_Size)(void *tuple);
    void *(*PyTuple_GetItem)(void *tuple, ptrdiff_t index);
    long (*PyLong_AsLong)(void *number);
    void *(*PyFunction_GetCode)(void *function);
    void *(*PyFrame_GetCode)(void *frame);
    int (*PyFrame_GetLineNumber)(void *frame);
    void *(*PyFrame_GetBack)(void *frame);
    void *(*PyThreadState_GetFrame)(void *thread);
    void (*_PyEval_SetTrace_of)(void *thread, mt_trace_function *function, void *object); /* up to 3.11 */
    void *PyFunction_Type;
    void *PyCode_Type;
    void *Py_None; /* _Py_NoneStruct */
};
extern struct mt_capi mt_capi;

/* Binds them to what the module has. false: it lacks one. */
bool mt_capi_bind(const struct mt_elf *module);

#endif
