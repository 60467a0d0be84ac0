/* Odd calls for memory, one after another: maps MODE
 *
 * Around each call the recorder's books are looked at; the differences come out as one JSON array, by name of the call.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image_reader.h"
#include "step.h"

#define PAGE 4096ul
#define STEPS 32

static struct {
    const char *name;
    struct step step;
    bool as_expected; /* the call itself did what the scenario needs */
    uint64_t reserved_bytes, file_map_bytes;
} steps[STEPS];
static size_t step_count;

/* Looks, evaluates the call (which yields the address to look for), looks again. */
#define STEP(what, call, expected)                                                                                     \
    do {                                                                                                               \
        uint64_t reserved = image_header()->reserved_bytes, files = image_header()->file_map_bytes;                    \
        step_look();                                                                                                   \
        void *address = (void *)(call);                                                                                \
        step_compare(&steps[step_count].step, address);                                                                \
        steps[step_count].name = what;                                                                                 \
        steps[step_count].as_expected = (expected);                                                                    \
        steps[step_count].reserved_bytes = image_header()->reserved_bytes - reserved;                                  \
        steps[step_count].file_map_bytes = image_header()->file_map_bytes - files;                                     \
        step_count++;                                                                                                  \
    } while (0)

static int report(void) {
    scenario_stop();
    printf("[");
    for (size_t i = 0; i < step_count; i++) {
        printf("%s{\"name\":\"%s\",\"as_expected\":%d,\"reserved\":%llu,\"files\":%llu,\"step\":", i > 0 ? "," : "",
               steps[i].name, steps[i].as_expected, (unsigned long long)steps[i].reserved_bytes,
               (unsigned long long)steps[i].file_map_bytes);
        step_print(&steps[i].step);
        printf("}");
    }
    printf("]\n");
    fflush(stdout);
    image_dump(1, true);
    return 0;
}

