#include "recorder/limit.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image/size_text.h"
#include "recorder/header.h"
#include "recorder/limit_share.h"
#include "recorder/loader.h"
#include "recorder/memory.h"
#include "recorder/stops.h"

#define COMMAND_NAME "memtrace"
#define PATH_BYTES 4096
#define HELPER_STACK (64 << 10)
#define WAIT_ALL 0x40000000 /* __WALL, which glibc hides from some standards */
#define SIGNAL_SET_BYTES 8

static char command[PATH_BYTES];
static char report[PATH_BYTES]; /* empty: standard error */
static bool wants_core;
static int32_t tracer; /* 0: nobody traces us for this */
static int is_reporting;
static _Alignas(16) char helper_stack[HELPER_STACK];

static bool copy(char *to, const char *text) {
    size_t length = text != NULL ? strlen(text) : PATH_BYTES;
    if (length >= PATH_BYTES)
        return false;
    memcpy(to, text, length + 1);
    return true;
}

/* The command lies beside the recorder. Its path must hold when the program has gone to another directory. */
static void find_command(void) {
    Dl_info own;
    char beside[PATH_BYTES];
    const char *given = getenv("MEMTRACE_COMMAND");
    if (given != NULL) {
        copy(command, given);
        return;
    }
    if (dladdr((const void *)mt_limit_init, &own) == 0 || !copy(beside, own.dli_fname))
        return;
    char *slash = strrchr(beside, '/');
    size_t length = slash != NULL ? (size_t)(slash + 1 - beside) : 0, used = 0;
    if (beside[0] != '/') {
        if (mt_system_call(SYS_getcwd, (long)command, PATH_BYTES, 0, 0, 0, 0) < 0)
            return;
        used = strlen(command);
        command[used++] = '/';
    }
    if (used + length + sizeof COMMAND_NAME > PATH_BYTES) {
        command[0] = '\0';
        return;
    }
    memcpy(command + used, beside, length);
    memcpy(command + used + length, COMMAND_NAME, sizeof COMMAND_NAME);
}

static enum mt_limit_state find_limit(const char *wanted, uint64_t *ret) {
    size_t length = strlen(wanted);
    if (length > 1 && wanted[length - 1] == '%') {
        char digits[8];
        uint64_t percent, whole;
        if (length > sizeof digits)
            return MT_LIMIT_BAD;
        memcpy(digits, wanted, length - 1);
        digits[length - 1] = '\0';
        if (!mt_size_from_text(digits, &percent) || percent == 0 || percent > 100)
            return MT_LIMIT_BAD;
        if (!mt_limit_of_surroundings(&whole))
            return MT_LIMIT_NOT_FOUND;
        *ret = whole / 100 * percent;
        return MT_LIMIT_SET;
    }
    return mt_size_from_text(wanted, ret) ? MT_LIMIT_SET : MT_LIMIT_BAD;
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

/* Tells the tracer, by the two registers that MT_LIMIT_TRAP describes. Threads that it does not trace yet become its
 * own by this: the parent of every thread is the process's. */
static void tell_tracer(const struct mt_stop_event *event) {
    mt_system_call(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0, 0, 0);
    __asm__ volatile("int3" : : "a"(MT_LIMIT_TRAP), "D"(event) : "memory");
}

/* In hexadecimal, with 0x. */
static const char *number_text(char buffer[20], uint64_t number) {
    char *out = buffer + 19;
    *out = '\0';
    do
        *--out = "0123456789abcdef"[number & 15];
    while ((number >>= 4) != 0);
    *--out = 'x';
    *--out = '0';
    return out;
}

struct helper {
    const char *arguments[10];
};

static int run_helper(void *context) {
    const struct helper *helper = context;
    static char *const environment[] = {NULL};
    mt_system_call(SYS_execve, (long)command, (long)helper->arguments, (long)environment, 0, 0, 0);
    mt_system_call(SYS_exit, 1, 0, 0, 0, 0, 0);
    return 1;
}

/* Runs the command to its end; false: it could not report. No signal comes in between: they are blocked. The helper is
 * nobody's child to wait for but ours: it has no exit signal. */
static bool run_command(const struct mt_stop_event *event) {
    char pid[20], tid[20], address[20];
    struct helper helper = {{command, "at-limit", number_text(pid, memtrace_image.pid),
                             number_text(tid, (uint64_t)mt_system_call(SYS_gettid, 0, 0, 0, 0, 0, 0)),
                             number_text(address, (uint64_t)event), wants_core ? "core" : "report", report, NULL}};
    if (command[0] == '\0')
        return false;
    mt_system_call(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0, 0);
    mt_system_call(SYS_prctl, PR_SET_PTRACER, (long)PR_SET_PTRACER_ANY, 0, 0, 0, 0);
    int child = clone(run_helper, helper_stack + sizeof helper_stack, CLONE_VM | CLONE_VFORK, &helper);
    if (child < 0)
        return false;
    int status = -1;
    long got;
    do
        got = mt_system_call(SYS_wait4, child, (long)&status, WAIT_ALL, 0, 0, 0);
    while (got == -4 /* EINTR */);
    return got == child && status == 0;
}

static void block_signals(void) {
    uint64_t all = UINT64_MAX;
    mt_system_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, 0, SIGNAL_SET_BYTES, 0, 0);
}

