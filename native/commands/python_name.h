/* Python names as addresses: `py:data_pow`, `py:app.cache['x']`, `py@2:self.items[3].name`. */
#ifndef MEMTRACE_COMMANDS_PYTHON_NAME_H
#define MEMTRACE_COMMANDS_PYTHON_NAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "commands/command.h"

/* Does `text` begin as a Python name does: `py:`, `py@2:`? */
bool mt_python_name_is(const char *text);
/* The object that the name means, found by reading memory.
 *
 * The first word is looked up as Python does in a frame: local variables, cells, globals, builtins; then modules by
 * name. The frame is that of `py@N:` or `--frame N` (default 0, the innermost) of the thread of `--thread T` (default:
 * the one that has the GIL, else the first). `.word` is an attribute (also the name that
 * `holds` shows for a member of a C type), or a str key of a dict; `[3]` an index or an int
 * key; `['x']` a str key, `[x]` too where it is no other key's repr. Properties and other descriptors would have to be
 * called, and are errors. MT_ERROR_USAGE: it is no such name; MT_ERROR_NOT_FOUND: a part of it is not there; the
 * message says which, and what is. */
struct mt_error *mt_python_name_resolve(struct mt_call *call, const char *text, uint64_t *ret);

#endif
