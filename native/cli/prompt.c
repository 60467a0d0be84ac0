#define _GNU_SOURCE 1

#include "cli/prompt.h"

#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include "base/cleanup.h"
#include "cli/history.h"
#include "cli/line_editor.h"
#include "cli/report.h"
#include "cli/terminal.h"
#include "memtrace.h"

#define PROMPT "(memtrace) "
#define OUR_NAME "memtrace"
#define BLANKS " \t\r\n\v\f" /* as the library knows them */

/* --- a line ------------------------------------------------------------------------------------------------------- */

enum line_result { LINE_DONE, LINE_FAILED, LINE_ENDS };

static const char *skip_blanks(const char *text) {
    return text + strspn(text, BLANKS);
}

/* Behind a first word `memtrace`, which a debugger's users are used to. */
static const char *skip_our_name(const char *line) {
    line = skip_blanks(line);
    size_t length = strcspn(line, BLANKS);
    bool ours = length == strlen(OUR_NAME) && memcmp(line, OUR_NAME, length) == 0;
    return ours ? skip_blanks(line + length) : line;
}

static const char *const ends[] = {"quit", "exit"};
#define END_COUNT (sizeof ends / sizeof ends[0])

/* Is the first word one of `ends`? Like a command it may be shortened, but not to what means a command. */
static bool is_end(const char *line) {
    size_t length = strcspn(line, BLANKS);
    bool is_one = false;
    for (size_t i = 0; length > 0 && i < END_COUNT; i++)
        is_one |= strncmp(ends[i], line, length) == 0;
    for (size_t i = 0; is_one && i < mt_command_count(); i++)
        is_one = strncmp(mt_command_name(i), line, length) != 0;
    return is_one;
}

static enum line_result end(const char *line) {
    size_t length = strcspn(line, BLANKS);
    if (*skip_blanks(line + length) == '\0')
        return LINE_ENDS;
    mt_complain("%.*s takes no argument", (int)length, line);
    return LINE_FAILED;
}

/* Nothing to do: an empty line, or a comment. */
static bool is_idle(const char *line) {
    line = skip_blanks(line);
    return *line == '\0' || *line == '#';
}

static enum line_result run_command(struct mt_session *session, const char *line) {
    struct mt_report report;
    mt_report_take(&report, mt_session_run(session, line));
    int status = mt_report_print(&report);
    mt_report_deinit(&report);
    return status == MT_EXIT_OK ? LINE_DONE : LINE_FAILED;
}

static enum line_result run_line(struct mt_session *session, const char *line) {
    if (is_idle(line))
        return LINE_DONE;
    line = skip_our_name(line);
    return is_end(line) ? end(line) : run_command(session, line);
}

/* --- a script ----------------------------------------------------------------------------------------------------- */

static int run_script(struct mt_session *session) {
    MT_AUTO_FREE char *line = NULL;
    size_t capacity = 0;
    enum line_result result = LINE_DONE;
    bool failed = false, interrupted = false;
    while (result != LINE_ENDS && !interrupted && getline(&line, &capacity, stdin) >= 0) {
        /* A command can be stopped; a script that waits for its next line just ends. */
        mt_terminal_watch_interrupt();
        result = run_line(session, line);
        mt_terminal_leave_interrupt();
        failed |= result == LINE_FAILED;
        interrupted = mt_terminal_take_interrupt();
    }
    if (interrupted)
        mt_complain("interrupted: the script ends here");
    else if (ferror(stdin))
        mt_complain("can't read commands: %s", strerror(errno));
    return failed || interrupted || ferror(stdin) ? MT_EXIT_ERROR : MT_EXIT_OK;
}

/* --- a person ----------------------------------------------------------------------------------------------------- */

