/* Having a thread of a tracee call functions. To the thread it is as if a signal handler had run: a signal frame lies
 * under each call, so that the thread puts all its registers back by itself should we die meanwhile or give up waiting.
 * As long as all goes well they are put back from outside, which also restarts an interrupted system call.
 *
 * The calls run on memory of their own, mapped into the process for as long as they last. What depends on the
 * architecture stands in remote_call_x86_64.c. */
#ifndef MEMTRACE_REMOTE_CALL_H
#define MEMTRACE_REMOTE_CALL_H

#include "attach/c_library.h"
#include "attach/tracee.h"

struct mt_remote_calls {
    struct mt_tracee *tracee;
    const struct mt_c_library *library;
    uint64_t tid;
    struct user_regs_struct original;
    uint64_t blocked; /* its signal mask */
    uint64_t memory;  /* in the process; 0: none */
    uint64_t memory_size;
    bool is_guarded;   /* SIGTRAP has our handler (trap_guard.h) */
    bool is_abandoned; /* a call did not come back in time: nothing may be touched any more */
};

/* Room for a string that calls take (mt_remote_string). */
#define MT_REMOTE_STRING_MAX 4096

/* `thread` stands at a safe point; it is lent to us until mt_remote_calls_end(). When it fails, the thread is as it
 * was. */
struct mt_error *mt_remote_calls_begin(struct mt_tracee *tracee, const struct mt_c_library *library,
                                       const struct mt_tracee_thread *thread, struct mt_remote_calls *ret);
/* Puts the thread back to where it was. */
struct mt_error *mt_remote_calls_end(struct mt_remote_calls *calls);

/* Where a string for a call can lie: a copy of `text`, until the next one. */
struct mt_error *mt_remote_string(struct mt_remote_calls *calls, const char *text, uint64_t *ret);
/* Calls a function of the process with at most 2 arguments. `what` is for the error. */
struct mt_error *mt_remote_call(struct mt_remote_calls *calls, const char *what, uint64_t function,
                                const uint64_t arguments[2], uint64_t *ret);
/* A system call; *ret as the kernel returns it: a negative number is an error's. */
struct mt_error *mt_remote_system_call(struct mt_remote_calls *calls, long number, const uint64_t arguments[6],
                                       int64_t *ret);

#endif
