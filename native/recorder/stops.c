#include "recorder/stops.h"

#include <stddef.h>

#include "recorder/young.h"

struct mt_stop_bounds mt_stop_bounds;
void (*mt_stops_limit_passed)(const struct mt_stop_event *event);

/* A debugger writes slots at any instruction of ours, so kind and state change together or not at all. */
typedef uint64_t __attribute__((may_alias)) slot_state;
_Static_assert(offsetof(struct mt_stop, kind) == 0 && offsetof(struct mt_stop, is_over) == 4 &&
                   offsetof(struct mt_image_header, stops) % 8 == 0,
               "kind and state of a stop are one word of 8 bytes");

static void change(struct mt_stop *slot, uint32_t kind, bool was_over, uint32_t new_kind, bool is_over) {
    slot_state expected = kind | (uint64_t)was_over << 32;
    __atomic_compare_exchange_n((slot_state *)slot, &expected, new_kind | (uint64_t)is_over << 32, false,
                                __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* Live bytes are signed; no process reaches what does not fit. */
static int64_t bytes_of(const struct mt_stop *slot) {
    return slot->argument > INT64_MAX ? INT64_MAX : (int64_t)slot->argument;
}

static bool covers(struct mt_ended ended, uint64_t address) {
    return address >= ended.start && address - ended.start < ended.size;
}

static int64_t word_of(const struct mt_stop *slot) {
    return *(const volatile int64_t *)slot->argument;
}

bool mt_stops_more_may_fire(uint64_t ended_start, uint64_t ended_size) {
    const struct mt_stop_bounds *bounds = &mt_stop_bounds;
    if (bounds->types != 0)
        return true;
    if (ended_size != 0 && ended_start <= bounds->last && ended_start + ended_size > bounds->first)
        return true;
    for (unsigned i = 0; i < MT_STOPS && bounds->words != 0; i++) {
        const struct mt_stop *slot = &memtrace_image.stops[i];
        if (slot->kind == MT_STOP_COUNT && word_of(slot) >= slot->limit)
            return true;
    }
    return false;
}

static void watch_address(struct mt_stop_bounds *bounds, uint64_t first, uint64_t last) {
    if (first < bounds->first)
        bounds->first = first;
    if (last > bounds->last)
        bounds->last = last;
}

/* What is to be noticed from now on; `peak`: the maximum so far. False: nothing. */
static bool find_bounds(int64_t live, int64_t peak) {
    struct mt_stop_bounds bounds = {.size = UINT64_MAX, .first = UINT64_MAX};
    int64_t low = INT64_MIN, high = INT64_MAX;
    bool any = false;
    for (unsigned i = 0; i < MT_STOPS; i++) {
        const struct mt_stop *slot = &memtrace_image.stops[i];
        any = any || slot->kind != MT_STOP_NONE;
        switch (slot->kind) {
        case MT_STOP_HEAP:
            if (slot->is_over)
                low = most(low, least(bytes_of(slot), INT64_MAX - 1) + 1);
            else
                high = least(high, bytes_of(slot));
            break;
        case MT_STOP_PEAK:
            if (slot->is_over) { /* the next fall must be seen, from wherever the climb ends */
                low = most(low, live);
                high = least(high, live);
            } else {
                high = least(high, most(bytes_of(slot), peak));
            }
            break;
        case MT_STOP_ALLOCATION:
            if (slot->argument < bounds.size)
                bounds.size = slot->argument;
            break;
        case MT_STOP_FREE:
            watch_address(&bounds, slot->argument, slot->argument);
            break;
        case MT_STOP_COUNT:
            watch_address(&bounds, slot->argument, slot->argument + sizeof(int64_t) - 1);
            bounds.words = 1;
            break;
        case MT_STOP_TYPE:
            bounds.types = 1;
            break;
        default:
            break;
        }
    }
    bounds.low = low; /* both sides of `live`, so low <= high */
    bounds.span = (uint64_t)high - (uint64_t)low;
    bounds.more = bounds.words != 0 || bounds.types != 0 || bounds.first <= bounds.last;
    mt_stop_bounds = bounds;
    return any;
}

/* Of a block or range that ends: its own stop; and a word in it can be read no longer. */
static bool is_ended(struct mt_stop *slot, struct mt_ended ended) {
    if (ended.size == 0)
        return false;
    if (slot->kind == MT_STOP_COUNT &&
        (covers(ended, slot->argument) || covers(ended, slot->argument + sizeof(int64_t) - 1)))
        change(slot, MT_STOP_COUNT, slot->is_over, MT_STOP_NONE, false);
    return slot->kind == MT_STOP_FREE &&
           (ended.is_range ? covers(ended, slot->argument) : slot->argument == ended.start);
}

/* Whether the slot is met by an event that leaves `live` bytes, `peak` having been the maximum before it. */
static bool is_met(struct mt_stop *slot, const struct mt_stop_event *event, int64_t live, int64_t peak) {
    bool is_above;
    switch (slot->kind) {
    case MT_STOP_HEAP:
        is_above = live > bytes_of(slot);
        if (is_above == (slot->is_over != 0))
            return false;
        change(slot, MT_STOP_HEAP, slot->is_over, MT_STOP_HEAP, is_above);
        return is_above;
    case MT_STOP_PEAK:
        if (slot->is_over && event->net_bytes < 0)
            change(slot, MT_STOP_PEAK, true, MT_STOP_PEAK, false);
        if (slot->is_over || live <= most(bytes_of(slot), peak))
            return false;
        change(slot, MT_STOP_PEAK, false, MT_STOP_PEAK, true);
        return true;
    case MT_STOP_ALLOCATION:
        return event->site != 0 && event->size >= slot->argument;
    case MT_STOP_COUNT:
        if (word_of(slot) < slot->limit)
            return false;
        change(slot, MT_STOP_COUNT, slot->is_over, MT_STOP_NONE, false);
        return true;
    default:
        return false;
    }
}

/* The first event that met something is the one that is told of. */
static void note(struct mt_self *self, const struct mt_stop_event *event, uint32_t fired) {
    if (fired == 0)
        return;
    uint32_t before = self->stop.fired;
    if (before == 0) {
        self->stop = *event;
        self->stop.thread = self->index;
        self->stop.live_bytes = mt_shard()->live_bytes;
    }
    self->stop.fired = before | fired;
}

void mt_stops_look_at_end(struct mt_self *self, const struct mt_stop_event *event, struct mt_ended ended) {
    uint32_t fired = 0;
    for (unsigned i = 0; i < MT_STOPS; i++)
        fired |= (uint32_t)is_ended(&memtrace_image.stops[i], ended) << i;
    note(self, event, fired);
}

/* Looks for new objects. One at a time is told of: other slots have theirs at a later event. */
static void look_at_young(struct mt_self *self, const struct mt_stop_event *event) {
    for (unsigned i = 0; i < MT_STOPS; i++) {
        struct mt_stop *slot = &memtrace_image.stops[i];
        struct mt_stop stop = *slot;
        struct mt_young young;
        if (stop.kind != MT_STOP_TYPE) {
            mt_young_forget(i);
            continue;
        }
        if (!mt_young_look(i, &stop, self->index, event, &young) || (self->stop.fired != 0 && self->stop.object != 0))
            continue;
        change(slot, MT_STOP_TYPE, stop.is_over != 0, MT_STOP_NONE, false);
        mt_young_forget(i);
        note(self, event, UINT32_C(1) << i);
        self->stop.object = young.address + (uint64_t)stop.limit;
        self->stop.object_site = young.site;
    }
}

void mt_stops_look(struct mt_self *self, struct mt_stop_event event, struct mt_ended ended) {
    int64_t live = mt_shard()->live_bytes, peak = mt_shard()->peak_bytes;
    /* Taken back first: what a debugger changes from here on is looked at once more, at the next event. */
    __atomic_store_n(&memtrace_image.stops_state, MT_STOPS_ACTIVE, __ATOMIC_SEQ_CST);
    mt_stops_look_at_end(self, &event, ended);
    uint32_t fired = 0;
    for (unsigned i = 0; i < MT_STOPS; i++)
        fired |= (uint32_t)is_met(&memtrace_image.stops[i], &event, live, peak) << i;
    note(self, &event, fired);
    look_at_young(self, &event);
    if (!find_bounds(live, most(peak, live))) {
        uint32_t active = MT_STOPS_ACTIVE;
        __atomic_compare_exchange_n(&memtrace_image.stops_state, &active, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    }
}

void mt_stops_forget_words(struct mt_self *self, uint64_t address, uint64_t size) {
    bool locked = mt_lock(self);
    for (unsigned i = 0; i < MT_STOPS; i++)
        if (memtrace_image.stops[i].kind == MT_STOP_COUNT)
            is_ended(&memtrace_image.stops[i], (struct mt_ended){address, size, false});
    mt_unlock(self, locked);
}

__attribute__((visibility("default"), noinline)) void memtrace_stop_hook(const struct mt_stop_event *event) {
    __asm__ volatile("" : : "r"(event) : "memory");
}

void mt_stops_tell(struct mt_self *self) {
    /* Around fork() the lock is held. A signal handler that comes while the hook runs leaves its own stop to us. */
    if (self->holds_for_fork || self->is_telling)
        return;
    while (self->stop.fired != 0) {
        self->is_telling = 1;
        struct mt_stop_event event = self->stop;
        event.fired = __atomic_exchange_n(&self->stop.fired, 0, __ATOMIC_ACQ_REL);
        if (event.fired != 0)
            memtrace_stop_hook(&event);
        if ((event.fired >> MT_LIMIT_SLOT & 1) != 0 && memtrace_image.stop_action == MT_STOP_ACTION_REPORT &&
            mt_stops_limit_passed != NULL)
            mt_stops_limit_passed(&event);
        __atomic_store_n(&self->is_telling, 0, __ATOMIC_SEQ_CST);
    }
}

void mt_stops_restart(void) {
    if (memtrace_image.stops_state != 0)
        memtrace_image.stops_state |= MT_STOPS_CHANGED;
}
