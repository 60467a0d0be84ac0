/* The malloc family. Every function: enter, call the real one, record, leave; inner and unrecorded calls pass straight
 * through. */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "recorder/account.h"
#include "recorder/gate.h"
#include "recorder/hooks.h"
#include "recorder/inner.h"
#include "recorder/late_python.h"
#include "recorder/pymem.h"
#include "recorder/real.h"

#define CALLER __builtin_return_address(0) /* of a hook itself, not of what it calls */

/* dlsym() itself may allocate while we look for the real functions: a few bytes from here, never given back. */
static _Alignas(16) char bootstrap[4096];
static size_t bootstrap_used;

static void *bootstrap_allocate(size_t size) {
    size = (size + 15) & ~(size_t)15;
    if (size > sizeof bootstrap - bootstrap_used)
        return NULL;
    void *block = &bootstrap[bootstrap_used];
    bootstrap_used += size;
    return block;
}

static inline bool is_bootstrap(const void *block) {
    return (const char *)block >= bootstrap && (const char *)block < bootstrap + sizeof bootstrap;
}

/* An outer malloc event, or NULL. */
static inline struct mt_self *enter_malloc(enum mt_operation operation, const void *caller) {
    struct mt_self *self = mt_enter(operation);
    if (self != NULL) {
        mt_late_python_check(caller);
        mt_pymem_check();
    }
    return self;
}

static inline void *born(struct mt_self *self, void *block, size_t size, enum mt_allocator allocator,
                         const void *caller) {
    if (__builtin_expect(self == NULL, 0)) {
        struct mt_self *guest = block != NULL ? mt_guest(caller) : NULL;
        if (guest != NULL)
            mt_record_guest_birth(guest, (uint64_t)block, size, allocator);
    } else {
        if (block != NULL)
            mt_record_birth(self, (uint64_t)block, size, allocator, false);
        mt_leave(self);
    }
    return block;
}

#define START_UP(refuse)                                                                                               \
    do {                                                                                                               \
        if (__builtin_expect(!mt_started, 0)) {                                                                        \
            mt_start_up();                                                                                             \
            if (mt_real.malloc == NULL || mt_real.calloc == NULL || mt_real.free == NULL)                              \
                return refuse;                                                                                         \
        }                                                                                                              \
    } while (0)

void *malloc(size_t size) {
    START_UP(bootstrap_allocate(size));
    struct mt_self *self = enter_malloc(MT_OP_ALLOCATE, CALLER);
    return born(self, mt_real.malloc(size), size, MT_MALLOC, CALLER);
}

void *calloc(size_t count, size_t size) {
    START_UP(bootstrap_allocate(count * size));
    struct mt_self *self = enter_malloc(MT_OP_ALLOCATE, CALLER);
    return born(self, mt_real.calloc(count, size), count * size, MT_CALLOC, CALLER);
}

/* A block that a call inside an event gives up: a guest's, or one that was recorded before the debug allocator came
 * between. */
static inline void end_inside(void *block, const void *caller) {
    if (block != NULL && mt_is_inner() && (mt_pymem_shifted || mt_guest(caller) != NULL))
        mt_record_hidden_death(mt_self_pointer, (uint64_t)block);
}

/* Before a block is given up, also by a call that is not recorded. */
static inline void forget_words(void *block) {
    if (__builtin_expect(mt_stops_read_words(), 0)) {
        struct mt_self *self = mt_self();
        if (block != NULL && self != NULL && !self->critical && mt_real.malloc_usable_size != NULL)
            mt_stops_forget_words(self, (uint64_t)block, mt_real.malloc_usable_size(block));
    }
}

/* realloc's three ends: moved (or grown in place), failed, freed. */
static inline void *reallocate(void *old, size_t size, enum mt_allocator allocator, const void *caller) {
    struct mt_self *self = enter_malloc(MT_OP_ALLOCATE, caller);
    forget_words(old);
    if (self == NULL) {
        end_inside(old, caller);
        return born(NULL, mt_real.realloc(old, size), size, allocator, caller);
    }
    bool known = old != NULL && mt_record_move_begin(self, (uint64_t)old);
    void *block = mt_real.realloc(old, size);
    if (known && block != NULL)
        mt_record_move_settle(self, (uint64_t)block, size, allocator, false);
    else if (known && size == 0)
        mt_record_move_end(self);
    else if (known)
        mt_record_move_restore(self);
    else if (block != NULL)
        mt_record_birth(self, (uint64_t)block, size, allocator, false);
    mt_leave(self);
    return block;
}

