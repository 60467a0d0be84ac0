/* Memory that a program takes from the kernel itself: mmap, munmap, mremap, brk, sbrk. The C library's and the
 * interpreter's own arenas come this way too, where no outer event hides them. */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "recorder/account.h"
#include "recorder/gate.h"
#include "recorder/hooks.h"
#include "recorder/inner.h"
#include "recorder/real.h"

/* Anonymous maps that can be used count; reservations and files are summed up apart, and only take the place of what
 * was there. */
static inline void *map_memory(void *address, size_t size, int protection, int flags, int fd, off_t offset,
                               const void *caller) {
    if (__builtin_expect(!mt_started, 0))
        mt_start_up();
    bool counts = (flags & MAP_ANONYMOUS) != 0 && protection != PROT_NONE;
    struct mt_self *self = mt_enter(MT_OP_ALLOCATE);
    void *map = mt_real.mmap(address, size, protection, flags, fd, offset);
    struct mt_self *guest = self == NULL && map != MAP_FAILED ? mt_guest(caller) : NULL;
    if (guest != NULL && counts)
        mt_record_guest_map(guest, (uint64_t)map, size);
    if (self == NULL)
        return map;
    if (map != MAP_FAILED && counts) {
        mt_record_map(self, (uint64_t)map, size, MT_MMAP);
    } else if (map != MAP_FAILED) {
        if ((flags & MAP_FIXED) != 0)
            mt_record_unmap(self, (uint64_t)map, size);
        __atomic_fetch_add((flags & MAP_ANONYMOUS) != 0 ? &memtrace_image.reserved_bytes
                                                        : &memtrace_image.file_map_bytes,
                           size, __ATOMIC_RELAXED);
    }
    mt_leave(self);
    return map;
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset) {
    return map_memory(address, size, protection, flags, fd, offset, __builtin_return_address(0));
}

void *mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset) {
    return map_memory(address, size, protection, flags, fd, offset, __builtin_return_address(0));
}

int munmap(void *address, size_t size) {
    if (__builtin_expect(!mt_started, 0))
        mt_start_up();
    struct mt_self *self = mt_enter(MT_OP_FREE);
    if (self == NULL) {
        /* An arena that was recorded when no outer event hid it may be given back inside one. */
        return mt_is_inner() ? mt_record_munmap(mt_self_pointer, address, size, mt_real.munmap)
                             : mt_real.munmap(address, size);
    }
    int result = mt_record_munmap(self, address, size, mt_real.munmap);
    mt_leave(self);
    return result;
}

void *mremap(void *address, size_t old_size, size_t new_size, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    void *wanted = (flags & MREMAP_FIXED) != 0 ? va_arg(arguments, void *) : NULL;
    va_end(arguments);
    if (__builtin_expect(!mt_started, 0))
        mt_start_up();
    struct mt_self *self = mt_enter(MT_OP_ALLOCATE);
    if (self == NULL)
        return mt_real.mremap(address, old_size, new_size, flags, wanted);
    void *map = mt_record_mremap(self, address, old_size, new_size, flags, wanted, mt_real.mremap);
    mt_leave(self);
    return map;
}

/* The program break moved from `before` to `after`: the part between was taken or given back. */
static void break_moved(struct mt_self *self, uint64_t before, uint64_t after) {
    if (after > before)
        mt_record_map(self, before, after - before, MT_SBRK);
    else if (after < before)
        mt_record_unmap(self, after, before - after);
}

int brk(void *end) {
    if (__builtin_expect(!mt_started, 0))
        mt_start_up();
    struct mt_self *self = mt_enter(MT_OP_ALLOCATE);
    uint64_t before = self != NULL ? (uint64_t)mt_real.sbrk(0) : 0;
    int result = mt_real.brk(end);
    if (self != NULL) {
        /* asked for again: the C library reports success when the kernel left a break too low as it was */
        if (result == 0)
            break_moved(self, before, (uint64_t)mt_real.sbrk(0));
        mt_leave(self);
    }
    return result;
}

void *sbrk(intptr_t increment) {
    if (__builtin_expect(!mt_started, 0))
        mt_start_up();
    struct mt_self *self = increment != 0 ? mt_enter(MT_OP_ALLOCATE) : NULL;
    void *before = mt_real.sbrk(increment);
    if (self != NULL) {
        if (before != (void *)-1)
            break_moved(self, (uint64_t)before, (uint64_t)before + (uint64_t)increment);
        mt_leave(self);
    }
    return before;
}
