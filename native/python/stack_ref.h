/* What a slot of a frame holds: a plain pointer up to 3.13, from 3.14 on a _PyStackRef, whose low bits tell borrowed
 * references and small integers apart (Include/internal/pycore_stackref.h). */
#ifndef MEMTRACE_PYTHON_STACK_REF_H
#define MEMTRACE_PYTHON_STACK_REF_H

#include "python/python.h"

struct mt_stack_ref {
    uint64_t object; /* 0: nothing, an integer, or the marker of an error */
    bool counted;    /* the slot holds a reference of its own */
};

static inline struct mt_stack_ref mt_stack_ref_of(const struct mt_python *python, uint64_t word) {
    const struct mt_python_layout *layout = &python->layout;
    if (MT_CONSTANT(layout, Py_TAG_BITS) < 0)
        return (struct mt_stack_ref){.object = word, .counted = true};
    uint64_t mask = (uint64_t)MT_CONSTANT(layout, Py_TAG_BITS), tag = word & mask;
    if (MT_CONSTANT(layout, Py_INT_TAG) >= 0 && tag == (uint64_t)MT_CONSTANT(layout, Py_INT_TAG))
        return (struct mt_stack_ref){0};
    return (struct mt_stack_ref){.object = word & ~mask, .counted = tag == 0};
}

#endif
