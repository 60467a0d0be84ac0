/* The functions that stand in front of the program's: found first by name when the library is preloaded, put into the
 * program's slots when it is attached (slots.h). */
#ifndef MEMTRACE_RECORDER_HOOKS_H
#define MEMTRACE_RECORDER_HOOKS_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HOOK __attribute__((visibility("default")))

/* hooks.c */
HOOK void *malloc(size_t size);
HOOK void *calloc(size_t count, size_t size);
HOOK void *realloc(void *block, size_t size);
HOOK void *reallocarray(void *block, size_t count, size_t size);
HOOK void free(void *block);
HOOK void cfree(void *block);
HOOK void free_sized(void *block, size_t size);
HOOK void free_aligned_sized(void *block, size_t alignment, size_t size);
HOOK int posix_memalign(void **ret, size_t alignment, size_t size);
HOOK void *aligned_alloc(size_t alignment, size_t size);
HOOK void *memalign(size_t alignment, size_t size);
HOOK void *valloc(size_t size);
HOOK void *pvalloc(size_t size);

/* hooks_map.c */
HOOK void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
HOOK void *mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset);
HOOK int munmap(void *address, size_t size);
HOOK void *mremap(void *address, size_t old_size, size_t new_size, int flags, ...);
HOOK int brk(void *end);
HOOK void *sbrk(intptr_t increment);

/* hooks_name.c */
HOOK int prctl(int option, ...);
HOOK int pthread_setname_np(pthread_t thread, const char *name);

#undef HOOK

#endif
