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
#define MT_ABI 5
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

#define MT_HOST_REGISTERS 27 /* see below */

/* Calls into the debugger. Each returns 0 on success, 1 when the user interrupted, -1 when it failed. Outputs are set
 * last, and the library zeroes them first, so a callback that died half-way reads as a failure. Any may be NULL except
 * describe. */
struct mt_host {
    void *context;
    int32_t (*describe)(void *context, struct mt_host_description *ret);
    int32_t (*read)(void *context, uint64_t address, void *buffer, uint64_t size, uint64_t *ret_got);
    int32_t (*write)(void *context, uint64_t address, const void *buffer, uint64_t size, uint64_t *ret_put);
    int32_t (*find_symbol)(void *context, const char *name, uint64_t *ret);
    /* Calls `emit` for each mapping; flags: 1 r, 2 w, 4 x; `offset`: of its start in the file (0 where unknown). */
    int32_t (*regions)(void *context,
                       void (*emit)(void *cookie, uint64_t start, uint64_t end, uint32_t flags, uint64_t offset,
                                    const char *path),
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

    /* --- threads and registers --- */

    /* Calls `emit` for each thread of the process or core: its number in the kernel (0: unknown), whether it is the one
     * that the user has selected, and its registers in the order of the kernel's struct user_regs_struct (NULL: not to
     * be had). */
    int32_t (*threads)(void *context,
                       void (*emit)(void *cookie, uint64_t tid, uint32_t selected,
                                    const uint64_t registers[MT_HOST_REGISTERS]),
                       void *cookie);
    /* Writes the registers of a thread of a live process. */
    int32_t (*set_registers)(void *context, uint64_t tid, const uint64_t registers[MT_HOST_REGISTERS]);
    /* The native frames of a thread, innermost first, until `emit` returns non-zero: `function` and `module` (a path)
     * may be NULL. */
    int32_t (*backtrace)(void *context, uint64_t tid,
                         int32_t (*emit)(void *cookie, uint64_t pc, uint64_t stack_pointer, const char *function,
                                         const char *module),
                         void *cookie);

    /* --- searching --- */

    /* The first place of `pattern` in [start, start + size); *ret 0: not there. Only where it is faster than reading:
     * done by a remote stub in the process. */
    int32_t (*search)(void *context, uint64_t start, uint64_t size, const void *pattern, uint64_t pattern_size,
                      uint64_t *ret);

    /* --- stops --- */

    /* A breakpoint of ours, which the user does not see, on the function `symbol` of the process that runs now or next;
     * `on` 0 takes it away. When a thread reaches it the door calls mt_session_reached. */
    int32_t (*stop_at)(void *context, const char *symbol, uint32_t on);
    /* A hardware watchpoint of ours on writes to the `size` bytes at `address`; likewise. */
    int32_t (*watch)(void *context, uint64_t address, uint32_t size, uint32_t on);
    /* Lets all threads run until one of them (thread `tid`; 0: any) reaches one of `count` addresses, at most
     * `milliseconds`. *ret_tid: which; *ret_index: which address, or `count` when the process stopped for another
     * reason or the time was over: it then stands still where it is. The user's breakpoints are off meanwhile. */
    int32_t (*run_to)(void *context, uint64_t tid, const uint64_t *addresses, uint64_t count, uint32_t milliseconds,
                      uint64_t *ret_tid, uint64_t *ret_index);

    /* --- files --- */

    /* Writes the file `path` of the machine that a remote process runs on to the open file `fd`. */
    int32_t (*fetch_file)(void *context, const char *path, int32_t fd);
};

/* Words of the kernel's struct user_regs_struct on x86-64: r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi
 * orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs. What a debugger does not show is 0. */

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
/* Before its first command: it runs where each megabyte is another's, and is to need little memory rather than time. */
MT_EXPORT void mt_session_save_memory(struct mt_session *session);
MT_EXPORT void mt_session_destroy(struct mt_session *session);

/* Runs one command line, without the leading word `memtrace`: "peak --by line --json". Never NULL. */
MT_EXPORT const struct mt_answer *mt_session_run(struct mt_session *session, const char *command_line);
/* The debugger is about to let go of the process `address`, or has just done so: `what` of mt_session_reached. What the
 * library had asked the process for is taken back. */
#define MT_REACHED_DETACH "detach"
/* The process does not run any more after MT_ANSWER_RESUME, for whatever reason: likewise `what`. */
#define MT_REACHED_RESUMED "resumed"
/* A thread (0: unknown) reached a breakpoint or a watchpoint that the library had asked for (stop_at, watch: `what` is
 * the symbol or NULL, `address` the first argument of the function or the watched address). Status 0: the process stays
 * stopped, the text says why; MT_ANSWER_GO_ON: let it run, and show the text, if there is any, at once. Never NULL. */
MT_EXPORT const struct mt_answer *mt_session_reached(struct mt_session *session, const char *what, uint64_t address,
                                                     uint64_t tid);
#define MT_ANSWER_GO_ON 2
/* Of mt_session_run: the process is to run; what there is to tell comes from mt_session_reached. */
#define MT_ANSWER_RESUME 3
/* 0: answered (2, 3: see above); 1: an error, whose text is one line without a trailing newline (or, with --json, one
 * JSON object). */
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

/* --- alarms --- */

/* For a door whose debugger lets a process run and returns only when that stops: sends it SIGSTOP when so much time is
 * over. It ends with the debugger, without whom nobody would let the process go on. */
struct mt_alarm;
/* NULL: no memory, or no thread can be started. */
MT_EXPORT struct mt_alarm *mt_alarm_create(int32_t pid, uint32_t milliseconds);
/* Whether it has sent the signal: true before the process can have been stopped by it. */
MT_EXPORT int32_t mt_alarm_has_rung(struct mt_alarm *alarm);
/* From now on it sends nothing. */
MT_EXPORT void mt_alarm_destroy(struct mt_alarm *alarm);

#endif
