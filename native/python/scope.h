/* What a name means in a frame: its variables, then globals, builtins, and modules by name. */
#ifndef MEMTRACE_PYTHON_SCOPE_H
#define MEMTRACE_PYTHON_SCOPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "python/python.h"
#include "python/threads.h"

enum mt_scope_state {
    MT_SCOPE_FOUND,
    MT_SCOPE_NONE,
    MT_SCOPE_UNSET, /* a cell of that name which holds nothing yet */
};

/* The variable of a frame alone. */
enum mt_scope_state mt_scope_variable(struct mt_python *python, const struct mt_python_frame *frame, const char *name,
                                      uint64_t *ret);
/* All of them: `frame` may be NULL (then only builtins and modules). */
enum mt_scope_state mt_scope_find(struct mt_python *python, uint64_t interpreter, const struct mt_python_frame *frame,
                                  const char *name, uint64_t *ret);
/* A module of sys.modules; 0: there is none of that name. */
uint64_t mt_scope_module(struct mt_python *python, uint64_t interpreter, const char *name);
/* Calls `visit` for every variable that has a value: cells by what they hold, of a namespace its entries. */
typedef bool mt_scope_visit(void *context, uint64_t name, uint64_t value);
void mt_scope_visit_variables(struct mt_python *python, const struct mt_python_frame *frame, mt_scope_visit *visit,
                              void *context);

#endif
