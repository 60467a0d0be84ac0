#include "target/interrupted_call.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>

/* The kernel's own code for "restart, unless a handler runs"; it never reaches user space. */
#define KERNEL_ERESTARTNOHAND 514

/* Calls that wait, and have done nothing yet when they report EINTR. All others restart by themselves, or (like close)
 * must not be repeated. */
static bool may_be_repeated(unsigned long long call) {
    switch (call) {
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
    case SYS_semop:
    case SYS_semtimedop:
    case SYS_rt_sigtimedwait:
    case SYS_io_getevents:
    case SYS_io_pgetevents:
    case SYS_read:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
    case SYS_accept:
    case SYS_accept4:
        return true;
    default:
        return false;
    }
}

void mt_interrupted_call_restart(pid_t tid) {
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, tid, NULL, &registers) || (long long)registers.rax != -EINTR ||
        !may_be_repeated(registers.orig_rax))
        return;
    registers.rax = (unsigned long long)-KERNEL_ERESTARTNOHAND;
    ptrace(PTRACE_SETREGS, tid, NULL, &registers);
}

uint64_t mt_interrupted_call_place(uint64_t next) {
    return next - 2;
}

void mt_interrupted_call_skip(pid_t tid) {
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, tid, NULL, &registers))
        return;
    registers.orig_rax = SYS_getpid;
    ptrace(PTRACE_SETREGS, tid, NULL, &registers);
}
