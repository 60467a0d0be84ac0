/* The dictionaries of interned strings: str -> itself, whose two references to each are taken off its count.
 *
 * Objects/unicodeobject.c. 3.12+: one of each interpreter, in its cached objects. Before, a static variable that no
 * symbol names in stripped builds: the dict that a word of CPython's own data leads to, and that is what such a dict
 * is. */
#ifndef MEMTRACE_PYTHON_INTERNED_H
#define MEMTRACE_PYTHON_INTERNED_H

#include <stdbool.h>
#include <stdint.h>

#include "python/python.h"

/* Is the dict at this address one of them? The first call may search some MB. */
bool mt_interned_is_dict(struct mt_python *python, uint64_t address);

#endif
