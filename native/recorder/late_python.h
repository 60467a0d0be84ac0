/* A libpython that is loaded after the program has started (an embedding server, a database, a debugger): found when it
 * first asks malloc for memory, by the module of the caller. Needs glibc 2.35, whose _dl_find_object takes no lock. */
#ifndef MEMTRACE_RECORDER_LATE_PYTHON_H
#define MEMTRACE_RECORDER_LATE_PYTHON_H

#include <stdbool.h>

extern bool mt_late_python_wanted; /* no CPython was there at start-up */

void mt_late_python_init(void);
/* The caller of an outer malloc event. Not under the lock. */
void mt_late_python_look(const void *caller);

static inline void mt_late_python_check(const void *caller) {
    if (__builtin_expect(mt_late_python_wanted, 0))
        mt_late_python_look(caller);
}

#endif
