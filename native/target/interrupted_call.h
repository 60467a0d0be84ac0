/* What depends on the architecture when a thread is let go again: one file per architecture implements it. */
#ifndef MEMTRACE_INTERRUPTED_CALL_H
#define MEMTRACE_INTERRUPTED_CALL_H

#include <stdint.h>
#include <sys/types.h>

/* A few system calls (epoll_wait, semop ...) give up with EINTR when a debugger merely stops their thread, although no
 * signal came. For such a thread, stopped by ptrace, this makes the kernel begin the call anew when it goes on (and
 * still report EINTR should a real signal handler run first), so that the program does not notice the stop. */
void mt_interrupted_call_restart(pid_t tid);
/* The address of the system call instruction that `next` follows. */
uint64_t mt_interrupted_call_place(uint64_t next);
/* Of a thread that stands at the entry of a system call: it does a harmless one instead, getpid. (A call that is left
 * out altogether has the number -1, for which some seccomp filters kill.) */
void mt_interrupted_call_skip(pid_t tid);

#endif
