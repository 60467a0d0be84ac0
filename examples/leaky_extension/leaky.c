/* A C extension with one mistake: a function that forgets a Py_DECREF. `break --refs` finds it: README.md beside this
 * file. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* count(items, value): how many of the items equal the value. */
static PyObject *count(PyObject *module, PyObject *arguments) {
    PyObject *items, *value;
    if (!PyArg_ParseTuple(arguments, "OO", &items, &value))
        return NULL;
    Py_ssize_t length = PySequence_Size(items);
    long found = 0;
    for (Py_ssize_t i = 0; i < length; i++) {
        PyObject *item = PySequence_GetItem(items, i); /* a new reference, which is ours */
        if (!item)
            return NULL;
        int equal = PyObject_RichCompareBool(item, value, Py_EQ);
        Py_DECREF(item);
        if (equal < 0)
            return NULL;
        found += equal;
    }
    return length < 0 ? NULL : PyLong_FromLong(found);
}

/* first(items): the first item. */
static PyObject *first(PyObject *module, PyObject *items) {
    return PySequence_GetItem(items, 0); /* the new reference is the caller's */
}

/* longest(items): the length of the longest item. */
static PyObject *longest(PyObject *module, PyObject *items) {
    Py_ssize_t length = PySequence_Size(items), result = 0;
    for (Py_ssize_t i = 0; i < length; i++) {
        PyObject *item = PySequence_GetItem(items, i); /* the mistake: nobody gives this reference back */
        if (!item)
            return NULL;
        Py_ssize_t size = PyObject_Size(item);
        if (size < 0)
            return NULL;
        if (size > result)
            result = size;
    }
    return length < 0 ? NULL : PyLong_FromSsize_t(result);
}

static PyMethodDef methods[] = {
    {"count", count, METH_VARARGS, "count(items, value): how many of the items equal the value."},
    {"first", first, METH_O, "first(items): the first item."},
    {"longest", longest, METH_O, "longest(items): the length of the longest item."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "leaky", .m_size = 0, .m_methods = methods};

PyMODINIT_FUNC PyInit_leaky(void) {
    return PyModule_Create(&definition);
}
