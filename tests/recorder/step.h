/* One step of a scenario: what the recorder's books say right before and right after a single call, with nothing in
 * between, so that the differences are exact. */
#ifndef MEMTRACE_TESTS_STEP_H
#define MEMTRACE_TESTS_STEP_H

#include <stdint.h>

#include "image/image.h"

#define EXPORT __attribute__((visibility("default")))

struct step {
    int64_t events, bytes, blocks, ignored; /* differences */
    uint64_t address;                       /* of the block that the call returned, or took */
    uint64_t size;                          /* as recorded; 0: no live block is there */
    uint32_t allocator, tid;
    uint32_t is_live;
    uint32_t old_is_live; /* reallocation: the old address still holds a block of its own */
};

EXPORT void step_look(void);
EXPORT void step_compare(struct step *ret, void *address);
/* As a JSON object, to standard output. */
EXPORT void step_print(const struct step *step);

/* Starting and stopping from inside: by the request word, or, where ATTACH_RECORDER names the library, by attaching it
 * and detaching it. Prepare comes before, while nothing is recorded; the others
 * return the state (enum mt_recording). */
EXPORT void scenario_prepare(void);
EXPORT uint32_t scenario_start(uint32_t level);
EXPORT uint32_t scenario_stop(void);

#endif
