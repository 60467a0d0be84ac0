#include "recorder/limit_share.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "recorder/memory.h"

#define TEXT_BYTES 4096
/* v1 says so when there is none: the largest multiple of a page. */
#define NO_LIMIT (UINT64_C(1) << 62)

static bool read_text(const char *path, char *text) {
    long fd = mt_system_call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
    if (fd < 0)
        return false;
    long got = mt_system_call(SYS_read, fd, (long)text, TEXT_BYTES - 1, 0, 0, 0);
    mt_system_call(SYS_close, fd, 0, 0, 0, 0, 0);
    text[got > 0 ? got : 0] = '\0';
    return got > 0;
}

static bool join(char *out, const char *root, const char *group, size_t group_length, const char *file) {
    size_t root_length = strlen(root), file_length = strlen(file);
    if (root_length + group_length + file_length + 2 > TEXT_BYTES)
        return false;
    memcpy(out, root, root_length);
    memcpy(out + root_length, group, group_length);
    out[root_length + group_length] = '/';
    memcpy(out + root_length + group_length + 1, file, file_length + 1);
    return true;
}

/* The lowest limit from the group `path` up to the root of the hierarchy; UINT64_MAX: none. */
static uint64_t lowest(const char *root, const char *path, const char *file) {
    uint64_t found = UINT64_MAX;
    size_t length = strcspn(path, "\n");
    for (;;) {
        char name[TEXT_BYTES], text[TEXT_BYTES];
        while (length > 0 && path[length - 1] == '/')
            length--;
        if (join(name, root, path, length, file) && read_text(name, text) && text[0] >= '0' && text[0] <= '9') {
            uint64_t limit = strtoull(text, NULL, 10);
            if (limit < found && limit < NO_LIMIT)
                found = limit;
        }
        if (length == 0)
            return found;
        while (length > 0 && path[length - 1] != '/')
            length--;
    }
}

/* Is `name` one of the comma-separated names before the next colon? */
static bool has_controller(const char *names, const char *name) {
    size_t length = strlen(name);
    for (;;) {
        size_t word = strcspn(names, ",:\n");
        if (word == length && memcmp(names, name, length) == 0)
            return true;
        if (names[word] != ',')
            return false;
        names += word + 1;
    }
}

bool mt_limit_of_surroundings(uint64_t *ret) {
    char groups[TEXT_BYTES];
    uint64_t found = UINT64_MAX;
    const char *line = read_text("/proc/self/cgroup", groups) ? groups : "";
    while (*line != '\0') {
        const char *names = strchr(line, ':'), *path = names != NULL ? strchr(names + 1, ':') : NULL;
        if (path == NULL)
            break;
        uint64_t limit = UINT64_MAX;
        if (names + 1 == path)
            limit = lowest("/sys/fs/cgroup", path + 1, "memory.max");
        else if (has_controller(names + 1, "memory"))
            limit = lowest("/sys/fs/cgroup/memory", path + 1, "memory.limit_in_bytes");
        if (limit < found)
            found = limit;
        line = path + 1 + strcspn(path + 1, "\n");
        line += *line == '\n';
    }
    struct rlimit space;
    if (found == UINT64_MAX && getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY)
        found = space.rlim_cur;
    *ret = found;
    return found != UINT64_MAX;
}
