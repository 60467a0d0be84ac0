/* What a scenario does to memory, one allocation at a time, loaded into the recorded interpreter by ctypes.  Each step
 * looks at the image right before and right after a single call, with nothing in between, so its differences are exact.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image_reader.h"
#include "step.h"

/* Whether the recorder is in this process. */
EXPORT int scenario_is_watched(void) {
    return image_header() != NULL;
}

EXPORT uint32_t scenario_pid(void) {
    return image_header()->pid;
}

EXPORT void scenario_start_and_exit(uint32_t level) {
    scenario_start(level);
    _exit(0);
}

/* --- one call at a time ------------------------------------------------------------------------------------------- */

static void *symbol(const char *name) {
    return dlsym(RTLD_DEFAULT, name);
}

static void *posix_memalign_64(size_t size) {
    void *result = NULL;
    return posix_memalign(&result, 64, size) == 0 ? result : NULL;
}

static void *allocate(const char *how, size_t size) {
    if (strcmp(how, "malloc") == 0)
        return malloc(size);
    if (strcmp(how, "calloc") == 0)
        return calloc(1, size);
    if (strcmp(how, "reallocarray") == 0)
        return reallocarray(NULL, 1, size);
    if (strcmp(how, "valloc") == 0)
        return valloc(size);
    if (strcmp(how, "pvalloc") == 0)
        return pvalloc(size);
    if (strcmp(how, "memalign") == 0)
        return memalign(64, size);
    if (strcmp(how, "posix_memalign") == 0)
        return posix_memalign_64(size);
    if (strcmp(how, "aligned_alloc") == 0)
        return aligned_alloc(64, size);
    if (strcmp(how, "mmap") == 0)
        return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (strstr(how, "Calloc") != NULL)
        return ((void *(*)(size_t, size_t))symbol(how))(1, size);
    return ((void *(*)(size_t))symbol(how))(size);
}

EXPORT void *scenario_allocate(const char *how, size_t size, struct step *ret) {
    if (symbol(how) == NULL)
        return NULL;
    step_look();
    void *result = allocate(how, size);
    step_compare(ret, result);
    return result;
}

EXPORT void *scenario_reallocate(const char *how, void *old, size_t size, struct step *ret) {
    void *(*reallocate)(void *, size_t) = symbol(how);
    struct block block;
    step_look();
    void *result = reallocate(old, size);
    step_compare(ret, result);
    ret->old_is_live = old != result && image_find_block(old, &block);
    return result;
}

/* `how`: free, free_sized, free_aligned_sized, munmap, PyMem_Free ...; -1: this libc does not have it. */
EXPORT int scenario_free(const char *how, void *block, size_t size, struct step *ret) {
    void *function = symbol(how);
    if (function == NULL)
        return -1;
    step_look();
    if (strcmp(how, "free_sized") == 0 || strcmp(how, "munmap") == 0)
        ((int (*)(void *, size_t))function)(block, size);
    else if (strcmp(how, "free_aligned_sized") == 0)
        ((void (*)(void *, size_t, size_t))function)(block, 64, size);
    else
        ((void (*)(void *))function)(block);
    step_compare(ret, block);
    return 0;
}

/* --- nothing but the call: ctypes holds on to the addresses that it looks up, and a recorder that is attached later
 * does not see what is called by those */

EXPORT void *scenario_valloc(size_t size) {
    return valloc(size);
}

EXPORT void scenario_give_back(void *block) {
    free(block);
}

/* --- a whole sequence with nothing in between -----------------------------------------------------------------------
 */

struct operation {
    int32_t slot;
    uint32_t size; /* 0: free what the slot holds */
};

#define SLOTS 64

EXPORT uint32_t scenario_sequence(uint32_t level, const struct operation *operations, size_t count) {
    static void *slots[SLOTS];
    scenario_prepare();
    if (scenario_start(level) != MT_RECORDING_ON)
        return MT_RECORDING_NEVER;
    for (size_t i = 0; i < count; i++) {
        if (operations[i].size != 0)
            slots[operations[i].slot] = valloc(operations[i].size);
        else
            free(slots[operations[i].slot]);
    }
    return scenario_stop();
}

