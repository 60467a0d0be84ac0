/* What the command line writes: answers, errors, reports into files. */
#ifndef MEMTRACE_CLI_REPORT_H
#define MEMTRACE_CLI_REPORT_H

#include <stdbool.h>
#include <stddef.h>

/* Exit statuses of our own. */
enum {
    MT_EXIT_OK = 0,
    MT_EXIT_ERROR = 1,
    MT_EXIT_USAGE = 2,
    MT_EXIT_LIMIT = 99,
    MT_EXIT_NOT_EXECUTABLE = 126,
    MT_EXIT_NOT_FOUND = 127
};

/* An answer's or an error's own text, kept beyond the session that gave it. */
struct mt_report {
    int status; /* 0: an answer */
    char *text; /* malloc'ed; NULL: none */
    size_t length;
};

struct mt_answer;
void mt_report_take(struct mt_report *report, const struct mt_answer *answer);
void mt_report_deinit(struct mt_report *report);
/* An answer, or an error that is JSON, to standard output; an error's line to standard error. Returns the exit status.
 */
int mt_report_print(const struct mt_report *report);
/* All of it into a file that is either the old one or the new one at any time; pipes and devices are written to
 * directly. False: it failed, and errno says why. */
bool mt_report_save(const struct mt_report *report, const char *path);
/* Could `path` be written later? False: no, and errno says why. */
bool mt_report_can_save(const char *path);
/* One line "memtrace: ..." on standard error. */
void mt_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, or with `json` an error object of `command` on standard output. */
void mt_complain_about(bool json, const char *command, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
