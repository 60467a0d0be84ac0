/* A debugger for tests: it looks at a synthetic target as at a remote process, and remembers what it was asked to do.
 */
#ifndef MEMTRACE_TESTS_FAKE_DEBUGGER_H
#define MEMTRACE_TESTS_FAKE_DEBUGGER_H

#include <stdbool.h>

#include "memtrace.h"
#include "target/target.h"

struct fake_debugger {
    struct mt_host host;
    struct mt_target *target; /* NULL: no process */
    uint64_t generation;
    bool running;
    bool fails;    /* describe() dies */
    int32_t width; /* of the console */
    bool interrupted;
    /* LD_PRELOAD and MEMTRACE_LEVEL of the next `run`; NULL: not set. */
    char *preload;
    char *level;
    const char *expression; /* evaluates to `value`; others fail */
    uint64_t value;
    char last_variable[32];
    uint64_t last_value;
    unsigned variables; /* set so far */
};

void fake_debugger_init(struct fake_debugger *debugger, struct mt_target *target);
void fake_debugger_deinit(struct fake_debugger *debugger);

#endif
