/* The main thread, at whose next safe point what is wanted of Python's lines begins. */
#ifndef MEMTRACE_COMMANDS_MAIN_THREAD_H
#define MEMTRACE_COMMANDS_MAIN_THREAD_H

#include "commands/command.h"

/* Tells where the main thread stands, when no thread executes Python: it waits in C code then, and so does what is
 * wanted. Tells nothing when that can't be read. */
void mt_main_thread_tell(struct mt_call *call);

#endif
