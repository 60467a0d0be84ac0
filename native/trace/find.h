/* Where the recorder's image begins in a target. */
#ifndef MEMTRACE_TRACE_FIND_H
#define MEMTRACE_TRACE_FIND_H

#include <stdint.h>

#include "base/error.h"
#include "target/target.h"
#include "base/watch.h"

/* By symbol; else by its magic words at a page boundary of a writable mapping. MT_ERROR_NOT_RECORDED: there is none. */
struct mt_error *mt_image_find(struct mt_target *target, struct mt_watch *watch, uint64_t *ret_address);

#endif
