#define _GNU_SOURCE 1

#include "attach/permitted_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/syscall.h>

#include "attach/seccomp_filter.h"
#include "attach/thread_rules.h"
#include "base/cleanup.h"
#include "target/proc.h"

/* As many filters as a thread has. */
#define FILTERS_MAX 4096

enum need {
    NEEDED,
    MAY_FAIL, /* there is another way, or it does not matter: but nobody may be killed for it */
    NEEDED_BY_MEMORY,
    NEEDED_BY_DEBUGGER,
};

struct needed_call {
    const char *name;
    enum need need;
    bool is_of_recorder; /* made for as long as it records, not to load it alone */
    int number;
    uint64_t arguments[6]; /* as filters see them; addresses and descriptors are any */
};

#define ANY_FD 3
#define ANYWHERE 0x7f0000000000

static const struct needed_call needed_calls[] = {
    {"mmap of memory to run code in",
     NEEDED,
     false,
     SYS_mmap,
     {0, 1 << 19, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0}},
    {"mmap of a library's code",
     NEEDED,
     false,
     SYS_mmap,
     {ANYWHERE, 1 << 16, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED | MAP_DENYWRITE, ANY_FD, 4096}},
    {"mmap of a library", NEEDED, false, SYS_mmap, {0, 1 << 16, PROT_READ, MAP_PRIVATE | MAP_DENYWRITE, ANY_FD, 0}},
    {"mmap",
     NEEDED,
     true,
     SYS_mmap,
     {0, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0}},
    {"munmap", NEEDED, false, SYS_munmap, {ANYWHERE, 1 << 19}},
    {"memfd_create", NEEDED_BY_MEMORY, false, SYS_memfd_create, {ANYWHERE, MFD_CLOEXEC}},
    {"openat", NEEDED, false, SYS_openat, {(uint32_t)AT_FDCWD, ANYWHERE, O_RDONLY | O_CLOEXEC}},
    {"read", NEEDED, false, SYS_read, {ANY_FD, ANYWHERE, 832}},
    {"pread64", MAY_FAIL, false, SYS_pread64, {ANY_FD, ANYWHERE, 784, 64}},
    {"fstat", MAY_FAIL, false, SYS_fstat, {ANY_FD, ANYWHERE}},
    {"newfstatat", MAY_FAIL, false, SYS_newfstatat, {ANY_FD, ANYWHERE, ANYWHERE, AT_EMPTY_PATH}},
    {"close", NEEDED, false, SYS_close, {ANY_FD}},
    {"mprotect", NEEDED, false, SYS_mprotect, {ANYWHERE, 4096, PROT_READ}},
    {"mprotect", NEEDED, true, SYS_mprotect, {ANYWHERE, 4096, PROT_READ | PROT_WRITE}},
    {"rt_sigaction", NEEDED_BY_DEBUGGER, false, SYS_rt_sigaction, {SIGTRAP, ANYWHERE, ANYWHERE, 8}},
    {"rt_sigreturn", NEEDED, false, SYS_rt_sigreturn, {0}},
    {"brk", MAY_FAIL, false, SYS_brk, {ANYWHERE}},
    {"getrandom", MAY_FAIL, false, SYS_getrandom, {ANYWHERE, 8, GRND_NONBLOCK}},
    {"futex", NEEDED, false, SYS_futex, {ANYWHERE}},
    {"gettid", NEEDED, true, SYS_gettid, {0}},
    {"getpid", NEEDED, true, SYS_getpid, {0}},
    {"madvise", MAY_FAIL, true, SYS_madvise, {ANYWHERE, 1 << 16, MADV_NOHUGEPAGE}},
    {"madvise", MAY_FAIL, true, SYS_madvise, {ANYWHERE, 1 << 16, MADV_RANDOM}},
    {"prctl", MAY_FAIL, true, SYS_prctl, {PR_GET_NAME, ANYWHERE}},
    {"tgkill", MAY_FAIL, true, SYS_tgkill, {1, 1, 0}},
    {"sched_yield", MAY_FAIL, true, SYS_sched_yield, {0}},
    {"process_vm_readv", MAY_FAIL, true, SYS_process_vm_readv, {1, ANYWHERE, 1, ANYWHERE, 1, 0}},
    {"msync", MAY_FAIL, true, SYS_msync, {ANYWHERE, 4096, MS_ASYNC}},
};
#define NEEDED_COUNT (sizeof needed_calls / sizeof needed_calls[0])

struct check {
    pid_t pid;
    unsigned way;
};

