/* Resources that let themselves go at the end of their scope: `MT_AUTO_FREE char *text = NULL;`. */
#ifndef MEMTRACE_CLEANUP_H
#define MEMTRACE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

#define MT_CLEANUP(function) __attribute__((cleanup(function)))

static inline void mt_cleanup_free(void *pointer) {
    free(*(void **)pointer);
}

static inline void mt_cleanup_close(int *fd) {
    if (*fd >= 0)
        close(*fd);
}

#define MT_AUTO_FREE MT_CLEANUP(mt_cleanup_free)
#define MT_AUTO_CLOSE MT_CLEANUP(mt_cleanup_close)

#endif
