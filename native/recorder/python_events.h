/* The two ways in which CPython tells of lines: sys.monitoring from 3.12 on, a trace function before. With the GIL
 * held, at a safe point. */
#ifndef MEMTRACE_RECORDER_PYTHON_EVENTS_H
#define MEMTRACE_RECORDER_PYTHON_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/thread.h"

/* Sets it up; NULL: done, else why not, in a line. Called again when it is, it looks for new threads. */
const char *mt_monitoring_install(void);
const char *mt_tracing_install(void);
/* Takes all of it away. */
void mt_monitoring_remove(void);
void mt_tracing_remove(void);
/* For mt_window_suspects. */
bool mt_tracing_suspects(const struct mt_self *self, uint64_t size);
/* The mt_watch_events of each. */
void mt_monitoring_watch(uint64_t code, bool on);
void mt_tracing_watch(uint64_t code, bool on);
/* Has mt_watched_consider() look at the code objects that are there. Others are considered when they first run. */
void mt_monitoring_consider_all(struct mt_self *self);
void mt_tracing_consider_all(struct mt_self *self);

#endif
