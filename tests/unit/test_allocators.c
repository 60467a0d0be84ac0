/* glibc's malloc and pymalloc from outside, against what real processes know of themselves, and against damage. */
#define _GNU_SOURCE 1

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "allocators/glibc.h"
#include "allocators/pymalloc.h"
#include "base/vector.h"
#include "child.h"
#include "python/python.h"
#include "synthetic_target.h"
#include "target/target.h"
#include "unit.h"

#define PYTHON "/usr/bin/python3"

/* --- what a child tells of its chunks ------------------------------------------------------------------------------
 */

#define KNOWN_MAX 40000

struct known_chunk {
    uint64_t address;
    uint64_t size;
    bool mmapped;
};

enum stage { BEFORE, GO_ON, DONE };

static struct shared {
    pthread_mutex_t mutex;
    volatile enum stage stage;
    volatile size_t known_count;
    volatile size_t freed_count;
    volatile unsigned threads_done;
    struct known_chunk known[KNOWN_MAX];
    uint64_t freed[KNOWN_MAX];
} * shared;

static int set_up(void **state) {
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared == MAP_FAILED ? -1 : 0;
}

static int reset(void **state) {
    memset(shared, 0, sizeof *shared);
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&shared->mutex, &attributes);
    return 0;
}

static void keep(void *pointer) {
    uint64_t header[2];
    memcpy(header, (char *)pointer - sizeof header, sizeof header);
    pthread_mutex_lock(&shared->mutex);
    shared->known[shared->known_count++] =
        (struct known_chunk){(uint64_t)(uintptr_t)pointer, malloc_usable_size(pointer), header[1] & 2};
    pthread_mutex_unlock(&shared->mutex);
}

static void drop(void *pointer) {
    pthread_mutex_lock(&shared->mutex);
    shared->freed[shared->freed_count++] = (uint64_t)(uintptr_t)pointer;
    pthread_mutex_unlock(&shared->mutex);
    free(pointer);
}

static size_t some_size(uint64_t *random) {
    static const size_t limits[] = {100, 600, 600, 600, 5000, 20000, 400000};
    return mt_test_random(random) % limits[mt_test_random(random) % (sizeof limits / sizeof limits[0])];
}

static void *some_block(uint64_t *random) {
    void *aligned;
    switch (mt_test_random(random) % 20) {
    case 0:
        return posix_memalign(&aligned, (size_t)32 << mt_test_random(random) % 13, some_size(random) + 1) ? NULL
                                                                                                          : aligned;
    case 1:
        return realloc(malloc(some_size(random) + 1), some_size(random) + 1);
    case 2:
    case 3:
        return calloc(1, some_size(random) + 1);
    default:
        return malloc(some_size(random) + 1);
    }
}

#define BLOCKS 3000

/* Allocates and frees, and ends with many free chunks in all sorts of lists. */
static void allocate(uint64_t seed) {
    static __thread void *blocks[BLOCKS];
    uint64_t random = seed;
    for (size_t i = 0; i < BLOCKS; i++)
        blocks[i] = some_block(&random);
    for (size_t i = 0; i < BLOCKS; i++) {
        if (mt_test_random(&random) % 3 == 0) {
            free(blocks[i]);
            blocks[i] = NULL;
        }
    }
    for (size_t i = 0; i < BLOCKS; i += 5)
        if (!blocks[i])
            blocks[i] = some_block(&random);
    for (size_t i = BLOCKS - 1; i > BLOCKS - 200; i -= 2) {
        if (blocks[i])
            drop(blocks[i]);
        blocks[i] = NULL;
    }
    for (size_t i = 0; i < BLOCKS; i++)
        if (blocks[i])
            keep(blocks[i]);
}

static void *allocate_in_thread(void *argument) {
    allocate((uint64_t)(uintptr_t)argument);
    __atomic_fetch_add(&shared->threads_done, 1, __ATOMIC_RELEASE);
    while (pause())
        ;
    return NULL;
}

static void wait_for_go(void) {
    mt_test_child_ready();
    while (shared->stage == BEFORE)
        usleep(1000);
}

static int done(void) {
    shared->stage = DONE;
    while (pause())
        ;
    return 0;
}

