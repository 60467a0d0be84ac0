/* A process under ptrace, all of whose threads are stopped together, let go together, and stepped one by one. What can
 * not be done ends the driver with a message: a test has nothing to recover. */
#ifndef MEMTRACE_TESTS_INSTANTS_TRACEE_H
#define MEMTRACE_TESTS_INSTANTS_TRACEE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TRACEE_THREADS 64

struct tracee_thread {
    pid_t tid;
    bool stopped;
    int signal; /* to be delivered when it goes on */
};

struct tracee {
    pid_t pid;
    struct tracee_thread threads[TRACEE_THREADS];
    size_t thread_count;
    bool stopping; /* every thread was told to stop */
    bool ended;
    int status;       /* of the ended process, as waitpid() gives it */
    pid_t breakpoint; /* the thread that stands behind a breakpoint (int3, or a SIGTRAP that it sent itself); 0: none */
};

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Starts a program with addresses that are the same every time, and leaves it stopped before its first instruction.
 * `environment`: NAME=VALUE strings that are added to none. */
void tracee_start(struct tracee *tracee, char *const *argv, char *const *environment, int output);
/* Lets all threads run for so long, or until a breakpoint or the end, and stops them all. */
void tracee_run(struct tracee *tracee, unsigned microseconds);
/* As tracee_run(), without a limit. */
void tracee_run_to_breakpoint(struct tracee *tracee);
/* One instruction of one thread, or less: false when it does not come back (it waits for another thread). */
bool tracee_step(struct tracee *tracee, pid_t tid);
/* Whether the thread waits for another, or is about to (futex): a step of it would not come back. */
bool tracee_waits(const struct tracee *tracee, pid_t tid);
uint64_t tracee_instruction(pid_t tid);
void tracee_read(const struct tracee *tracee, uint64_t address, void *buffer, size_t size);
void tracee_write(const struct tracee *tracee, uint64_t address, const void *buffer, size_t size);
void tracee_kill(struct tracee *tracee);

#endif
