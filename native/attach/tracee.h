/* A process that somebody (ourselves by ptrace, or a debugger) has stopped, and can let run for a while: what it takes
 * to have one of its threads call a function.
 *
 * All threads stand still whenever no call of this interface is under way. A thread is named by its kernel number. */
#ifndef MEMTRACE_TRACEE_H
#define MEMTRACE_TRACEE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "base/error.h"
#include "base/vector.h"
#include "memtrace.h"
#include "target/target.h"

struct mt_tracee_thread {
    uint64_t tid;
    struct user_regs_struct registers;
    int64_t call; /* the system call that it waits in, or is about to make; -1: none */
    bool is_busy; /* a signal is about to be delivered to it: not to be used now */
};
typedef MT_VECTOR(struct mt_tracee_thread) mt_tracee_threads;

struct mt_tracee;

struct mt_tracee_ops {
    /* Appends all threads; `call` is left alone. */
    struct mt_error *(*threads)(struct mt_tracee *tracee, mt_tracee_threads *ret);
    /* orig_rax too, where the debugger can: what was set is seen by `threads`. */
    struct mt_error *(*set_registers)(struct mt_tracee *tracee, uint64_t tid, const struct user_regs_struct *registers);
    /* Lets the process run until `tid` is about to execute the instruction at `address` (0: nobody waits for one), at
     * most `milliseconds`. `alone`: `tid` need not wait for any other thread, which may stand still. Of a stopped job
     * no other thread ever runs. An error: the process or the thread is gone, or the debugger failed. */
    struct mt_error *(*run)(struct mt_tracee *tracee, uint64_t tid, uint64_t address, uint32_t milliseconds, bool alone,
                            bool *ret_reached);
    /* Has the thread make the system call whose instruction it stands before, one that does not wait, while nothing
     * else runs and nobody's breakpoints are in the code; *ret: its registers then. NULL: can't. */
    struct mt_error *(*system_call)(struct mt_tracee *tracee, uint64_t tid, struct user_regs_struct *ret);
    /* Keeps signals from a thread, until they are let through again. NULL: can't. */
    void (*hold_signals)(struct mt_tracee *tracee, uint64_t tid, bool hold);
    void (*destroy)(struct mt_tracee *tracee);
};

/* Kinds embed this as their first member. */
struct mt_tracee {
    const struct mt_tracee_ops *ops;
    pid_t pid;
    struct mt_target *target; /* its memory and files; owned */
    bool is_stopped_job;      /* only the thread that is used may run */
    bool has_breakpoints;     /* somebody's, in its code, for as long as it runs */
};

/* Stops the process by ptrace; `destroy` lets it go as mt_process_stop_release() does. From one thread only. */
struct mt_error *mt_tracee_open_process(pid_t pid, struct mt_tracee **ret);
/* A local process of the debugger behind `host`, which must outlive the tracee. */
struct mt_error *mt_tracee_open_host(const struct mt_host *host, struct mt_tracee **ret);
/* All threads, `call` of each too. */
struct mt_error *mt_tracee_threads_of(struct mt_tracee *tracee, mt_tracee_threads *ret);
void mt_tracee_destroy(struct mt_tracee *tracee);

#endif
