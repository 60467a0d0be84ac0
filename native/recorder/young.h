/* Blocks that were born a moment ago, until it shows what object is made in them: a stop may wait for the next object
 * of a type (MT_STOP_TYPE), and its type is written after its memory was allocated.
 *
 * Each slot of the stops has a few of them. The word that is to hold the type is cleared where the block is born, when
 * what is in it means nothing yet: else the type of an object that ended there would still be in it. It is looked at in
 * later events of the same thread, in memory that the tables say is alive. So that thread stands still, and has not
 * lost sight of the object, when the stop is told. */
#ifndef MEMTRACE_RECORDER_YOUNG_H
#define MEMTRACE_RECORDER_YOUNG_H

#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"

struct mt_young {
    uint64_t address; /* of the block; 0: none */
    uint32_t site;
    uint32_t thread; /* slot of the one that it was born in */
};

/* Under the lock, at the end of an event of `thread`: whether an object of the type that `stop`, the stop in `slot`,
 * waits for is in a block of it that was born before. Else the block of this event, if it may become one, is kept.
 * Every event is to be shown while the slot is set. */
bool mt_young_look(unsigned slot, const struct mt_stop *stop, uint32_t thread, const struct mt_stop_event *event,
                   struct mt_young *ret);
/* The slot is not set. */
void mt_young_forget(unsigned slot);

#endif
