/* Where we are installed: the recorder and the libraries lie beside the program. */
#ifndef MEMTRACE_CLI_PLACE_H
#define MEMTRACE_CLI_PLACE_H

#include <stdbool.h>
#include <stddef.h>

/* The folder of this program, without a slash at its end. */
bool mt_place_directory(char *ret, size_t size);

#endif
