/* libmemtrace: what a debugger, a script or the command line asks.
 *
 * One session per debugger (or per command line). The doors hand it whole command lines; parsing, analysis and
 * formatting happen here. The library never prints, never exits and never aborts; it may be called from one thread at a
 * time. Strings are UTF-8. Sizes are bytes. */
#ifndef MEMTRACE_H
#define MEMTRACE_H

#include <stddef.h>
#include <stdint.h>

#define MT_EXPORT __attribute__((visibility("default")))

/* Doors check this first: it changes when a struct or a call below changes its meaning. */
#define MT_ABI 1
MT_EXPORT unsigned mt_abi(void);
MT_EXPORT const char *mt_version(void);

/* --- what a debugger offers ------------------------------------------------------------------------------------- */

enum mt_host_kind { MT_HOST_NONE, MT_HOST_LIVE, MT_HOST_CORE, MT_HOST_REMOTE };

struct mt_host_description {
    int32_t kind;           /* enum mt_host_kind */
    int32_t pid;            /* 0: unknown. For CORE and REMOTE never used to reach a local process */
    int32_t running;        /* non-zero: the process is not stopped */
    int32_t local;          /* non-zero: the pid was proven to be a local process that this debugger has stopped */
    uint64_t generation;    /* changes whenever the process ran since the last call */
    const char *executable; /* may be NULL; the strings stay valid until the next call of describe */
    const char *core;
};

/* Calls into the debugger. Each returns 0 on success, 1 when the user interrupted, -1 when it failed. Outputs are set
 * last, and the library zeroes them first, so a callback that died half-way reads as a failure. Any may be NULL except
 * describe. */
struct mt_host {
    void *context;
    int32_t (*describe)(void *context, struct mt_host_description *ret);
    int32_t (*read)(void *context, uint64_t address, void *buffer, uint64_t size, uint64_t *ret_got);
    int32_t (*write)(void *context, uint64_t address, const void *buffer, uint64_t size, uint64_t *ret_put);
    int32_t (*find_symbol)(void *context, const char *name, uint64_t *ret);
    /* Calls `emit` for each mapping; flags: 1 r, 2 w, 4 x. */
    int32_t (*regions)(void *context,
                       void (*emit)(void *cookie, uint64_t start, uint64_t end, uint32_t flags, const char *path),
                       void *cookie);
    /* An expression of the user (`$rdi`, `obj`) to an address. */
    int32_t (*evaluate)(void *context, const char *expression, uint64_t *ret);
    /* Environment of the next `run`: sets NAME to VALUE, or takes it out when VALUE is NULL. */
    int32_t (*set_environment)(void *context, const char *name, const char *value);
    /* The value that the next `run` would give NAME, or NULL; valid until the next call. */
    const char *(*get_environment)(void *context, const char *name);
    /* Columns to fit (0: do not wrap or cut). */
    int32_t (*width)(void *context);
    /* One line of progress on an interactive console, NULL to erase it. The pointer itself is NULL in scripts: nobody
     * watches, and answers leave out the hints what to try next. */
    void (*progress)(void *context, const char *line);
    /* Non-zero: stop what you are doing. Called at least every 100 ms of work. */
    int32_t (*interrupted)(void *context);
    /* $mtN = value. */
    int32_t (*set_variable)(void *context, const char *name, uint64_t value);
};

/* --- sessions --------------------------------------------------------------------------------------------------- */

struct mt_session;
struct mt_answer; /* owned by the session until the next call with it, or until mt_session_destroy */

/* In a debugger. `library_directory`: where libmemtrace-recorder.so lies. NULL when memory is out. */
MT_EXPORT struct mt_session *mt_session_create(const struct mt_host *host, const char *library_directory);
/* On the command line; `host` supplies only width, progress and interrupted. The process is stopped at each command and
 * let go after it. The answer of a failed opening is an error; *ret_session is then untouched. */
MT_EXPORT const struct mt_answer *mt_session_open_pid(const struct mt_host *host, int32_t pid,
                                                      struct mt_session **ret_session);
/* As open_pid, for a process that the caller itself has stopped (ptrace) and will let go. */
MT_EXPORT const struct mt_answer *mt_session_open_stopped(const struct mt_host *host, int32_t pid,
                                                          struct mt_session **ret_session);
MT_EXPORT const struct mt_answer *mt_session_open_core(const struct mt_host *host, const char *core,
                                                       const char *executable, struct mt_session **ret_session);
/* Of a session on a process: from the next command on it stays stopped until the session is destroyed, so that what was
 * learned of it, and the numbers of rows, go on being right. */
MT_EXPORT void mt_session_keep_stopped(struct mt_session *session);
MT_EXPORT void mt_session_destroy(struct mt_session *session);

/* Runs one command line, without the leading word `memtrace`: "peak --by line --json". Never NULL. */
MT_EXPORT const struct mt_answer *mt_session_run(struct mt_session *session, const char *command_line);
/* 0: answered; 1: an error, whose text is one line without a trailing newline (or, with --json, one JSON object). */
MT_EXPORT int32_t mt_answer_status(const struct mt_answer *answer);
/* Whole text, ends with a newline when it is an answer. */
MT_EXPORT const char *mt_answer_text(const struct mt_answer *answer);
MT_EXPORT size_t mt_answer_length(const struct mt_answer *answer);

/* --- the command table: help, options, completion, registration -------------------------------------------------- */

MT_EXPORT size_t mt_command_count(void);
MT_EXPORT const char *mt_command_name(size_t index);    /* "peak"; a subcommand has a space: "record stop" */
MT_EXPORT const char *mt_command_summary(size_t index); /* one sentence, ends with a period */
MT_EXPORT const char *mt_command_help(size_t index);    /* whole help, lines of at most 78 columns */
/* Candidates for the last word of a half-typed command line (without `memtrace`): newline-separated, whole words. Owned
 * by the session until the next call. */
MT_EXPORT const char *mt_complete(struct mt_session *session, const char *line);

#endif