static int allocate_in_all_ways(void *argument) {
    wait_for_go();
    allocate(1);
    if (sbrk(12345) == (void *)-1) /* somebody else's, in the middle of malloc's */
        return 1;
    allocate(2);
    if (sbrk(40000) == (void *)-1)
        return 1;
    allocate(3);
    if (sbrk(5000) == (void *)-1)
        return 1;
    allocate(4);
    enum { THREADS = 4 };
    for (uintptr_t i = 0; i < THREADS; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, allocate_in_thread, (void *)(i + 10)))
            return 1;
    }
    while (__atomic_load_n(&shared->threads_done, __ATOMIC_ACQUIRE) < THREADS)
        usleep(1000);
    return done();
}

/* With the break blocked, malloc goes on in mappings. */
static int allocate_without_sbrk(void *argument) {
    wait_for_go();
    allocate(1);
    uintptr_t end = ((uintptr_t)sbrk(0) + 4095) & ~(uintptr_t)4095;
    if (mmap((void *)end, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED)
        return 1;
    for (uint64_t seed = 2; seed < 5; seed++)
        allocate(seed);
    return done();
}

/* --- glibc ----------------------------------------------------------------------------------------------------------
 */

typedef MT_VECTOR(struct mt_glibc_chunk) chunks;

static struct mt_error *collect(void *context, const struct mt_glibc_chunk *chunk) {
    chunks *all = context;
    if (all->length)
        assert_true(all->data[all->length - 1].address < chunk->address);
    assert_true(mt_vector_push(all, *chunk));
    return NULL;
}

struct heap {
    struct mt_target *target;
    struct mt_view *view;
    struct mt_glibc *glibc;
    chunks all;
};

static struct heap look(pid_t pid) {
    struct heap heap = {0};
    assert_ok(mt_target_open_live(pid, true, &heap.target));
    assert_ok(mt_view_create(heap.target, &heap.view));
    assert_ok(mt_glibc_open(heap.view, NULL, 0, NULL, &heap.glibc));
    assert_ok(mt_glibc_visit(heap.glibc, NULL, collect, &heap.all));
    assert_int_equal(heap.all.length, heap.glibc->totals.chunks);
    return heap;
}

static void look_away(struct heap *heap) {
    mt_vector_deinit(&heap->all);
    mt_glibc_destroy(heap->glibc);
    mt_view_destroy(heap->view);
    mt_target_destroy(heap->target);
}

static const struct mt_glibc_chunk *find(const chunks *all, uint64_t address) {
    size_t low = 0, high = all->length;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (all->data[middle].address <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low && all->data[low - 1].address == address ? &all->data[low - 1] : NULL;
}

static void go_on(pid_t pid) {
    shared->stage = GO_ON;
    for (int i = 0; i < 20000 && shared->stage != DONE; i++) {
        assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
        usleep(1000);
    }
    assert_int_equal(shared->stage, DONE);
}

static void knows_all_kept(struct heap *heap) {
    for (size_t i = 0; i < shared->known_count; i++) {
        const struct known_chunk known = shared->known[i];
        const struct mt_glibc_chunk *chunk = find(&heap->all, known.address);
        if (!chunk)
            print_error("the chunk at %#lx of %lu bytes is missing\n", known.address, known.size);
        assert_non_null(chunk);
        assert_int_equal(chunk->size, known.size);
        assert_int_equal(chunk->mmapped, known.mmapped);

        struct mt_glibc_chunk around;
        uint64_t size;
        assert_true(mt_glibc_block_of(heap->glibc, known.address + known.size - 1, &around));
        assert_int_equal(around.address, known.address);
        assert_true(!mt_glibc_block_of(heap->glibc, known.address + known.size, &around) ||
                    around.address != known.address);
        assert_true(mt_glibc_chunk_size(heap->view, known.address, &size));
        assert_int_equal(size, known.size);
    }
}

static int by_address(const void *left, const void *right) {
    uint64_t a = ((const struct known_chunk *)left)->address, b = ((const struct known_chunk *)right)->address;
    return a < b ? -1 : a > b;
}

static bool was_kept(uint64_t address) {
    struct known_chunk key = {.address = address};
    return bsearch(&key, shared->known, shared->known_count, sizeof *shared->known, by_address) != NULL;
}

/* A free chunk is told as such, unless it was given out again. */
static void knows_all_freed(struct heap *heap) {
    qsort(shared->known, shared->known_count, sizeof *shared->known, by_address);
    size_t free_count = 0;
    for (size_t i = 0; i < shared->freed_count; i++) {
        bool is_again = was_kept(shared->freed[i]);
        free_count += !is_again;
        if (!is_again && find(&heap->all, shared->freed[i]))
            print_error("the chunk at %#lx is free\n", shared->freed[i]);
        assert_int_equal(find(&heap->all, shared->freed[i]) != NULL, is_again);
    }
    assert_true(free_count > 100);
}

/* What is in use after, was not before, and is none of the child's: libc's for its threads. */
static size_t strangers(const struct heap *heap, const chunks *before) {
    size_t count = 0;
    for (size_t i = 0; i < heap->all.length; i++) {
        const struct mt_glibc_chunk *chunk = &heap->all.data[i];
        count += !chunk->own && !was_kept(chunk->address) && !find(before, chunk->address);
    }
    return count;
}

static void compare(int (*body)(void *argument), size_t strangers_max, unsigned arenas, unsigned mmapped_min) {
#ifdef MT_TEST_ADDRESS_SANITIZER
    skip(); /* malloc is not glibc's then */
#endif
    pid_t pid = mt_test_child_start(body, NULL);
    struct heap before = look(pid);
    assert_false(before.glibc->damaged);
    mt_target_destroy(before.target); /* lets it go */
    before.target = NULL;
    go_on(pid);
    struct heap heap = look(pid);
    assert_false(heap.glibc->damaged);
    assert_int_equal(heap.glibc->totals.arenas, arenas);
    knows_all_kept(&heap);
    knows_all_freed(&heap);
    assert_in_range(strangers(&heap, &before.all), 0, strangers_max);
    assert_true(heap.glibc->totals.cached_chunks > 50);
    assert_true(heap.glibc->totals.mmapped_chunks >= mmapped_min);
    look_away(&heap);
    look_away(&before);
    mt_test_child_end(pid);
}

static void all_chunks_in_use_are_told(void **state) {
    compare(allocate_in_all_ways, 4, 5, 10);
}

static void heap_in_mappings_is_told(void **state) {
    compare(allocate_without_sbrk, 0, 1, 0);
}

static uint64_t victim;

static int damage_a_header(void *argument) {
    for (int i = 0; i < 100; i++)
        keep(malloc(200));
    *(uint64_t *)((uintptr_t)shared->known[50].address - 8) = 0x4141414141414141;
    mt_test_child_ready();
    return done();
}

static int damage_a_link(void *argument) {
    void *blocks[5];
    for (size_t i = 0; i < 5; i++)
        blocks[i] = malloc(1000);
    for (size_t i = 0; i < 5; i++)
        drop(blocks[i]);
    *(uint64_t *)(uintptr_t)shared->freed[2] = 0x4242424242424242; /* used after it was freed */
    mt_test_child_ready();
    return done();
}

static void damage_is_told(void **state) {
#ifdef MT_TEST_ADDRESS_SANITIZER
    skip();
#endif
    pid_t pid = mt_test_child_start(damage_a_header, NULL);
    struct heap heap = look(pid);
    assert_true(heap.glibc->damaged);
    victim = shared->known[50].address - MT_GLIBC_HEADER;
    assert_int_equal(heap.glibc->damaged_at, victim);
    assert_true(heap.glibc->totals.unseen_bytes >= 50 * 208);
    assert_non_null(find(&heap.all, shared->known[49].address));
    assert_null(find(&heap.all, shared->known[50].address));
    look_away(&heap);
    mt_test_child_end(pid);

    reset(state);
    pid = mt_test_child_start(damage_a_link, NULL);
    heap = look(pid);
    assert_true(heap.glibc->damaged);
    for (size_t i = 2; i < 5; i++) /* the others can't be reached */
        assert_null(find(&heap.all, shared->freed[i]));
    look_away(&heap);
    mt_test_child_end(pid);
}

static void other_allocators_are_no_error(void **state) {
    struct mt_target *target = mt_synthetic_target_create();
    uint64_t *words = mt_synthetic_target_add(target, 0x10000, NULL, 0x4000, MT_SYNTHETIC_READ | MT_SYNTHETIC_WRITE,
                                              "/usr/lib/libc.so.6");
    for (size_t i = 0; i < 0x4000 / 8; i += 2) /* bins of nobody's */
        words[i] = words[i + 1] = 0x10000 + i * 8 - 16;
    struct mt_view *view;
    struct mt_glibc *glibc;
    struct mt_glibc_chunk chunk;
    uint64_t size;
    assert_ok(mt_view_create(target, &view));
    assert_ok(mt_glibc_open(view, NULL, 0, NULL, &glibc));
    assert_int_equal(glibc->totals.arenas, 0);
    assert_int_equal(glibc->totals.chunks, 0);
    assert_false(mt_glibc_block_of(glibc, 0x10010, &chunk));
    assert_false(mt_glibc_chunk_size(view, 0, &size));
    assert_false(mt_glibc_chunk_size(view, 0x10010, &size));
    assert_false(mt_glibc_chunk_size(view, UINT64_MAX & ~(uint64_t)15, &size));
    mt_glibc_destroy(glibc);
    mt_view_destroy(view);
    mt_target_destroy(target);
}

/* --- Python ---------------------------------------------------------------------------------------------------------
 */

#define OUTPUT_MAX 65536

struct python_child {
    pid_t pid;
    char output[OUTPUT_MAX]; /* both streams, to the line "ready" */
};

/* Runs `code`, then waits for signals. `setting` is NAME=VALUE or NULL. */
static void start_python(const char *code, const char *setting, struct python_child *child) {
    if (access(PYTHON, X_OK))
        skip();
    static char program[4096];
    snprintf(program, sizeof program, "import os, signal\n%s\nos.write(2, b'ready\\n')\nsignal.pause()\n", code);
    char *arguments[] = {PYTHON, "-S", "-c", program, NULL};
    char *environment[] = {(char *)(uintptr_t)setting, NULL};
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    child->pid = fork();
    assert_true(child->pid >= 0);
    if (child->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (dup2(ends[1], 1) == 1 && dup2(ends[1], 2) == 2)
            execve(PYTHON, arguments, environment);
        _exit(99);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t got = 1;
    while (got > 0 && length < OUTPUT_MAX - 1 && !(length >= 6 && strcmp(child->output + length - 6, "ready\n") == 0)) {
        got = read(ends[0], child->output + length, OUTPUT_MAX - 1 - length);
        length += got > 0 ? (size_t)got : 0;
        child->output[length] = '\0';
    }
    close(ends[0]);
    if (got <= 0)
        print_error("%s\n", child->output);
    assert_true(got > 0);
    mt_test_wait_for_state(child->pid, child->pid, "S");
}

struct interpreter {
    struct mt_target *target;
    struct mt_python *python;
    struct mt_pymalloc *pymalloc;
};

static struct interpreter look_into(pid_t pid) {
    struct interpreter it = {0};
    assert_ok(mt_target_open_live(pid, true, &it.target));
    assert_ok(mt_python_open(it.target, NULL, &it.python));
    assert_ok(mt_pymalloc_open(it.python, NULL, &it.pymalloc));
    return it;
}

static void look_out(struct interpreter *it) {
    mt_pymalloc_destroy(it->pymalloc);
    mt_python_destroy(it->python);
    mt_target_destroy(it->target);
}

#define CLASSES 32

struct class_counts {
    unsigned long pools, used, free;
};

static struct mt_error *count_classes(void *context, const struct mt_pymalloc_pool *pool, const uint8_t *bytes) {
    struct class_counts *counts = (struct class_counts *)context + pool->block_size / 16 - 1;
    uint32_t live = 0, fitting;
    for (uint32_t i = 0; i < pool->carved; i++)
        live += mt_pymalloc_is_live(pool, i);
    assert_int_equal(live, pool->used);
    assert_int_equal(live, pool->counted);
    assert_false(pool->damaged);
    memcpy(&fitting, bytes + 44, sizeof fitting); /* maxnextoffset */
    fitting = (fitting + pool->block_size - MT_PYMALLOC_POOL_HEADER) / pool->block_size;
    counts->pools++;
    counts->used += live;
    counts->free += fitting - live;
    return NULL;
}

/* sys._debugmallocstats() is CPython's own census: its last table must be ours. */
static void pools_are_told_exactly(void **state) {
    struct python_child child;
    start_python("import sys\nkept = [[i, str(i), {i: i}] for i in range(20000)]\ndel kept[::3]\n"
                 "sys._debugmallocstats()\nsys._debugmallocstats()",
                 NULL, &child);
    struct interpreter it = look_into(child.pid);
    assert_false(it.pymalloc->damaged);
    assert_false(it.pymalloc->debug_hooks);
    struct class_counts ours[CLASSES] = {{0}}, theirs[CLASSES] = {{0}};
    struct mt_pymalloc_totals totals;
    assert_ok(mt_pymalloc_visit(it.pymalloc, NULL, count_classes, ours, &totals));

    const char *table = NULL;
    for (const char *at = child.output; (at = strstr(at, "Small block threshold")); at++)
        table = at;
    assert_non_null(table);
    unsigned long used = 0;
    for (const char *line = table; line; line = strchr(line, '\n')) {
        unsigned number, size;
        struct class_counts counts;
        line += *line == '\n';
        if (sscanf(line, "%u %u %lu %lu %lu", &number, &size, &counts.pools, &counts.used, &counts.free) == 5) {
            assert_in_range(number, 0, CLASSES - 1);
            theirs[number] = counts;
            used += counts.used;
        }
    }
    assert_true(used > 50000);
    assert_memory_equal(ours, theirs, sizeof ours);
    assert_int_equal(totals.blocks, used);
    assert_int_equal(totals.damaged_pools + totals.unreadable_pools + totals.miscounted_pools, 0);
    assert_int_equal(totals.free_bytes + totals.block_bytes, totals.arena_bytes);
    look_out(&it);
    mt_test_child_end(child.pid);
}

static void blocks_are_found(void **state) {
    struct python_child child;
    start_python("blocks = [bytes(300) for i in range(1000)]\nprint(id(blocks[0]), id(blocks[501]), flush=True)\n"
                 "gone = [id(block) for block in blocks[1:500:2]]\nprint(*gone, flush=True)\ndel blocks[1:500:2]\n",
                 NULL, &child);
    struct interpreter it = look_into(child.pid);
    char *at = child.output;
    uint64_t start, size;
    bool live;
    for (int i = 0; i < 2; i++) {
        uint64_t address = strtoull(at, &at, 10);
        assert_true(mt_pymalloc_block_of(it.pymalloc, address + 100, &start, &size, &live));
        assert_int_equal(start, address);
        assert_int_equal(size, 336);
        assert_true(live);
    }
    unsigned free_count = 0, count = 0;
    for (uint64_t address; (address = strtoull(at, &at, 10)); count++) {
        if (mt_pymalloc_block_of(it.pymalloc, address, &start, &size, &live)) {
            assert_int_equal(start, address);
            free_count += !live;
        }
    }
    assert_int_equal(count, 250);
    assert_true(free_count > 200);
    assert_false(mt_pymalloc_block_of(it.pymalloc, 0, &start, &size, &live));
    assert_false(mt_pymalloc_block_of(it.pymalloc, UINT64_MAX, &start, &size, &live));
    assert_false(mt_pymalloc_block_of(it.pymalloc, it.pymalloc->arenas.data[0].pools_start + 8, &start, &size, &live));
    look_out(&it);
    mt_test_child_end(child.pid);
}

static void settings_of_the_allocator_are_seen(void **state) {
    static const struct {
        const char *setting;
        bool has_arenas, has_hooks;
    } cases[] = {{"PYTHONMALLOC=malloc", false, false},
                 {"PYTHONMALLOC=malloc_debug", false, true},
                 {"PYTHONMALLOC=debug", true, true},
                 {"PYTHONMALLOC=pymalloc", true, false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct python_child child;
        start_python("kept = [bytes(300) for i in range(1000)]\nprint(id(kept[0]), flush=True)", cases[i].setting,
                     &child);
        uint64_t address = strtoull(child.output, NULL, 10), start, size;
        struct interpreter it = look_into(child.pid);
        struct mt_pymalloc *pymalloc = it.pymalloc;
        assert_int_equal(pymalloc->arenas.length > 0, cases[i].has_arenas);
        assert_int_equal(pymalloc->debug_hooks, cases[i].has_hooks);
        assert_int_equal(pymalloc->front, cases[i].has_hooks ? 16 : 0);
        assert_int_equal(pymalloc->back, cases[i].has_hooks ? 8 : 0);

        struct mt_glibc *glibc;
        struct mt_glibc_chunk chunk;
        bool live = false;
        assert_ok(mt_glibc_open(it.python->view, pymalloc->extents.data, pymalloc->extents.length, NULL, &glibc));
        assert_false(glibc->damaged);
        bool is_pymalloc = mt_pymalloc_block_of(pymalloc, address, &start, &size, &live);
        bool is_glibc = mt_glibc_block_of(glibc, address, &chunk);
        assert_int_equal(is_pymalloc && live, cases[i].has_arenas);
        assert_int_equal(is_glibc, !cases[i].has_arenas);
        assert_int_equal(is_pymalloc ? start : chunk.address, address - pymalloc->front);
        mt_glibc_destroy(glibc);
        look_out(&it);
        mt_test_child_end(child.pid);
    }
}

/* --- damage ---------------------------------------------------------------------------------------------------------
 */

/* The writable memory of a process, copied, to be damaged. */
struct copy {
    struct mt_target *target;
    MT_VECTOR(struct mt_extent) extents;
    MT_VECTOR(uint8_t *) bytes;
};

static struct copy copy_of(struct mt_target *original) {
    struct copy copy = {.target = mt_synthetic_target_create()};
    const struct mt_region *regions;
    size_t count;
    assert_ok(mt_target_regions(original, &regions, &count));
    for (size_t i = 0; i < count; i++) {
        const struct mt_region *region = &regions[i];
        if (!region->writable || !region->readable)
            continue;
        size_t size = (size_t)(region->end - region->start);
        uint8_t *bytes = mt_synthetic_target_add(copy.target, region->start, NULL, size,
                                                 MT_SYNTHETIC_READ | MT_SYNTHETIC_WRITE, region->path);
        mt_error_destroy(mt_target_read(original, region->start, bytes, size));
        assert_true(mt_vector_push(&copy.extents, ((struct mt_extent){region->start, region->end})));
        assert_true(mt_vector_push(&copy.bytes, bytes));
    }
    return copy;
}

static uint8_t *bytes_at(const struct copy *copy, uint64_t address) {
    for (size_t i = 0; i < copy->extents.length; i++)
        if (address >= copy->extents.data[i].start && address < copy->extents.data[i].end)
            return copy->bytes.data[i] + (address - copy->extents.data[i].start);
    return NULL;
}

static struct mt_error *count_pools(void *context, const struct mt_pymalloc_pool *pool, const uint8_t *bytes) {
    assert_true(pool->carved <= MT_PYMALLOC_BLOCKS_MAX && pool->used <= pool->carved);
    if (pool->damaged)
        assert_int_equal(pool->used, pool->carved);
    *(uint64_t *)context += pool->damaged;
    return NULL;
}

static struct mt_error *ignore_chunk(void *context, const struct mt_glibc_chunk *chunk) {
    assert_true(chunk->address % 16 == 0);
    return NULL;
}

/* Everything there is, once, through a view that has not seen the memory yet. */
static uint64_t read_everything(struct copy *copy, const struct mt_python *python, bool *ret_heap_damaged) {
    struct mt_python now = *python;
    struct mt_pymalloc *pymalloc = NULL;
    struct mt_glibc *glibc;
    uint64_t damaged = 0;
    assert_ok(mt_view_create(copy->target, &now.view));
    struct mt_error *error = mt_pymalloc_open(&now, NULL, &pymalloc);
    if (!error) {
        assert_ok(mt_pymalloc_visit(pymalloc, NULL, count_pools, &damaged, NULL));
        for (size_t i = 0; i < pymalloc->arenas.length; i++) {
            uint64_t start, size;
            bool live;
            mt_pymalloc_block_of(pymalloc, pymalloc->arenas.data[i].pools_start + 1000, &start, &size, &live);
        }
    }
    mt_error_destroy(error);
    assert_ok(mt_glibc_open(now.view, pymalloc ? pymalloc->extents.data : NULL, pymalloc ? pymalloc->extents.length : 0,
                            NULL, &glibc));
    assert_ok(mt_glibc_visit(glibc, NULL, ignore_chunk, NULL));
    *ret_heap_damaged = glibc->damaged;
    mt_glibc_destroy(glibc);
    mt_pymalloc_destroy(pymalloc);
    mt_view_destroy(now.view);
    return damaged;
}

/* A value for a damaged word: an address of the process, near another, or nonsense. */
static uint64_t interesting(const struct copy *copy, uint64_t old, uint64_t *random) {
    static const uint64_t values[] = {0, 1, 8, 16, 0x21, 0x7fffffff, 0xffffffff, UINT64_MAX, INT64_MAX, 1ULL << 46};
    const struct mt_extent *extent = &copy->extents.data[mt_test_random(random) % copy->extents.length];
    switch (mt_test_random(random) % 4) {
    case 0:
        return values[mt_test_random(random) % (sizeof values / sizeof values[0])];
    case 1:
        return old ^ 1ULL << mt_test_random(random) % 48;
    case 2:
        return old + 16 * (mt_test_random(random) % 64) - 512;
    default:
        return extent->start + (mt_test_random(random) % (extent->end - extent->start) & ~(uint64_t)15);
    }
}

/* A word anywhere in the copy. */
static uint8_t *some_word(const struct copy *copy, uint64_t *random) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < copy->extents.length; i++)
        bytes += copy->extents.data[i].end - copy->extents.data[i].start;
    uint64_t offset = mt_test_random(random) % bytes & ~(uint64_t)7;
    for (size_t i = 0;; i++) {
        uint64_t size = copy->extents.data[i].end - copy->extents.data[i].start;
        if (offset < size)
            return copy->bytes.data[i] + offset;
        offset -= size;
    }
}

static void damage_words(struct copy *copy, size_t count, uint64_t *random) {
    while (count > 0) {
        uint8_t *at = some_word(copy, random);
        uint64_t word;
        memcpy(&word, at, sizeof word);
        if (!word && mt_test_random(random) % 64)
            continue; /* what is zero is seldom looked at */
        word = interesting(copy, word, random);
        memcpy(at, &word, sizeof word);
        count--;
    }
}

/* Ends a pool's free chain in nonsense. */
static void breaking_a_chain_frees_nothing(struct copy *copy, struct interpreter *it) {
    for (size_t i = 0; i < it->pymalloc->arenas.length; i++) {
        const struct mt_pymalloc_arena *arena = &it->pymalloc->arenas.data[i];
        for (uint64_t pool = arena->pools_start; pool < arena->pools_end; pool += it->pymalloc->pool_size) {
            uint8_t *bytes = bytes_at(copy, pool);
            uint64_t used, free_block;
            memcpy(&used, bytes, sizeof used);
            memcpy(&free_block, bytes + 8, sizeof free_block);
            if (!(uint32_t)used || !free_block)
                continue;
            bool heap_damaged;
            uint64_t itself = free_block, none = 0;
            assert_int_equal(read_everything(copy, it->python, &heap_damaged), 0);
            assert_false(heap_damaged);
            memcpy(&none, bytes_at(copy, free_block), sizeof none);
            memcpy(bytes_at(copy, free_block), &itself, sizeof itself);
            assert_int_equal(read_everything(copy, it->python, &heap_damaged), 1);
            memcpy(bytes_at(copy, free_block), &none, sizeof none);
            return;
        }
    }
    fail();
}

static void damaged_memory_never_harms(void **state) {
    struct python_child child;
    start_python("kept = [[i, str(i), {i: i}, bytes(1000)] for i in range(2000)]\ndel kept[::3]", NULL, &child);
    struct interpreter it = look_into(child.pid);
    struct copy copy = copy_of(it.target);
    breaking_a_chain_frees_nothing(&copy, &it);
    uint64_t random = 7;
    bool heap_damaged, ever_damaged = false;
    uint64_t ever_broken = 0;
    for (int i = 0; i < 120; i++) {
        damage_words(&copy, (size_t)1 << i / 10, &random);
        ever_broken += read_everything(&copy, it.python, &heap_damaged);
        ever_damaged |= heap_damaged;
    }
    assert_true(ever_damaged);
    assert_true(ever_broken > 0);
    mt_vector_deinit(&copy.extents);
    mt_vector_deinit(&copy.bytes);
    mt_target_destroy(copy.target);
    look_out(&it);
    mt_test_child_end(child.pid);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(all_chunks_in_use_are_told, reset),
        cmocka_unit_test_setup(heap_in_mappings_is_told, reset),
        cmocka_unit_test_setup(damage_is_told, reset),
        cmocka_unit_test_setup(other_allocators_are_no_error, reset),
        cmocka_unit_test_setup(pools_are_told_exactly, reset),
        cmocka_unit_test_setup(blocks_are_found, reset),
        cmocka_unit_test_setup(settings_of_the_allocator_are_seen, reset),
        cmocka_unit_test_setup(damaged_memory_never_harms, reset),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
