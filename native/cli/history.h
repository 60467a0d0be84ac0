/* The lines that a person typed, also in earlier sessions: $XDG_STATE_HOME/memtrace/history, or that of
 * ~/.local/state. The file is made with the first line, for its owner alone; where it can't be, sessions just don't
 * know of each other. */
#ifndef MEMTRACE_CLI_HISTORY_H
#define MEMTRACE_CLI_HISTORY_H

/* Once, before the first line: what earlier sessions left. */
void mt_history_begin(void);
/* One line without a newline. One that repeats the last one is not kept again. */
void mt_history_add(const char *line);

#endif
