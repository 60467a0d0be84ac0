/* The tracee in a debugger's hands. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/c_library.h"
#include "attach/tracee.h"
#include "target/proc.h"

_Static_assert(sizeof(struct user_regs_struct) == MT_HOST_REGISTERS * sizeof(uint64_t), "the door's registers");

struct host_tracee {
    struct mt_tracee base;
    const struct mt_host *host;
};

struct collected {
    mt_tracee_threads *threads;
    pid_t pid;
    bool no_memory;
};

static const struct mt_host *host_of(struct mt_tracee *tracee) {
    return ((struct host_tracee *)tracee)->host;
}

/* Debuggers do not all show orig_rax; the kernel says which call a thread that stands still is in. */
static int64_t call_of(pid_t pid, uint64_t tid) {
    char path[64], line[32] = "";
    long long number = -1;
    snprintf(path, sizeof path, "/proc/%d/task/%" PRIu64 "/syscall", (int)pid, tid);
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    bool is_number = fgets(line, sizeof line, file) && sscanf(line, "%lld", &number) == 1;
    fclose(file);
    return is_number ? number : -1;
}

static void collect(void *cookie, uint64_t tid, uint32_t selected, const uint64_t registers[MT_HOST_REGISTERS]) {
    struct collected *collected = cookie;
    struct mt_tracee_thread thread = {.tid = tid};
    if (!registers || !tid)
        return;
    memcpy(&thread.registers, registers, sizeof thread.registers);
    thread.registers.orig_rax = (unsigned long long)call_of(collected->pid, tid);
    collected->no_memory |= !mt_vector_push(collected->threads, thread);
}

static struct mt_error *answer_of(int32_t status, const char *what) {
    if (status == 1)
        return mt_error_create(MT_ERROR_INTERRUPTED, "interrupted");
    return status ? mt_error_create(MT_ERROR_SYSTEM, "the debugger could not %s", what) : NULL;
}

static struct mt_error *host_threads(struct mt_tracee *tracee, mt_tracee_threads *ret) {
    const struct mt_host *host = host_of(tracee);
    struct collected collected = {.threads = ret, .pid = tracee->pid};
    int32_t status = host->threads(host->context, collect, &collected);
    return collected.no_memory ? &mt_error_no_memory : answer_of(status, "list the threads");
}

static struct mt_error *host_set_registers(struct mt_tracee *tracee, uint64_t tid,
                                           const struct user_regs_struct *registers) {
    uint64_t words[MT_HOST_REGISTERS];
    memcpy(words, registers, sizeof words);
    const struct mt_host *host = host_of(tracee);
    return answer_of(host->set_registers(host->context, tid, words), "write registers");
}

static struct mt_error *host_run(struct mt_tracee *tracee, uint64_t tid, uint64_t address, uint32_t milliseconds,
                                 bool alone, bool *ret_reached) {
    const struct mt_host *host = host_of(tracee);
    uint64_t reached_by = 0, count = address ? 1 : 0, index = count;
    int32_t status = host->run_to(host->context, tid, &address, count, milliseconds, &reached_by, &index);
    if (status)
        return answer_of(status, "let the process run on");
    *ret_reached = index < count;
    return NULL;
}

/* --- where the debugger traces from the very thread that we run in, as gdb does -------------------------------------
 */

static bool is_traced_from_here(pid_t pid) {
    struct user_regs_struct registers;
    return !ptrace(PTRACE_GETREGS, pid, NULL, &registers);
}

/* All at once. The debugger writes one after another, and killed in between it would leave a thread with half of them.
 * Then it is told too, for it keeps what it has read. */
static struct mt_error *traced_set_registers(struct mt_tracee *tracee, uint64_t tid,
                                             const struct user_regs_struct *registers) {
    struct user_regs_struct changed;
    if (!ptrace(PTRACE_GETREGS, (pid_t)tid, NULL, &changed)) {
        /* Not the segments: a debugger may not know their bases. */
        memcpy(&changed, registers, offsetof(struct user_regs_struct, cs));
        changed.rip = registers->rip, changed.eflags = registers->eflags, changed.rsp = registers->rsp;
        ptrace(PTRACE_SETREGS, (pid_t)tid, NULL, &changed);
    }
    return host_set_registers(tracee, tid, registers);
}

/* Resumes the thread and waits until it stops; the signal that it stopped by, or 0: it ended. */
static int resumed(uint64_t tid, int request) {
    int status;
    pid_t waited;
    if (ptrace((enum __ptrace_request)request, (pid_t)tid, NULL, NULL))
        return 0;
    do
        waited = waitpid((pid_t)tid, &status, __WALL);
    while (waited < 0 && errno == EINTR);
    return waited > 0 && WIFSTOPPED(status) ? WSTOPSIG(status) & 0x7f : 0;
}

