/* The value of LD_PRELOAD, which the loader splits at colons and blanks. */
#ifndef MEMTRACE_COMMANDS_PRELOAD_H
#define MEMTRACE_COMMANDS_PRELOAD_H

#include <stdbool.h>

/* `value` may be NULL: the variable is not set. */
bool mt_preload_contains(const char *value, const char *path);
/* `path` put before what stands there; NULL: no memory. */
char *mt_preload_with(const char *value, const char *path);
/* All but `path`, everything else as it was. */
char *mt_preload_without(const char *value, const char *path);

#endif
