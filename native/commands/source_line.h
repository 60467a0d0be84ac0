/* A line of a program's source, where its file can be read. */
#ifndef MEMTRACE_COMMANDS_SOURCE_LINE_H
#define MEMTRACE_COMMANDS_SOURCE_LINE_H

#include <stdint.h>
#include <sys/types.h>

#include "base/strbuf.h"

/* Appends line `line` of `file` without the blanks around it; nothing when it can't be had. `pid`: the process that the
 * file's name is of, for names that are relative to where that works (0: none). The text is as it stands in the file.
 */
void mt_source_line_append(struct mt_strbuf *out, const char *file, uint32_t line, pid_t pid);

#endif
