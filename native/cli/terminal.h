/* What the command line offers the library in a debugger's place: the width, progress, and Ctrl-C. */
#ifndef MEMTRACE_CLI_TERMINAL_H
#define MEMTRACE_CLI_TERMINAL_H

#include "memtrace.h"

const struct mt_host *mt_terminal_host(void);
/* From now on the first Ctrl-C makes the library stop what it does; the second one ends us. */
void mt_terminal_watch_interrupt(void);

#endif
