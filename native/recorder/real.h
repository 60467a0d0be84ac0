/* The functions that our hooks stand in front of: the C library's, or those of an allocator preloaded behind us. */
#ifndef MEMTRACE_RECORDER_REAL_H
#define MEMTRACE_RECORDER_REAL_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct mt_real {
    void *(*malloc)(size_t size);
    void *(*calloc)(size_t count, size_t size);
    void *(*realloc)(void *block, size_t size);
    void *(*reallocarray)(void *block, size_t count, size_t size);
    void (*free)(void *block);
    void (*free_sized)(void *block, size_t size);
    void (*free_aligned_sized)(void *block, size_t alignment, size_t size);
    int (*posix_memalign)(void **ret, size_t alignment, size_t size);
    void *(*aligned_alloc)(size_t alignment, size_t size);
    void *(*memalign)(size_t alignment, size_t size);
    void *(*valloc)(size_t size);
    void *(*pvalloc)(size_t size);
    size_t (*malloc_usable_size)(void *block);
    void *(*mmap)(void *address, size_t size, int protection, int flags, int fd, off_t offset);
    int (*munmap)(void *address, size_t size);
    void *(*mremap)(void *address, size_t old_size, size_t new_size, int flags, ...);
    int (*brk)(void *end);
    void *(*sbrk)(intptr_t increment);
    int (*prctl)(int option, ...);
    int (*pthread_setname_np)(pthread_t thread, const char *name);
};
extern struct mt_real mt_real;

#endif
