#define _GNU_SOURCE 1

#include "cli/history.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <readline/history.h>

#include "base/cleanup.h"

#define LINES_KEPT 1000

/* malloc'ed; NULL: there is no place for it. */
static char *file_name(void) {
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    char *name;
    int length = -1;
    if (state && state[0] == '/') /* the XDG specification: a relative one is ignored */
        length = asprintf(&name, "%s/memtrace/history", state);
    else if (home && home[0] == '/')
        length = asprintf(&name, "%s/.local/state/memtrace/history", home);
    return length < 0 ? NULL : name;
}

/* Whatever can't be made shows when the file is opened. */
static void make_folders(char *name) {
    for (char *slash = strchr(name + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(name, 0700);
        *slash = '/';
    }
}

static void save(const char *line) {
    MT_AUTO_FREE char *name = file_name();
    if (!name)
        return;
    make_folders(name);
    /* Nobody's pipe may make us wait. */
    MT_AUTO_CLOSE int fd = open(name, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
    if (fd >= 0)
        dprintf(fd, "%s\n", line);
}

void mt_history_begin(void) {
    using_history();
    stifle_history(LINES_KEPT);
    MT_AUTO_FREE char *name = file_name();
    struct stat status;
    if (!name || stat(name, &status) != 0 || !S_ISREG(status.st_mode))
        return;
    history_truncate_file(name, LINES_KEPT);
    read_history(name);
}

void mt_history_add(const char *line) {
    const HIST_ENTRY *last = history_length > 0 ? history_get(history_base + history_length - 1) : NULL;
    if (last && strcmp(last->line, line) == 0)
        return;
    add_history(line);
    save(line);
}
