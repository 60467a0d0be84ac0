#include "tracee.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OPTIONS (PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)
#define TICK_MICROSECONDS 100000
#define STEP_TICKS 10 /* a step that takes longer waits for somebody */

void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

static struct tracee_thread *find_thread(struct tracee *tracee, pid_t tid) {
    for (size_t i = 0; i < tracee->thread_count; i++)
        if (tracee->threads[i].tid == tid)
            return &tracee->threads[i];
    if (tracee->thread_count == TRACEE_THREADS)
        die("more threads than expected");
    tracee->threads[tracee->thread_count] = (struct tracee_thread){.tid = tid};
    return &tracee->threads[tracee->thread_count++];
}

static void forget_thread(struct tracee *tracee, pid_t tid) {
    struct tracee_thread *thread = find_thread(tracee, tid);
    *thread = tracee->threads[--tracee->thread_count];
}

/* A thread may be gone before it hears of it. */
static void go_on(struct tracee_thread *thread) {
    thread->stopped = false;
    if (ptrace(PTRACE_CONT, thread->tid, 0, thread->signal) != 0 && errno != ESRCH)
        die("PTRACE_CONT: %s", strerror(errno));
    thread->signal = 0;
}

/* Takes note of what waitpid() told. */
static void note(struct tracee *tracee, pid_t tid, int status) {
    if (!WIFSTOPPED(status)) {
        forget_thread(tracee, tid);
        if (tid == tracee->pid) {
            tracee->ended = true;
            tracee->status = status;
        }
        return;
    }
    struct tracee_thread *thread = find_thread(tracee, tid);
    thread->stopped = true;
    int event = status >> 16;
    if (event == PTRACE_EVENT_CLONE) {
        unsigned long born;
        ptrace(PTRACE_GETEVENTMSG, tid, 0, &born);
        find_thread(tracee, (pid_t)born); /* its own first stop is reported apart, before or after */
        go_on(find_thread(tracee, tid));
        if (tracee->stopping) /* the kernel forgets a PTRACE_INTERRUPT with any other stop that comes before it */
            ptrace(PTRACE_INTERRUPT, tid, 0, 0);
    } else if (event == 0 && WSTOPSIG(status) == SIGTRAP) {
        siginfo_t info;
        ptrace(PTRACE_GETSIGINFO, tid, 0, &info);
        if (info.si_code == SI_KERNEL || info.si_code <= 0) /* not the end of a single step */
            tracee->breakpoint = tid;
    } else if (event == 0) {
        thread->signal = WSTOPSIG(status);
    }
}

/* Waits for news of a thread (-1: of any). false when none comes: there is no such thread, or, if `ticks` is not 0, the
 * clock has ticked so often. */
static bool wait_for(struct tracee *tracee, pid_t tid, unsigned ticks) {
    int status;
    pid_t got;
    while ((got = waitpid(tid, &status, __WALL)) < 0 && errno == EINTR)
        if (ticks > 0 && --ticks == 0)
            return false;
    if (got > 0)
        note(tracee, got, status);
    else if (errno != ECHILD)
        die("waitpid: %s", strerror(errno));
    return got > 0;
}

static void ignore(int signal) {}

