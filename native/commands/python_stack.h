/* The Python stack of a thread, read from outside. */
#ifndef MEMTRACE_COMMANDS_PYTHON_STACK_H
#define MEMTRACE_COMMANDS_PYTHON_STACK_H

#include <stdint.h>

#include "base/error.h"
#include "base/string_table.h"
#include "base/vector.h"
#include "base/watch.h"
#include "python/python.h"
#include "trace/frame.h"

struct mt_python_stack {
    MT_VECTOR(struct mt_frame) frames; /* innermost first; their strings are those of the table */
    struct mt_string_table strings;
};

/* Of the thread that the kernel calls `tid`; none of that number: of the one that has the GIL. No frames when the
 * thread executes no Python. `ret` is to be zeroed before, and deinited after, also after an error. */
struct mt_error *mt_python_stack_read(struct mt_python *python, uint64_t tid, struct mt_watch *watch,
                                      struct mt_python_stack *ret);
void mt_python_stack_deinit(struct mt_python_stack *stack);

#endif
