/* Built as a library, a libmemtrace.so without any analysis: it proves what the adapters themselves do.
 * `tick` shows progress once; `spin` works until it is interrupted and shows progress meanwhile; `hang` does not even
 * listen; `reads` tells how reads of odd places end; any other command answers with its line, the number of calls so
 * far, and whether somebody looks on. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "memtrace.h"

struct mt_session {
    const struct mt_host *host;
    unsigned calls;
};

struct mt_answer {
    int32_t status;
    char text[4096];
};

static struct mt_session only_session;
static struct mt_answer only_answer;
static const char *const names[] = {"spin", "tick", "hang", "reads", "again", "record", "record stop"};

unsigned mt_abi(void) {
    return MT_ABI;
}

const char *mt_version(void) {
    return "stub";
}

struct mt_session *mt_session_create(const struct mt_host *host, const char *library_directory) {
    only_session.host = host;
    return &only_session;
}

static const struct mt_answer opened = {0, ""};

const struct mt_answer *mt_session_open_core(const struct mt_host *host, const char *core, const char *executable,
                                             struct mt_session **ret_session) {
    *ret_session = mt_session_create(host, NULL);
    return &opened;
}

void mt_session_keep_stopped(struct mt_session *session) {}

void mt_session_destroy(struct mt_session *session) {}

static uint64_t milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void spin(const struct mt_host *host) {
    uint64_t end = milliseconds() + 20000;
    only_answer.status = 1;
    snprintf(only_answer.text, sizeof(only_answer.text), "memtrace spin: not interrupted");
    while (milliseconds() < end) {
        if (host->progress)
            host->progress(host->context, "spinning");
        if (host->interrupted(host->context)) {
            snprintf(only_answer.text, sizeof(only_answer.text), "memtrace spin: interrupted");
            break;
        }
    }
    if (host->progress)
        host->progress(host->context, NULL);
}

static void tick(const struct mt_host *host) {
    if (host->progress)
        host->progress(host->context, "ticking");
    if (host->progress)
        host->progress(host->context, NULL);
    strcpy(only_answer.text, "ticked\n");
}

static void hang(void) {
    uint64_t end = milliseconds() + 20000;
    while (milliseconds() < end)
        sleep(1);
}

static void reads(const struct mt_host *host) {
    static unsigned char buffer[1 << 20];
    uint64_t stack = 0, got = 0;
    int32_t found = host->evaluate(host->context, "$sp", &stack);
    int32_t small = host->read(host->context, stack, buffer, 8, &got);
    uint64_t small_got = got;
    got = 0;
    /* From the stack on to beyond its end: the readable part, which ends at a page. */
    int32_t across = host->read(host->context, stack, buffer, sizeof(buffer), &got);
    uint64_t across_end = stack + got;
    got = 0;
    int32_t nowhere = host->read(host->context, 16, buffer, 8, &got);
    uint64_t nothing = 0;
    int32_t missing = host->find_symbol(host->context, "memtrace_no_such_symbol", &nothing);
    snprintf(only_answer.text, sizeof(only_answer.text), "%d %d %u %d %u %d %u %d\n", found, small, (unsigned)small_got,
             across, (unsigned)(across_end & 4095), nowhere, (unsigned)got, missing);
}

const struct mt_answer *mt_session_run(struct mt_session *session, const char *command_line) {
    session->calls += strcmp(command_line, "show --json") != 0;
    only_answer.status = 0;
    if (!strncmp(command_line, "spin", 4))
        spin(session->host);
    else if (!strncmp(command_line, "tick", 4))
        tick(session->host);
    else if (!strncmp(command_line, "hang", 4))
        hang();
    else if (!strcmp(command_line, "show --json"))
        only_answer.status = 1; /* no settings */
    else if (!strncmp(command_line, "reads", 5))
        reads(session->host);
    else
        snprintf(only_answer.text, sizeof(only_answer.text), "[%s] call %u %s\n", command_line, session->calls,
                 session->host->progress ? "interactive" : "script");
    return &only_answer;
}

const struct mt_answer *mt_session_reached(struct mt_session *session, const char *what, uint64_t address,
                                           uint64_t tid) {
    only_answer.status = MT_ANSWER_GO_ON;
    return &only_answer;
}

int32_t mt_answer_status(const struct mt_answer *answer) {
    return answer->status;
}

const char *mt_answer_text(const struct mt_answer *answer) {
    return answer->text;
}

size_t mt_answer_length(const struct mt_answer *answer) {
    return strlen(answer->text);
}

size_t mt_command_count(void) {
    return sizeof(names) / sizeof(names[0]);
}

const char *mt_command_name(size_t index) {
    return names[index];
}

const char *mt_command_summary(size_t index) {
    return "Do it.";
}

const char *mt_command_help(size_t index) {
    return "Do it.";
}

const char *mt_complete(struct mt_session *session, const char *line) {
    return "--json\n--limit\n";
}

struct mt_alarm *mt_alarm_create(int32_t pid, uint32_t after) {
    return NULL;
}

int32_t mt_alarm_has_rung(struct mt_alarm *alarm) {
    return 0;
}

void mt_alarm_destroy(struct mt_alarm *alarm) {}

void mt_session_save_memory(struct mt_session *session) {}
