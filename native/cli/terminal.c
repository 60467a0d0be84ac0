#include "cli/terminal.h"

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DEFAULT_WIDTH 80

static volatile sig_atomic_t interrupt_seen;

static int32_t describe(void *context, struct mt_host_description *ret) {
    ret->kind = MT_HOST_NONE;
    return 0;
}

static int32_t width(void *context) {
    const char *columns = getenv("COLUMNS");
    long wanted = columns ? strtol(columns, NULL, 10) : 0;
    if (wanted > 0 && wanted <= INT16_MAX)
        return (int32_t)wanted;
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return DEFAULT_WIDTH;
}

static void progress(void *context, const char *line) {
    static bool shown;
    if (!line && !shown) /* nothing to erase */
        return;
    shown = line != NULL;
    fprintf(stderr, "\r\033[K%s", line ? line : "");
    fflush(stderr);
}

static int32_t interrupted(void *context) {
    return interrupt_seen;
}

const struct mt_host *mt_terminal_host(void) {
    static struct mt_host host = {
        .describe = describe,
        .width = width,
        .interrupted = interrupted,
    };
    /* Only a person watches progress, and is given hints. */
    host.progress = isatty(STDERR_FILENO) && isatty(STDOUT_FILENO) ? progress : NULL;
    return &host;
}

static void note_interrupt(int signal_number) {
    interrupt_seen = 1;
}

static void set_interrupt(void (*handler)(int), int flags) {
    struct sigaction action, before;
    if (sigaction(SIGINT, NULL, &before) || before.sa_handler == SIG_IGN)
        return;
    memset(&action, 0, sizeof(action));
    action.sa_handler = handler;
    action.sa_flags = flags;
    sigaction(SIGINT, &action, NULL);
}

void mt_terminal_watch_interrupt(void) {
    set_interrupt(note_interrupt, (int)(SA_RESETHAND | SA_RESTART));
}

void mt_terminal_note_interrupts(void) {
    set_interrupt(note_interrupt, SA_RESTART);
}

void mt_terminal_leave_interrupt(void) {
    set_interrupt(SIG_DFL, 0);
}

bool mt_terminal_take_interrupt(void) {
    bool seen = interrupt_seen != 0;
    interrupt_seen = 0;
    return seen;
}
