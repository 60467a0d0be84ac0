/* Stops a recorded process at every single instruction and reads its image from outside each time: the composition of
 * the peak must be the same all the way, and every resident block must be there.
 *
 * The victim prints the address of its image, stops itself (SIGSTOP) when its peak is behind it, does some work that
 * never passes the peak (it may equal it, with the same composition), and stops itself again.
 *
 * usage: single_step STEPS RESIDENT_SIZE VICTIM ARGUMENTS...     environment: PRELOAD and MEMTRACE_* for the victim
 *        single_step victim                                      the victim written in C
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image_reader.h"
#include "step.h"

#define RESIDENT_SIZE 4321
#define RESIDENTS 150
#define SITES_MAX 65536
#define PAGES_MAX 4096

static pid_t victim;
static uint64_t steps;

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "instruction %llu: ", (unsigned long long)steps);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    if (victim > 0)
        kill(victim, SIGKILL);
    exit(1);
}

/* --- reading from outside -------------------------------------------------------------------------------------------
 */

static void read_memory(uint64_t address, void *buffer, size_t size) {
    struct iovec local = {buffer, size}, remote = {(void *)address, size};
    if (process_vm_readv(victim, &local, 1, &remote, 1, 0) != (ssize_t)size)
        fail("%zu bytes at %#llx can't be read", size, (unsigned long long)address);
}

static void read_pool(const struct mt_pool_ref *pool, void *records, size_t size, uint64_t limit) {
    uint64_t per_chunk = 1ull << pool->chunk_shift;
    if (pool->count > limit)
        fail("%llu records are more than this test expects", (unsigned long long)pool->count);
    for (uint64_t first = 0; first < pool->count; first += per_chunk) {
        static char chunk[1 << 20];
        uint64_t start, count = pool->count - first < per_chunk ? pool->count - first : per_chunk;
        read_memory(pool->directory + 8 * (first >> pool->chunk_shift), &start, sizeof start);
        if (count * pool->stride > sizeof chunk)
            fail("a chunk is larger than this test expects");
        read_memory(start, chunk, count * pool->stride);
        for (uint64_t i = 0; i < count; i++)
            memcpy((char *)records + (first + i) * size, chunk + i * pool->stride, size);
    }
}

/* --- what must hold -------------------------------------------------------------------------------------------------
 */

struct share {
    int64_t bytes;
    uint32_t blocks;
};

static uint64_t image_address;
static struct mt_image_header header;
static struct mt_site sites[SITES_MAX];
static struct share shares[SITES_MAX]; /* at the last look */
static uint64_t epochs_seen, last_epoch;

static struct share share_of(uint64_t i) {
    if (sites[i].state == 0)
        return (struct share){0, 0};
    bool kept = sites[i].epoch == header.shards[0].epoch;
    return kept ? (struct share){sites[i].peak_bytes, sites[i].peak_blocks}
                : (struct share){sites[i].bytes, sites[i].blocks};
}

/* The total at the peak never changes, and as long as no new peak comes no site's share does. */
static void compare_peak(void) {
    static struct share whole_at_first;
    struct share whole = {0, 0};
    read_memory(image_address, &header, sizeof header);
    read_pool(&header.sites, sites, sizeof sites[0], SITES_MAX);
    bool new_peak = header.shards[0].epoch != last_epoch;
    last_epoch = header.shards[0].epoch;
    epochs_seen += new_peak;
    for (uint64_t i = 1; i < header.sites.count; i++) {
        struct share now = share_of(i);
        whole.bytes += now.bytes;
        whole.blocks += now.blocks;
        if (!new_peak && (now.bytes != shares[i].bytes || now.blocks != shares[i].blocks))
            fail("at the peak site %llu held %lld bytes in %u blocks, and before %lld in %u", (unsigned long long)i,
                 (long long)now.bytes, now.blocks, (long long)shares[i].bytes, shares[i].blocks);
        shares[i] = now;
    }
    if (steps == 0)
        whole_at_first = whole;
    if (whole.bytes != whole_at_first.bytes || whole.blocks != whole_at_first.blocks ||
        whole.bytes != header.shards[0].peak_bytes)
        fail("the peak is %lld bytes in %u blocks, and was %lld in %u", (long long)whole.bytes, whole.blocks,
             (long long)whole_at_first.bytes, whole_at_first.blocks);
}

