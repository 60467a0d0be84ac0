/* The tracee in our own hands: ptrace. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>

#include "attach/tracee.h"
#include "target/process_stop.h"

struct process_tracee {
    struct mt_tracee base;
    struct mt_process_stop *stop;
    bool holds_signals;
    uint64_t mask; /* of the thread whose signals are held */
};

static struct process_tracee *process_of(struct mt_tracee *tracee) {
    return (struct process_tracee *)tracee;
}

static struct mt_error *process_threads(struct mt_tracee *tracee, mt_tracee_threads *ret) {
    size_t count;
    const struct mt_stopped_thread *stopped = mt_process_stop_threads(process_of(tracee)->stop, &count);
    for (size_t i = 0; i < count; i++) {
        struct mt_tracee_thread thread = {.tid = (uint64_t)stopped[i].tid, .is_busy = stopped[i].signal != 0};
        if (stopped[i].gone || ptrace(PTRACE_GETREGS, stopped[i].tid, NULL, &thread.registers))
            continue;
        if (!mt_vector_push(ret, thread))
            return &mt_error_no_memory;
    }
    return NULL;
}

static struct mt_error *process_set_registers(struct mt_tracee *tracee, uint64_t tid,
                                              const struct user_regs_struct *registers) {
    if (ptrace(PTRACE_SETREGS, (pid_t)tid, NULL, registers))
        return mt_error_system(errno, "can't write the registers of thread %" PRIu64, tid);
    return NULL;
}

static struct mt_error *process_run(struct mt_tracee *tracee, uint64_t tid, uint64_t address, uint32_t milliseconds,
                                    bool alone, bool *ret_reached) {
    return mt_process_stop_run(process_of(tracee)->stop, (pid_t)tid, address, milliseconds, alone, ret_reached);
}

static void process_hold_signals(struct mt_tracee *tracee, uint64_t tid, bool hold) {
    struct process_tracee *process = process_of(tracee);
    uint64_t all = ~(uint64_t)0;
    if (process->holds_signals == hold ||
        (hold && ptrace(PTRACE_GETSIGMASK, (pid_t)tid, (void *)sizeof process->mask, &process->mask)))
        return;
    ptrace(PTRACE_SETSIGMASK, (pid_t)tid, (void *)sizeof all, hold ? &all : &process->mask);
    process->holds_signals = hold;
}

static void process_destroy(struct mt_tracee *tracee) {
    mt_target_destroy(tracee->target);
    mt_process_stop_release(process_of(tracee)->stop);
    free(tracee);
}

static const struct mt_tracee_ops process_ops = {
    .threads = process_threads,
    .set_registers = process_set_registers,
    .run = process_run,
    .hold_signals = process_hold_signals,
    .destroy = process_destroy,
};

struct mt_error *mt_tracee_open_process(pid_t pid, struct mt_tracee **ret) {
    /* Opened first, for it says what is wrong with the pid. */
    struct mt_target *target;
    struct mt_error *error = mt_target_open_live(pid, false, &target);
    if (error)
        return error;
    struct process_tracee *process = calloc(1, sizeof *process);
    error = process ? mt_process_stop_create(pid, &process->stop) : &mt_error_no_memory;
    if (error) {
        mt_target_destroy(target);
        free(process);
        return error;
    }
    process->base = (struct mt_tracee){.ops = &process_ops, .pid = pid, .target = target};
    size_t count;
    const struct mt_stopped_thread *stopped = mt_process_stop_threads(process->stop, &count);
    for (size_t i = 0; i < count; i++)
        process->base.is_stopped_job |= stopped[i].in_stopped_job;
    *ret = &process->base;
    return NULL;
}