/* --- counting, dumping, threads -------------------------------------------------------------------------------------
 */

struct count {
    uint64_t size;
    uint32_t allocator;
    uint64_t blocks;
};

static bool count_one(void *context, const struct block *block) {
    struct count *count = context;
    count->blocks += block->size == count->size && image_site(block->site)->allocator == count->allocator;
    return true;
}

/* Live blocks of exactly this size and allocator. */
EXPORT uint64_t scenario_count(uint64_t size, uint32_t allocator) {
    struct count count = {size, allocator, 0};
    image_each_block(count_one, &count);
    return count.blocks;
}

EXPORT uint64_t scenario_events(void) {
    return image_header()->shards[0].events;
}

EXPORT void scenario_dump(int fd) {
    image_dump(fd, true);
}

static void *run_callback(void *callback) {
    ((void (*)(void))callback)();
    return NULL;
}

/* A thread that Python did not make calls back into it. The caller must have let the GIL go. */
EXPORT int scenario_in_thread(void (*callback)(void)) {
    pthread_t thread;
    int error = pthread_create(&thread, NULL, run_callback, (void *)callback);
    return error != 0 ? error : pthread_join(thread, NULL);
}

/* --- without Python ----------------------------------------------------------------------------------------------- */

#define VALLOCS 20000

/* `count` blocks of `size` bytes, first all born, then all dead. */
EXPORT void scenario_vallocs(size_t count, size_t size, struct step *ret_born, struct step *ret_died) {
    static void *blocks[VALLOCS];
    step_look();
    for (size_t i = 0; i < count && i < VALLOCS; i++)
        blocks[i] = valloc(size);
    step_compare(ret_born, blocks[0]);
    step_look();
    for (size_t i = 0; i < count && i < VALLOCS; i++)
        free(blocks[i]);
    step_compare(ret_died, blocks[0]);
}

#define CREW 100
#define CREW_BLOCKS 100

static pthread_barrier_t gate;

/* Between two visits to the gate only the caller of scenario_crew runs. */
static void meet(void) {
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&gate);
}

static void *crew_member(void *size) {
    void *blocks[CREW_BLOCKS];
    free(malloc(1)); /* the thread's own arena is older than what is counted */
    meet();
    for (int i = 0; i < CREW_BLOCKS; i++)
        if (posix_memalign(&blocks[i], 64, (size_t)size) != 0)
            abort();
    meet();
    for (int i = 0; i < CREW_BLOCKS; i++)
        free(blocks[i]);
    meet();
    return NULL;
}

/* CREW threads, none of Python, each CREW_BLOCKS blocks. *ret: the events before, when all blocks live (the image then
 * goes to `fd`), and when all are freed. */
EXPORT int scenario_crew(size_t size, int fd, uint64_t ret[3]) {
    pthread_t threads[CREW];
    pthread_barrier_init(&gate, NULL, CREW + 1);
    for (int i = 0; i < CREW; i++)
        if (pthread_create(&threads[i], NULL, crew_member, (void *)size) != 0)
            return -1;
    for (int visit = 0; visit < 3; visit++) {
        pthread_barrier_wait(&gate);
        ret[visit] = scenario_events();
        if (visit == 1)
            image_dump(fd, true);
        pthread_barrier_wait(&gate);
    }
    for (int i = 0; i < CREW; i++)
        pthread_join(threads[i], NULL);
    return 0;
}

struct meeting {
    uint32_t arrived, go;
};

/* For a thread of Python that has let the GIL go: says so, waits, allocates, takes the GIL, allocates again. */
EXPORT void scenario_on_both_sides_of_the_gil(struct meeting *meeting) {
    int (*take)(void) = symbol("PyGILState_Ensure");
    void (*release)(int) = symbol("PyGILState_Release");
    __atomic_store_n(&meeting->arrived, 1, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&meeting->go, __ATOMIC_ACQUIRE))
        sched_yield();
    (void)!malloc(1234);
    int state = take();
    (void)!malloc(4321);
    release(state);
}
