/* numpy's arrays as answers show them. */
#ifndef MEMTRACE_COMMANDS_ARRAY_WORDS_H
#define MEMTRACE_COMMANDS_ARRAY_WORDS_H

#include <stdint.h>

#include "commands/command.h"
#include "python/python.h"

/* What the data of an array are: a line "uint8 (100000000,), data of 100,000,000 bytes at 0x.., its own", and the
 * object `buffer` {"address","bytes","shape","dtype","owned","base","file"}. Nothing when it can't be read. */
void mt_array_emit(struct mt_call *call, struct mt_python *python, uint64_t address);

#endif
