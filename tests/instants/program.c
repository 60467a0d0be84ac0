/* The program that is stopped at every instant.
 *
 *     program bare OPERATIONS SEED      four threads, and one line of result
 *     program traced OPERATIONS SEED    the same, with a breakpoint (int3) when all threads are ready and when all are
 * done program steps                     single operations, each between two breakpoints */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "worker.h"

BOARD_EXPORT struct program_board instants_program_board;

static struct worker workers[WORKERS];
static pthread_barrier_t gate;
static uint64_t operations;

static void breakpoint(void) {
    __asm__ volatile("int3" ::: "memory");
}

static void start_worker(struct worker *worker, unsigned number, uint64_t seed) {
    worker->board = &instants_program_board.thread[number];
    worker->board->tid = (uint32_t)gettid();
    worker->random = (seed * WORKERS + number + 1) * 0x9E3779B97F4A7C15u;
    worker->seeds = (uint64_t)(number + 1) << 40;
}

/* --- four threads
 * ----------------------------------------------------------------------------------------------------- */

static size_t choose_size(struct worker *worker) {
    unsigned kind = below(worker, 100);
    if (kind < 55)
        return 1 + below(worker, 127);
    if (kind < 85)
        return 1 + below(worker, 2000);
    if (kind < 98)
        return 1 + below(worker, 20000);
    return 1 + below(worker, 300000);
}

/* What the worker before left in one of its cells is freed here, and often moved before. */
static void empty_cell(struct worker *worker, unsigned number, unsigned which) {
    struct held *cell = &instants_program_board.thread[(number + WORKERS - 1) % WORKERS].cells[which];
    struct held *scratch = &worker->board->slots[SLOTS - 1];
    if (__atomic_load_n(&cell->address, __ATOMIC_ACQUIRE) == 0)
        return;
    if (cell->seed & 1) {
        move(worker, cell, scratch, 1 + cell->size * 2 % 3000);
        release(worker, scratch);
    } else {
        release(worker, cell);
    }
}

static void work_on_block(struct worker *worker) {
    struct held *place = &worker->board->slots[below(worker, SLOTS - 1)];
    if (place->address == 0) {
        allocate(worker, place, (enum way)below(worker, WAYS), choose_size(worker));
        return;
    }
    unsigned kind = below(worker, 32);
    struct held *cell = &worker->board->cells[below(worker, CELLS)];
    if (kind < 3 && __atomic_load_n(&cell->address, __ATOMIC_ACQUIRE) == 0)
        give(worker, place, cell);
    else if (kind < 14)
        release(worker, place);
    else if (kind == 14)
        move_in_vain(worker, place);
    else if (kind == 15 && place->domain == MALLOC_FAMILY)
        move_to_nothing(worker, place);
    else if (kind < 20) /* mostly where it is */
        move(worker, place, place, 1 + place->size * 3 / 4);
    else
        move(worker, place, place, choose_size(worker));
}

static struct held *free_range(struct program_thread *board) {
    for (unsigned i = 0; i < RANGES; i++)
        if (board->ranges[i].address == 0)
            return &board->ranges[i];
    return NULL;
}

static void work_on_range(struct worker *worker) {
    struct held *place = &worker->board->ranges[below(worker, RANGES - 1)], *other;
    if (place->address == 0) {
        map(worker, place, 1 + below(worker, 6 * PAGE));
        return;
    }
    unsigned pages = (unsigned)((place->size + PAGE - 1) / PAGE), kind = below(worker, 8);
    unsigned first = below(worker, pages), last = first + 1 + below(worker, pages - first);
    other = free_range(worker->board);
    if (kind == 0)
        unmap_in_vain(worker, place);
    else if (kind < 3)
        remap(worker, place, 1 + below(worker, 8 * PAGE));
    else if (kind == 3 && other != NULL)
        map_over(worker, place, other, first * (size_t)PAGE, place->size - first * (size_t)PAGE);
    else if (first > 0 && last < pages && other != NULL)
        unmap(worker, place, first * (size_t)PAGE, (last - first) * (size_t)PAGE, other);
    else /* from the beginning, or to the end */
        unmap(worker, place, first * (size_t)PAGE, ((first > 0 ? pages : last) - first) * (size_t)PAGE, place);
}

