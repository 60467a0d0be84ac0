/* Which of a target's pages are in memory: what makes up a process's RSS.
 *
 * Of a local process the kernel says it: how much of each mapping (/proc/PID/smaps), and where it may be asked which
 * pages (/proc/PID/pagemap). Of a core what it holds counts, of anything else all that is mapped. */
#ifndef MEMTRACE_RESIDENCE_H
#define MEMTRACE_RESIDENCE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/vector.h"
#include "target/target.h"

#define MT_RESIDENCE_PAGE 4096u

struct mt_residence_region {
    uint64_t start;
    uint64_t end;
    uint64_t bytes;     /* in memory */
    uint64_t *pages;    /* a bit a page: may be in memory; NULL: any may */
    double share;       /* of a page that may be in memory, how much is: 1, or less where only the sum is known */
    bool no_huge_pages; /* somebody asked the kernel to use small pages alone */
};

struct mt_residence {
    bool is_known;                                 /* the kernel said it; else it is what the target holds */
    MT_VECTOR(struct mt_residence_region) regions; /* ascending; those with nothing in memory are left out */
};

/* It changes as the process is read: ask first. `ret` is untouched on failure; free it with mt_residence_deinit. */
struct mt_error *mt_residence_load(struct mt_target *target, struct mt_residence *ret);
void mt_residence_deinit(struct mt_residence *residence);
/* Bytes in memory of [start, end), which may lie in part outside the region. */
double mt_residence_of(const struct mt_residence_region *region, uint64_t start, uint64_t end);
/* The first region that ends above `address`; regions.length: none does. */
size_t mt_residence_at_or_above(const struct mt_residence *residence, uint64_t address);
/* Bytes in memory of [start, end) in all regions. */
double mt_residence_in(const struct mt_residence *residence, uint64_t start, uint64_t end);

/* For targets: of a local process, by its thread `tid`; and by what the regions hold. */
struct mt_error *mt_residence_of_process(pid_t pid, pid_t tid, struct mt_residence *ret);
struct mt_error *mt_residence_of_held(struct mt_target *target, struct mt_residence *ret);

#endif
