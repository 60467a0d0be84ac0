#define _GNU_SOURCE 1

#include "cli/run.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/limit_report.h"
#include "cli/place.h"
#include "cli/report.h"
#include "cli/run_child.h"
#include "cli/run_signals.h"
#include "cli/run_watch.h"
#include "cli/terminal.h"
#include "image/size_text.h"
#include "memtrace.h"

#define RECORDER "libmemtrace-recorder.so"

struct run {
    const char *level;
    const char *report_command;
    const char *out; /* NULL: standard output */
    bool json;
    bool follow;
    char **arguments;
    pid_t pid;
    struct mt_report report;
    bool not_recorded;
    const char *max_heap_text;
    uint64_t max_heap; /* 0: no limit */
    const char *core;  /* NULL: none is to be saved */
    bool failed;       /* to save the core */
};

const char *mt_cli_run_usage(void) {
    return "memtrace run [--level objects|heap] [--follow] [--max-heap SIZE] [--core FILE] [--report COMMAND] [--json] "
           "[--out FILE] -- PROGRAM ARGS...";
}

static void print_help(void) {
    printf("usage: %s\n"
           "Run a program recorded, and report when it ends; its status becomes ours.\n"
           "\n"
           "options:\n"
           "  --level LEVEL     objects (the default): every Python object and what C\n"
           "                    allocates; heap: what malloc and mmap hand out\n"
           "  --follow          record its children too, and the programs that they run. The\n"
           "                    report is about the program itself: ask a child while it\n"
           "                    runs, by its number: memtrace --pid PID peak\n"
           "  --max-heap SIZE   when what it has allocated passes SIZE (200M, 200Mi), report\n"
           "                    what it consists of, who holds it and where the threads are,\n"
           "                    end the program, and exit with status 99. Children that it\n"
           "                    has go on; the report names them\n"
           "  --core FILE       then save a core of it too\n"
           "  --report COMMAND  what to report, `peak` otherwise: \"live --by line\"\n"
           "  --json            report as one JSON object\n"
           "  --out FILE        report into FILE\n",
           mt_cli_run_usage());
}

static bool usage(const char *problem, const char *detail) {
    mt_complain("run: %s%s%s. Usage: %s", problem, detail ? " " : "", detail ? detail : "", mt_cli_run_usage());
    return false;
}

static bool parse(int count, char **arguments, struct run *run) {
    int i = 0;
    for (; i < count && arguments[i][0] == '-'; i++) {
        const char *option = arguments[i];
        if (!strcmp(option, "--")) {
            i++;
            break;
        }
        if (!strcmp(option, "--json")) {
            run->json = true;
            continue;
        }
        if (!strcmp(option, "--follow")) {
            run->follow = true;
            continue;
        }
        char *equals = strchr(option, '=');
        size_t length = equals ? (size_t)(equals - option) : strlen(option);
        const char **value = length == 7 && !strncmp(option, "--level", 7)        ? &run->level
                             : length == 8 && !strncmp(option, "--report", 8)     ? &run->report_command
                             : length == 5 && !strncmp(option, "--out", 5)        ? &run->out
                             : length == 10 && !strncmp(option, "--max-heap", 10) ? &run->max_heap_text
                             : length == 6 && !strncmp(option, "--core", 6)       ? &run->core
                                                                                  : NULL;
        if (!value)
            return usage("unknown option", option);
        if (!equals && i + 1 == count)
            return usage("a value is missing behind", option);
        *value = equals ? equals + 1 : arguments[++i];
    }
    if (strcmp(run->level, "objects") && strcmp(run->level, "heap"))
        return usage("no such level:", run->level);
    if (run->max_heap_text && (!mt_size_from_text(run->max_heap_text, &run->max_heap) || !run->max_heap))
        return usage("no such size:", run->max_heap_text);
    if (run->core && !run->max_heap)
        return usage("--core goes with --max-heap", NULL);
    if (i >= count)
        return usage("which program?", NULL);
    run->arguments = arguments + i;
    return true;
}

static bool find_recorder(char *ret, size_t size) {
    char directory[PATH_MAX];
    if (!mt_place_directory(directory, sizeof(directory)) ||
        snprintf(ret, size, "%s/%s", directory, RECORDER) >= (int)size || access(ret, R_OK)) {
        mt_complain("run: the recorder (%s) is not beside this program: build it with `make`", RECORDER);
        return false;
    }
    /* The dynamic loader takes both for the end of a name, and knows no way to quote them. */
    if (strpbrk(ret, " :")) {
        mt_complain("run: can't preload %s: no folder in its path may have a blank or a colon in its name", ret);
        return false;
    }
    return true;
}

