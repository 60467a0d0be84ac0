#define _GNU_SOURCE 1

#include "cli/line_editor.h"

#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <readline/readline.h>

#include "base/cleanup.h"

/* readline hands its callbacks no context. */
static mt_line_editor_completer *completer;
static void *completer_context;

/* A match after the other, NULL behind the last one; `state` is 0 at the first call. */
static char *next_match(const char *word, int state) {
    static char *candidates, *rest;
    if (state == 0) {
        free(candidates);
        MT_AUTO_FREE char *line = strndup(rl_line_buffer, (size_t)rl_point);
        rest = candidates = line ? completer(completer_context, line) : NULL;
    }
    const char *match = rest ? strsep(&rest, "\n") : NULL;
    return match && *match ? strdup(match) : NULL;
}

static char **complete(const char *word, int start, int end) {
    rl_attempted_completion_over = 1; /* no names of files */
    return rl_completion_matches(word, next_match);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* Ctrl-C is a key here: as a signal it would act in the midst of what readline does, which not all of its parts bear.
 */
static bool given_up;

static int give_up(int count, int key) {
    given_up = true;
    rl_point = rl_end;
    rl_redisplay();
    fputs("^C", rl_outstream);
    return rl_newline(count, key);
}

static void take_terminal(int meta) {
    struct termios settings;
    rl_prep_terminal(meta);
    if (tcgetattr(STDIN_FILENO, &settings) != 0 || settings.c_cc[VINTR] == _POSIX_VDISABLE)
        return;
    Keymap maps[] = {emacs_standard_keymap, vi_insertion_keymap, vi_movement_keymap};
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++)
        rl_bind_key_in_map(settings.c_cc[VINTR], give_up, maps[i]);
    settings.c_cc[VINTR] = _POSIX_VDISABLE; /* until readline restores what it found */
    tcsetattr(STDIN_FILENO, TCSADRAIN, &settings);
}

static volatile sig_atomic_t continued;

static void note_continued(int number) {
    continued = 1;
}

/* After we were stopped others may have written to the terminal. readline calls this when a signal broke its wait for a
 * key. */
static int show_again(void) {
    if (continued)
        rl_forced_update_display();
    continued = 0;
    return 0;
}

static int read_key(FILE *stream) {
    show_again(); /* a signal may also have come while readline did not wait */
    return rl_getc(stream);
}

/* With bracketed paste readline itself ends the line that Ctrl-D left. */
static void leave_prompt(void) {
    const char *paste = rl_variable_value("enable-bracketed-paste");
    if (!paste || strcmp(paste, "on") != 0)
        rl_crlf();
    fflush(rl_outstream);
}

void mt_line_editor_begin(FILE *screen, mt_line_editor_completer *complete_line, void *context) {
    completer = complete_line;
    completer_context = context;
    rl_readline_name = "memtrace"; /* for conditions in ~/.inputrc */
    rl_instream = stdin;
    rl_outstream = screen;
    rl_change_environment = 0; /* COLUMNS is the user's word on an answer's width */
    rl_basic_word_break_characters = " \t\n";
    rl_attempted_completion_function = complete;
    rl_completion_query_items = -1; /* neither its question nor its pager would know Ctrl-C */
    rl_variable_bind("page-completions", "off");
    rl_prep_term_function = take_terminal;
    rl_getc_function = read_key;
    rl_signal_event_hook = show_again;
    signal(SIGCONT, note_continued);
}

char *mt_line_editor_read(const char *prompt) {
    char *line = NULL;
    sigset_t interrupt, before;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    sigprocmask(SIG_BLOCK, &interrupt, &before);
    do {
        free(line);
        given_up = false;
        continued = 0;
        line = readline(prompt);
    } while (given_up);
    rl_check_signals(); /* one that is to end us has only ended the line so far */
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (!line)
        leave_prompt();
    return line;
}
