/* What a process of CPython 3.13 and later says of its own layout: _Py_DebugOffsets, the first member of _PyRuntime
 * (Include/internal/pycore_debug_offsets.h). It is made by the compiler that made the interpreter, so it wins. */
#ifndef MEMTRACE_PYTHON_DEBUG_OFFSETS_H
#define MEMTRACE_PYTHON_DEBUG_OFFSETS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "layout/python_layout.h"
#include "target/view.h"

struct mt_debug_offsets {
    size_t compared;  /* fields that both the process and the layout know */
    size_t corrected; /* of them, those that the process has otherwise */
    enum mt_python_field corrected_first;
};

/* Compares them with `layout`, and puts the process's own where they differ. Versions without them have nothing to
 * compare. MT_ERROR_FORMAT: one of them can't be: the layout is not this build's, or the memory is damaged; `layout` is
 * then half changed. */
struct mt_error *mt_debug_offsets_apply(struct mt_view *view, uint64_t runtime, struct mt_python_layout *layout,
                                        struct mt_debug_offsets *ret);

#endif
