#define _GNU_SOURCE 1

#include "cli/run_watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/run_signals.h"
#include "image/image.h"

#define TASK_EXITING 0x4u /* flag of a task in /proc/PID/stat: it runs no more code of the program */
#define KILL_PENDING (1ull << (SIGKILL - 1))
#define DYING_LIMIT_MS 2000
#define ALIVE_LOOKS 5
#define CONTINUED_LIMIT_MS 50

struct watch {
    pid_t pid;
    struct mt_watched_end end;
    bool stopped_itself; /* the last SIGSTOP came from the program, not from elsewhere */
    const struct mt_watch_handlers *handlers;
};

unsigned mt_watch_trace_options(void) {
    return PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT;
}

static void sleep_ms(long ms) {
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static void resume(pid_t tid, int signal_number) {
    ptrace(PTRACE_CONT, tid, NULL, (void *)(long)signal_number);
}

/* --- the end
 * ------------------------------------------------------------------------------------------------------------ */

enum life { LIFE_OVER, LIFE_ENDING, LIFE_GOES_ON };

static bool read_text(const char *path, char *text, size_t size) {
    MT_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);
    text[got > 0 ? got : 0] = '\0';
    return got > 0;
}

static enum life life_of(pid_t pid, pid_t tid) {
    char path[64], text[4096];
    snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)tid);
    char state;
    unsigned flags;
    const char *after_name = read_text(path, text, sizeof(text)) ? strrchr(text, ')') : NULL;
    if (!after_name || sscanf(after_name + 1, " %c %*d %*d %*d %*d %*d %u", &state, &flags) != 2 || state == 'Z' ||
        state == 'X' || (flags & TASK_EXITING))
        return LIFE_OVER;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/status", (int)pid, (int)tid);
    unsigned long long pending;
    const char *line = read_text(path, text, sizeof(text)) ? strstr(text, "\nSigPnd:") : NULL;
    if (!line || sscanf(line, "\nSigPnd: %llx", &pending) != 1)
        return LIFE_OVER;
    return pending & KILL_PENDING ? LIFE_ENDING : LIFE_GOES_ON;
}

/* How far the threads other than `*held` are; the one that is furthest from its end counts. `*held` is about to end,
 * and held there; when another thread gets that far too, that one is held in its place: a thread that ends the whole
 * process kills those that we hold, and comes last. */
static enum life life_of_others(pid_t pid, pid_t *held) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *directory = opendir(path);
    if (!directory)
        return LIFE_OVER;
    enum life most = LIFE_OVER;
    struct dirent *entry;
    while ((entry = readdir(directory))) {
        pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
        int status;
        if (tid <= 0 || tid == *held)
            continue;
        enum life life = life_of(pid, tid);
        if (life != LIFE_OVER && waitpid(tid, &status, __WALL | WNOHANG) == tid && WIFSTOPPED(status)) {
            bool is_end = status >> 16 == PTRACE_EVENT_EXIT;
            resume(is_end ? *held : tid, status >> 16 ? 0 : WSTOPSIG(status));
            if (is_end)
                *held = tid;
            life = LIFE_ENDING; /* of the one that was resumed: look again */
        }
        if (life > most)
            most = life;
    }
    closedir(directory);
    return most;
}

/* `*held` is about to end. Is it the last thread that could run code of the program? When the process ends as a whole
 * its threads are killed one after another, so this waits for those that are doomed, and may hold another one then. */
static bool is_last(pid_t pid, pid_t *held) {
    unsigned looks_alive = 0;
    for (long waited = 0; waited < DYING_LIMIT_MS; waited++) {
        enum life others = life_of_others(pid, held);
        if (others == LIFE_OVER)
            return true;
        /* For a moment on its way out a thread looks alive, so look again and again. */
        looks_alive = others == LIFE_GOES_ON ? looks_alive + 1 : 0;
        if (looks_alive == ALIVE_LOOKS)
            return false;
        sleep_ms(1);
    }
    return true;
}

/* Traces the threads that go on; how many those are. */
static unsigned trace_living(pid_t pid) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *directory = opendir(path);
    if (!directory)
        return 0;
    unsigned traced = 0;
    struct dirent *entry;
    while ((entry = readdir(directory))) {
        pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (tid > 0 && life_of(pid, tid) == LIFE_GOES_ON)
            traced += ptrace(PTRACE_SEIZE, tid, NULL,
                             (void *)(unsigned long)(mt_watch_trace_options() | PTRACE_O_TRACECLONE)) == 0;
    }
    closedir(directory);
    return traced;
}

static bool has_news(pid_t pid) {
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WSTOPPED | WCONTINUED | WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 &&
           info.si_pid == pid;
}

/* The main thread has ended before the others, or one of the others takes its place and its number by exec: from now on
 * all are traced, and those that they start, so that none can end the process unseen. While a thread is held, this must
 * not be called: a thread in exec waits for that one, and the kernel makes us wait for the exec. */
static void trace_others(pid_t pid) {
    for (int i = 0; i < DYING_LIMIT_MS && trace_living(pid) == 0 && !has_news(pid); i++)
        sleep_ms(1);
}

static void handle_exit(struct watch *watch, pid_t tid) {
    bool is_main = tid == watch->pid;
    bool is_end = watch->end.began && !watch->end.seen && is_last(watch->pid, &tid);
    if (is_end) {
        watch->end.seen = true;
        watch->handlers->at_end(watch->handlers->context);
    }
    resume(tid, 0);
    if (!is_end && is_main)
        trace_others(watch->pid);
}

