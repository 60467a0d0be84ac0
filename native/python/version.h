/* Which CPython it is. */
#ifndef MEMTRACE_PYTHON_VERSION_H
#define MEMTRACE_PYTHON_VERSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "python/find_runtime.h"

/* As PY_VERSION_HEX: 0x030e08f0. By what is most to be trusted: the state's own words (3.13+), Py_Version (3.11+), the
 * text that Py_GetVersion() made in static memory. MT_ERROR_UNSUPPORTED: a version or build that is not read, named; or
 * it can't be told. */
struct mt_error *mt_python_read_version(struct mt_view *view, const struct mt_runtime *runtime, uint32_t *ret);
/* "3.14.8", "3.15.0rc1". */
void mt_python_version_text(uint32_t version, char *buffer, size_t size);
/* Was it released: neither alpha nor beta nor candidate? */
bool mt_python_version_is_final(uint32_t version);

#endif
