/* The table of commands, and what a running command gets. One command is one file that defines one struct mt_command.
 */
#ifndef MEMTRACE_COMMANDS_COMMAND_H
#define MEMTRACE_COMMANDS_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/watch.h"
#include "commands/options.h"
#include "heap/graph.h"
#include "memtrace.h"
#include "output/emitter.h"
#include "trace/image.h"

struct mt_call;
struct mt_session;

struct mt_command {
    const char *name;      /* "record stop" */
    const char *summary;   /* one sentence, ends with a period */
    const char *argument;  /* "ADDR", "[COMMAND]"; NULL: takes none */
    unsigned options;      /* sum of enum mt_option */
    const char *details;   /* what the help says beyond the summary: paragraphs, one a line; may be NULL */
    bool needs_no_process; /* nor a debugger that knows what it is looking at */
    struct mt_error *(*run)(struct mt_call *call);
    /* Appends candidates, a line each, for `word` of the argument, behind its words `before`; may be NULL. `session`
     * may be NULL. Reads nothing of the process. */
    void (*complete)(struct mt_session *session, const char *before, const char *word, struct mt_strbuf *out);
};

extern const struct mt_command mt_record_command;
extern const struct mt_command mt_record_stop_command;
extern const struct mt_command mt_status_command;
extern const struct mt_command mt_peak_command;
extern const struct mt_command mt_live_command;
extern const struct mt_command mt_mark_command;
extern const struct mt_command mt_diff_command;
extern const struct mt_command mt_born_command;
extern const struct mt_command mt_types_command;
extern const struct mt_command mt_instances_command;
extern const struct mt_command mt_object_command;
extern const struct mt_command mt_holds_command;
extern const struct mt_command mt_who_holds_command;
extern const struct mt_command mt_caches_command;
extern const struct mt_command mt_path_command;
extern const struct mt_command mt_threads_command;
extern const struct mt_command mt_audit_command;
extern const struct mt_command mt_core_command;
extern const struct mt_command mt_summary_command;
extern const struct mt_command mt_break_command;
extern const struct mt_command mt_break_list_command;
extern const struct mt_command mt_break_delete_command;
extern const struct mt_command mt_next_command;
extern const struct mt_command mt_finish_command;
extern const struct mt_command mt_lines_command;
extern const struct mt_command mt_lines_stop_command;
extern const struct mt_command mt_set_command;
extern const struct mt_command mt_show_command;
extern const struct mt_command mt_help_command;

/* In the order of the help. */
const struct mt_command *mt_command_at(size_t index); /* NULL: behind the last */
/* The command at the start of `line`, in full or by a unique beginning; *ret_rest points behind its name. */
struct mt_error *mt_command_find(const char *line, const struct mt_command **ret, const char **ret_rest);
/* Appends the whole help of a command. */
void mt_command_write_help(const struct mt_command *command, struct mt_strbuf *out);
/* Appends the names of commands that begin with `word`, a line each. */
void mt_command_offer(const char *word, struct mt_strbuf *out);
/* Appends candidates for the last word of `line`, a line each. `session` may be NULL. */
void mt_command_complete(struct mt_session *session, const char *line, struct mt_strbuf *out);

/* --- what a running command gets -------------------------------------------------------------------------------- */

struct mt_call {
    struct mt_session *session;
    const struct mt_command *command;
    struct mt_options options;
    const char *argument; /* "" when there is none */
    struct mt_emitter emitter;
    struct mt_watch watch;
    bool resumes;            /* the answer is what the process does next: it is to run */
    struct mt_json warnings; /* strings of a JSON array; see mt_call_warn */
    struct mt_strbuf warnings_text;
};

/* The target at a stop. The error says why there is none. */
struct mt_error *mt_call_target(struct mt_call *call, struct mt_target **ret);
/* The target's image; MT_ERROR_NOT_RECORDED when it has none. */
struct mt_error *mt_call_image(struct mt_call *call, struct mt_image **ret);
/* The image of something that was recorded: as mt_call_image, with an error for a recorder that never began. */
struct mt_error *mt_call_recording(struct mt_call *call, struct mt_image **ret);
/* The CPython in the target; what it consists of; who refers to whom in it. Made when first asked for at a stop, and
 * kept until the target runs. The session owns them. */
struct mt_error *mt_call_python(struct mt_call *call, struct mt_python **ret);
struct mt_error *mt_call_census(struct mt_call *call, struct mt_census **ret);
struct mt_error *mt_call_graph(struct mt_call *call, struct mt_graph **ret);
/* What must be known to judge the answer: a line of text, an element of `warnings` in JSON. */
void mt_call_warn(struct mt_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Warns about what holds for any answer from this image: events in flight, gaps in a core's tables, a stopped
 * recording. */
struct mt_block_gaps;
void mt_call_warn_image(struct mt_call *call, const struct mt_image *image, const struct mt_block_gaps *gaps);
/* Says that the recording began in the middle of the process's life, if it did. */
void mt_call_warn_attached(struct mt_call *call, const struct mt_image *image);
/* A hint what to try next: only for people, and once a session for each command. */
void mt_call_hint(struct mt_call *call, const char *hint);

#endif
