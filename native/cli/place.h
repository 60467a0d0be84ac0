/* Where we are installed: the recorder lies beside the library. */
#ifndef MEMTRACE_CLI_PLACE_H
#define MEMTRACE_CLI_PLACE_H

#include <stdbool.h>
#include <stddef.h>

/* The folder of libmemtrace.so, without a slash at its end. */
bool mt_place_directory(char *ret, size_t size);

#endif
