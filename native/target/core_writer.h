/* Writing a core file of a stopped local process: what gdb, lldb and target/core.c read.
 *
 * It holds what can't be had elsewhere: anonymous memory, and the files' pages of modules that were written to; of
 * other file maps their first page, as the kernel does. Pages of zeros are holes in the file. Streams: takes a megabyte
 * whatever the size of the process. */
#ifndef MEMTRACE_CORE_WRITER_H
#define MEMTRACE_CORE_WRITER_H

#include "base/error.h"
#include "base/watch.h"
#include "target/target.h"

/* `target` is a local process that stands still. *ret_bytes: of memory that the file holds, holes included. A file that
 * could not be finished is removed. */
struct mt_error *mt_core_write(struct mt_target *target, const char *path, struct mt_watch *watch, uint64_t *ret_bytes);

#endif
