#include "attach/safe_point.h"

#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>

/* What begins a thread or the program: nothing of the C library lies outside of it. */
#define OUTERMOST_FRAMES 3

/* Functions of the C library that wait in one system call, and hold nothing meanwhile. */
static const char *const waiting[] = {
    "accept",
    "accept4",
    "clock_nanosleep",
    "connect",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "fcntl",
    "fcntl64",
    "flock",
    "futimens",
    "ioctl",
    "mq_receive",
    "mq_send",
    "mq_timedreceive",
    "mq_timedsend",
    "msgrcv",
    "msgsnd",
    "nanosleep",
    "pause",
    "poll",
    "poll_chk",
    "ppoll",
    "pread",
    "pread64",
    "preadv",
    "preadv2",
    "preadv64",
    "pselect",
    "pthread_clockjoin_np",
    "pthread_cond_clockwait",
    "pthread_cond_timedwait",
    "pthread_cond_wait",
    "pthread_join",
    "pthread_timedjoin_np",
    "pwrite",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "pwritev64",
    "read",
    "read_chk",
    "readv",
    "recv",
    "recv_chk",
    "recvfrom",
    "recvfrom_chk",
    "recvmmsg",
    "recvmsg",
    "select",
    "sem_clockwait",
    "sem_timedwait",
    "sem_wait",
    "semop",
    "semtimedop",
    "send",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "sigsuspend",
    "sigtimedwait",
    "sigwait",
    "sigwaitinfo",
    "sleep",
    "syscall",
    "usleep",
    "wait",
    "wait3",
    "wait4",
    "waitid",
    "waitpid",
    "write",
    "writev",
};

/* Functions of the C library that call back, and hold nothing meanwhile. */
static const char *const calling[] = {
    "bsearch", "clone",   "clone3",       "libc_start_call_main", "libc_start_main", "libc_start_main_impl",
    "qsort",   "qsort_r", "start_thread",
};

/* Without what marks other names of the same function: `__poll`, `__libc_read`, `__GI___poll`. */
static const char *plain_name(const char *name) {
    static const char *const prefixes[] = {"_", "GI_", "libc_"};
    const char *plain = name;
    for (bool found = true; found;) {
        found = false;
        for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0] && !found; i++) {
            size_t length = strlen(prefixes[i]);
            /* libc_start_main is a whole name */
            found = !strncmp(plain, prefixes[i], length) && strncmp(plain, "libc_start", 10) != 0;
            if (found)
                plain += length;
        }
    }
    return plain;
}

static bool is_one_of(const char *name, const char *const *names, size_t count) {
    name = plain_name(name);
    for (size_t i = 0; i < count; i++)
        if (!strcmp(name, names[i]))
            return true;
    return false;
}

#define IS_ONE_OF(name, names) is_one_of(name, names, sizeof(names) / sizeof((names)[0]))

static const char *why_kind_is_bad(enum mt_code_kind kind) {
    switch (kind) {
    case MT_CODE_UNKNOWN:
        return "in code that belongs to no file";
    case MT_CODE_LOADER:
        return "inside the loader";
    case MT_CODE_ALLOCATOR:
        return "inside an allocator";
    case MT_CODE_UNWINDER:
        return "unwinding its stack";
    case MT_CODE_LIBC:
    case MT_CODE_PROGRAM:
        break;
    }
    return NULL;
}

/* Whether the frames from `first` on, callers all, hold nothing of the C library. */
static const char *why_callers_are_bad(const struct mt_code_frame *frames, size_t first, size_t count) {
    for (size_t i = first; i < count; i++) {
        const struct mt_code_frame *frame = &frames[i];
        const char *why = why_kind_is_bad(frame->kind);
        if (why)
            return why;
        if (frame->kind != MT_CODE_LIBC || IS_ONE_OF(frame->function, calling))
            continue;
        if (frame->function[0] || i + OUTERMOST_FRAMES < count)
            return "called by the C library";
    }
    return NULL;
}

/* Whether the thread waits for a semaphore or a condition, whose functions go on into others that have no names. Locks
 * are waited for by another operation. */
static bool waits_for_condition(const struct mt_tracee_thread *thread) {
    return (thread->call == SYS_futex || thread->call == SYS_restart_syscall) &&
           (thread->registers.rsi & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
}

static bool is_plain_wait(const struct mt_tracee_thread *thread, const char *function) {
    return thread->call >= 0 && (function[0] ? IS_ONE_OF(function, waiting) : waits_for_condition(thread));
}

enum mt_moment mt_moment_of(const struct mt_tracee_thread *thread, const struct mt_code_frame *frames, size_t count,
                            bool complete, const char **ret_why) {
    size_t callers = 0;
    *ret_why = NULL;
    if (thread->is_busy)
        *ret_why = "about to receive a signal";
    else if (count == 0 || !complete)
        *ret_why = "in code that can't be unwound";
    else if (frames[0].kind == MT_CODE_LIBC) {
        while (callers < count && frames[callers].kind == MT_CODE_LIBC)
            callers++;
        if (!is_plain_wait(thread, frames[callers - 1].function))
            *ret_why = "inside the C library";
    }
    if (!*ret_why)
        *ret_why = why_callers_are_bad(frames, callers, count);
    if (*ret_why)
        return MT_MOMENT_BAD;
    return thread->call >= 0 ? MT_MOMENT_WAIT : MT_MOMENT_CODE;
}