static void *work(void *argument) {
    unsigned number = (unsigned)(uintptr_t)argument;
    struct worker *worker = &workers[number];
    start_worker(worker, number, worker->random);
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&gate);
    for (uint64_t i = 0; i < operations; i++) {
        if (below(worker, 10) == 0)
            work_on_range(worker);
        else
            work_on_block(worker);
        if (i % 4 == 0)
            empty_cell(worker, number, (unsigned)(i / 4 % CELLS));
    }
    __atomic_store_n(&worker->board->finished, 1, __ATOMIC_RELEASE);
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&gate);
    return NULL;
}

/* Everything that is still held is looked at and given back. */
static void clear(struct worker *worker) {
    struct program_thread *board = worker->board;
    for (unsigned i = 0; i < SLOTS; i++)
        if (board->slots[i].address != 0)
            release(worker, &board->slots[i]);
    for (unsigned i = 0; i < CELLS; i++)
        if (board->cells[i].address != 0)
            release(worker, &board->cells[i]);
    for (unsigned i = 0; i < RANGES; i++)
        if (board->ranges[i].address != 0)
            unmap(worker, &board->ranges[i], 0, (board->ranges[i].size + PAGE - 1) / PAGE * PAGE, NULL);
}

static int four_threads(bool traced, uint64_t seed) {
    pthread_t threads[WORKERS];
    uint64_t checksum = 0;
    pthread_barrier_init(&gate, NULL, WORKERS + 1);
    instants_program_board.threads = WORKERS;
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i].random = seed;
        if (pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)i) != 0)
            fail("no threads");
    }
    pthread_barrier_wait(&gate);
    if (traced)
        breakpoint();
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&gate);
    if (traced)
        breakpoint();
    pthread_barrier_wait(&gate);
    for (unsigned i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        clear(&workers[i]);
        checksum += workers[i].checksum;
    }
    printf("%016llx\n", (unsigned long long)checksum);
    return 0;
}

/* --- single operations
 * ------------------------------------------------------------------------------------------------ */

/* Between the two breakpoints the driver steps: always, or only where the recorder grows or shrinks. */
#define STEP(what, always, operation)                                                                                  \
    do {                                                                                                               \
        strncpy(instants_program_board.label, what, sizeof instants_program_board.label - 1);                          \
        instants_program_board.each = always;                                                                          \
        breakpoint();                                                                                                  \
        operation;                                                                                                     \
        breakpoint();                                                                                                  \
    } while (0)

enum { ALWAYS = 1, IF_IT_GROWS = 0 };

static void blocks(struct worker *worker) {
    struct held *places = worker->board->slots;
    static const struct {
        const char *label;
        enum way way;
        size_t size;
    } births[] = {
        {"malloc", BY_MALLOC, 100},
        {"malloc of 4 GiB and more", BY_MALLOC, 0x100000123},
        {"calloc", BY_CALLOC, 5000},
        {"posix_memalign", BY_POSIX_MEMALIGN, 300},
        {"new site (pvalloc)", BY_PVALLOC, 100},
        {"PyMem_Malloc, small", BY_MEM_MALLOC, 100},
        {"PyObject_Malloc, large", BY_OBJ_MALLOC, 1000},
    };
    enum { BIRTHS = sizeof births / sizeof *births };
    for (unsigned round = 0; round < 2; round++) { /* the second below the peak */
        for (unsigned i = 0; i < BIRTHS; i++)
            STEP(births[i].label, ALWAYS, allocate(worker, &places[i], births[i].way, births[i].size));
        STEP("realloc that fails", ALWAYS, move_in_vain(worker, &places[0]));
        STEP("realloc to nothing", ALWAYS, move_to_nothing(worker, &places[3]));
        for (unsigned i = 0; i < BIRTHS; i++)
            if (places[i].address != 0)
                STEP("free", ALWAYS, release(worker, &places[i]));
    }
}

static void moves(struct worker *worker) {
    struct held *place = worker->board->slots, *wall = place + 1;
    for (unsigned round = 0; round < 2; round++) {
        static const enum way ways[] = {BY_MALLOC, BY_MEM_MALLOC};
        allocate(worker, place, ways[round], 100);
        allocate(worker, wall, ways[round], 100);
        STEP("realloc that shrinks in place", ALWAYS, move(worker, place, place, 90));
        STEP("realloc that moves", ALWAYS, move(worker, place, place, 2000));
        STEP("realloc that moves to small", ALWAYS, move(worker, place, place, 20));
        release(worker, place);
        release(worker, wall);
    }
}