static void answer(struct run *run, struct mt_session *session, const char *command) {
    mt_report_take(&run->report, mt_session_run(session, command));
    if (!run->report.status || run->json)
        return;
    /* The code of an error is in its JSON form alone. */
    MT_AUTO_FREE char *again = NULL;
    if (asprintf(&again, "%s --json", command) < 0) {
        again = NULL;
        return;
    }
    if (strstr(mt_answer_text(mt_session_run(session, again)), "\"code\":\"not-recorded\""))
        run->not_recorded = true;
}

/* Nothing of the program runs any more, and its memory is there. */
static void ask(void *context) {
    struct run *run = context;
    MT_AUTO_FREE char *command = NULL;
    if (asprintf(&command, "%s%s", run->report_command, run->json ? " --json" : "") < 0) {
        command = NULL;
        return;
    }
    struct sigaction forwarding;
    sigaction(SIGINT, NULL, &forwarding);
    mt_terminal_watch_interrupt();
    struct mt_session *session;
    const struct mt_answer *opening = mt_session_open_stopped(mt_terminal_host(), run->pid, &session);
    if (mt_answer_status(opening)) {
        mt_report_take(&run->report, opening);
    } else {
        answer(run, session, command);
        mt_session_destroy(session);
    }
    sigaction(SIGINT, &forwarding, NULL);
}

/* All threads stand still, and will run no more. */
static void ask_at_limit(void *context, pid_t tid, uint64_t event) {
    struct run *run = context;
    struct mt_limit_stop stop = {run->pid, tid, event};
    struct mt_session *session;
    const struct mt_answer *opening = mt_session_open_stopped(mt_terminal_host(), run->pid, &session);
    if (mt_answer_status(opening)) {
        mt_report_take(&run->report, opening);
        return;
    }
    mt_limit_report(session, &stop, run->json, &run->report);
    run->failed = run->core && !mt_limit_core(session, run->core);
    mt_session_destroy(session);
}

static void write_report(const struct run *run) {
    const struct mt_report *report = &run->report;
    bool is_line = report->status && report->text && report->text[0] != '{';
    if (run->not_recorded)
        mt_complain(
            "run: %s was not recorded: it is static, or runs with rights of its own, or replaced itself by another "
            "program",
            run->arguments[0]);
    else if (!run->out || is_line)
        mt_report_print(report);
    else if (!mt_report_save(report, run->out))
        mt_complain("run: can't write %s: %s", run->out, strerror(errno));
}

static int start_failed(void) {
    mt_complain("run: can't start a process: %s", strerror(errno));
    return MT_EXIT_ERROR;
}

int mt_cli_run(int count, char **arguments) {
    struct run run = {.level = "objects", .report_command = "peak"};
    char recorder[PATH_MAX];
    if (count > 0 && (!strcmp(arguments[0], "-h") || !strcmp(arguments[0], "--help"))) {
        print_help();
        return MT_EXIT_OK;
    }
    if (!parse(count, arguments, &run))
        return MT_EXIT_USAGE;
    if (!find_recorder(recorder, sizeof(recorder)))
        return MT_EXIT_ERROR;
    if (run.out && !mt_report_can_save(run.out)) {
        mt_complain("run: can't write %s: %s", run.out, strerror(errno));
        return MT_EXIT_ERROR;
    }
    bool trace = !mt_child_has_special_rights(run.arguments[0]);
    struct mt_child child;
    if (!mt_child_start(&(struct mt_child_options){recorder, run.level, run.follow, run.max_heap, run.arguments}, trace,
                        mt_watch_trace_options(), &child))
        return start_failed();
    run.pid = child.pid;
    mt_signals_forward(child.pid);
    if (!trace)
        mt_complain("run: %s runs with rights of its own (setuid): it can't be recorded", run.arguments[0]);
    else if (child.trace_errno)
        mt_complain("run: may not watch the program (ptrace: %s): it runs, but there will be no report",
                    strerror(child.trace_errno));
    bool traced = trace && !child.trace_errno;
    if (!traced && run.max_heap) {
        mt_complain("run: without that --max-heap can't end it: it is not started");
        kill(child.pid, SIGKILL);
        waitpid(child.pid, NULL, 0);
        return MT_EXIT_ERROR;
    }
    mt_child_go(&child);
    struct mt_watch_handlers handlers = {ask, run.max_heap ? ask_at_limit : NULL, &run};
    struct mt_watched_end end = traced ? mt_watch_traced(child.pid, &handlers) : mt_watch_untraced(child.pid);
    mt_signals_restore();
    if (end.seen)
        write_report(&run);
    else if (traced && end.began)
        mt_complain("run: the program was gone before its memory could be read: there is no report");
    mt_report_deinit(&run.report);
    if (end.passed_limit)
        return run.failed ? MT_EXIT_ERROR : MT_EXIT_LIMIT;
    mt_end_as(end.wait_status);
}
