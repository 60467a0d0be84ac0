#include "recorder/account.h"

#include <sys/mman.h>

#include "recorder/memory.h"
#include "recorder/python.h"
#include "recorder/ranges.h"
#include "recorder/shadow.h"
#include "recorder/sites.h"
#include "recorder/stops.h"
#include "recorder/table.h"
#include "recorder/window.h"

#define CLOCK_EVERY 256u
#define NAME_EVERY 1024u

/* One comparison tells of all that an event may have brought about by raising live bytes: below `look_from` it is
 * nothing. From there on it is a new peak, or it is at least at `look_closely_from`: there a stop may be met (below the
 * peak too, where live bytes were before the stop was set), or somebody measures, who wants all events. */
void mt_account_watch_live_bytes(void) {
    struct mt_shard *shard = mt_shard();
    int64_t closely = mt_window_counts ? INT64_MIN : mt_stop_bounds.rise;
    shard->look_closely_from = closely;
    shard->look_from = closely < shard->peak_bytes ? closely : shard->peak_bytes;
}

bool mt_account_init(void) {
    struct mt_shard *shard = mt_shard();
    mt_pool_init(&shard->table_pages, sizeof(uint64_t), 9);
    mt_pool_init(&shard->ranges, sizeof(struct mt_range), 6);
    shard->shadow_root = (uint64_t)mt_shadow_root;
    shard->epoch = 1;
    mt_account_watch_live_bytes();
    return mt_threads_init() && mt_sites_init();
}

void mt_account_clear(void) {
    struct mt_shard *shard = mt_shard();
    for (uint32_t i = 0; i < memtrace_image.threads.count; i++) {
        struct mt_thread *thread = &mt_thread_at(i)->image;
        if (thread->operation == MT_OP_REALLOCATE) /* what it moves was known to the session before */
            thread->operation = MT_OP_ALLOCATE;
    }
    mt_shadow_clear();
    mt_table_clear();
    mt_ranges_clear();
    mt_sites_clear();
    shard->epoch++;
    shard->live_bytes = shard->live_blocks = shard->peak_bytes = 0;
    shard->peak_event = shard->peak_time = shard->events = shard->frees_ignored = 0;
    shard->peak_thread = 0;
    mt_account_watch_live_bytes();
    for (unsigned i = 0; i < MT_DROP_KINDS; i++)
        memtrace_image.dropped[i] = 0;
}

static inline void drop(enum mt_drop why) {
    memtrace_image.dropped[why]++;
}

static void sample_clock(struct mt_self *self) {
    memtrace_image.clock_monotonic = mt_clock_monotonic();
    memtrace_image.clock_event = mt_shard()->events;
    if ((memtrace_image.clock_event & (NAME_EVERY - 1)) == 0)
        mt_self_refresh_name(self);
}

/* Changes a site's numbers, with the ones of the peak kept aside first. The order of the stores is the reader's: the
 * epoch says that the kept numbers are whole. */
static inline void change_site(struct mt_shard *shard, uint32_t index, int64_t bytes, int32_t blocks) {
    struct mt_site *site = mt_site_at(index);
    if (site->epoch != shard->epoch) {
        site->peak_bytes = site->bytes;
        site->peak_blocks = site->blocks;
        __atomic_store_n(&site->epoch, shard->epoch, __ATOMIC_RELEASE);
    }
    site->bytes += bytes;
    site->blocks += (uint32_t)blocks;
    shard->live_blocks += blocks;
}

static inline void note_allocation(struct mt_shard *shard, struct mt_self *self, uint32_t site) {
    struct mt_thread *thread = &self->image;
    if (thread->peak_epoch != shard->epoch) {
        thread->peak_site = thread->last_site;
        __atomic_store_n(&thread->peak_epoch, shard->epoch, __ATOMIC_RELEASE);
    }
    thread->last_site = site;
}

static const struct mt_ended nothing_ended;

static inline struct mt_ended block_ended(uint64_t address, uint64_t size) {
    return (struct mt_ended){address, size + (size == 0), false};
}

static inline __attribute__((always_inline)) void commit_peak(struct mt_shard *shard, const struct mt_self *self) {
    shard->peak_bytes = shard->live_bytes;
    shard->peak_event = shard->events;
    shard->peak_time = memtrace_image.clock_monotonic;
    shard->peak_thread = self->index;
    __atomic_store_n(&shard->epoch, shard->epoch + 1, __ATOMIC_RELEASE);
}

