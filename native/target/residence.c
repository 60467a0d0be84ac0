#include "target/residence.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "target/proc.h"

#define PAGE MT_RESIDENCE_PAGE
/* Pages of one mapping that are asked for one by one: 64 GiB. Larger ones are reservations of which little is used. */
#define PAGES_MAX (1u << 24)
/* Documentation/admin-guide/mm/pagemap.rst: a word a page. */
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_EXCLUSIVE (UINT64_C(1) << 56)
#define PAGEMAP_WORDS 4096u /* read at once */
#define KILOBYTE 1024u

/* --- asking --------------------------------------------------------------------------------------------------------
 */

void mt_residence_deinit(struct mt_residence *residence) {
    for (size_t i = 0; i < residence->regions.length; i++)
        free(residence->regions.data[i].pages);
    mt_vector_deinit(&residence->regions);
}

static bool has_page(const struct mt_residence_region *region, uint64_t page) {
    return !region->pages || region->pages[page / 64] >> page % 64 & 1;
}

static uint64_t count_pages(const uint64_t *pages, uint64_t first, uint64_t end) {
    uint64_t count = 0;
    while (first < end && first % 64 != 0)
        count += pages[first / 64] >> first % 64 & 1, first++;
    for (; end - first >= 64; first += 64)
        count += (uint64_t)__builtin_popcountll(pages[first / 64]);
    for (; first < end; first++)
        count += pages[first / 64] >> first % 64 & 1;
    return count;
}

/* Bytes of [start, end), which lie in the region, on pages that may be in memory. */
static uint64_t possible_bytes(const struct mt_residence_region *region, uint64_t start, uint64_t end) {
    if (!region->pages)
        return end - start;
    uint64_t first = (start - region->start) / PAGE, last = (end - 1 - region->start) / PAGE;
    if (first == last)
        return has_page(region, first) ? end - start : 0;
    uint64_t first_end = region->start + (first + 1) * PAGE, last_start = region->start + last * PAGE;
    return (has_page(region, first) ? first_end - start : 0) + count_pages(region->pages, first + 1, last) * PAGE +
           (has_page(region, last) ? end - last_start : 0);
}

double mt_residence_of(const struct mt_residence_region *region, uint64_t start, uint64_t end) {
    if (start < region->start)
        start = region->start;
    if (end > region->end)
        end = region->end;
    return start < end ? (double)possible_bytes(region, start, end) * region->share : 0;
}

