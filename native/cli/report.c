#define _GNU_SOURCE 1

#include "cli/report.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "memtrace.h"

static bool write_all(int fd, const char *text, size_t length) {
    while (length > 0) {
        ssize_t put = write(fd, text, length);
        if (put >= 0) {
            text += put;
            length -= (size_t)put;
        } else if (errno == EAGAIN) {
            /* The program that we ran shares this file, and may have left it non-blocking. */
            struct pollfd ready = {.fd = fd, .events = POLLOUT};
            poll(&ready, 1, -1);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

void mt_report_take(struct mt_report *report, const struct mt_answer *answer) {
    report->status = mt_answer_status(answer);
    report->length = mt_answer_length(answer);
    report->text = malloc(report->length + 1);
    if (report->text)
        memcpy(report->text, mt_answer_text(answer), report->length + 1);
    else
        *report = (struct mt_report){.status = 1};
}

void mt_report_deinit(struct mt_report *report) {
    free(report->text);
    *report = (struct mt_report){0};
}

int mt_report_print(const struct mt_report *report) {
    if (!report->text) {
        mt_complain("out of memory");
        return MT_EXIT_ERROR;
    }
    if (report->status == 0) {
        if (!write_all(STDOUT_FILENO, report->text, report->length)) {
            mt_complain("can't write the answer: %s", strerror(errno));
            return MT_EXIT_ERROR;
        }
        return MT_EXIT_OK;
    }
    if (report->text[0] == '{') {
        write_all(STDOUT_FILENO, report->text, report->length);
        if (report->text[report->length - 1] != '\n')
            write_all(STDOUT_FILENO, "\n", 1);
    } else if (!strncmp(report->text, "memtrace", 8)) {
        fprintf(stderr, "%s\n", report->text); /* it names its command: "memtrace peak: ..." */
    } else {
        mt_complain("%s", report->text);
    }
    return MT_EXIT_ERROR;
}

static bool is_special(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

static bool save_directly(const struct mt_report *report, const char *path) {
    MT_AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    return fd >= 0 && write_all(fd, report->text, report->length);
}

/* What a file made by open(path, O_CREAT) would have got, or what the one that is replaced has. */
static mode_t mode_for(const char *path) {
    struct stat status;
    if (stat(path, &status) == 0)
        return status.st_mode & 0777;
    mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

bool mt_report_save(const struct mt_report *report, const char *path) {
    if (!report->text) {
        errno = ENOMEM;
        return false;
    }
    if (is_special(path))
        return save_directly(report, path);
    MT_AUTO_FREE char *real = realpath(path, NULL); /* the file behind a link, which stays a link */
    if (!real && !(real = strdup(path)))
        return false;
    MT_AUTO_FREE char *temporary = NULL;
    if (asprintf(&temporary, "%s.XXXXXX", real) < 0) {
        temporary = NULL;
        return false;
    }
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = write_all(fd, report->text, report->length) && fchmod(fd, mode_for(real)) == 0;
    int write_errno = errno;
    if (close(fd) && ok) {
        ok = false;
        write_errno = errno;
    }
    if (ok && rename(temporary, real)) {
        ok = false;
        write_errno = errno;
    }
    if (!ok) {
        unlink(temporary);
        errno = write_errno;
    }
    return ok;
}

bool mt_report_can_save(const char *path) {
    struct stat status;
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        errno = EISDIR;
        return false;
    }
    if (is_special(path))
        return access(path, W_OK) == 0;
    MT_AUTO_FREE char *directory = strdup(path);
    if (!directory)
        return false;
    char *slash = strrchr(directory, '/');
    if (slash)
        slash[slash == directory ? 1 : 0] = '\0';
    return access(slash ? directory : ".", W_OK | X_OK) == 0;
}

static void print_json_string(FILE *out, const char *text) {
    putc('"', out);
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(out, "\\%c", *c);
        else if (*c < 0x20 || *c > 0x7e)
            fprintf(out, "\\\\x%02x", *c); /* as the library shows bytes that may not be UTF-8 */
        else
            putc(*c, out);
    }
    putc('"', out);
}

static __attribute__((format(printf, 4, 0))) void complain(bool json, const char *command, const char *code,
                                                           const char *format, va_list arguments) {
    MT_AUTO_FREE char *message = NULL;
    if (vasprintf(&message, format, arguments) < 0)
        message = NULL;
    const char *shown = message ? message : "out of memory";
    if (!json) {
        fprintf(stderr, "memtrace: %s\n", shown);
        return;
    }
    printf("{\"schema\":1,\"command\":");
    print_json_string(stdout, command);
    printf(",\"error\":{\"code\":\"%s\",\"message\":", code);
    print_json_string(stdout, shown);
    printf("}}\n");
    fflush(stdout);
}

void mt_complain(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    complain(false, "", "", format, arguments);
    va_end(arguments);
}

void mt_complain_about(bool json, const char *command, const char *code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    complain(json, command, code, format, arguments);
    va_end(arguments);
}