/* An event that somebody measures, or that may have met a stop. */
static __attribute__((noinline)) void look_closely(struct mt_shard *shard, struct mt_self *self,
                                                   struct mt_stop_event event, struct mt_ended ended) {
    if (mt_window_counts)
        mt_window_note(shard, self, event.net_bytes);
    if (mt_stops_may_fire(event.site, event.size, ended))
        mt_stops_look(self, &event, ended);
    if (shard->live_bytes >= shard->peak_bytes)
        commit_peak(shard, self);
    mt_account_watch_live_bytes();
}

/* Closes an event with the net change of all it touched. */
static inline __attribute__((always_inline)) void commit(struct mt_shard *shard, struct mt_self *self,
                                                         struct mt_stop_event event, struct mt_ended ended) {
    shard->events++;
    if (__builtin_expect((shard->events & (CLOCK_EVERY - 1)) == 0, 0))
        sample_clock(self);
    int64_t live = shard->live_bytes += event.net_bytes;
    bool stops =
        mt_stops_are_set(event.operation != MT_OP_ALLOCATE) && mt_stops_may_fire(event.site, event.size, ended);
    if (!stops && live < shard->look_from)
        return;
    if (__builtin_expect(stops || live >= shard->look_closely_from, 0)) {
        /* Written out, so that the compiler makes these structures in memory here alone. */
        look_closely(shard, self,
                     (struct mt_stop_event){.operation = event.operation,
                                            .site = event.site,
                                            .address = event.address,
                                            .size = event.size,
                                            .old_address = event.old_address,
                                            .net_bytes = event.net_bytes},
                     (struct mt_ended){ended.start, ended.size, ended.is_range});
    } else { /* not below the peak, then */
        shard->look_from = live;
        commit_peak(shard, self);
    }
}

/* Has the event that is about to end looked at, whatever it leaves. */
static inline void look_at_this(struct mt_shard *shard) {
    shard->look_from = shard->look_closely_from = INT64_MIN;
}

/* An event allocates so many bytes, other than in the shadow. */
static inline void watch_size(struct mt_shard *shard, uint64_t size) {
    if (__builtin_expect(size >= mt_stop_bounds.size, 0))
        look_at_this(shard);
}

/* A block that is entered where one was still alive: its free was missed, so it ends here. */
static __attribute__((noinline, cold)) int64_t end_missed(struct mt_shard *shard, uint32_t site, uint64_t size) {
    change_site(shard, site, -(int64_t)size, -1);
    look_at_this(shard);
    return -(int64_t)size;
}

/* Enters a block into the shadow or the table. *ret_missed: the bytes of a block that ended by it, negative. */
static inline __attribute__((always_inline)) bool enter(struct mt_shard *shard, uint64_t address, uint64_t size,
                                                        uint32_t site, bool dense, int64_t *ret_missed) {
    *ret_missed = 0;
    if (dense && mt_shadow_fits(address, size, site)) {
        bool ok;
        uint32_t before = mt_shadow_insert(address, size, site, &ok);
        if (__builtin_expect(before != 0, 0))
            *ret_missed = end_missed(shard, before >> MT_SHADOW_SIZE_BITS, before & MT_SHADOW_MAX);
        return ok;
    }
    struct mt_block before;
    watch_size(shard, size);
    if (!mt_table_insert(&(struct mt_block){address, size, site}, &before))
        return false;
    if (__builtin_expect(before.site != 0, 0))
        *ret_missed = end_missed(shard, before.site, before.size);
    return true;
}

static inline struct mt_block block_of_slot(uint64_t address, uint32_t slot) {
    return (struct mt_block){address, slot & MT_SHADOW_MAX, slot >> MT_SHADOW_SIZE_BITS};
}

static inline bool leave(uint64_t address, struct mt_block *ret) {
    uint32_t slot = mt_shadow_remove(address);
    if (slot != 0) {
        *ret = block_of_slot(address, slot);
        return true;
    }
    return mt_table_remove(address, ret);
}

/* *ret_dense: it stands in the shadow. */
static bool find(uint64_t address, struct mt_block *ret, bool *ret_dense) {
    uint32_t slot = mt_shadow_find(address);
    *ret_dense = slot != 0;
    if (slot != 0) {
        *ret = block_of_slot(address, slot);
        return true;
    }
    return mt_table_find(address, ret);
}

