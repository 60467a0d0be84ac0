/* What the notes of a core file say. */
#ifndef MEMTRACE_CORE_NOTES_H
#define MEMTRACE_CORE_NOTES_H

#include "base/vector.h"
#include "target/regions.h"
#include "target/registers.h"

struct mt_core_thread {
    pid_t tid;
    struct mt_registers registers;
};

struct mt_core_notes {
    pid_t pid;                /* 0: not said */
    int signal;               /* that ended the process; 0: none (a debugger wrote the core of a living process) */
    uint64_t program_headers; /* run-time address of the program's own ELF headers; 0: not said */
    uint64_t entry;           /* its entry point; 0: not said */
    struct mt_regions files;  /* which file is mapped where */
    MT_VECTOR(struct mt_core_thread) threads;
};

#define MT_CORE_NOTES_INIT                                                                                             \
    { 0 }

void mt_core_notes_deinit(struct mt_core_notes *notes);
/* Adds what one PT_NOTE segment holds, `size` bytes at `offset` of the core. What makes no sense is passed over. */
struct mt_error *mt_core_notes_read(struct mt_core_notes *notes, int fd, uint64_t offset, uint64_t size);

#endif
