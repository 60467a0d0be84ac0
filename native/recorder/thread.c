#include "recorder/thread.h"

#include <pthread.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "recorder/memory.h"
#include "recorder/pool.h"
#include "recorder/python_stops.h"
#include "recorder/sites.h"

#define FRAMES_FIRST 64u
#define SLOTS_MAX UINT16_MAX /* struct mt_site names a slot in 16 bits */
#define SPINS 200
#define LOOKS 4 /* slots looked at for a dead owner when a thread registers */

__thread struct mt_self *mt_self_pointer;

static const char many_threads;
const char *mt_single_threaded = &many_threads;

/* Several slots a page; padded so that two threads never write one cache line. */
#define STRIDE ((sizeof(struct mt_self) + 63) / 64 * 64)

bool mt_threads_init(void) {
    mt_pool_init(&memtrace_image.threads, STRIDE, 4);
    return true;
}

struct mt_self *mt_thread_at(uint32_t index) {
    return mt_pool_at(&memtrace_image.threads, index);
}

void mt_lock_wait(struct mt_self *self) {
    uint32_t *lock = &mt_shard()->lock;
    for (unsigned spin = 0;; spin++) {
        if (__atomic_load_n(lock, __ATOMIC_RELAXED) == 0 && __atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE) == 0)
            return;
        if (spin < SPINS)
            __builtin_ia32_pause();
        else
            mt_system_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
    }
}

void mt_self_refresh_name(struct mt_self *self) {
    char name[16] = {0};
    if (mt_system_call(SYS_prctl, PR_GET_NAME, (long)name, 0, 0, 0, 0) == 0)
        memcpy(self->image.name, name, sizeof name);
}

void mt_thread_rename(struct mt_self *self, uint64_t pthread, const char *name) {
    struct mt_self *newest = NULL; /* a dead thread's identity may have been given to a new one */
    bool locked = mt_lock(self);
    for (uint32_t i = 0; i < memtrace_image.threads.count; i++) {
        struct mt_self *thread = mt_thread_at(i);
        if (thread->pthread == pthread && (newest == NULL || thread->image.start_event >= newest->image.start_event))
            newest = thread;
    }
    if (newest != NULL)
        strncpy(newest->image.name, name, sizeof newest->image.name - 1);
    mt_unlock(self, locked);
}

bool mt_thread_is_dead(const struct mt_self *thread) {
    return mt_system_call(SYS_tgkill, memtrace_image.pid, thread->image.tid, 0, 0, 0, 0) == -3 /* ESRCH */;
}

/* A slot whose owner is gone and which no site names. */
static struct mt_self *find_abandoned(uint32_t tid) {
    static uint32_t cursor;
    uint32_t count = (uint32_t)memtrace_image.threads.count;
    for (unsigned looks = 0; looks < LOOKS && looks < count; looks++) {
        struct mt_self *slot = mt_thread_at(cursor++ % count);
        if (slot->site_count == 0 && (slot->image.tid == tid || mt_thread_is_dead(slot)))
            return slot;
    }
    return NULL;
}

struct mt_self *mt_self_register(void) {
    /* The lock needs a self, and a self needs the lock: until the slot is there, a blank one stands in. */
    struct mt_self blank = {.image.operation = MT_OP_ALLOCATE};
    uint32_t tid = (uint32_t)mt_system_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
    mt_self_pointer = &blank; /* events of a signal handler in here pass through */
    bool locked = mt_lock(&blank);
    struct mt_self *self = find_abandoned(tid);
    if (self != NULL) {
        self->image = (struct mt_thread){0};
        self->frame_count = 0;
    } else if (memtrace_image.threads.count == SLOTS_MAX) {
        memtrace_image.dropped[MT_DROP_LIMIT]++;
    } else if ((self = mt_pool_reserve(&memtrace_image.threads)) != NULL) {
        self->index = (uint32_t)memtrace_image.threads.count;
        mt_pool_publish(&memtrace_image.threads);
    } else {
        memtrace_image.dropped[MT_DROP_MEMORY]++;
    }
    if (self != NULL) {
        self->image.tid = tid;
        self->image.start_event = mt_shard()->events;
        self->pthread = (uint64_t)pthread_self();
        self->critical = 0;
        self->holds_for_fork = 0;
        self->hidden = 0;
        self->is_telling = 0;
        self->stop.fired = 0;
        mt_self_refresh_name(self);
        self->image.state = 1;
    }
    mt_unlock(&blank, locked);
    mt_self_pointer = self;
    mt_python_stops_meet_thread();
    return self;
}

bool mt_self_grow_frames(struct mt_self *self) {
    uint32_t capacity = self->frame_capacity != 0 ? self->frame_capacity * 2 : FRAMES_FIRST;
    if (capacity > MT_FRAMES_MAX)
        return false;
    bool locked = mt_lock(self);
    size_t entries = capacity * sizeof *self->frames;
    uint8_t *memory = mt_memory_pages(entries + capacity * sizeof *self->pending);
    mt_unlock(self, locked);
    if (memory == NULL)
        return false;
    struct mt_frame_entry *frames = (struct mt_frame_entry *)memory;
    uint64_t *pending = (uint64_t *)(memory + entries);
    if (self->frame_capacity != 0) {
        memcpy(frames, self->frames, self->frame_capacity * sizeof *frames);
        memcpy(pending, self->pending, self->frame_capacity * sizeof *pending);
    }
    self->frames = frames;
    self->pending = pending;
    self->frame_capacity = capacity;
    return true;
}

void mt_lock_for_fork(void) {
    struct mt_self *self = mt_self();
    if (self == NULL || self->holds_for_fork)
        return;
    if (__atomic_exchange_n(&mt_shard()->lock, 1, __ATOMIC_ACQUIRE) != 0)
        mt_lock_wait(self);
    self->holds_for_fork = 1;
}

void mt_unlock_after_fork(bool child) {
    struct mt_self *self = mt_self_pointer;
    if (child) {
        memtrace_image.pid = (uint32_t)mt_system_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
        if (self != NULL) {
            self->image.tid = (uint32_t)mt_system_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
            self->is_telling = 0;
            self->stop.fired = 0; /* the parent tells of it */
        }
    }
    if (self != NULL && self->holds_for_fork) {
        self->holds_for_fork = 0;
        __atomic_store_n(&mt_shard()->lock, 0, __ATOMIC_RELEASE);
    }
}
