#include "recorder/memory.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "recorder/header.h"

#define REGION_MIN (16u << 10)
#define REGION_MAX (1u << 20)

static uint8_t *region_next, *region_end;
static void *returned_pages;

long mt_system_call(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

static uint8_t *map(size_t size) {
    long address = mt_system_call(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address < 0 && address > -4096)
        return NULL;
    /* A huge page would turn a few touched slots of the shadow into 2 MiB of real memory. */
    mt_system_call(SYS_madvise, address, (long)size, MADV_NOHUGEPAGE, 0, 0, 0);
    /* So that the kernel never makes one mapping of ours and a thread's stack beside it: gcore of gdb up to 16 leaves
     * out what follows a guard page of glibc 2.42 in its mapping. */
    mt_system_call(SYS_madvise, address, (long)size, MADV_RANDOM, 0, 0, 0);
    memtrace_image.recorder_bytes += size;
    return (uint8_t *)address;
}

void *mt_memory_pages(size_t size) {
    size = (size + MT_PAGE - 1) & ~(size_t)(MT_PAGE - 1);
    if (size >= REGION_MAX)
        return map(size);
    if ((size_t)(region_end - region_next) < size) {
        size_t region = memtrace_image.recorder_bytes / 8 & ~(uint64_t)(MT_PAGE - 1);
        region = region < REGION_MIN ? REGION_MIN : region > REGION_MAX ? REGION_MAX : region;
        if (region < size)
            region = size;
        uint8_t *start = map(region);
        if (start == NULL && (region = size, start = map(region)) == NULL)
            return NULL;
        for (; region_next != region_end; region_next += MT_PAGE) /* the old region's tail */
            mt_memory_return_page(region_next);
        region_next = start;
        region_end = start + region;
    }
    void *pages = region_next;
    region_next += size;
    return pages;
}

void *mt_memory_bytes(size_t size) {
    static uint8_t *next, *end;
    if (size > MT_PAGE / 2)
        return mt_memory_pages(size);
    if ((size_t)(end - next) < size) {
        uint8_t *page = mt_memory_pages(MT_PAGE);
        if (page == NULL)
            return NULL;
        next = page;
        end = page + MT_PAGE;
    }
    void *bytes = next;
    next += (size + 15) & ~(size_t)15;
    return bytes;
}

void *mt_memory_page(void) {
    void **page = returned_pages;
    if (page == NULL) {
        page = mt_memory_pages(MT_PAGE);
        /* Written to before it is read: else the kernel first maps its page of zeros there, and has to come again. */
        if (page != NULL)
            *(void *volatile *)page = NULL;
        return page;
    }
    returned_pages = *page;
    *page = NULL;
    return page;
}

void mt_memory_return_page(void *page) {
    *(void **)page = returned_pages;
    returned_pages = page;
}

uint64_t mt_clock_monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

bool mt_memory_readable(const void *address, size_t size) {
    char copy[64];
    for (size_t done = 0; done < size;) {
        size_t part = size - done < sizeof copy ? size - done : sizeof copy;
        struct iovec local = {copy, part}, remote = {(char *)(uintptr_t)address + done, part};
        long got = mt_system_call(SYS_process_vm_readv, getpid(), (long)&local, 1, (long)&remote, 1, 0);
        if (got == -1 /* EPERM */ || got == -38 /* ENOSYS */) {
            /* A sandbox forbids it: at least the page must be mapped. */
            uint64_t page = (uint64_t)(uintptr_t)address + done;
            got = mt_system_call(SYS_msync, (long)(page & ~(uint64_t)(MT_PAGE - 1)), MT_PAGE, MS_ASYNC, 0, 0, 0);
            if (got < 0)
                return false;
            got = (long)part;
        }
        if (got != (long)part)
            return false;
        done += part;
    }
    return true;
}
