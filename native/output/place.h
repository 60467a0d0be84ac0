/* Where something was allocated, cut to fit a width: "duplicate_data holding.py:29 <- process_data:52 <- module:57". */
#ifndef MEMTRACE_OUTPUT_PLACE_H
#define MEMTRACE_OUTPUT_PLACE_H

#include <stddef.h>

#include "base/strbuf.h"
#include "trace/frame.h"

/* The file's last `parts` path components. A path is shortened by leaving leading directories out, so that what stays
 * can be searched for. */
const char *mt_place_tail(const char *file, size_t parts);

/* Function name in at most `width` columns (0: any): leading qualifiers go first, then the middle is cut with "..". */
void mt_place_function(struct mt_strbuf *out, const char *function, size_t width);

/* "holding.py:29 <- process_data:52 <- module:57": file and line of frames[0] and the callers. A caller's file is named
 * where it differs from its callee's. Fits `width` columns (0: any): outer callers are counted instead of shown when
 * not all fit; when all do, files show as many directories as fit. */
void mt_place_location(struct mt_strbuf *out, const struct mt_frame *frames, size_t count, size_t width);

/* A path alone: its longest tail of whole components that fits, cut in the middle when even the last does not. */
void mt_place_path(struct mt_strbuf *out, const char *path, size_t width);

#endif
