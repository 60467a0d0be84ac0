/* The recorder's stops at Python's lines, from outside: wishes that a debugger writes, results that it reads. */
#ifndef MEMTRACE_TRACE_PYTHON_STOPS_H
#define MEMTRACE_TRACE_PYTHON_STOPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/strbuf.h"
#include "base/watch.h"
#include "image/python_stops.h"
#include "target/target.h"

struct mt_python_stops_view {
    struct mt_target *target; /* borrowed */
    uint64_t image;
    uint64_t address; /* of the struct mt_python_stops */
    struct mt_image_header header;
    struct mt_python_stops stops; /* a copy */
};

/* MT_ERROR_NOT_RECORDED: there is no recorder; MT_ERROR_FORMAT: one that has no such stops. */
struct mt_error *mt_python_stops_open(struct mt_target *target, struct mt_watch *watch,
                                      struct mt_python_stops_view *ret);
/* Writes all wishes of `view->stops` (slots, step, measurement) and asks the recorder to obey them. */
struct mt_error *mt_python_stops_ask(struct mt_python_stops_view *view);
struct mt_error *mt_python_stops_event(struct mt_target *target, uint64_t address, struct mt_python_stop_event *ret);
/* Appends a string of the recorder's pool; nothing when it can't be read. */
void mt_python_stops_string(const struct mt_python_stops_view *view, uint32_t offset, struct mt_strbuf *out);
/* The measured lines; the caller frees *ret. */
struct mt_error *mt_python_stops_lines(const struct mt_python_stops_view *view, struct mt_watch *watch,
                                       struct mt_python_line **ret, size_t *ret_count);

#endif
