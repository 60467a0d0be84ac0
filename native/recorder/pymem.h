/* CPython's three allocator domains, hooked in their tables.
 *
 * A table is five words: context, malloc, calloc, realloc, free. Only the four functions are replaced, a word at a
 * time, and the context stays the wrapped allocator's own: at every instant every word is right with every other, so no
 * thread can be caught between two. CPython replaces its tables during start-up when PYTHONMALLOC or dev mode is set;
 * what it installed is then wrapped in turn. */
#ifndef MEMTRACE_RECORDER_PYMEM_H
#define MEMTRACE_RECORDER_PYMEM_H

#include <stdbool.h>

#include "recorder/elf_module.h"

/* Finds the tables of the CPython in a module, or in any (NULL: where the loader may be asked); once. false: there are
 * none, or they can't be found. */
bool mt_pymem_find(const struct mt_elf *module);
/* Wraps what the tables hold, if there are any. */
void mt_pymem_wrap(void);
/* Gives the tables back what they held, where they still hold our functions: somebody may have wrapped us. */
void mt_pymem_unwrap(void);

/* Has the image say what allocators CPython has, in its own words. To be called at the first frame: its runtime must be
 * there. */
void mt_pymem_tell(void);
/* Wraps again while the interpreter is starting: to be called at outer malloc events. */
void mt_pymem_rewrap(void);
extern bool mt_pymem_watch;               /* the tables are known and wanted wrapped */
extern int (*mt_pymem_initialized)(void); /* Py_IsInitialized: a leaf read */
/* Blocks may have been recorded at another address than they are freed by: the debug allocator came between. */
extern bool mt_pymem_shifted;

static inline void mt_pymem_check(void) {
    if (__builtin_expect(mt_pymem_watch, 0) && !mt_pymem_initialized())
        mt_pymem_rewrap();
}

#endif