static struct mt_error *strict_error(pid_t pid) {
    return mt_error_create(MT_ERROR_UNSUPPORTED,
                           "process %d may make no system calls (strict seccomp): nothing can be loaded into it",
                           (int)pid);
}

static struct mt_error *unreadable_error(pid_t pid) {
    return mt_error_create(
        MT_ERROR_PERMISSION,
        "process %d has a seccomp filter, which may kill it for what recording takes, and which can't be read here: "
        "`memtrace --pid %d record` as root reads it; --force takes the risk",
        (int)pid, (int)pid);
}

static struct mt_error *forbidden_error(pid_t pid, const struct needed_call *call, uint32_t answer) {
    const char *advice = call->is_of_recorder ? "it can't be recorded" : "start it recorded, `memtrace run -- PROGRAM`";
    uint32_t action = answer & SECCOMP_RET_ACTION_FULL;
    if (action == SECCOMP_RET_ERRNO)
        return mt_error_create(MT_ERROR_UNSUPPORTED, "the seccomp filter of process %d forbids %s (%s): %s", (int)pid,
                               call->name, strerrorname_np((int)(answer & SECCOMP_RET_DATA)) ?: "an error", advice);
    if (action == SECCOMP_RET_USER_NOTIF || action == SECCOMP_RET_TRACE)
        return mt_error_create(MT_ERROR_UNSUPPORTED,
                               "the seccomp filter of process %d leaves %s to another process: %s", (int)pid,
                               call->name, advice);
    return mt_error_create(MT_ERROR_UNSUPPORTED, "the seccomp filter of process %d would kill it for %s: %s", (int)pid,
                           call->name, advice);
}

static bool is_made(const struct check *check, const struct needed_call *call) {
    if (call->need == NEEDED_BY_MEMORY)
        return check->way & MT_CALLS_BY_MEMORY;
    if (call->need == NEEDED_BY_DEBUGGER)
        return check->way & MT_CALLS_BY_DEBUGGER;
    return true;
}

static bool is_allowed(const struct check *check, const struct needed_call *call, uint32_t answer) {
    uint32_t action = answer & SECCOMP_RET_ACTION_FULL;
    if (action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG || !is_made(check, call))
        return true;
    return call->need == MAY_FAIL && action == SECCOMP_RET_ERRNO;
}

static struct mt_error *ask_filter(const struct check *check, const struct sock_filter *program, size_t length) {
    for (size_t i = 0; i < NEEDED_COUNT; i++) {
        const struct needed_call *call = &needed_calls[i];
        struct seccomp_data data = {.nr = call->number, .arch = AUDIT_ARCH_X86_64, .instruction_pointer = ANYWHERE};
        uint32_t answer = SECCOMP_RET_KILL_PROCESS;
        memcpy(data.args, call->arguments, sizeof data.args);
        if (!mt_seccomp_filter_run(program, length, &data, &answer))
            answer = SECCOMP_RET_KILL_PROCESS;
        if (!is_allowed(check, call, answer))
            return forbidden_error(check->pid, call, answer);
    }
    return NULL;
}

/* All filters of a thread are asked: each may forbid. */
static struct mt_error *ask_filters(const struct check *check, pid_t tid) {
    for (unsigned long i = 0; i < FILTERS_MAX; i++) {
        struct sock_filter program[BPF_MAXINSNS];
        long length = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, (void *)i, NULL);
        if (length < 0 && errno == ENOENT && i > 0)
            return NULL;
        if (length <= 0 || length > BPF_MAXINSNS ||
            ptrace(PTRACE_SECCOMP_GET_FILTER, tid, (void *)i, program) != length)
            return check->way & MT_CALLS_TRUST_FILTERS ? NULL : unreadable_error(check->pid);
        struct mt_error *error = ask_filter(check, program, (size_t)length);
        if (error)
            return error;
    }
    return unreadable_error(check->pid);
}

struct mt_error *mt_permitted_calls_check(pid_t pid, unsigned way) {
    const struct check check = {.pid = pid, .way = way};
    mt_pids threads = {0};
    struct mt_error *error = mt_proc_threads(pid, &threads);
    for (size_t i = 0; i < threads.length && !error; i++) {
        struct mt_thread_rules rules;
        if (!mt_thread_rules_read(pid, threads.data[i], &rules) || rules.seccomp == MT_SECCOMP_NONE)
            continue;
        error = rules.seccomp == MT_SECCOMP_STRICT ? strict_error(pid) : ask_filters(&check, threads.data[i]);
    }
    mt_vector_deinit(&threads);
    return error;
}
