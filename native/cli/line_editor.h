/* Lines as a person types them at a terminal: edited, completed, remembered (GNU readline, which knows one terminal and
 * so one editor). While a line is read the terminal is readline's; in between, and when a signal ends us, it is as it
 * was before. */
#ifndef MEMTRACE_CLI_LINE_EDITOR_H
#define MEMTRACE_CLI_LINE_EDITOR_H

#include <stdio.h>

/* Candidates for the last word of a half-typed line: whole words, each followed by a newline; malloc'ed, or NULL. */
typedef char *mt_line_editor_completer(void *context, const char *line);

/* Once, before the first line. `screen`: the stream of the terminal, stdout or stderr. */
void mt_line_editor_begin(FILE *screen, mt_line_editor_completer *complete, void *context);
/* The next line, malloc'ed and without its newline; one that was pasted may hold newlines. Ctrl-C begins it anew; a
 * SIGINT from elsewhere waits until we return. NULL: Ctrl-D. Either way the cursor is at the beginning of a line. */
char *mt_line_editor_read(const char *prompt);

#endif
