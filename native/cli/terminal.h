/* What the command line offers the library in a debugger's place: the width, progress, and Ctrl-C. */
#ifndef MEMTRACE_CLI_TERMINAL_H
#define MEMTRACE_CLI_TERMINAL_H

#include <stdbool.h>

#include "memtrace.h"

const struct mt_host *mt_terminal_host(void);

/* What Ctrl-C does from now on. Where it is ignored (a background job of a script has it so), it stays ignored. */
/* The first one makes the library stop what it does; the second one ends us. */
void mt_terminal_watch_interrupt(void);
/* Each is only noted. */
void mt_terminal_note_interrupts(void);
/* It ends us, as at first. */
void mt_terminal_leave_interrupt(void);
/* Was Ctrl-C pressed since the last call, while it was watched or noted? */
bool mt_terminal_take_interrupt(void);

#endif