/* --- job control
 * --------------------------------------------------------------------------------------------------------- */

/* The program was stopped: stop too. A shell that continues its job continues both of us; one that sends SIGCONT to us
 * alone means the program as well. */
static void stop_with_program(pid_t pid, int signal_number) {
    mt_signals_stop_self(signal_number);
    for (int i = 0; i < CONTINUED_LIMIT_MS && !has_news(pid); i++)
        sleep_ms(1);
    if (!has_news(pid))
        kill(pid, SIGCONT);
}

static bool is_stop_signal(int signal_number) {
    return signal_number == SIGSTOP || signal_number == SIGTSTP || signal_number == SIGTTIN || signal_number == SIGTTOU;
}

/* A program that stops itself wants its shell to see a stopped job. Whoever stops it from outside, by its number, will
 * continue it by its number: then we must be awake to pass that on. */
static bool came_from_itself(pid_t pid, pid_t tid) {
    siginfo_t info;
    return ptrace(PTRACE_GETSIGINFO, tid, NULL, &info) == 0 && info.si_pid == pid;
}

/* --- the stops of a traced program
 * --------------------------------------------------------------------------------------- */

static bool is_thread_of(pid_t pid, pid_t tid) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)pid, (int)tid);
    return access(path, F_OK) == 0;
}

static void handle_trap_stop(struct watch *watch, pid_t tid, int signal_number) {
    if (!is_stop_signal(signal_number)) {
        /* It goes on after a stop, or it is a new thread; what is not a thread is a child that was made in an unusual
         * way. */
        if (tid != watch->pid && !is_thread_of(watch->pid, tid))
            ptrace(PTRACE_DETACH, tid, NULL, NULL);
        else
            resume(tid, 0);
        return;
    }
    ptrace(PTRACE_LISTEN, tid, NULL, NULL);
    if (tid == watch->pid && (signal_number != SIGSTOP || watch->stopped_itself))
        stop_with_program(tid, signal_number);
}

/* --- the limit of the heap
 * ----------------------------------------------------------------------------------------------- */

/* Takes hold of all threads but `tid`, until no new one is found. */
static void stop_others(pid_t pid, pid_t tid) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    for (bool found_new = true, first = true; found_new; first = false) {
        found_new = false;
        DIR *directory = opendir(path);
        struct dirent *entry;
        while (directory && (entry = readdir(directory))) {
            pid_t other = (pid_t)strtol(entry->d_name, NULL, 10);
            int status;
            if (other <= 0 || other == tid)
                continue;
            bool is_new = ptrace(PTRACE_SEIZE, other, NULL, NULL) == 0;
            /* One that was traced before stands since the first round, or since it began. */
            if ((is_new || first) && ptrace(PTRACE_INTERRUPT, other, NULL, NULL) == 0)
                waitpid(other, &status, __WALL);
            found_new = found_new || is_new;
        }
        if (directory)
            closedir(directory);
    }
}

static bool handle_limit(struct watch *watch, pid_t tid) {
    struct user_regs_struct registers;
    siginfo_t info;
    if (!watch->handlers->at_limit || watch->end.seen || ptrace(PTRACE_GETSIGINFO, tid, NULL, &info) ||
        info.si_code != SI_KERNEL || ptrace(PTRACE_GETREGS, tid, NULL, &registers) || registers.rax != MT_LIMIT_TRAP)
        return false;
    stop_others(watch->pid, tid);
    watch->end.seen = watch->end.passed_limit = true;
    watch->handlers->at_limit(watch->handlers->context, tid, registers.rdi);
    kill(watch->pid, SIGKILL);
    return true;
}

static void handle_stop(struct watch *watch, pid_t tid, int status) {
    int signal_number = WSTOPSIG(status);
    switch (status >> 16) {
    case 0:
        if (signal_number == SIGSTOP)
            watch->stopped_itself = came_from_itself(watch->pid, tid);
        if (signal_number == SIGTRAP && handle_limit(watch, tid))
            break;
        resume(tid, signal_number);
        break;
    case PTRACE_EVENT_STOP:
        handle_trap_stop(watch, tid, signal_number);
        break;
    case PTRACE_EVENT_EXEC:
        watch->end.began = true;
        ptrace(PTRACE_SETOPTIONS, tid, NULL, (void *)(unsigned long)mt_watch_trace_options()); /* one thread again */
        resume(tid, 0);
        break;
    case PTRACE_EVENT_EXIT:
        handle_exit(watch, tid);
        break;
    default:
        resume(tid, 0);
        break;
    }
}

struct mt_watched_end mt_watch_traced(pid_t pid, const struct mt_watch_handlers *handlers) {
    struct watch watch = {.pid = pid, .handlers = handlers};
    for (;;) {
        int status;
        pid_t tid = waitpid(-1, &status, __WALL);
        if (tid < 0 && errno == EINTR)
            continue;
        if (tid < 0)
            break;
        if (WIFSTOPPED(status)) {
            handle_stop(&watch, tid, status);
        } else if (tid == pid) {
            watch.end.wait_status = status;
            break;
        }
    }
    return watch.end;
}

struct mt_watched_end mt_watch_untraced(pid_t pid) {
    struct mt_watched_end end = {.began = true};
    int status;
    for (;;) {
        pid_t got = waitpid(pid, &status, WUNTRACED);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            break;
        if (!WIFSTOPPED(status)) {
            end.wait_status = status;
            break;
        }
        stop_with_program(pid, WSTOPSIG(status));
    }
    return end;
}