static void maps(struct worker *worker) {
    struct held *first = worker->board->ranges, *second = first + 1;
    STEP("mmap", ALWAYS, map(worker, first, 10 * PAGE - 100));
    STEP("munmap of the middle", ALWAYS, unmap(worker, first, 4 * PAGE, 2 * PAGE, second));
    STEP("munmap of the head", ALWAYS, unmap(worker, first, 0, PAGE, first));
    STEP("munmap of the tail", ALWAYS, unmap(worker, second, 2 * PAGE, 2 * PAGE, NULL));
    STEP("munmap that fails", ALWAYS, unmap_in_vain(worker, first));
    STEP("mremap that moves", ALWAYS, remap(worker, first, 20 * PAGE + 1));
    STEP("mremap that shrinks", ALWAYS, remap(worker, first, 6 * PAGE));
    STEP("mmap over a part", ALWAYS, map_over(worker, first, first + 2, 3 * PAGE, 3 * PAGE));
    STEP("munmap across two maps", ALWAYS, unmap_across(worker, first, PAGE, first + 2, PAGE));
    STEP("munmap", ALWAYS, unmap(worker, first, 0, PAGE, NULL));
    STEP("munmap", ALWAYS, unmap(worker, first + 2, 0, 2 * PAGE, NULL));
    STEP("munmap", ALWAYS, unmap(worker, second, 0, 2 * PAGE, NULL));
}

static void *born_in_thread(void *argument) {
    struct worker *worker = argument;
    start_worker(worker, 1, 7);
    STEP("first malloc of a thread", ALWAYS, allocate(worker, &worker->board->slots[0], BY_MALLOC, 77));
    STEP("free beside another thread", ALWAYS, release(worker, &worker->board->slots[0]));
    map(worker, &worker->board->ranges[0], 3 * PAGE);
    STEP("munmap beside another thread", ALWAYS,
         unmap(worker, &worker->board->ranges[0], PAGE, PAGE, &worker->board->ranges[1]));
    return NULL;
}

static void new_thread(void) {
    pthread_t thread;
    instants_program_board.threads = 2;
    if (pthread_create(&thread, NULL, born_in_thread, &workers[1]) != 0)
        fail("no thread");
    pthread_join(thread, NULL);
}

/* Many blocks at addresses that only count up, so that tables grow; then they shrink. */
#define MANY 1200
static struct held many[MANY];

static void growth(struct worker *worker) {
    for (unsigned i = 0; i < 1200; i++)
        STEP("block table growth", IF_IT_GROWS, allocate(worker, &many[i], BY_MALLOC, 200));
    for (unsigned i = 0; i < 1200; i++)
        release(worker, &many[i]);
    for (unsigned i = 0; i < 1200; i++)
        STEP("shadow growth", IF_IT_GROWS, allocate(worker, &many[i], BY_OBJ_MALLOC, 100));
    for (unsigned i = 0; i < 1200; i++)
        STEP("shadow shrinkage", IF_IT_GROWS, release(worker, &many[i]));
    for (unsigned i = 0; i < 1100; i++)
        STEP("pool growth (maps)", IF_IT_GROWS, map(worker, &many[i], 1 + i % PAGE));
    for (unsigned i = 0; i < 1100; i += 2)
        unmap(worker, &many[i], 0, PAGE, NULL);
    for (unsigned i = 1; i < 1100; i += 2)
        unmap(worker, &many[i], 0, PAGE, NULL);
}

static int steps(void) {
    struct worker *worker = &workers[0];
    start_worker(worker, 0, 7);
    instants_program_board.threads = 1;
    allocate(worker, &worker->board->slots[SLOTS - 1], BY_MALLOC, 1);
    blocks(worker);
    moves(worker);
    maps(worker);
    growth(worker);
    STEP("mark", ALWAYS, allocate(worker, &worker->board->slots[0], BY_MALLOC, 1));
    STEP("mark", ALWAYS, release(worker, &worker->board->slots[0]));
    new_thread();
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "steps") == 0)
        return steps();
    if (argc != 4 || (strcmp(argv[1], "bare") != 0 && strcmp(argv[1], "traced") != 0))
        fail("usage: program bare|traced OPERATIONS SEED, or: program steps");
    operations = strtoull(argv[2], NULL, 10);
    return four_threads(strcmp(argv[1], "traced") == 0, strtoull(argv[3], NULL, 10));
}
