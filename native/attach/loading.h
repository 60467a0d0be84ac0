/* Loading the recorder into a process that already runs, and having it begin and end (image/attach.h). */
#ifndef MEMTRACE_LOADING_H
#define MEMTRACE_LOADING_H

#include "attach/tracee.h"
#include "base/watch.h"

struct mt_loading {
    struct mt_tracee *tracee;
    const char *recorder; /* the recorder library's file, as we see it */
    uint64_t image;       /* where the recorder's image is in the process; 0: it is not loaded */
    bool trust_filters;   /* of seccomp, where they can't be read */
    struct mt_watch *watch;
};

/* Loads the recorder unless it is there, and begins to record. The process is as it was when it fails, but for a
 * recorder that is loaded and does nothing. MT_ERROR_UNSUPPORTED: this process can't be recorded, and why. */
struct mt_error *mt_loading_attach(const struct mt_loading *loading, uint32_t level);
/* Takes the recorder's hooks out. */
struct mt_error *mt_loading_detach(const struct mt_loading *loading);

#endif
