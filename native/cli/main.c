#define _GNU_SOURCE 1

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/limit_report.h"
#include "cli/place.h"
#include "cli/prompt.h"
#include "cli/report.h"
#include "cli/run.h"
#include "cli/terminal.h"
#include "memtrace.h"

struct request {
    int32_t pid; /* 0: none */
    const char *core;
    const char *executable;
    char *command; /* the words that are not ours, joined by blanks */
    bool json;
    bool help;
    bool version;
};

static void print_usage(FILE *out) {
    fprintf(out,
            "usage: memtrace --pid PID [COMMAND [OPTIONS]]                 ask a running process\n"
            "       memtrace --core CORE [--exe EXE] [COMMAND [OPTIONS]]   ask a core file\n"
            "       %s\n"
            "                                                              run a program recorded\n"
            "       memtrace help [COMMAND]                                what there is to ask\n"
            "       memtrace --version\n"
            "Without COMMAND there is a prompt for as many as you like; a process stands still from the\n"
            "first one until the end. Where standard input is no terminal its lines are the commands, but\n"
            "for blank ones and those that begin with #; one that fails makes the exit status 1, and the\n"
            "others still run.\n",
            mt_cli_run_usage());
}

static bool append_word(char **command, const char *word) {
    char *joined;
    if (asprintf(&joined, "%s%s%s", *command ? *command : "", *command ? " " : "", word) < 0)
        return false;
    free(*command);
    *command = joined;
    return true;
}

/* The value of `--name VALUE` or `--name=VALUE` at `arguments[*index]`, which moves on to the last word used. 0: it is
 * not this option; 1: it is; -1: its value is missing (said). */
static int take_option(const char *name, int count, char **arguments, int *index, const char **ret_value) {
    const char *word = arguments[*index];
    size_t length = strlen(name);
    if (strncmp(word, name, length) || (word[length] && word[length] != '='))
        return 0;
    if (word[length] == '=') {
        *ret_value = word + length + 1;
    } else if (*index + 1 < count) {
        *ret_value = arguments[++*index];
    } else {
        mt_complain("%s needs a value", name);
        return -1;
    }
    return 1;
}

static bool parse_pid(const char *text, int32_t *ret) {
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value <= 0 || value > INT32_MAX)
        return false;
    *ret = (int32_t)value;
    return true;
}

/* False: wrong usage, which was said. */
static bool parse(int count, char **arguments, struct request *request) {
    const char *value;
    for (int i = 0, taken; i < count; i++) {
        const char *word = arguments[i];
        if (!strcmp(word, "--")) {
            for (; i < count; i++)
                if (!append_word(&request->command, arguments[i]))
                    return false;
        } else if ((taken = take_option("--pid", count, arguments, &i, &value)) != 0) {
            if (taken > 0 && !parse_pid(value, &request->pid)) {
                mt_complain("--pid %s is not the number of a process", value);
                taken = -1;
            }
            if (taken < 0)
                return false;
        } else if ((taken = take_option("--core", count, arguments, &i, &request->core)) != 0 ||
                   (taken = take_option("--exe", count, arguments, &i, &request->executable)) != 0) {
            if (taken < 0)
                return false;
        } else if (!strcmp(word, "-h") || !strcmp(word, "--help")) {
            request->help = true;
        } else if (!strcmp(word, "--version") && !request->command) {
            request->version = true;
        } else {
            request->json |= !strcmp(word, "--json");
            if (!append_word(&request->command, word))
                return false;
        }
    }
    if (request->pid && request->core) {
        mt_complain("give --pid or --core, not both");
        return false;
    }
    if (request->executable && !request->core) {
        mt_complain("--exe goes with --core");
        return false;
    }
    return true;
}

static int finish(const struct mt_answer *answer) {
    struct mt_report report;
    mt_report_take(&report, answer);
    int status = mt_report_print(&report);
    mt_report_deinit(&report);
    return status;
}

static int run_without_target(const char *command) {
    char directory[PATH_MAX];
    if (!mt_place_directory(directory, sizeof(directory)))
        strcpy(directory, ".");
    struct mt_session *session = mt_session_create(mt_terminal_host(), directory);
    if (!session) {
        mt_complain("out of memory");
        return MT_EXIT_ERROR;
    }
    int status = finish(mt_session_run(session, command));
    mt_session_destroy(session);
    return status;
}

/* Is the command's first word one of the library's commands, or the beginning of one? */
static bool is_command(const char *command, const char *name) {
    size_t length = strcspn(command, " ");
    return length > 0 && !strncmp(command, name, length);
}

static bool needs_target(const char *command) {
    static const char *const alone[] = {"help", "set", "show"};
    for (size_t i = 0; i < sizeof alone / sizeof alone[0]; i++)
        if (is_command(command, alone[i]))
            return false;
    for (size_t i = 0; i < mt_command_count(); i++)
        if (is_command(command, mt_command_name(i)))
            return true;
    return false;
}

static int run_one(struct mt_session *session, const char *command) {
    mt_terminal_watch_interrupt();
    return finish(mt_session_run(session, command));
}

/* Opening a session only notes what to open. Before the first of many commands it is better said at once. */
static bool is_there(const struct request *request) {
    if (request->core && access(request->core, R_OK) != 0)
        mt_complain("can't open %s: %s", request->core, strerror(errno));
    else if (request->pid && kill(request->pid, 0) != 0 && errno == ESRCH)
        mt_complain("no process %d", (int)request->pid);
    else
        return true;
    return false;
}

static int answer(const struct request *request) {
    const char *command = request->command ? request->command : "";
    if (request->help) {
        MT_AUTO_FREE char *help = NULL;
        if (asprintf(&help, "help %s", command) < 0)
            help = NULL;
        return run_without_target(help ? help : "help");
    }
    if (!request->pid && !request->core) {
        if (!needs_target(command))
            return run_without_target(command);
        MT_AUTO_FREE char *name = strndup(command, strcspn(command, " "));
        const char *shown = name ? name : "this";
        mt_complain_about(request->json, shown, "usage",
                          "%s needs a process or a core file: memtrace --pid PID %s, or memtrace --core CORE %s", shown,
                          shown, shown);
        return MT_EXIT_USAGE;
    }
    if (!request->command && !is_there(request))
        return MT_EXIT_ERROR;
    struct mt_session *session;
    const struct mt_answer *opening =
        request->pid ? mt_session_open_pid(mt_terminal_host(), request->pid, &session)
                     : mt_session_open_core(mt_terminal_host(), request->core, request->executable, &session);
    if (mt_answer_status(opening))
        return finish(opening);
    int status = request->command ? run_one(session, command) : mt_prompt(session, request->pid, request->core);
    mt_session_destroy(session);
    return status;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        print_usage(stderr);
        return MT_EXIT_USAGE;
    }
    if (!strcmp(argv[1], "run"))
        return mt_cli_run(argc - 2, argv + 2);
    if (!strcmp(argv[1], "at-limit"))
        return mt_cli_at_limit(argc - 2, argv + 2);
    struct request request = {0};
    int status = MT_EXIT_USAGE;
    if (parse(argc - 1, argv + 1, &request)) {
        if (request.version)
            status = printf("memtrace %s\n", mt_version()) < 0 ? MT_EXIT_ERROR : MT_EXIT_OK;
        else if (request.help && !request.command)
            status = (print_usage(stdout), MT_EXIT_OK);
        else
            status = answer(&request);
    }
    free(request.command);
    return status;
}
