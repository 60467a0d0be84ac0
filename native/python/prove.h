/* The proof that a layout is this process's: invariants of CPython that hold in every process and that a wrong offset
 * breaks. A few thousand reads, whatever the size of the heap. */
#ifndef MEMTRACE_PYTHON_PROVE_H
#define MEMTRACE_PYTHON_PROVE_H

#include "base/error.h"
#include "base/watch.h"
#include "python/python.h"

/* Reads and proves by python->layout, runtime and minor. Fills in `interpreters`, `generations`, `type_type`,
 * `object_type`, `none` and `collecting`. MT_ERROR_FORMAT: a proof failed, and the message is its name ("type(type) is
 * not type"). */
struct mt_error *mt_python_prove(struct mt_python *python, struct mt_watch *watch);

#endif
