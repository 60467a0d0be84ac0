/* A target whose bytes come from the debugger that we live in: for remote processes, and for local ones until it is
 * proven that they can be read directly. */
#ifndef MEMTRACE_HOST_H
#define MEMTRACE_HOST_H

#include "memtrace.h"
#include "target/target.h"

/* `host` must outlive the target. A target is good for one stop: once the description's `generation` has changed, open
 * it anew. */
struct mt_error *mt_target_open_host(const struct mt_host *host, struct mt_target **ret);

#endif
