#include "base/watch.h"

#include <time.h>

#define INTERVAL_NS 50000000u

struct mt_error *mt_watch_poll(struct mt_watch *watch, const char *what) {
    if (!watch)
        return NULL;
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    uint64_t now = (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
    if (watch->last == 0)
        watch->last = now; /* short work shows nothing */
    if (now - watch->last < INTERVAL_NS)
        return NULL;
    watch->last = now;
    if (watch->progress) {
        watch->progress(watch->context, what);
        watch->shown = true;
    }
    if (watch->interrupted && watch->interrupted(watch->context))
        return mt_error_create(MT_ERROR_INTERRUPTED, "interrupted");
    return NULL;
}

void mt_watch_done(struct mt_watch *watch) {
    if (watch && watch->shown)
        watch->progress(watch->context, NULL);
    if (watch)
        watch->shown = false;
}