/* Resident blocks stand in the block table: they are too large for the shadow. */
static void compare_residents(uint64_t size) {
    static uint64_t pages[PAGES_MAX];
    const struct mt_pool_ref *pool = &header.shards[0].table_pages;
    static uint64_t found[RESIDENTS * 2], first[RESIDENTS * 2];
    unsigned count = 0;
    read_pool(pool, pages, sizeof pages[0], PAGES_MAX);
    for (uint64_t p = 0; p < pool->count; p++) {
        struct mt_table_slot slots[MT_TABLE_SLOTS];
        read_memory(pages[p], slots, sizeof slots);
        for (unsigned s = 1; s < MT_TABLE_SLOTS; s++) {
            uint64_t address = MT_SLOT_ADDRESS(slots[s].key);
            if (slots[s].key == 0 || MT_SLOT_SIZE(slots[s].key, slots[s].value) != size)
                continue;
            unsigned known = 0;
            while (known < count && found[known] != address)
                known++;
            if (known == count && count < RESIDENTS * 2)
                found[count++] = address; /* an entry on the move may be there twice */
        }
    }
    if (steps == 0) {
        memcpy(first, found, sizeof first);
        if (count != RESIDENTS)
            fail("%u resident blocks instead of %d", count, RESIDENTS);
        return;
    }
    for (unsigned i = 0; i < RESIDENTS; i++) {
        unsigned known = 0;
        while (known < count && found[known] != first[i])
            known++;
        if (known == count)
            fail("resident block %#llx is nowhere", (unsigned long long)first[i]);
    }
}

/* --- the victim in C ------------------------------------------------------------------------------------------------
 */

#define WORKERS (RESIDENTS / 6)

static void *allocate_worker(int i, int round) {
    return round % 2 == 0 ? malloc(100 + (size_t)i) : calloc(1, 100 + (size_t)i);
}

/* Climbs to the same peak again and again, by other sites each time. Residents come among the first workers, so that
 * they are moved in their table when those go. */
static int be_victim(void) {
    static void *workers[WORKERS];
    scenario_prepare();
    if (scenario_start(MT_LEVEL_HEAP) != MT_RECORDING_ON)
        return 2;
    for (int i = 0; i < RESIDENTS; i++) {
        if (i % 6 == 0)
            workers[i / 6] = allocate_worker(i / 6, 0);
        if (malloc(RESIDENT_SIZE) == NULL) /* never freed */
            return 2;
    }
    raise(SIGSTOP);
    for (int round = 1;; round++) {
        for (int i = 0; i < WORKERS; i += 3)
            workers[i] = realloc(workers[i], 50);
        for (int i = 0; i < WORKERS; i++)
            free(workers[i]);
        for (int i = 0; i < WORKERS; i++)
            workers[i] = allocate_worker(i, round);
    }
}

int main(int argc, char **argv) {
    int pipe_ends[2], status;
    if (argc == 2 && strcmp(argv[1], "victim") == 0) {
        printf("%p\n", (void *)image_header());
        fflush(stdout);
        return be_victim();
    }
    if (argc < 4 || pipe(pipe_ends) != 0)
        return 2;
    uint64_t limit = strtoull(argv[1], NULL, 0), resident_size = strtoull(argv[2], NULL, 0);
    victim = fork();
    if (victim == 0) {
        dup2(pipe_ends[1], 1);
        setenv("LD_PRELOAD", getenv("PRELOAD"), 1);
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        execv(argv[3], argv + 3);
        _exit(127);
    }
    close(pipe_ends[1]);
    for (;;) { /* past the exec, to the first stop of its own */
        if (waitpid(victim, &status, 0) != victim || !WIFSTOPPED(status))
            fail("the victim ended");
        if (WSTOPSIG(status) == SIGSTOP)
            break;
        ptrace(PTRACE_CONT, victim, NULL, (void *)(intptr_t)(WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status)));
    }
    char line[64] = "";
    if (read(pipe_ends[0], line, sizeof line - 1) <= 0 || (image_address = strtoull(line, NULL, 0)) == 0)
        fail("the victim did not say where its image is");
    for (steps = 0; steps < limit; steps++) {
        compare_peak();
        if (resident_size != 0)
            compare_residents(resident_size);
        ptrace(PTRACE_SINGLESTEP, victim, NULL, NULL);
        if (waitpid(victim, &status, 0) != victim || !WIFSTOPPED(status))
            fail("the victim ended");
        if (WSTOPSIG(status) == SIGSTOP)
            break;
        if (WSTOPSIG(status) != SIGTRAP)
            fail("the victim got signal %d", WSTOPSIG(status));
    }
    printf("{\"steps\":%llu,\"events\":%llu,\"epochs\":%llu}\n", (unsigned long long)steps,
           (unsigned long long)header.shards[0].events, (unsigned long long)epochs_seen);
    kill(victim, SIGKILL);
    waitpid(victim, &status, 0);
    return 0;
}
