#include "target/process_stop.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include "base/hash_map.h"
#include "base/vector.h"
#include "target/interrupted_call.h"
#include "target/proc.h"

/* What PTRACE_O_TRACESYSGOOD adds to the SIGTRAP of a stop at a system call. */
#define SYSCALL_STOP 0x80

/* A thread deep in the kernel (a vfork, a dead network disk) can't stop before that is over. */
#define STOP_LIMIT_SECONDS 10.0

struct mt_process_stop {
    pid_t pid;
    double since;
    MT_VECTOR(struct mt_stopped_thread) threads;
    struct mt_hash_map seen; /* every thread id that was ever listed */
};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static bool stops_job(int signal) {
    return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

static void note_stop(struct mt_stopped_thread *thread, int status) {
    if (!WIFSTOPPED(status)) {
        thread->gone = true;
        thread->stopped = false;
        return;
    }
    thread->stopped = true;
    thread->in_stopped_job = status >> 16 == PTRACE_EVENT_STOP && stops_job(WSTOPSIG(status));
    /* With an event in the upper bits it stopped for us, or as part of a stopped job; without, at the delivery of a
     * signal. */
    thread->signal = status >> 16 ? 0 : WSTOPSIG(status);
}

/* Stands at a system call: it was let run to one (below), and nobody waits for that any more. */
static void ignore_call(struct mt_stopped_thread *thread) {
    if (thread->signal == (SIGTRAP | SYSCALL_STOP))
        thread->signal = 0;
}

/* Looks once; true: the thread stands or is gone. */
static bool poll_thread(struct mt_stopped_thread *thread) {
    int status;
    pid_t got = waitpid(thread->tid, &status, __WALL | WNOHANG);
    if (got == thread->tid) {
        note_stop(thread, status);
        ignore_call(thread);
    } else if (got < 0 && errno != EINTR) {
        thread->gone = true;
    }
    return thread->stopped || thread->gone;
}

/* All in turn, those too that stood already: when the process is killed meanwhile, the end of its first thread is told
 * only after the ends of the others were asked for. */
static struct mt_stopped_thread *find_unsettled(struct mt_process_stop *stop) {
    struct mt_stopped_thread *unsettled = NULL;
    for (size_t i = 0; i < stop->threads.length; i++) {
        struct mt_stopped_thread *thread = &stop->threads.data[i];
        if (!thread->gone && !poll_thread(thread))
            unsettled = thread;
    }
    return unsettled;
}

static struct mt_error *wait_for_all(struct mt_process_stop *stop) {
    double limit = now() + STOP_LIMIT_SECONDS;
    long pause_ns = 10 * 1000;
    struct mt_stopped_thread *thread;
    while ((thread = find_unsettled(stop)) != NULL) {
        if (now() > limit)
            return mt_error_create(
                MT_ERROR_SYSTEM,
                "thread %d of process %d did not stop within %.0f seconds (it waits inside the kernel): "
                "try again later",
                (int)thread->tid, (int)stop->pid, STOP_LIMIT_SECONDS);
        nanosleep(&(struct timespec){0, pause_ns}, NULL);
        pause_ns = pause_ns < 500 * 1000 ? pause_ns * 2 : 1000 * 1000;
    }
    return NULL;
}

static struct mt_error *seize(struct mt_process_stop *stop, pid_t tid) {
    struct mt_proc_task task;
    if (ptrace(PTRACE_SEIZE, tid, NULL, (void *)PTRACE_O_TRACESYSGOOD)) {
        int seize_errno = errno;
        bool ended = !mt_proc_task(stop->pid, tid, &task) || task.state == 'Z' || task.state == 'X' || task.exiting;
        if (seize_errno == ESRCH || ended)
            return NULL;
        return seize_errno == EPERM || seize_errno == EACCES
                   ? mt_proc_permission_error(stop->pid)
                   : mt_error_system(seize_errno, "can't stop thread %d of process %d", (int)tid, (int)stop->pid);
    }
    if (!mt_vector_push(&stop->threads, ((struct mt_stopped_thread){.tid = tid}))) {
        ptrace(PTRACE_DETACH, tid, NULL, NULL);
        return &mt_error_no_memory;
    }
    ptrace(PTRACE_INTERRUPT, tid, NULL, NULL); /* can only fail when it is gone, which the wait finds */
    return NULL;
}

/* Threads can start threads until the last one stands, so look until nothing new is there. */
static struct mt_error *stop_all(struct mt_process_stop *stop) {
    for (bool found_new = true; found_new;) {
        found_new = false;
        mt_pids tids = {0};
        struct mt_error *error = mt_proc_threads(stop->pid, &tids);
        for (size_t i = 0; i < tids.length && !error; i++) {
            bool is_new;
            if (!mt_hash_map_find_or_insert(&stop->seen, (uint64_t)tids.data[i], 1, &is_new))
                error = &mt_error_no_memory;
            else if (is_new) {
                found_new = true;
                error = seize(stop, tids.data[i]);
            }
        }
        mt_vector_deinit(&tids);
        if (!error)
            error = wait_for_all(stop);
        if (error)
            return error;
    }
    for (size_t i = 0; i < stop->threads.length; i++)
        if (stop->threads.data[i].stopped)
            return NULL;
    return mt_error_create(MT_ERROR_NO_PROCESS, "process %d ended", (int)stop->pid);
}

struct mt_error *mt_process_stop_create(pid_t pid, struct mt_process_stop **ret) {
    struct mt_process_stop *stop = calloc(1, sizeof(*stop));
    if (!stop)
        return &mt_error_no_memory;
    stop->pid = pid;
    stop->since = now();
    struct mt_error *error = stop_all(stop);
    if (error) {
        mt_process_stop_release(stop);
        return error;
    }
    *ret = stop;
    return NULL;
}

/* A tracer can detach only from a thread that stands; one that would not stop in time is given a last moment. When even
 * that does not help, the end of our own process sets it free. */
static bool settle(struct mt_stopped_thread *thread) {
    for (int i = 0; i < 100 && !poll_thread(thread); i++)
        nanosleep(&(struct timespec){0, 100 * 1000}, NULL);
    return thread->stopped;
}

void mt_process_stop_release(struct mt_process_stop *stop) {
    if (!stop)
        return;
    for (size_t i = 0; i < stop->threads.length; i++) {
        struct mt_stopped_thread *thread = &stop->threads.data[i];
        if (thread->gone || !settle(thread))
            continue;
        if (!thread->signal)
            mt_interrupted_call_restart(thread->tid);
        ptrace(PTRACE_DETACH, thread->tid, NULL, (void *)(long)thread->signal);
    }
    mt_vector_deinit(&stop->threads);
    mt_hash_map_deinit(&stop->seen);
    free(stop);
}

double mt_process_stop_seconds(const struct mt_process_stop *stop) {
    return now() - stop->since;
}

/* --- letting it run for a while ---------------------------------------------------------------------------------- */

const struct mt_stopped_thread *mt_process_stop_threads(const struct mt_process_stop *stop, size_t *ret_count) {
    *ret_count = stop->threads.length;
    return stop->threads.data;
}

/* What a run waits for. */
struct goal {
    pid_t tid;
    uint64_t address; /* 0: nothing */
    bool reached;
};

static void resume(struct mt_stopped_thread *thread, const struct goal *goal) {
    bool wants_calls = goal->address && !goal->reached && thread->tid == goal->tid;
    int signal = thread->signal;
    if (!signal)
        mt_interrupted_call_restart(thread->tid);
    thread->signal = 0;
    thread->stopped = false;
    /* Can only fail when it is gone. */
    ptrace(wants_calls ? PTRACE_SYSCALL : PTRACE_CONT, thread->tid, NULL, (void *)(long)signal);
}

/* A thread that stands at the entry or the exit of a system call. */
static void look_at_call(const struct mt_stopped_thread *thread, struct goal *goal) {
    struct __ptrace_syscall_info info;
    if (thread->tid != goal->tid || ptrace(PTRACE_GET_SYSCALL_INFO, thread->tid, (void *)sizeof info, &info) <= 0)
        return;
    if (info.op == PTRACE_SYSCALL_INFO_EXIT && info.instruction_pointer == goal->address) {
        goal->reached = true;
    } else if (info.op == PTRACE_SYSCALL_INFO_ENTRY &&
               mt_interrupted_call_place(info.instruction_pointer) == goal->address) {
        mt_interrupted_call_skip(thread->tid);
        goal->reached = true;
    }
    /* It stops again before its next instruction, in the way that lets the kernel restart an interrupted call. */
    if (goal->reached)
        ptrace(PTRACE_INTERRUPT, thread->tid, NULL, NULL);
}

/* One thread that may have stopped: passes on what it was stopped for. */
static void attend(struct mt_stopped_thread *thread, struct goal *goal) {
    int status;
    pid_t got = waitpid(thread->tid, &status, __WALL | WNOHANG);
    if (got < 0 && errno == ECHILD)
        thread->gone = true;
    if (got != thread->tid)
        return;
    note_stop(thread, status);
    if (thread->gone)
        return;
    if (thread->signal == (SIGTRAP | SYSCALL_STOP)) {
        thread->signal = 0;
        look_at_call(thread, goal);
    }
    if (!thread->in_stopped_job || thread->tid == goal->tid)
        resume(thread, goal);
}

static struct mt_stopped_thread *find_thread(struct mt_process_stop *stop, pid_t tid) {
    for (size_t i = 0; i < stop->threads.length; i++)
        if (stop->threads.data[i].tid == tid)
            return &stop->threads.data[i];
    return NULL;
}

static struct mt_error *stop_again(struct mt_process_stop *stop) {
    for (size_t i = 0; i < stop->threads.length; i++)
        if (!stop->threads.data[i].gone && !stop->threads.data[i].stopped)
            ptrace(PTRACE_INTERRUPT, stop->threads.data[i].tid, NULL, NULL);
    struct mt_error *error = wait_for_all(stop);
    return error ? error : stop_all(stop);
}

struct mt_error *mt_process_stop_run(struct mt_process_stop *stop, pid_t tid, uint64_t address, unsigned milliseconds,
                                     bool alone, bool *ret_reached) {
    struct goal goal = {.tid = tid, .address = address};
    double limit = now() + milliseconds * 1e-3;
    long pause_ns = 10 * 1000;
    for (size_t i = 0; i < stop->threads.length; i++) {
        struct mt_stopped_thread *thread = &stop->threads.data[i];
        if (!thread->gone && (thread->tid == tid || !(alone || thread->in_stopped_job)))
            resume(thread, &goal);
    }
    struct mt_stopped_thread *waited_for = tid ? find_thread(stop, tid) : NULL;
    while (!goal.reached && !(waited_for && waited_for->gone) && now() < limit) {
        for (size_t i = 0; i < stop->threads.length; i++)
            if (!stop->threads.data[i].gone && !stop->threads.data[i].stopped)
                attend(&stop->threads.data[i], &goal);
        if (goal.reached)
            break;
        nanosleep(&(struct timespec){0, pause_ns}, NULL);
        pause_ns = pause_ns < 200 * 1000 ? pause_ns * 2 : pause_ns;
    }
    struct mt_error *error = stop_again(stop);
    if (error)
        return error;
    if (tid && (!(waited_for = find_thread(stop, tid)) || waited_for->gone))
        return mt_error_create(MT_ERROR_NO_PROCESS, "thread %d of process %d ended meanwhile", (int)tid,
                               (int)stop->pid);
    *ret_reached = goal.reached;
    return NULL;
}
