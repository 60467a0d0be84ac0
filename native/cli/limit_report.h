/* What is said of a process whose heap has passed its limit: how far, where, what it consists of, who holds the largest
 * blocks, and where every thread is. Made of the answers of the commands. */
#ifndef MEMTRACE_CLI_LIMIT_REPORT_H
#define MEMTRACE_CLI_LIMIT_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/report.h"

struct mt_session;

struct mt_limit_stop {
    pid_t pid;
    pid_t tid;      /* the thread that passed it; 0: unknown */
    uint64_t event; /* address of its struct mt_stop_event */
};

/* `session` is on the stopped process. */
void mt_limit_report(struct mt_session *session, const struct mt_limit_stop *stop, bool json, struct mt_report *ret);
/* Saves a core of it; false: it could not, which was said. */
bool mt_limit_core(struct mt_session *session, const char *path);

/* `memtrace at-limit PID TID EVENT report|core FILE`: what the recorder starts when nobody traces its process. */
int mt_cli_at_limit(int count, char **arguments);

#endif