/* From its beginning to its end, both of which the kernel tells of. (A single step would outlive the tracer.) Signals
 * are kept from the thread meanwhile; SIGSTOP can't be, and is sent anew. In the end it stops as debuggers stop
 * threads, where the kernel restarts a system call that it finds in the registers. */
static struct mt_error *traced_system_call(struct mt_tracee *tracee, uint64_t tid, struct user_regs_struct *ret) {
    const uint64_t all = ~(uint64_t)0;
    uint64_t mask;
    bool was_stopped = false, ended = ptrace(PTRACE_GETSIGMASK, (pid_t)tid, (void *)sizeof mask, &mask) ||
                                      ptrace(PTRACE_SETSIGMASK, (pid_t)tid, (void *)sizeof all, &all);
    for (int ends = 0; ends < 2 && !ended;) {
        int signal = resumed(tid, PTRACE_SYSCALL);
        ended = !signal;
        ends += signal == SIGTRAP;
        was_stopped = was_stopped || signal == SIGSTOP;
    }
    ended = ended || ptrace(PTRACE_GETREGS, (pid_t)tid, NULL, ret) ||
            syscall(SYS_tgkill, tracee->pid, (pid_t)tid, SIGSTOP) || !resumed(tid, PTRACE_CONT) ||
            ptrace(PTRACE_SETSIGMASK, (pid_t)tid, (void *)sizeof mask, &mask);
    if (was_stopped)
        syscall(SYS_tgkill, tracee->pid, (pid_t)tid, SIGSTOP);
    return ended ? mt_error_create(MT_ERROR_NO_PROCESS, "thread %" PRIu64 " of process %d ended meanwhile", tid,
                                   (int)tracee->pid)
                 : NULL;
}

static void host_destroy(struct mt_tracee *tracee) {
    mt_target_destroy(tracee->target);
    free(tracee);
}

static const struct mt_tracee_ops host_ops = {
    .threads = host_threads,
    .set_registers = host_set_registers,
    .run = host_run,
    .destroy = host_destroy,
};

static const struct mt_tracee_ops traced_ops = {
    .threads = host_threads,
    .set_registers = traced_set_registers,
    .run = host_run,
    .system_call = traced_system_call,
    .destroy = host_destroy,
};

/* A debugger that takes this machine's loader for that of a process with another root has its own breakpoints in the
 * wrong places: the process would die of them as soon as it loads something. */
static struct mt_error *check_loader(const struct mt_tracee *tracee) {
    const struct mt_region *regions;
    size_t count = 0;
    struct mt_error *error = mt_target_regions(tracee->target, &regions, &count);
    bool same = mt_proc_shares_file(tracee->pid, "/");
    for (size_t i = 0; i < count && same; i++)
        same = !mt_is_loader(regions[i].path) || mt_proc_shares_file(tracee->pid, regions[i].path);
    if (!error && !same)
        error = mt_error_create(MT_ERROR_UNSUPPORTED,
                                "process %d has other libraries by the same names (another root, or replaced), which "
                                "debuggers mistake: use `memtrace --pid %d record` without a debugger",
                                (int)tracee->pid, (int)tracee->pid);
    return error;
}

struct mt_error *mt_tracee_open_host(const struct mt_host *host, struct mt_tracee **ret) {
    struct mt_host_description description = {0};
    if (host->describe(host->context, &description))
        return mt_error_create(MT_ERROR_SYSTEM, "the debugger can't say what it debugs");
    if (description.kind == MT_HOST_REMOTE)
        return mt_error_create(MT_ERROR_UNSUPPORTED, "a process behind a remote stub can't be given the recorder: "
                                                     "attach on its own machine, or start it with the recorder");
    if (description.kind != MT_HOST_LIVE || !description.local || !host->threads || !host->set_registers ||
        !host->run_to)
        return mt_error_create(MT_ERROR_UNSUPPORTED, "this debugger can't give the process the recorder: use "
                                                     "`memtrace --pid PID record` without a debugger");
    if (description.running)
        return mt_error_create(MT_ERROR_RUNNING, "the process is running: stop it first (Ctrl-C)");
    struct host_tracee *tracee = calloc(1, sizeof *tracee);
    if (!tracee)
        return &mt_error_no_memory;
    tracee->base.ops = is_traced_from_here(description.pid) ? &traced_ops : &host_ops;
    tracee->base.pid = description.pid;
    tracee->base.has_breakpoints = true;
    tracee->host = host;
    struct mt_error *error = mt_target_open_live(description.pid, false, &tracee->base.target);
    if (!error)
        error = check_loader(&tracee->base);
    if (error) {
        mt_target_destroy(tracee->base.target);
        free(tracee);
        return error;
    }
    *ret = &tracee->base;
    return NULL;
}