/* The lock is held. */
static inline __attribute__((always_inline)) void record_birth(struct mt_self *self, uint32_t stack, uint64_t address,
                                                               uint64_t size, enum mt_allocator allocator, bool dense) {
    struct mt_shard *shard = mt_shard();
    uint32_t site = mt_site_for(self, stack, allocator);
    int64_t missed;
    if (site != 0 && enter(shard, address, size, site, dense, &missed)) {
        if (!dense)
            memtrace_image.clock_monotonic = mt_clock_monotonic();
        note_allocation(shard, self, site);
        change_site(shard, site, (int64_t)size, 1);
        commit(shard, self,
               (struct mt_stop_event){.operation = MT_OP_ALLOCATE,
                                      .site = site,
                                      .address = address,
                                      .size = size,
                                      .net_bytes = (int64_t)size + missed},
               missed != 0 ? block_ended(address, (uint64_t)-missed) : nothing_ended);
    } else {
        drop(MT_DROP_MEMORY);
    }
}

void mt_record_birth(struct mt_self *self, uint64_t address, uint64_t size, enum mt_allocator allocator, bool dense) {
    if (__builtin_expect(self->hidden, 0))
        return;
    uint32_t kept = mt_python_walk(self);
    bool locked = mt_lock(self);
    if (__builtin_expect(mt_window_counts, 0))
        mt_window_note_birth(mt_shard(), self, address, size);
    record_birth(self, mt_python_stack(self, kept), address, size, allocator, dense);
    mt_unlock(self, locked);
}

void mt_record_guest_birth(struct mt_self *self, uint64_t address, uint64_t size, enum mt_allocator allocator) {
    if (self->hidden)
        return;
    bool locked = mt_lock(self);
    record_birth(self, 0, address, size, allocator, false);
    mt_unlock(self, locked);
}

/* A block that is in no table any more ends: an event of its own. */
static inline __attribute__((always_inline)) void end_block(struct mt_self *self, struct mt_block block) {
    struct mt_shard *shard = mt_shard();
    change_site(shard, block.site, -(int64_t)block.size, -1);
    commit(
        shard, self,
        (struct mt_stop_event){
            .operation = MT_OP_FREE, .address = block.address, .size = block.size, .net_bytes = -(int64_t)block.size},
        block_ended(block.address, block.size));
}

/* The block that the thread's descriptor holds. */
static inline struct mt_block moving_block(const struct mt_thread *thread) {
    return (struct mt_block){thread->address, thread->size, thread->site};
}

static inline __attribute__((always_inline)) bool record_death(struct mt_self *self, uint64_t address) {
    struct mt_block block;
    if (!leave(address, &block))
        return false;
    end_block(self, block);
    return true;
}

void mt_record_death(struct mt_self *self, uint64_t address) {
    bool locked = mt_lock(self);
    if (!record_death(self, address)) {
        mt_shard()->frees_ignored++;
        if (mt_stops_are_set(true))
            mt_stops_look_at_end(self, &(struct mt_stop_event){.operation = MT_OP_FREE, .address = address},
                                 block_ended(address, 0));
    }
    mt_unlock(self, locked);
}

void mt_record_hidden_death(struct mt_self *self, uint64_t address) {
    bool locked = mt_lock(self);
    record_death(self, address);
    mt_unlock(self, locked);
}

bool mt_record_move_begin(struct mt_self *self, uint64_t address) {
    struct mt_thread *thread = &self->image;
    struct mt_block block;
    bool locked = mt_lock(self);
    bool known = find(address, &block, &self->moving_was_dense);
    if (known) { /* into the descriptor first: at no instant is it nowhere */
        thread->address = address;
        thread->size = block.size;
        thread->site = block.site;
        thread->new_address = address; /* in both */
        __atomic_store_n(&thread->operation, MT_OP_REALLOCATE, __ATOMIC_RELEASE);
        leave(address, &block);
        __atomic_store_n(&thread->new_address, 0, __ATOMIC_RELEASE);
    }
    mt_unlock(self, locked);
    return known;
}

/* What a move to `size` bytes at `address` ends of the old block. */
static inline struct mt_ended left_behind(const struct mt_thread *thread, uint64_t address, uint64_t size) {
    if (address != thread->address)
        return block_ended(thread->address, thread->size);
    uint64_t kept = size + (size == 0); /* it stays where it is, and its first byte with it */
    return kept < thread->size ? block_ended(address + kept, thread->size - kept) : nothing_ended;
}

/* Whether the books were cleared since the move began: its old block has gone with them. The lock is held. */
static inline bool is_forgotten(const struct mt_self *self) {
    return __builtin_expect(self->image.operation != MT_OP_REALLOCATE, 0);
}

