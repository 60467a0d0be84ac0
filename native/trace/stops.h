/* The image's slots of stops, from outside: what a debugger writes there, and what the recorder tells at the hook. */
#ifndef MEMTRACE_TRACE_STOPS_H
#define MEMTRACE_TRACE_STOPS_H

#include <stdint.h>

#include "base/error.h"
#include "base/watch.h"
#include "image/image.h"
#include "target/target.h"

/* The image's address. MT_ERROR_NOT_RECORDED: there is none; MT_ERROR_FORMAT: of a recorder that has no such slots. */
struct mt_error *mt_stops_find(struct mt_target *target, struct mt_watch *watch, uint64_t *ret_image);
/* Writes slot `slot` (below MT_STOPS) of the image; the recorder looks at it at the end of its next event. */
struct mt_error *mt_stops_write(struct mt_target *target, uint64_t image, unsigned slot, const struct mt_stop *stop);
/* What happened: the argument of memtrace_stop_hook. */
struct mt_error *mt_stops_event(struct mt_target *target, uint64_t address, struct mt_stop_event *ret);

#endif