/* As abort(): the kernel writes its core, where it is told to. */
static void die(void) {
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    sigaction(SIGABRT, &by_default, NULL);
    uint64_t only = UINT64_C(1) << (SIGABRT - 1);
    mt_system_call(SYS_tgkill, memtrace_image.pid, mt_system_call(SYS_gettid, 0, 0, 0, 0, 0, 0), SIGABRT, 0, 0, 0);
    mt_system_call(SYS_rt_sigprocmask, SIG_UNBLOCK, (long)&only, 0, SIGNAL_SET_BYTES, 0, 0);
}

static void passed(const struct mt_stop_event *event) {
    /* A child of vfork has our memory, and is another process. */
    if ((uint32_t)mt_system_call(SYS_getpid, 0, 0, 0, 0, 0, 0) != memtrace_image.pid)
        return;
    if (tracer != 0) {
        if (mt_system_call(SYS_getppid, 0, 0, 0, 0, 0, 0) == tracer)
            tell_tracer(event);
        return;
    }
    while (__atomic_exchange_n(&is_reporting, 1, __ATOMIC_ACQ_REL) != 0) /* another thread reports */
        mt_system_call(SYS_pause, 0, 0, 0, 0, 0, 0);
    block_signals();
    if (run_command(event))
        mt_system_call(SYS_exit_group, MT_LIMIT_EXIT, 0, 0, 0, 0, 0);
    die();
}

void mt_limit_init(void) {
    const char *wanted = getenv("MEMTRACE_MAX_HEAP"), *action = getenv("MEMTRACE_MAX_HEAP_ACTION"),
               *file = getenv("MEMTRACE_REPORT"), *by = getenv("MEMTRACE_TRACER");
    if (wanted == NULL || *wanted == '\0')
        return;
    struct mt_stop *slot = &memtrace_image.stops[MT_LIMIT_SLOT];
    memtrace_image.limit_state = find_limit(wanted, &memtrace_image.limit_bytes);
    if (memtrace_image.limit_state != MT_LIMIT_SET)
        return;
    wants_core = action != NULL && strcmp(action, "core") == 0;
    if (file == NULL || !copy(report, file))
        report[0] = '\0';
    tracer = by != NULL ? (int32_t)strtol(by, NULL, 10) : 0;
    if (tracer == 0)
        find_command();
    mt_stops_limit_passed = passed;
    slot->argument = memtrace_image.limit_bytes;
    slot->kind = MT_STOP_HEAP;
    memtrace_image.stop_action = MT_STOP_ACTION_REPORT;
    memtrace_image.stops_state = MT_STOPS_CHANGED;
}
