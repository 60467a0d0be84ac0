/* Putting the hooks into a process that already runs, and taking them out again.
 *
 * A module calls a function of another through a slot that the loader filled when it bound the two. Here the slots of
 * all loaded modules that hold a wrapped function are given our hook instead. What is bound later (libraries that are
 * loaded later, calls that are bound at their first use, dlsym) is bound by the symbol tables: so the wrapped
 * function's own entry in the symbol table of the library that defines it is made to lead to our hook. No dlopen has to
 * be noticed for that, and new libraries are hooked before their constructors run.
 *
 * Left alone: the loader, the kernel's module and ourselves; a slot that holds another function of the same name (a
 * module's own allocator); pointers that the program has stored itself.
 *
 * All are to be called under the loader's lock (loader.h), one at a time. */
#ifndef MEMTRACE_RECORDER_SLOTS_H
#define MEMTRACE_RECORDER_SLOTS_H

#include <stdbool.h>

/* Fills mt_real with what the process's calls lead to now. false: no malloc, or not all that belongs to it. */
bool mt_slots_find_real(void);
/* Puts the hooks in. false: the kernel forbids to write there; then all is as it was. */
bool mt_slots_hook(void);
/* Takes them out, wherever they are. */
void mt_slots_unhook(void);

#endif
