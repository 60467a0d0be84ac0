/* The calling thread as the recorder knows it, and the one lock.
 *
 * mt_self() costs one load of initial-exec thread-local storage. Slots of dead threads are used again once none of
 * their sites is: a million short threads do not grow the recorder. No destructor is involved, so frees after a
 * thread's own destructors are still recorded. */
#ifndef MEMTRACE_RECORDER_THREAD_H
#define MEMTRACE_RECORDER_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "image/image.h"
#include "recorder/header.h"

/* One frame of the thread's Python stack at its last event, outermost first. Which frame it is is told by value:
 * address, instruction and link, all re-read at the next event, because addresses are used again. */
struct mt_frame_entry {
    uint64_t frame;
    uint64_t instruction;
    uint64_t code;    /* the code word as the frame holds it */
    uint32_t node;    /* stack node of the frames up to here */
    uint32_t code_id; /* MT_SHIM_FRAME: belongs to the interpreter, no Python frame of its own */
    uint32_t code_version;
    uint32_t reserved;
};
#define MT_SHIM_FRAME UINT32_MAX
#define MT_FRAMES_MAX (1u << 20) /* of one thread */

/* A block that the thread has got, while somebody measures. */
struct mt_birth {
    uint64_t address; /* 0: none */
    int64_t highest;  /* window_peak_bytes before it */
    uint64_t look;    /* mt_window_looks then */
};
#define MT_BIRTHS 2
#define MT_SUSPECTS 4

struct mt_self {
    struct mt_thread image; /* what readers see */
    uint64_t pthread;
    uint32_t index;
    uint32_t site_count;       /* sites that name this slot */
    uint8_t critical;          /* inside the lock: a signal handler that allocates now can't be recorded */
    bool moving_was_dense;     /* where the block of the descriptor stood */
    uint8_t holds_for_fork;    /* the lock is held across fork(), for as long as the fork takes */
    uint8_t hidden;            /* runs code for us: what is born is not the program's; what ends may be */
    uint8_t is_telling;        /* inside memtrace_stop_hook */
    struct mt_stop_event stop; /* what is to be told at the end of the event; fired 0: nothing */
    struct mt_frame_entry *frames;
    uint64_t *pending; /* frame addresses, innermost first, while the chain is compared */
    uint32_t frame_count, frame_capacity;
    uint64_t allocated, freed;         /* bytes, while somebody measures (window.h) */
    uint64_t freed_before;             /* of `freed`: what is the program's own, or in mt_python_stops.ended already */
    struct mt_birth births[MT_BIRTHS]; /* the last, the last one first; likewise */
    struct mt_birth suspects[MT_SUSPECTS]; /* others that may be CPython's own for our sake, the last one first */
};

extern __thread struct mt_self *mt_self_pointer;

bool mt_threads_init(void);
/* Registers the calling thread; NULL when memory is out (counted as dropped). Keeps errno. */
struct mt_self *mt_self_register(void);
struct mt_self *mt_thread_at(uint32_t index);
/* Asks the kernel. */
bool mt_thread_is_dead(const struct mt_self *thread);
/* Doubles the frame arrays; false when memory is out or the stack is too deep. Takes the lock itself. */
bool mt_self_grow_frames(struct mt_self *self);
/* Re-reads the kernel's name of the calling thread. */
void mt_self_refresh_name(struct mt_self *self);

/* A thread was given a name by another (or by itself): `self` is the caller. */
void mt_thread_rename(struct mt_self *self, uint64_t pthread, const char *name);

static inline struct mt_self *mt_self(void) {
    struct mt_self *self = mt_self_pointer;
    return __builtin_expect(self != NULL, 1) ? self : mt_self_register();
}

/* Points to glibc's __libc_single_threaded where there is one (2.32), else to 0. */
extern const char *mt_single_threaded;

void mt_lock_wait(struct mt_self *self);

/* The lock orders all events. Nothing in it calls out of the recorder: not the loader, not the allocator, no handler.
 * Returns what mt_unlock() needs: a process with one thread saves the atomic operations. */
static inline bool mt_lock(struct mt_self *self) {
    self->critical = 1;
    if (*mt_single_threaded)
        return false;
    if (__builtin_expect(__atomic_exchange_n(&mt_shard()->lock, 1, __ATOMIC_ACQUIRE) != 0, 0)) {
        if (self->holds_for_fork)
            return false;
        mt_lock_wait(self);
    }
    return true;
}

static inline void mt_unlock(struct mt_self *self, bool locked) {
    if (locked)
        __atomic_store_n(&mt_shard()->lock, 0, __ATOMIC_RELEASE);
    self->critical = 0;
}

/* Around fork(): the child must find the tables whole. */
void mt_lock_for_fork(void);
void mt_unlock_after_fork(bool child);

#endif
