#define _GNU_SOURCE 1

#include "cli/limit_report.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/terminal.h"
#include "image/image.h"
#include "memtrace.h"

#define ROWS 5    /* of the peak */
#define HOLDERS 3 /* of its rows, of whose largest blocks the holders are named */
#define TRIES 5   /* blocks of a row: one that is just being made belongs to no object yet */

struct text {
    char *data;
    size_t length;
    FILE *stream;
};

static bool read_memory(pid_t pid, uint64_t address, void *ret, size_t size) {
    struct iovec local = {ret, size}, remote = {(void *)(uintptr_t)address, size};
    return process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)size;
}

static void print_size(FILE *out, uint64_t bytes) {
    if (bytes < 1000000)
        fprintf(out, "%" PRIu64 " bytes", bytes);
    else if (bytes % 1000000 == 0)
        fprintf(out, "%" PRIu64 " MB", bytes / 1000000);
    else
        fprintf(out, "%.1f MB", (double)bytes / 1e6);
}

static void print_grouped(FILE *out, uint64_t number) {
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, number);
    for (int i = 0; i < length; i++)
        fprintf(out, "%s%c", i > 0 && (length - i) % 3 == 0 ? "," : "", digits[i]);
}

/* The answer without its last newline; NULL: an error. */
static const char *ask(struct mt_session *session, const char *format, ...) __attribute__((format(printf, 2, 3)));
static const char *ask(struct mt_session *session, const char *format, ...) {
    MT_AUTO_FREE char *command = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&command, format, arguments);
    va_end(arguments);
    if (length < 0) {
        command = NULL;
        return NULL;
    }
    const struct mt_answer *answer = mt_session_run(session, command);
    return mt_answer_status(answer) ? NULL : mt_answer_text(answer);
}

/* --- text ---------------------------------------------------------------------------------------------------------
 */

/* "born in FUNCTION FILE:LINE <- ..." is the second line of that answer. */
static void print_place(struct text *out, struct mt_session *session, uint64_t address) {
    const char *born = ask(session, "born 0x%" PRIx64, address);
    const char *place = born ? strstr(born, "\nborn ") : NULL;
    if (place)
        fprintf(out->stream, "%.*s\n", (int)strcspn(place + 6, "\n"), place + 6);
}

static void print_answer(struct text *out, const char *answer) {
    if (answer)
        fprintf(out->stream, "\n%s", answer);
}

/* The holders of the rows of the peak: of each the largest block that is an object's. */
struct holders {
    uint64_t blocks[HOLDERS][TRIES]; /* 0: no more */
    unsigned row;
};

static void find_blocks(struct holders *ret, struct mt_session *session) {
    static const char list[] = "\"blocks_sample\":[", address[] = "\"address\":\"";
    const char *at = ask(session, "peak --json --limit %d", HOLDERS);
    *ret = (struct holders){0};
    for (int row = 0; at && row < HOLDERS && (at = strstr(at, list)); row++) {
        const char *end = strchr(at, ']');
        for (int i = 0; i < TRIES && (at = strstr(at, address)) && at < end; i++) {
            at += strlen(address);
            ret->blocks[row][i] = strtoull(at, NULL, 16);
        }
        at = end;
    }
}

/* The next row's answer; NULL: no block of it is an object's, or is known. */
static const char *next_holders(struct holders *holders, struct mt_session *session, const char *options) {
    const uint64_t *blocks = holders->blocks[holders->row++];
    const char *answer = NULL;
    for (int i = 0; i < TRIES && blocks[i] && !answer; i++)
        answer = ask(session, "who-holds %s --limit %d 0x%" PRIx64, options, ROWS, blocks[i]);
    return answer;
}

