/* The recorder's own memory: private anonymous pages straight from the kernel, never from an allocator that it watches.
 *
 * Pages come from regions that grow with what is already held (an eighth of it, 16 KiB to 1 MiB), so that a core
 * carries little that is unused. Nothing is returned to the kernel; page lists are reused. All calls but the system
 * calls at the end expect the recorder's lock to be held (or a single thread, at start-up). */
#ifndef MEMTRACE_RECORDER_MEMORY_H
#define MEMTRACE_RECORDER_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MT_PAGE 4096u

/* Zeroed memory of `size` bytes, rounded up to whole pages. NULL when the kernel refuses: the caller drops its event
 * and counts it. */
void *mt_memory_pages(size_t size);

/* Zeroed memory that is never given back, several pieces a page. */
void *mt_memory_bytes(size_t size);

/* One zeroed page, from the list of returned ones first. */
void *mt_memory_page(void);
/* Takes back a page that is all zero but for what the list writes into it. */
void mt_memory_return_page(void *page);

/* System calls that touch neither errno nor any hook. A negative result is -errno. */
long mt_system_call(long number, long a, long b, long c, long d, long e, long f);
uint64_t mt_clock_monotonic(void); /* coarse: a few milliseconds */
bool mt_memory_readable(const void *address, size_t size);

#endif