void *realloc(void *old, size_t size) {
    START_UP(bootstrap_allocate(size));
    if (__builtin_expect(is_bootstrap(old), 0)) {
        void *block = malloc(size);
        size_t room = (size_t)(bootstrap + sizeof bootstrap - (char *)old);
        if (block != NULL)
            memcpy(block, old, size < room ? size : room);
        return block;
    }
    return reallocate(old, size, MT_REALLOC, CALLER);
}

void *reallocarray(void *old, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    START_UP(bootstrap_allocate(bytes));
    return reallocate(old, bytes, MT_REALLOCARRAY, CALLER);
}

typedef void free_function(void *block, size_t alignment, size_t size);

static void free_plainly(void *block, size_t alignment, size_t size) {
    mt_real.free(block);
}

static void free_with_size(void *block, size_t alignment, size_t size) {
    mt_real.free_sized(block, size);
}

static void free_with_alignment(void *block, size_t alignment, size_t size) {
    mt_real.free_aligned_sized(block, alignment, size);
}

/* Recorded before the real free: afterwards the address may be another thread's. */
static inline void release(void *block, free_function *real, size_t alignment, size_t size, const void *caller) {
    if (block == NULL || __builtin_expect(is_bootstrap(block), 0))
        return;
    START_UP();
    struct mt_self *self = enter_malloc(MT_OP_FREE, caller);
    if (self != NULL)
        mt_record_death(self, (uint64_t)block);
    else
        end_inside(block, caller);
    forget_words(block);
    real(block, alignment, size);
    if (self != NULL)
        mt_leave(self);
}

void free(void *block) {
    release(block, free_plainly, 0, 0, CALLER);
}

void cfree(void *block) {
    release(block, free_plainly, 0, 0, CALLER);
}

/* C23. A C library without them has callers without them; a preloaded one may not, so a plain free serves both. */
void free_sized(void *block, size_t size) {
    release(block, mt_real.free_sized != NULL ? free_with_size : free_plainly, 0, size, CALLER);
}

void free_aligned_sized(void *block, size_t alignment, size_t size) {
    release(block, mt_real.free_aligned_sized != NULL ? free_with_alignment : free_plainly, alignment, size, CALLER);
}

int posix_memalign(void **ret, size_t alignment, size_t size) {
    START_UP(ENOMEM);
    struct mt_self *self = enter_malloc(MT_OP_ALLOCATE, CALLER);
    int error = mt_real.posix_memalign(ret, alignment, size);
    born(self, error == 0 ? *ret : NULL, size, MT_POSIX_MEMALIGN, CALLER);
    return error;
}

void *aligned_alloc(size_t alignment, size_t size) {
    START_UP(NULL);
    struct mt_self *self = enter_malloc(MT_OP_ALLOCATE, CALLER);
    return born(self, mt_real.aligned_alloc(alignment, size), size, MT_ALIGNED_ALLOC, CALLER);
}

void *memalign(size_t alignment, size_t size) {
    START_UP(NULL);
    struct mt_self *self = enter_malloc(MT_OP_ALLOCATE, CALLER);
    return born(self, mt_real.memalign(alignment, size), size, MT_MEMALIGN, CALLER);
}

void *valloc(size_t size) {
    START_UP(NULL);
    struct mt_self *self = enter_malloc(MT_OP_ALLOCATE, CALLER);
    return born(self, mt_real.valloc(size), size, MT_VALLOC, CALLER);
}

void *pvalloc(size_t size) {
    START_UP(NULL);
    struct mt_self *self = enter_malloc(MT_OP_ALLOCATE, CALLER);
    return born(self, mt_real.pvalloc(size), size, MT_PVALLOC, CALLER);
}