/* Where a person reads what we write; NULL: nobody is there. */
static FILE *find_screen(void) {
    if (!isatty(STDIN_FILENO))
        return NULL;
    if (isatty(STDOUT_FILENO))
        return stdout;
    if (!isatty(STDERR_FILENO))
        return NULL;
    setvbuf(stderr, NULL, _IOLBF, BUFSIZ); /* not each character of a prompt by itself: answers come from elsewhere */
    return stderr;
}

/* A name made up by others must not steer the terminal. */
static void show_name(FILE *screen, const char *name) {
    size_t left = strlen(name);
    mbstate_t state = {0};
    while (left > 0) {
        wchar_t character;
        size_t size = mbrtowc(&character, name, left, &state);
        bool plain = size <= left && wcwidth(character) > 0;
        if (plain) {
            fwrite(name, 1, size, screen);
        } else {
            fprintf(screen, "\\x%02x", (unsigned char)*name);
            size = 1;
            state = (mbstate_t){0};
        }
        name += size;
        left -= size;
    }
}

static void greet(FILE *screen, int32_t pid, const char *core) {
    if (pid > 0) {
        char link[64], executable[PATH_MAX];
        snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
        ssize_t length = readlink(link, executable, sizeof executable - 1);
        executable[length > 0 ? length : 0] = '\0';
        fprintf(screen, "pid %d", (int)pid);
        fputs(length > 0 ? " (" : "", screen);
        show_name(screen, executable);
        fputs(length > 0 ? ")" : "", screen);
        fputs(", which stands still from the first command until you leave", screen);
    } else {
        fputs("core ", screen);
        show_name(screen, core);
    }
    fputs("; help lists the commands, Ctrl-D ends\n", screen);
    fflush(screen);
}

/* `text`, which is malloc'ed and given up, with one more line; NULL when memory is out. */
static char *append_line(char *text, const char *line) {
    char *longer;
    int length = asprintf(&longer, "%s%s\n", text, line);
    free(text);
    return length < 0 ? NULL : longer;
}

/* Candidates for the last word; `context` is the session. */
static char *complete(void *context, const char *line) {
    const char *command = skip_our_name(line), *word = line + strlen(line);
    while (word > line && !strchr(BLANKS, word[-1]))
        word--;
    if (command > word)
        command = word; /* our name is only being typed */
    char *candidates = strdup(mt_complete(context, command));
    for (size_t i = 0; candidates && command == word && i < END_COUNT; i++)
        if (strncmp(ends[i], word, strlen(word)) == 0)
            candidates = append_line(candidates, ends[i]);
    return candidates;
}

/* What was typed, or pasted: several lines then. */
static enum line_result run_typed(struct mt_session *session, char *typed) {
    enum line_result result = LINE_DONE;
    char *rest = typed;
    bool interrupted = false;
    mt_terminal_take_interrupt(); /* one that came before there was anything to stop */
    for (const char *line; result != LINE_ENDS && !interrupted && (line = strsep(&rest, "\n")) != NULL;) {
        if (!is_idle(line))
            mt_history_add(line);
        mt_terminal_watch_interrupt();
        result = run_line(session, line);
        mt_terminal_note_interrupts();
        interrupted = mt_terminal_take_interrupt();
    }
    return result;
}

static void talk(struct mt_session *session, FILE *screen) {
    mt_line_editor_begin(screen, complete, session);
    mt_history_begin();
    mt_terminal_note_interrupts();
    enum line_result result = LINE_DONE;
    while (result != LINE_ENDS) {
        MT_AUTO_FREE char *typed = mt_line_editor_read(PROMPT);
        result = typed ? run_typed(session, typed) : LINE_ENDS;
    }
}

int mt_prompt(struct mt_session *session, int32_t pid, const char *core) {
    FILE *screen = find_screen();
    if (pid)
        mt_session_keep_stopped(session);
    if (!screen)
        return run_script(session);
    setlocale(LC_CTYPE, ""); /* what is one character */
    greet(screen, pid, core);
    talk(session, screen);
    return MT_EXIT_OK;
}
