#include "attach/thread_rules.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define STATUS_BYTES 8192

/* What stands behind the name of a line, up to the line's end; NULL: there is no such line. */
static const char *value_of(const char *status, const char *name) {
    size_t length = strlen(name);
    const char *line = status;
    while (line) {
        if (!strncmp(line, name, length) && line[length] == ':')
            return line + length + 1;
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    return NULL;
}

static bool has_word(const char *line, const char *word) {
    size_t length = strlen(word);
    while (line && *line && *line != '\n') {
        line += strspn(line, " \t");
        size_t here = strcspn(line, " \t\n");
        if (here == length && !strncmp(line, word, length))
            return true;
        line += here;
    }
    return false;
}

void mt_thread_rules_parse(const char *status, struct mt_thread_rules *ret) {
    const char *seccomp = value_of(status, "Seccomp");
    ret->seccomp = seccomp ? (unsigned)strtoul(seccomp, NULL, 10) : MT_SECCOMP_NONE;
    ret->has_shadow_stack = has_word(value_of(status, "x86_Thread_features"), "shstk");
}

bool mt_thread_rules_read(pid_t pid, pid_t tid, struct mt_thread_rules *ret) {
    char path[64], status[STATUS_BYTES];
    snprintf(path, sizeof path, "/proc/%d/task/%d/status", (int)pid, (int)tid);
    MT_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, status, sizeof status - 1) : -1;
    if (length <= 0)
        return false;
    status[length] = '\0';
    mt_thread_rules_parse(status, ret);
    return true;
}
