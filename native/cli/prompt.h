/* Commands one after the other, all with one session: typed by a person at a prompt, or the lines of a script. */
#ifndef MEMTRACE_CLI_PROMPT_H
#define MEMTRACE_CLI_PROMPT_H

#include <stdint.h>

struct mt_session;
/* Reads commands from standard input until its end, `quit` or `exit`. At a terminal there is a prompt, and the status
 * is MT_EXIT_OK; else it is MT_EXIT_ERROR when a command failed, after the others have run. The session was opened on
 * `pid`, which stands still from the first command on, or, when that is 0, on `core`. */
int mt_prompt(struct mt_session *session, int32_t pid, const char *core);

#endif