void mt_record_move_settle(struct mt_self *self, uint64_t address, uint64_t size, enum mt_allocator allocator,
                           bool dense) {
    struct mt_shard *shard = mt_shard();
    struct mt_thread *thread = &self->image;
    uint32_t kept = mt_python_walk(self);
    bool locked = mt_lock(self);
    uint32_t stack = mt_python_stack(self, kept);
    if (is_forgotten(self)) {
        record_birth(self, stack, address, size, allocator, dense);
        mt_unlock(self, locked);
        return;
    }
    uint32_t site = mt_site_for(self, stack, allocator);
    int64_t missed;
    thread->new_address = address;
    __atomic_store_n(&thread->operation, MT_OP_SETTLE, __ATOMIC_RELEASE);
    int64_t net = -(int64_t)thread->size;
    if (site != 0 && enter(shard, address, size, site, dense, &missed)) {
        net += (int64_t)size + missed;
        note_allocation(shard, self, site);
        change_site(shard, site, (int64_t)size, 1);
        if (!dense)
            memtrace_image.clock_monotonic = mt_clock_monotonic();
    } else {
        drop(MT_DROP_MEMORY);
    }
    change_site(shard, thread->site, -(int64_t)thread->size, -1);
    if (__builtin_expect(mt_window_counts, 0))
        mt_window_note_move(self, thread->size, size);
    commit(shard, self,
           (struct mt_stop_event){.operation = MT_OP_REALLOCATE,
                                  .site = site,
                                  .address = address,
                                  .size = size,
                                  .old_address = thread->address,
                                  .net_bytes = net},
           left_behind(thread, address, size));
    __atomic_store_n(&thread->operation, MT_OP_ALLOCATE, __ATOMIC_RELEASE);
    mt_unlock(self, locked);
}

void mt_record_move_restore(struct mt_self *self) {
    struct mt_thread *thread = &self->image;
    int64_t missed;
    bool locked = mt_lock(self);
    if (is_forgotten(self)) {
        mt_unlock(self, locked);
        return;
    }
    __atomic_store_n(&thread->new_address, thread->address, __ATOMIC_RELEASE); /* in both, as soon as it is entered */
    if (!enter(mt_shard(), thread->address, thread->size, thread->site, self->moving_was_dense, &missed)) {
        drop(MT_DROP_MEMORY);
        end_block(self, moving_block(thread));
    }
    __atomic_store_n(&thread->operation, MT_OP_ALLOCATE, __ATOMIC_RELEASE);
    mt_unlock(self, locked);
}

void mt_record_move_end(struct mt_self *self) {
    struct mt_thread *thread = &self->image;
    bool locked = mt_lock(self);
    if (!is_forgotten(self))
        end_block(self, moving_block(thread));
    __atomic_store_n(&thread->operation, MT_OP_FREE, __ATOMIC_RELEASE);
    mt_unlock(self, locked);
}

void mt_record_abandoned(const struct mt_self *self) {
    for (uint32_t i = 0; i < memtrace_image.threads.count; i++) {
        struct mt_self *other = mt_thread_at(i);
        struct mt_block block;
        bool dense;
        if (other == self || other->image.operation == MT_IDLE)
            continue;
        if (other->image.operation == MT_OP_REALLOCATE) {
            if (find(other->image.address, &block, &dense)) /* it had moved, and its place was given to another */
                mt_record_move_end(other);
            else
                mt_record_move_restore(other);
        }
        other->image.operation = MT_IDLE;
    }
}

/* What a cut of ranges did, summed up for the one commit that ends its event. */
struct cut {
    struct mt_shard *shard;
    int64_t bytes;
    bool any;
};

static void cut_site(void *context, uint32_t site, int64_t bytes, int32_t blocks) {
    struct cut *cut = context;
    change_site(cut->shard, site, bytes, blocks);
    cut->bytes += bytes;
    cut->any = true;
}

static struct mt_ended range_ended(const struct cut *cut, uint64_t address, uint64_t size) {
    return cut->any ? (struct mt_ended){address, size, true} : nothing_ended;
}

/* `moved_from`: of a move; else 0. */
static void enter_range(struct cut *cut, struct mt_self *self, uint64_t address, uint64_t size, uint32_t site,
                        uint64_t moved_from, struct mt_ended ended) {
    memtrace_image.clock_monotonic = mt_clock_monotonic();
    watch_size(cut->shard, size);
    if (ended.size != 0)
        look_at_this(cut->shard);
    if (site != 0 && mt_ranges_insert(address, size, site)) {
        note_allocation(cut->shard, self, site);
        change_site(cut->shard, site, (int64_t)size, 1);
        cut->bytes += (int64_t)size;
    } else {
        drop(MT_DROP_MEMORY);
    }
    mt_ranges_commit();
    commit(cut->shard, self,
           (struct mt_stop_event){.operation = moved_from != 0 ? MT_OP_REALLOCATE : MT_OP_ALLOCATE,
                                  .site = site,
                                  .address = address,
                                  .size = size,
                                  .old_address = moved_from,
                                  .net_bytes = cut->bytes},
           ended);
}