size_t mt_residence_at_or_above(const struct mt_residence *residence, uint64_t address) {
    size_t low = 0, high = residence->regions.length;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (residence->regions.data[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

double mt_residence_in(const struct mt_residence *residence, uint64_t start, uint64_t end) {
    double sum = 0;
    for (size_t i = mt_residence_at_or_above(residence, start);
         i < residence->regions.length && residence->regions.data[i].start < end; i++)
        sum += mt_residence_of(&residence->regions.data[i], start, end);
    return sum;
}

/* --- /proc ----------------------------------------------------------------------------------------------------------
 */

/* Bits of a mapping's pages, one each. */
struct page_sets {
    uint64_t *present;
    uint64_t *exclusive; /* mapped here alone: neither shared after a fork nor the kernel's page of zeros */
};

static bool read_page_sets(int pagemap, uint64_t first, uint64_t count, struct page_sets *sets) {
    for (uint64_t done = 0; done < count;) {
        uint64_t words[PAGEMAP_WORDS], wanted = count - done < PAGEMAP_WORDS ? count - done : PAGEMAP_WORDS;
        ssize_t got = pread(pagemap, words, wanted * sizeof *words, (off_t)((first + done) * sizeof *words));
        if (got < (ssize_t)sizeof *words)
            return false;
        size_t read = (size_t)got / sizeof *words;
        for (size_t i = 0; i < read; i++) {
            uint64_t bit = UINT64_C(1) << (done + i) % 64;
            sets->present[(done + i) / 64] |= words[i] & PAGEMAP_PRESENT ? bit : 0;
            sets->exclusive[(done + i) / 64] |= words[i] & PAGEMAP_EXCLUSIVE ? bit : 0;
        }
        done += read;
    }
    return true;
}

/* Which pages of a mapping are in memory, when only some are. What was read and never written to is present as well: it
 * is the kernel's page of zeros, which nobody pays for. So the exclusive pages are the ones, if they are as many as
 * there should be; else all that are present are, if need be each in part. */
static void read_pages(int pagemap, struct mt_residence_region *region) {
    uint64_t count = (region->end - region->start) / PAGE;
    if (pagemap < 0 || count > PAGES_MAX)
        return;
    struct page_sets sets = {calloc(count / 64 + 1, sizeof(uint64_t)), calloc(count / 64 + 1, sizeof(uint64_t))};
    if (sets.present && sets.exclusive && read_page_sets(pagemap, region->start / PAGE, count, &sets)) {
        bool exactly = count_pages(sets.exclusive, 0, count) * PAGE == region->bytes;
        uint64_t **chosen = exactly ? &sets.exclusive : &sets.present;
        uint64_t pages = count_pages(*chosen, 0, count);
        if (pages > 0) {
            region->share = (double)region->bytes / (double)(pages * PAGE);
            region->pages = *chosen;
            *chosen = NULL;
        }
    }
    free(sets.present);
    free(sets.exclusive);
}

static bool add_region(struct mt_residence *residence, int pagemap, struct mt_residence_region region) {
    uint64_t size = region.end - region.start;
    if (region.bytes > size)
        region.bytes = size;
    if (region.bytes == 0)
        return true;
    region.share = (double)region.bytes / (double)size;
    if (region.bytes < size)
        read_pages(pagemap, &region);
    if (mt_vector_push(&residence->regions, region))
        return true;
    free(region.pages);
    return false;
}

/* A mapping is a line as in /proc/PID/maps, then a line for each thing that is known of it. */
static bool read_mappings(FILE *file, int pagemap, struct mt_residence *residence) {
    struct mt_residence_region region = {0};
    MT_AUTO_FREE char *line = NULL;
    size_t capacity = 0;
    bool ok = true;
    while (ok && getline(&line, &capacity, file) > 0) {
        uint64_t start, end, kilobytes;
        char permissions[5];
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s", &start, &end, permissions) == 3 && start < end) {
            ok = add_region(residence, pagemap, region);
            region = (struct mt_residence_region){.start = start, .end = end};
        } else if (sscanf(line, "Rss: %" SCNu64, &kilobytes) == 1) {
            region.bytes = kilobytes < UINT64_MAX / KILOBYTE ? kilobytes * KILOBYTE : 0;
        } else if (strncmp(line, "VmFlags:", 8) == 0) {
            region.no_huge_pages = strstr(line, " nh") != NULL;
        }
    }
    return ok && add_region(residence, pagemap, region);
}

struct mt_error *mt_residence_of_process(pid_t pid, pid_t tid, struct mt_residence *ret) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d/smaps", (int)pid, (int)tid);
    FILE *file = fopen(path, "re");
    if (!file)
        return errno == ENOENT ? mt_error_create(MT_ERROR_NO_PROCESS, "no process %d", (int)pid)
                               : mt_proc_permission_error(pid);
    snprintf(path, sizeof path, "/proc/%d/task/%d/pagemap", (int)pid, (int)tid);
    MT_AUTO_CLOSE int pagemap = open(path, O_RDONLY | O_CLOEXEC);
    struct mt_residence residence = {.is_known = true};
    bool ok = read_mappings(file, pagemap, &residence);
    bool failed = ferror(file);
    fclose(file);
    if (ok && !failed) {
        *ret = residence;
        return NULL;
    }
    mt_residence_deinit(&residence);
    return failed ? mt_proc_permission_error(pid) : &mt_error_no_memory;
}

/* --- targets --------------------------------------------------------------------------------------------------------
 */

/* Debuggers write reservations, memory that nobody may access, as readable zeros. */
static bool may_be_used(const struct mt_region *region) {
    return region->writable || region->executable || (region->readable && region->path);
}

/* What a core holds of a mapping is its beginning. */
struct mt_error *mt_residence_of_held(struct mt_target *target, struct mt_residence *ret) {
    const struct mt_region *regions;
    size_t count;
    struct mt_residence residence = {0};
    struct mt_error *error = mt_target_regions(target, &regions, &count);
    for (size_t i = 0; i < count && !error; i++) {
        struct mt_residence_region region = {
            .start = regions[i].start, .end = regions[i].start + regions[i].held, .share = 1, .bytes = regions[i].held};
        if (region.bytes > 0 && may_be_used(&regions[i]) && !mt_vector_push(&residence.regions, region))
            error = &mt_error_no_memory;
    }
    if (error)
        mt_residence_deinit(&residence);
    else
        *ret = residence;
    return error;
}

struct mt_error *mt_residence_load(struct mt_target *target, struct mt_residence *ret) {
    return target->ops->load_residence ? target->ops->load_residence(target, ret) : mt_residence_of_held(target, ret);
}
