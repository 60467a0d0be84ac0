#define _GNU_SOURCE 1 /* O_TMPFILE */

#include "target/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int mt_open_file(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    if (fd >= 0 && (fstat(fd, &status) || !S_ISREG(status.st_mode))) {
        errno = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
        int kept = errno;
        close(fd);
        errno = kept;
        return -1;
    }
    return fd;
}

size_t mt_read_file(int fd, uint64_t offset, void *buffer, size_t size) {
    size_t done = 0;
    while (done < size && offset + done <= INT64_MAX) {
        ssize_t got = pread(fd, (char *)buffer + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    return done;
}

int mt_open_nameless_file(void) {
    const char *directory = secure_getenv("TMPDIR");
    int fd = directory ? open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : -1;
    return fd >= 0 ? fd : open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}
