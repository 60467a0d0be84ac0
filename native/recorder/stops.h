/* Stops (image.h): conditions on memory that a debugger, or the environment contract, has set.
 *
 * An event is looked at under the lock, before it can be a new peak; when it meets a condition that is noted in its
 * thread, and told when the outermost event of the thread is over: there memtrace_stop_hook is called, without the
 * lock, by an idle thread. What a signal handler does inside an event, and what an allocator gives back inside one, is
 * told together with that event.
 *
 * While no condition is near, all it costs is a few comparisons with bounds that were worked out before. */
#ifndef MEMTRACE_RECORDER_STOPS_H
#define MEMTRACE_RECORDER_STOPS_H

#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"
#include "recorder/header.h"
#include "recorder/thread.h"

/* What an event ended: a block, or what it cut off ranges. size 0: nothing. */
struct mt_ended {
    uint64_t start;
    uint64_t size;
    bool is_range; /* every block that starts in it is gone */
};

/* Outside of these some condition may have changed. Valid while `stops_state` is MT_STOPS_ACTIVE. */
struct mt_stop_bounds {
    int64_t low;          /* of live bytes */
    uint64_t span;        /* live bytes up to low + span */
    uint64_t size;        /* of an allocation: from here on */
    uint64_t first, last; /* addresses whose end matters; first > last: none */
    uint32_t words;       /* there are words to be read */
    uint32_t types;       /* somebody waits for a new object: every event is looked at */
    uint32_t more;        /* any of these three */
} __attribute__((aligned(64)));
extern struct mt_stop_bounds mt_stop_bounds;

/* Whether the end of a block, or a word, may have met a condition. */
bool mt_stops_more_may_fire(uint64_t ended_start, uint64_t ended_size);
/* Under the lock; by value, so that callers build it only on the way here. `event` without `fired`, `thread` and
 * `live_bytes`, which the shard has. */
void mt_stops_look(struct mt_self *self, struct mt_stop_event event, struct mt_ended ended) __attribute__((cold));
/* Looks only for what the end of these bytes means, of an event that is not yet committed. */
void mt_stops_look_at_end(struct mt_self *self, const struct mt_stop_event *event, struct mt_ended ended);

static inline bool mt_stops_are_set(void) {
    return __builtin_expect(memtrace_image.stops_state != 0, 0);
}

/* Whether an event may have met a condition; `site` 0: it allocated nothing. */
static inline bool mt_stops_may_fire(uint32_t site, uint64_t size, struct mt_ended ended) {
    const struct mt_stop_bounds *bounds = &mt_stop_bounds;
    return memtrace_image.stops_state != MT_STOPS_ACTIVE ||
           (uint64_t)mt_shard()->live_bytes - (uint64_t)bounds->low > bounds->span ||
           (site != 0 && size >= bounds->size) ||
           (__builtin_expect(bounds->more != 0, 0) && mt_stops_more_may_fire(ended.start, ended.size));
}

/* A block that no table knows is about to go: words in it are read no longer. Takes the lock itself. */
void mt_stops_forget_words(struct mt_self *self, uint64_t address, uint64_t size);

static inline bool mt_stops_read_words(void) {
    return mt_stops_are_set() && (mt_stop_bounds.words != 0 || memtrace_image.stops_state != MT_STOPS_ACTIVE);
}

/* What the limit's slot does when it fires (recorder/limit.h); NULL: nothing. */
extern void (*mt_stops_limit_passed)(const struct mt_stop_event *event);

/* Of an idle thread that holds no lock. */
void mt_stops_tell(struct mt_self *self) __attribute__((cold));

static inline bool mt_stops_is_to_tell(const struct mt_self *self) {
    return __builtin_expect(self->stop.fired != 0, 0);
}

/* The numbers that the conditions were about begin anew. The lock is held. */
void mt_stops_restart(void);

#endif
