/* The native frames of a thread, unwound by libdw from the tables of the files that are mapped (.eh_frame), and what is
 * known of the code that each is in. */
#ifndef MEMTRACE_BACKTRACE_H
#define MEMTRACE_BACKTRACE_H

#include "attach/tracee.h"

enum mt_code_kind {
    MT_CODE_UNKNOWN, /* in no file: generated, or the kernel's page */
    MT_CODE_PROGRAM, /* the program and its libraries */
    MT_CODE_LIBC,
    MT_CODE_LOADER,
    MT_CODE_ALLOCATOR, /* a file that defines malloc, but the C library */
    MT_CODE_UNWINDER,  /* libgcc_s: it holds a lock */
};

struct mt_code_frame {
    uint64_t pc;
    enum mt_code_kind kind;
    char function[64]; /* as the file exports it, cut off; "": not known */
};

typedef MT_VECTOR(struct mt_code_frame) mt_code_frames;

struct mt_backtraces;

/* Of the process as it stands now. */
struct mt_error *mt_backtraces_create(struct mt_tracee *tracee, struct mt_backtraces **ret);
void mt_backtraces_destroy(struct mt_backtraces *backtraces);
/* Appends the frames of a thread, innermost first; *ret_complete: they go back to where the thread began. */
struct mt_error *mt_backtraces_of(struct mt_backtraces *backtraces, const struct mt_tracee_thread *thread,
                                  mt_code_frames *ret, bool *ret_complete);

#endif
