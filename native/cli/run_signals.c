#define _GNU_SOURCE 1

#include "cli/run_signals.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile pid_t program;
static volatile sig_atomic_t stopping_self;
static struct sigaction before[_NSIG];
static bool is_changed[_NSIG];

/* Async-signal-safe. */
static void forward(int signal_number, siginfo_t *info, void *context) {
    int kept_errno = errno;
    if (info->si_pid == getpid() || info->si_code > 0) {
        /* Not from another process: the terminal (whose signals the program gets by itself), or a fault of our own. */
        if (info->si_code != SI_KERNEL) {
            signal(signal_number, SIG_DFL);
            raise(signal_number);
        }
    } else if (info->si_pid != program && !(signal_number == SIGCONT && stopping_self)) {
        if (info->si_code == SI_QUEUE)
            sigqueue(program, signal_number, info->si_value);
        else
            kill(program, signal_number);
    }
    errno = kept_errno;
}

static bool may_be_forwarded(int signal_number) {
    switch (signal_number) {
    case SIGKILL:
    case SIGSTOP: /* nobody can catch these two */
    case SIGCHLD: /* about the program */
    case SIGTTIN:
    case SIGTTOU: /* about our own use of the terminal */
        return false;
    default:
        return signal_number < __SIGRTMIN || signal_number >= SIGRTMIN; /* libc keeps the ones between for itself */
    }
}

void mt_signals_forward(pid_t pid) {
    program = pid;
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = forward;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigfillset(&action.sa_mask);
    for (int i = 1; i < _NSIG; i++) {
        if (!may_be_forwarded(i) || sigaction(i, NULL, &before[i]) || before[i].sa_handler == SIG_IGN)
            continue;
        is_changed[i] = sigaction(i, &action, NULL) == 0;
    }
    /* With SIGCHLD ignored, the kernel would take the program's status away from us. */
    struct sigaction child = {.sa_handler = SIG_DFL};
    is_changed[SIGCHLD] = sigaction(SIGCHLD, &child, &before[SIGCHLD]) == 0;
}

void mt_signals_restore(void) {
    for (int i = 1; i < _NSIG; i++)
        if (is_changed[i])
            sigaction(i, &before[i], NULL);
}

void mt_signals_stop_self(int signal_number) {
    struct sigaction by_default = {.sa_handler = SIG_DFL}, ours;
    stopping_self = 1;
    bool changed = signal_number != SIGSTOP && sigaction(signal_number, &by_default, &ours) == 0;
    kill(getpid(), signal_number);
    if (changed)
        sigaction(signal_number, &ours, NULL);
    stopping_self = 0;
}

_Noreturn void mt_end_as(int wait_status) {
    if (WIFSIGNALED(wait_status)) {
        int signal_number = WTERMSIG(wait_status);
        struct rlimit none = {0, 0};
        struct sigaction by_default = {.sa_handler = SIG_DFL};
        sigset_t only;
        sigemptyset(&only);
        sigaddset(&only, signal_number);
        setrlimit(RLIMIT_CORE, &none);
        prctl(PR_SET_DUMPABLE, 0); /* a core handler is not bound by the limit */
        sigaction(signal_number, &by_default, NULL);
        kill(getpid(), signal_number);
        sigprocmask(SIG_UNBLOCK, &only, NULL);
        _exit(128 + signal_number); /* not reached: the signal has ended us */
    }
    _exit(WEXITSTATUS(wait_status));
}