static void leave_range(struct cut *cut, struct mt_self *self, uint64_t address, uint64_t size) {
    struct mt_stop_event event = {.operation = MT_OP_FREE, .address = address, .size = size, .net_bytes = cut->bytes};
    struct mt_ended ended = {address, size, true};
    if (cut->any) {
        mt_ranges_commit();
        commit(cut->shard, self, event, ended);
    } else if (mt_stops_are_set(true)) { /* never recorded, but its bytes are gone all the same */
        mt_stops_look_at_end(self, &event, ended);
    }
}

/* The lock is held. */
static void record_map(struct mt_self *self, uint32_t stack, uint64_t address, uint64_t size,
                       enum mt_allocator allocator) {
    struct cut cut = {.shard = mt_shard()};
    uint32_t site = mt_site_for(self, stack, allocator);
    mt_ranges_remove(address, size, cut_site, &cut);
    enter_range(&cut, self, address, size, site, 0, range_ended(&cut, address, size));
}

void mt_record_map(struct mt_self *self, uint64_t address, uint64_t size, enum mt_allocator allocator) {
    if (self->hidden)
        return;
    uint32_t kept = mt_python_walk(self);
    bool locked = mt_lock(self);
    record_map(self, mt_python_stack(self, kept), address, size, allocator);
    mt_unlock(self, locked);
}

void mt_record_guest_map(struct mt_self *self, uint64_t address, uint64_t size) {
    if (self->hidden)
        return;
    bool locked = mt_lock(self);
    record_map(self, 0, address, size, MT_MMAP);
    mt_unlock(self, locked);
}

static void unmap(struct mt_self *self, uint64_t address, uint64_t size) {
    struct cut cut = {.shard = mt_shard()};
    mt_ranges_remove(address, size, cut_site, &cut);
    leave_range(&cut, self, address, size);
}

void mt_record_unmap(struct mt_self *self, uint64_t address, uint64_t size) {
    bool locked = mt_lock(self);
    unmap(self, address, size);
    mt_unlock(self, locked);
}

int mt_record_munmap(struct mt_self *self, void *address, size_t size, mt_munmap_call *call) {
    bool locked = mt_lock(self);
    int result = call(address, size);
    if (result == 0)
        unmap(self, (uint64_t)address, size);
    mt_unlock(self, locked);
    return result;
}

/* What moving or cutting [from, from + old_size) to `size` bytes at `to` leaves behind. */
static struct mt_ended range_left(uint64_t from, uint64_t old_size, uint64_t to, uint64_t size) {
    if (from != to)
        return (struct mt_ended){from, old_size, true};
    return size < old_size ? (struct mt_ended){from + size, old_size - size, true} : nothing_ended;
}

void *mt_record_mremap(struct mt_self *self, void *address, size_t old_size, size_t new_size, int flags, void *wanted,
                       mt_mremap_call *call) {
    struct cut cut = {.shard = mt_shard()};
    uint32_t kept = mt_python_walk(self);
    bool locked = mt_lock(self);
    void *result = call(address, old_size, new_size, flags, wanted);
    uint64_t from = (uint64_t)address, to = (uint64_t)result;
    if (result != MAP_FAILED) {
        mt_ranges_remove(from, old_size, cut_site, &cut);
        struct cut before = cut;
        bool known = cut.any; /* a mapping that was never recorded (a file, an older one) stays so */
        mt_ranges_remove(to, new_size, cut_site, &cut);
        if (known) {
            uint32_t site = mt_site_for(self, mt_python_stack(self, kept), MT_MREMAP);
            if (mt_stops_are_set(true) && cut.bytes != before.bytes) /* it also took another's place */
                mt_stops_look_at_end(self,
                                     &(struct mt_stop_event){.operation = MT_OP_REALLOCATE,
                                                             .site = site,
                                                             .address = to,
                                                             .size = new_size,
                                                             .old_address = from,
                                                             .net_bytes = (int64_t)new_size + cut.bytes},
                                     (struct mt_ended){to, new_size, true});
            enter_range(&cut, self, to, new_size, site, from, range_left(from, old_size, to, new_size));
        } else {
            leave_range(&cut, self, to, new_size);
        }
    }
    mt_unlock(self, locked);
    return result;
}
