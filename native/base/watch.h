/* How long work stays polite: it asks from time to time whether the user wants it to stop. */
#ifndef MEMTRACE_BASE_WATCH_H
#define MEMTRACE_BASE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct mt_watch {
    void *context;
    bool (*interrupted)(void *context);                /* NULL: never */
    void (*progress)(void *context, const char *line); /* NULL: nowhere to show it; NULL line: erase */
    uint64_t last;                                     /* private: CLOCK_MONOTONIC ns of the last question */
    bool shown;                                        /* private */
};

/* Call it often: it looks at the clock and asks at most every 50 ms. `what` is shown when the work takes long. Returns
 * MT_ERROR_INTERRUPTED when the user asked to stop. `watch` may be NULL. */
struct mt_error *mt_watch_poll(struct mt_watch *watch, const char *what);
/* Erases the progress line, if one was shown. */
void mt_watch_done(struct mt_watch *watch);

#endif
