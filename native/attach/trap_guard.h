/* What keeps a process alive when its debugger is killed while it lets the process run for our calls.
 *
 * Debuggers have breakpoints of their own in the process as long as it runs: in the loader, and where our call is to
 * end. When a debugger is gone they stay, and a thread that comes to one dies of SIGTRAP. So for as long as our calls
 * last the process has a handler for that signal, which puts the code back as it was. A debugger that lives takes the
 * signal first, and the handler never runs.
 *
 * What depends on the architecture stands in trap_guard_x86_64.c. */
#ifndef MEMTRACE_TRAP_GUARD_H
#define MEMTRACE_TRAP_GUARD_H

#include "attach/tracee.h"

/* Code in which a debugger may leave a breakpoint. */
struct mt_guarded_code {
    uint64_t start;
    uint64_t size;
    int protection; /* PROT_... of its pages */
};
typedef MT_VECTOR(struct mt_guarded_code) mt_guarded_codes;

/* Appends the loader's code, where debuggers wait for libraries to be loaded. */
struct mt_error *mt_guarded_loader(struct mt_tracee *tracee, mt_guarded_codes *ret);
/* How much memory the guard takes in the process. */
size_t mt_trap_guard_size(const mt_guarded_codes *codes);
/* Writes the guard to `memory`, which is executable; *ret_action: where a struct sigaction of the kernel lies there
 * that makes it the handler. `restorer`: what signal handlers return to. The process stands still, and its code is as
 * it was linked. */
struct mt_error *mt_trap_guard_write(struct mt_tracee *tracee, const mt_guarded_codes *codes, uint64_t memory,
                                     uint64_t restorer, uint64_t *ret_action);

#endif