static char *take(size_t size) {
    return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static char *place(char *where, size_t size, int protection) {
    return mmap(where, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

/* munmap as a step: the address whose fate is looked at is that of the map that was cut. */
static void *cut(char *map, char *from, size_t size, int *ret_result) {
    *ret_result = munmap(from, size);
    return map;
}

static int mremaps(void) {
    char *map, *moved, *room;
    STEP("map", map = take(10000), map != MAP_FAILED);
    STEP("grow", moved = mremap(map, 10000, 30000, MREMAP_MAYMOVE), moved != MAP_FAILED);
    STEP("shrink", map = mremap(moved, 30000, 5000, MREMAP_MAYMOVE), map == moved);
    room = mmap(NULL, 4 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    STEP("move", moved = mremap(map, 5000, 5000, MREMAP_MAYMOVE | MREMAP_FIXED, room), moved == room);
    STEP("what was moved away", map, true);
    STEP("fail", (mremap(moved + 1, 5000, 6000, MREMAP_MAYMOVE) == MAP_FAILED ? moved : NULL), true);
    return 0;
}

static int munmaps(void) {
    char *map;
    int result;
    STEP("map", map = take(10 * PAGE - 100), map != MAP_FAILED);
    STEP("head", cut(map + PAGE, map, PAGE, &result), result == 0);
    STEP("tail", cut(map + PAGE, map + 9 * PAGE, PAGE, &result), result == 0);
    STEP("middle", cut(map + PAGE, map + 4 * PAGE, PAGE, &result), result == 0);
    STEP("what is behind the middle", map + 5 * PAGE, true);
    STEP("fail", cut(map + PAGE, map + PAGE + 1, PAGE, &result), result != 0);
    STEP("a hole", cut(map + PAGE, map + 4 * PAGE, PAGE, &result), result == 0);
    STEP("all that is left", cut(map + PAGE, map, 10 * PAGE, &result), result == 0);
    return 0;
}

static int across(void) {
    int result;
    char *room = mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    STEP("first", place(room, 4 * PAGE, PROT_READ | PROT_WRITE), true);
    STEP("second", place(room + 4 * PAGE, 4 * PAGE - 50, PROT_READ | PROT_WRITE), true);
    STEP("across both", cut(room, room + 3 * PAGE, 2 * PAGE, &result), result == 0);
    STEP("what is left of the second", room + 5 * PAGE, true);
    return 0;
}

static int fixed(void) {
    char *map;
    STEP("map", map = take(5 * PAGE), map != MAP_FAILED);
    STEP("over its middle", place(map + PAGE, 2 * PAGE, PROT_READ | PROT_WRITE), true);
    STEP("what is behind", map + 3 * PAGE, true);
    STEP("reservation over it", place(map + PAGE, 2 * PAGE, PROT_NONE), true);
    STEP("failing map",
         (mmap(map + 1, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ? map : NULL),
         true);
    return 0;
}

static int reservations(void) {
    char *room;
    int result;
    FILE *file = tmpfile();
    int fd = fileno(file);
    char *view;
    result = ftruncate(fd, 3 * PAGE);
    STEP("reserve", room = mmap(NULL, 1ul << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), true);
    STEP("commit a part", (mprotect(room, PAGE, PROT_READ | PROT_WRITE) == 0 ? room : NULL), true);
    STEP("give back", cut(room, room, 1ul << 30, &result), result == 0);
    STEP("map a file", view = mmap(NULL, 3 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0), view != MAP_FAILED);
    STEP("unmap the file", cut(view, view, 3 * PAGE, &result), result == 0);
    return 0;
}

static int reallocs(void) {
    char *volatile block; /* what the compiler thinks of a block that failed to move is no matter */
    volatile size_t huge = (size_t)1 << 62;
    STEP("zero bytes", block = malloc(0), block != NULL);
    free(block);
    STEP("realloc of nothing", block = realloc(NULL, 1000), block != NULL);
    STEP("reallocarray", block = reallocarray(block, 10, 300), block != NULL);
    STEP("reallocarray overflows", (reallocarray(block, huge, 8) == NULL && errno == ENOMEM ? block : NULL), true);
    STEP("realloc fails", (realloc(block, huge) == NULL && errno == ENOMEM ? block : NULL), true);
    STEP("calloc overflows", (calloc(huge, 8) == NULL ? block : NULL), true);
    STEP("realloc to zero", ((void)!realloc(block, 0), block), true);
    STEP("free of nothing", (free(NULL), block), true);
    return 0;
}

static int breaks(void) {
    char *end = sbrk(0);
    STEP("ask", sbrk(0), true);
    STEP("take", sbrk(50000), true);
    STEP("fail to take", (sbrk((intptr_t)1 << 46) == (void *)-1 ? end : NULL), true);
    /* glibc says that this went well, and the kernel left the break where it was */
    STEP("fail to set", (brk((char *)16), end), sbrk(0) == end + 50000);
    STEP("set lower", (brk(end + 20000) == 0 ? end : NULL), true);
    STEP("give back the rest", (sbrk(-20000), end), true);
    return 0;
}

/* --- handlers and destructors ------------------------------------------------------------------------------------- */

static void *volatile from_handler;

static void allocate_in_handler(int number) {
    from_handler = malloc(3001);
    free(malloc(3002));
}

static int handler(void) {
    signal(SIGUSR1, allocate_in_handler);
    STEP("signal", (raise(SIGUSR1), from_handler), true);
    return 0;
}

static pthread_key_t first_key, second_key;

/* Runs after the thread's function; the key that it sets brings a second round of destructors. */
static void late_free(void *block) {
    free(block);
    pthread_setspecific(second_key, malloc(4003));
}

static void later_free(void *block) {
    free(block);
    (void)!malloc(4004);
}

static void *leave_the_rest_to_destructors(void *argument) {
    (void)!malloc(4001);
    pthread_setspecific(first_key, malloc(4002));
    return NULL;
}

static int destructors(void) {
    pthread_t thread;
    pthread_key_create(&first_key, late_free);
    pthread_key_create(&second_key, later_free);
    pthread_create(&thread, NULL, leave_the_rest_to_destructors, NULL);
    pthread_join(thread, NULL);
    return 0;
}

static const struct {
    const char *name;
    int (*run)(void);
} modes[] = {
    {"mremaps", mremaps},   {"munmaps", munmaps}, {"across", across},           {"fixed", fixed},
    {"breaks", breaks},     {"handler", handler}, {"destructors", destructors}, {"reservations", reservations},
    {"reallocs", reallocs},
};

int main(int argc, char **argv) {
    for (size_t i = 0; argc == 2 && i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(argv[1], modes[i].name) != 0)
            continue;
        scenario_prepare();
        if (scenario_start(MT_LEVEL_HEAP) != MT_RECORDING_ON || modes[i].run() != 0)
            return 2;
        return report();
    }
    return 2;
}
