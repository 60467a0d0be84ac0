/* A step under way: which command's answer the next stop at a Python line is. */
#ifndef MEMTRACE_COMMANDS_STEP_H
#define MEMTRACE_COMMANDS_STEP_H

#include <stdbool.h>

struct mt_command;

struct mt_step {
    const struct mt_command *command; /* NULL: none */
    bool json;
};

#endif
