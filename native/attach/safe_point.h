/* Whether a thread can be made to call into the loader right where it stands: it holds no lock that the loader or
 * malloc want, and nothing of theirs is half done.
 *
 * Our calls look to a thread like a signal handler that runs: all its registers are put back, so any instruction of the
 * program itself will do, too. */
#ifndef MEMTRACE_SAFE_POINT_H
#define MEMTRACE_SAFE_POINT_H

#include "attach/backtrace.h"

enum mt_moment {
    MT_MOMENT_BAD,
    MT_MOMENT_CODE, /* in the middle of the program's own code */
    MT_MOMENT_WAIT, /* waiting in a system call that has done nothing yet: best */
};

/* *ret_why: of a bad one what speaks against it, "it is ..."; a static string. */
enum mt_moment mt_moment_of(const struct mt_tracee_thread *thread, const struct mt_code_frame *frames, size_t count,
                            bool complete, const char **ret_why);

#endif
