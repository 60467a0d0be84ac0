/* A session as commands see it: the debugger behind it, its target at this stop, and the rows that were numbered. */
#ifndef MEMTRACE_COMMANDS_SESSION_H
#define MEMTRACE_COMMANDS_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "commands/breakpoints.h"
#include "commands/command.h"
#include "commands/handles.h"
#include "commands/ref_sheet.h"
#include "commands/settings.h"
#include "commands/step.h"
#include "memtrace.h"

/* NULL on a command line without a debugger. */
const struct mt_host *mt_session_debugger(const struct mt_session *session);
/* Asks the debugger; on the command line, says what the session was opened on. */
struct mt_error *mt_session_describe(struct mt_session *session, struct mt_host_description *ret);
/* Where libmemtrace-recorder.so lies. */
const char *mt_session_library_directory(const struct mt_session *session);
/* A live process to be run and called into: on the command line stopped by us, in a debugger as the debugger has it.
 * All that was read from the process so far is dropped. The caller destroys the tracee before anything else is asked.
 */
struct mt_tracee;
struct mt_error *mt_session_tracee(struct mt_session *session, struct mt_tracee **ret);
/* How long a tracee was stopped, or ran only for us: the answer tells. */
void mt_session_note_lent(struct mt_session *session, double seconds);
/* Values of the user's environment that `record` has replaced and `record stop` restores. */
struct mt_session_environment {
    bool armed;
    char *preload; /* the user's own LD_PRELOAD and MEMTRACE_LEVEL; NULL: none */
    char *level;
};
struct mt_session_environment *mt_session_environment(struct mt_session *session);
struct mt_breakpoints *mt_session_breakpoints(struct mt_session *session);
/* Of the object whose references are, or were last, counted. */
struct mt_ref_sheet *mt_session_ref_sheet(struct mt_session *session);
/* The step whose end the next stop may be. */
struct mt_step *mt_session_step(struct mt_session *session);
/* The rows numbered at this stop. */
struct mt_handles *mt_session_handles(struct mt_session *session);
/* How the user wants answers. */
struct mt_settings *mt_session_settings(struct mt_session *session);
/* The objects as they were found at the last stop that was asked about; NULL: not looked for. */
const struct mt_census *mt_session_known_census(const struct mt_session *session);
/* Bytes that the target's mappings describe, and how many of them it holds; false: unknown. */
bool mt_session_share(struct mt_target *target, uint64_t *ret_described, uint64_t *ret_held);
/* What was read from the target is no longer so: we have written to it. */
void mt_session_forget_image(struct mt_session *session);

#endif
