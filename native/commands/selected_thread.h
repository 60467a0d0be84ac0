/* The thread that the user has selected in the debugger. */
#ifndef MEMTRACE_COMMANDS_SELECTED_THREAD_H
#define MEMTRACE_COMMANDS_SELECTED_THREAD_H

#include <stddef.h>

#include "commands/command.h"
#include "python/threads.h"

/* Its index in `threads`, when it has Python frames; SIZE_MAX: there is no debugger, or it is none of them. */
size_t mt_selected_thread(struct mt_call *call, struct mt_python *python, const struct mt_threads *threads);

#endif