/* Makes waitpid() return from time to time. */
static void start_clock(void) {
    struct sigaction action = {.sa_handler = ignore};
    struct itimerval every = {{0, TICK_MICROSECONDS}, {0, TICK_MICROSECONDS}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
}

static void resume(struct tracee *tracee) {
    tracee->breakpoint = 0;
    for (size_t i = 0; i < tracee->thread_count; i++)
        if (tracee->threads[i].stopped)
            go_on(&tracee->threads[i]);
}

static bool all_stopped(const struct tracee *tracee) {
    for (size_t i = 0; i < tracee->thread_count; i++)
        if (!tracee->threads[i].stopped)
            return false;
    return true;
}

static void stop(struct tracee *tracee) {
    tracee->stopping = true;
    for (size_t i = 0; i < tracee->thread_count; i++)
        if (!tracee->threads[i].stopped)
            ptrace(PTRACE_INTERRUPT, tracee->threads[i].tid, 0, 0);
    /* Whoever it is that stops or ends: the end of the first thread is told only when those of all others were heard.
     */
    while (!tracee->ended && !all_stopped(tracee))
        if (!wait_for(tracee, -1, 0))
            die("the program is lost");
    tracee->stopping = false;
}

void tracee_start(struct tracee *tracee, char *const *argv, char *const *environment, int output) {
    int gate[2];
    *tracee = (struct tracee){0};
    if (pipe(gate) != 0)
        die("pipe: %s", strerror(errno));
    pid_t pid = fork();
    if (pid < 0)
        die("fork: %s", strerror(errno));
    if (pid == 0) {
        char byte;
        personality(ADDR_NO_RANDOMIZE);
        if (output >= 0)
            dup2(output, 1);
        if (read(gate[0], &byte, 1) == 1)
            execve(argv[0], argv, environment);
        _exit(127);
    }
    start_clock();
    tracee->pid = pid;
    find_thread(tracee, pid);
    if (ptrace(PTRACE_SEIZE, pid, 0, OPTIONS) != 0)
        die("PTRACE_SEIZE: %s", strerror(errno));
    if (write(gate[1], "", 1) != 1)
        die("write: %s", strerror(errno));
    close(gate[0]);
    close(gate[1]);
    if (!wait_for(tracee, pid, 0) || tracee->ended)
        die("%s could not be started", argv[0]);
}

void tracee_run(struct tracee *tracee, unsigned microseconds) {
    struct timespec pause = {microseconds / 1000000, (long)(microseconds % 1000000) * 1000};
    resume(tracee);
    nanosleep(&pause, NULL);
    stop(tracee);
}

void tracee_run_to_breakpoint(struct tracee *tracee) {
    resume(tracee);
    while (tracee->breakpoint == 0 && !tracee->ended) {
        if (!wait_for(tracee, -1, 0))
            die("the program is lost");
        for (size_t i = 0; i < tracee->thread_count && tracee->breakpoint == 0; i++)
            if (tracee->threads[i].stopped)
                go_on(&tracee->threads[i]);
    }
    stop(tracee);
}

bool tracee_step(struct tracee *tracee, pid_t tid) {
    struct tracee_thread *thread = find_thread(tracee, tid);
    thread->stopped = false;
    if (ptrace(PTRACE_SINGLESTEP, tid, 0, thread->signal) != 0)
        die("PTRACE_SINGLESTEP: %s", strerror(errno));
    thread->signal = 0;
    if (wait_for(tracee, tid, STEP_TICKS))
        return true;
    stop(tracee);
    return false;
}

uint64_t tracee_instruction(pid_t tid) {
    long value = ptrace(PTRACE_PEEKUSER, tid, offsetof(struct user, regs.rip), 0);
    return (uint64_t)value;
}

bool tracee_waits(const struct tracee *tracee, pid_t tid) {
    static const uint8_t system_call[2] = {0x0f, 0x05};
    struct user_regs_struct registers;
    uint8_t code[4];
    if (ptrace(PTRACE_GETREGS, tid, 0, &registers) != 0)
        return true;
    tracee_read(tracee, registers.rip - 2, code, sizeof code);
    bool before = memcmp(code + 2, system_call, 2) == 0 && registers.rax == SYS_futex;
    /* A stop interrupts the call, which begins anew when the thread goes on: -ERESTARTSYS and its like. */
    bool within = memcmp(code, system_call, 2) == 0 && registers.orig_rax == SYS_futex &&
                  (int64_t)registers.rax <= -512 && (int64_t)registers.rax >= -516;
    return before || within;
}

void tracee_read(const struct tracee *tracee, uint64_t address, void *buffer, size_t size) {
    struct iovec local = {buffer, size}, remote = {(void *)address, size};
    if (process_vm_readv(tracee->pid, &local, 1, &remote, 1, 0) != (ssize_t)size)
        die("%zu bytes at %#llx can't be read", size, (unsigned long long)address);
}

void tracee_write(const struct tracee *tracee, uint64_t address, const void *buffer, size_t size) {
    struct iovec local = {(void *)buffer, size}, remote = {(void *)address, size};
    if (process_vm_writev(tracee->pid, &local, 1, &remote, 1, 0) != (ssize_t)size)
        die("%zu bytes at %#llx can't be written", size, (unsigned long long)address);
}

void tracee_kill(struct tracee *tracee) {
    if (tracee->ended)
        return;
    kill(tracee->pid, SIGKILL);
    while (!tracee->ended)
        if (!wait_for(tracee, -1, 0))
            break;
}
