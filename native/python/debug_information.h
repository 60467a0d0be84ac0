/* CPython's layout from debug information: by the names of its structures and members, whatever the build is.
 *
 * DWARF of the file itself, or of the separate one that its build-id or .gnu_debuglink names; both with what dwz took
 * out of them. Only files: nothing is fetched from the network. */
#ifndef MEMTRACE_PYTHON_DEBUG_INFORMATION_H
#define MEMTRACE_PYTHON_DEBUG_INFORMATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/watch.h"
#include "layout/python_layout.h"

struct mt_debug_information {
    bool known[MT_FIELD_COUNT];    /* its structure, or the constant, is described */
    int64_t value[MT_FIELD_COUNT]; /* as in struct mt_python_layout: -1: the structure has no such member */
    size_t known_count;
};

/* Adds what the debug information of a program or library says of structures that are not known yet. `path` is where
 * the target has the file, `root` where that path begins on this machine ("" or "/proc/PID/root"); `fd` stays open.
 * Where several structures have one name, that with the most members of `expected` is meant. MT_ERROR_NOT_FOUND: there
 * is none; MT_ERROR_SYSTEM: it takes too long. */
struct mt_error *mt_debug_information_read(int fd, const char *path, const char *root,
                                           const struct mt_python_layout *expected, struct mt_watch *watch,
                                           struct mt_debug_information *information);

#endif
