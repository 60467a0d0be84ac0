#include "target/process_stop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include "base/hash_map.h"
#include "base/vector.h"
#include "target/interrupted_call.h"
#include "target/proc.h"

/* A thread deep in the kernel (a vfork, a dead network disk) can't stop before that is over. */
#define STOP_LIMIT_SECONDS 10.0

struct stopped_thread {
    pid_t tid;
    bool stopped;
    bool gone;
    int signal; /* that it was about to receive when it stopped */
};

struct mt_process_stop {
    pid_t pid;
    double since;
    MT_VECTOR(struct stopped_thread) threads;
    struct mt_hash_map seen; /* every thread id that was ever listed */
};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void note_stop(struct stopped_thread *thread, int status) {
    if (!WIFSTOPPED(status)) {
        thread->gone = true;
        thread->stopped = false;
        return;
    }
    thread->stopped = true;
    /* With an event in the upper bits it stopped for us, or as part of a stopped job; without, at the delivery of a
     * signal. */
    thread->signal = status >> 16 ? 0 : WSTOPSIG(status);
}

/* Looks once; true: the thread stands or is gone. */
static bool poll_thread(struct stopped_thread *thread) {
    int status;
    pid_t got = waitpid(thread->tid, &status, __WALL | WNOHANG);
    if (got == thread->tid)
        note_stop(thread, status);
    else if (got < 0 && errno != EINTR)
        thread->gone = true;
    return thread->stopped || thread->gone;
}

/* All in turn, those too that stood already: when the process is killed meanwhile, the end of its first thread is told
 * only after the ends of the others were asked for. */
static struct stopped_thread *find_unsettled(struct mt_process_stop *stop) {
    struct stopped_thread *unsettled = NULL;
    for (size_t i = 0; i < stop->threads.length; i++) {
        struct stopped_thread *thread = &stop->threads.data[i];
        if (!thread->gone && !poll_thread(thread))
            unsettled = thread;
    }
    return unsettled;
}

static struct mt_error *wait_for_all(struct mt_process_stop *stop) {
    double limit = now() + STOP_LIMIT_SECONDS;
    long pause_ns = 10 * 1000;
    struct stopped_thread *thread;
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
    if (ptrace(PTRACE_SEIZE, tid, NULL, NULL)) {
        int seize_errno = errno;
        bool ended = !mt_proc_task(stop->pid, tid, &task) || task.state == 'Z' || task.state == 'X' || task.exiting;
        if (seize_errno == ESRCH || ended)
            return NULL;
        return seize_errno == EPERM || seize_errno == EACCES
                   ? mt_proc_permission_error(stop->pid)
                   : mt_error_system(seize_errno, "can't stop thread %d of process %d", (int)tid, (int)stop->pid);
    }
    if (!mt_vector_push(&stop->threads, ((struct stopped_thread){.tid = tid}))) {
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
static bool settle(struct stopped_thread *thread) {
    for (int i = 0; i < 100 && !poll_thread(thread); i++)
        nanosleep(&(struct timespec){0, 100 * 1000}, NULL);
    return thread->stopped;
}

void mt_process_stop_release(struct mt_process_stop *stop) {
    if (!stop)
        return;
    for (size_t i = 0; i < stop->threads.length; i++) {
        struct stopped_thread *thread = &stop->threads.data[i];
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
