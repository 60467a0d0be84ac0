/* The environment contract (docs/environment.md): what the recorder is asked for, and leaving no trace of it. */
#ifndef MEMTRACE_RECORDER_ENVIRONMENT_H
#define MEMTRACE_RECORDER_ENVIRONMENT_H

#include <stdbool.h>

#include "image/image.h"

struct mt_wishes {
    enum mt_level level;
    bool start;  /* record from the beginning */
    bool for_us; /* MEMTRACE_PID names this process, or nobody in particular */
    bool follow; /* children inherit the preload */
};

void mt_environment_read(struct mt_wishes *ret);

/* Gives LD_PRELOAD back the value that the user gave it and takes the contract's variables out, in place. Programs that
 * only start others (env and shells: an interpreter may hide behind a script) keep them, for the program that they
 * become. */
void mt_environment_restore(const struct mt_wishes *wishes);

#endif