static void print_children(struct text *out, pid_t pid, const char *before, const char *between, const char *after) {
    char path[64], children[4096];
    bool any = false;
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *directory = opendir(path);
    struct dirent *entry;
    while (directory && (entry = readdir(directory))) {
        char list[128];
        snprintf(list, sizeof list, "/proc/%d/task/%.16s/children", (int)pid, entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(list, "re");
        if (file && fgets(children, sizeof children, file)) {
            char *place = NULL;
            for (char *word = strtok_r(children, " \n", &place); word; word = strtok_r(NULL, " \n", &place)) {
                if (strtol(word, NULL, 10) == getpid())
                    continue; /* the recorder's own helper */
                fprintf(out->stream, "%s%s", any ? between : before, word);
                any = true;
            }
        }
        if (file)
            fclose(file);
    }
    if (directory)
        closedir(directory);
    if (any)
        fputs(after, out->stream);
}

static void print_text(struct text *out, struct mt_session *session, const struct mt_limit_stop *stop,
                       const struct mt_stop_event *event, uint64_t limit) {
    fprintf(out->stream, "heap passed ");
    print_size(out->stream, limit);
    fprintf(out->stream, ": now ");
    print_size(out->stream, event->live_bytes > 0 ? (uint64_t)event->live_bytes : 0);
    fprintf(out->stream, ", +");
    print_grouped(out->stream, event->net_bytes > 0 ? (uint64_t)event->net_bytes : 0);
    fprintf(out->stream, " bytes\n");
    print_place(out, session, event->address);
    print_answer(out, ask(session, "peak --limit %d", ROWS));
    struct holders holders;
    find_blocks(&holders, session);
    while (holders.row < HOLDERS)
        print_answer(out, next_holders(&holders, session, "--no-values"));
    print_answer(out, ask(session, "threads --no-values"));
    print_children(out, stop->pid, "\nits children go on: ", ", ", "\n");
}

/* --- JSON ---------------------------------------------------------------------------------------------------------
 */

static void print_object(struct text *out, const char *answer) {
    if (answer)
        fprintf(out->stream, "%.*s", (int)strcspn(answer, "\n"), answer);
    else
        fputs("null", out->stream);
}

static void print_json(struct text *out, struct mt_session *session, const struct mt_limit_stop *stop,
                       const struct mt_stop_event *event, uint64_t limit) {
    fprintf(out->stream,
            "{\"schema\":1,\"command\":\"limit\",\"pid\":%d,\"tid\":%d,\"limit_bytes\":%" PRIu64
            ",\"live_bytes\":%" PRId64 ",\"net_bytes\":%" PRId64 ",\"address\":\"0x%" PRIx64 "\",\"size\":%" PRIu64
            ",\"born\":",
            (int)stop->pid, (int)stop->tid, limit, event->live_bytes, event->net_bytes, event->address, event->size);
    print_object(out, ask(session, "born 0x%" PRIx64 " --json", event->address));
    fputs(",\"peak\":", out->stream);
    print_object(out, ask(session, "peak --json --limit %d", ROWS));
    fputs(",\"holders\":[", out->stream);
    struct holders holders;
    find_blocks(&holders, session);
    while (holders.row < HOLDERS) {
        fputs(holders.row > 0 ? "," : "", out->stream);
        print_object(out, next_holders(&holders, session, "--json --no-values"));
    }
    fputs("],\"threads\":", out->stream);
    print_object(out, ask(session, "threads --json --no-values"));
    fputs(",\"children\":[", out->stream);
    print_children(out, stop->pid, "", ",", "");
    fputs("]}\n", out->stream);
}

static uint64_t limit_of(struct mt_session *session) {
    static const char key[] = "\"limit_bytes\":";
    const char *status = ask(session, "status --json");
    const char *limit = status ? strstr(status, key) : NULL;
    return limit ? strtoull(limit + strlen(key), NULL, 10) : 0;
}

void mt_limit_report(struct mt_session *session, const struct mt_limit_stop *stop, bool json, struct mt_report *ret) {
    struct mt_stop_event event;
    struct text out = {0};
    *ret = (struct mt_report){.status = 1};
    if (!read_memory(stop->pid, stop->event, &event, sizeof event))
        return;
    out.stream = open_memstream(&out.data, &out.length);
    if (!out.stream)
        return;
    uint64_t limit = limit_of(session);
    (json ? print_json : print_text)(&out, session, stop, &event, limit);
    if (fclose(out.stream) == 0)
        *ret = (struct mt_report){0, out.data, out.length};
    else
        free(out.data);
}

bool mt_limit_core(struct mt_session *session, const char *path) {
    MT_AUTO_FREE char *command = NULL;
    if (asprintf(&command, "core -- %s", path) < 0) {
        command = NULL;
        return false;
    }
    const struct mt_answer *answer = mt_session_run(session, command);
    if (mt_answer_status(answer))
        mt_complain("%s", mt_answer_text(answer));
    return mt_answer_status(answer) == 0;
}

/* --- started by the recorder --------------------------------------------------------------------------------------
 */

/* %p is the pid, %% a percent sign. */
static char *expand(const char *name, pid_t pid) {
    struct text out = {0};
    out.stream = open_memstream(&out.data, &out.length);
    if (!out.stream)
        return NULL;
    for (; *name; name++) {
        if (name[0] == '%' && name[1] == 'p')
            name++, fprintf(out.stream, "%d", (int)pid);
        else
            fputc(name[0] == '%' && name[1] == '%' ? *name++ : *name, out.stream);
    }
    fclose(out.stream);
    return out.data;
}

static bool tell(struct mt_session *session, const struct mt_limit_stop *stop, bool core, const char *file) {
    if (core)
        return mt_limit_core(session, file);
    size_t length = strlen(file);
    struct mt_report report;
    mt_limit_report(session, stop, length > 5 && !strcmp(file + length - 5, ".json"), &report);
    bool ok = report.status == 0;
    if (ok && *file)
        ok = mt_report_save(&report, file);
    else if (ok)
        ok = fwrite(report.text, 1, report.length, stderr) == report.length;
    mt_report_deinit(&report);
    return ok;
}

int mt_cli_at_limit(int count, char **arguments) {
    if (count != 5) {
        mt_complain("at-limit is for the recorder: see MEMTRACE_MAX_HEAP in docs/environment.md");
        return MT_EXIT_USAGE;
    }
    /* We were started with the signals and the limits of a process that is at its end. */
    sigset_t none;
    struct rlimit space;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (getrlimit(RLIMIT_AS, &space) == 0) {
        space.rlim_cur = space.rlim_max;
        setrlimit(RLIMIT_AS, &space);
    }
    struct mt_limit_stop stop = {(pid_t)strtol(arguments[0], NULL, 16), (pid_t)strtol(arguments[1], NULL, 16),
                                 strtoull(arguments[2], NULL, 16)};
    bool core = !strcmp(arguments[3], "core");
    MT_AUTO_FREE char *file = expand(*arguments[4] || !core ? arguments[4] : "core.%p", stop.pid);
    struct mt_session *session;
    if (!file)
        return MT_EXIT_ERROR;
    const struct mt_answer *opening = mt_session_open_pid(mt_terminal_host(), stop.pid, &session);
    if (mt_answer_status(opening)) {
        mt_complain("%s", mt_answer_text(opening));
        return MT_EXIT_ERROR;
    }
    mt_session_keep_stopped(session);
    mt_session_save_memory(session); /* it may count against the very limit */
    bool ok = tell(session, &stop, core, file);
    int why = errno;
    mt_session_destroy(session);
    if (!ok)
        mt_complain("can't report that the heap of pid %d has passed its limit: %s", (int)stop.pid, strerror(why));
    return ok ? MT_EXIT_OK : MT_EXIT_ERROR;
}
