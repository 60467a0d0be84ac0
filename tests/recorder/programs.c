/* Programs that are not Python, one a mode.  Each does a known amount of work and prints what the recorder's books say
 * of it. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image_reader.h"
#include "step.h"

static void begin(void) {
    scenario_prepare();
    if (scenario_start(MT_LEVEL_HEAP) != MT_RECORDING_ON) {
        fprintf(stderr, "recording did not begin\n");
        exit(2);
    }
}

static int finish(void) {
    if (scenario_stop() != MT_RECORDING_STOPPED)
        return 2;
    image_dump(1, true);
    return 0;
}

/* --- one thread ----------------------------------------------------------------------------------------------------
 */

static int program_break(void) {
    struct step grown, shrunk, set;
    begin();
    step_look();
    char *start = sbrk(100000);
    step_compare(&grown, start);
    step_look();
    sbrk(-60000);
    step_compare(&shrunk, start);
    step_look();
    int error = brk(start + 70000);
    step_compare(&set, start + 40000);
    printf("[");
    step_print(&grown);
    printf(",");
    step_print(&shrunk);
    printf(",");
    step_print(&set);
    printf("]\n");
    fflush(stdout);
    return error != 0 ? 2 : 0;
}

static int by_pointer(void) {
    void *(*looked_up)(size_t) = (void *(*)(size_t))dlsym(RTLD_DEFAULT, "malloc");
    void *(*next)(size_t) = (void *(*)(size_t))dlsym(RTLD_NEXT, "calloc");
    void *block;
    begin();
    block = looked_up(1001);
    block = ((void *(*)(size_t, size_t))(void *)next)(1, 1002);
    return block == NULL ? 2 : finish();
}

/* --- threads -------------------------------------------------------------------------------------------------------
 */

#define THREADS 4
#define BLOCKS 20000

static pthread_barrier_t gate;

/* Keeps every third block, and moves every fifth. */
static void *allocate_much(void *argument) {
    uintptr_t me = (uintptr_t)argument;
    free(malloc(1)); /* the thread's own arena is older than the recording */
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&gate);
    for (uintptr_t i = 0; i < BLOCKS; i++) {
        char *block = malloc(10 + me);
        if (i % 5 == 0)
            block = realloc(block, 20 + me);
        *block = 'x';
        if (i % 3 != 0)
            free(block);
    }
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&gate);
    return NULL;
}

static int many_threads(void) {
    pthread_t threads[THREADS];
    pthread_barrier_init(&gate, NULL, THREADS + 1);
    for (uintptr_t t = 0; t < THREADS; t++)
        pthread_create(&threads[t], NULL, allocate_much, (void *)t);
    pthread_barrier_wait(&gate);
    begin();
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&gate);
    int status = finish();
    pthread_barrier_wait(&gate);
    for (int t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    return status;
}

#define SHORT_THREADS 70000 /* more than a 16-bit slot number tells apart */

static pthread_key_t key;

static void free_late(void *block) {
    free(block);
}

/* Allocates, and frees once in the middle and once in a destructor at its end. */
static void *short_life(void *argument) {
    prctl(PR_SET_NAME, "short life");
    free(malloc(50));
    pthread_setspecific(key, malloc(60));
    return NULL;
}

static int short_threads(void) {
    pthread_key_create(&key, free_late);
    begin();
    for (int i = 0; i < SHORT_THREADS; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, short_life, NULL) != 0)
            return 2;
        pthread_join(thread, NULL);
    }
    fprintf(stderr, "%llu thread slots\n", (unsigned long long)image_header()->threads.count);
    return finish();
}

/* --- children ------------------------------------------------------------------------------------------------------
 */

static volatile bool stop_allocating;

static void *allocate_until_stopped(void *argument) {
    while (!stop_allocating)
        free(malloc(100));
    return NULL;
}

/* Forks while other threads allocate; every child allocates too and ends well. */
static int forks(void) {
    pthread_t threads[2];
    int bad = 0;
    begin();
    void *kept = malloc(1003);
    for (int t = 0; t < 2; t++)
        pthread_create(&threads[t], NULL, allocate_until_stopped, NULL);
    for (int i = 0; i < 300; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            void *mine = malloc(1004);
            free(malloc(2000));
            struct block found;
            bool right = image_find_block(mine, &found) && found.size == 1004 && image_find_block(kept, &found) &&
                         image_header()->pid == (uint32_t)getpid();
            _exit(right ? 0 : 1);
        }
        int status;
        if (waitpid(child, &status, 0) != child || status != 0)
            bad++;
    }
    stop_allocating = true;
    for (int t = 0; t < 2; t++)
        pthread_join(threads[t], NULL);
    if (bad != 0)
        fprintf(stderr, "%d of 300 children ended badly\n", bad);
    return bad != 0 ? 2 : finish();
}

static int spawns(void) {
    char *const arguments[] = {"true", NULL};
    begin();
    for (int i = 0; i < 100; i++) {
        pid_t child;
        int status;
        if (posix_spawnp(&child, "true", NULL, NULL, arguments, environ) != 0 || waitpid(child, &status, 0) != child ||
            status != 0)
            return 2;
        child = vfork();
        if (child == 0) {
            execvp("true", arguments);
            _exit(1);
        }
        if (waitpid(child, &status, 0) != child || status != 0)
            return 2;
    }
    return finish();
}

static int replaces_itself(void) {
    execlp("env", "env", NULL);
    return 2;
}

/* --- hard times ----------------------------------------------------------------------------------------------------
 */

#define HANDLER_MAPS 3000
#define HANDLER_SIZE 777

static volatile int handler_maps;

static void map_in_handler(int number) {
    int kept = errno;
    if (handler_maps < HANDLER_MAPS &&
        mmap(NULL, HANDLER_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        handler_maps++;
    errno = kept;
}

/* Signals fall anywhere into an allocating loop, and their handler maps memory: each map is in the books, or counted as
 * dropped. */
static int signals(void) {
    struct sigaction action = {.sa_handler = map_in_handler, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 100}, {0, 100}};
    sigaction(SIGALRM, &action, NULL);
    begin();
    setitimer(ITIMER_REAL, &often, NULL);
    for (uint64_t i = 0; handler_maps < HANDLER_MAPS && i < 200000000; i++) {
        char *block = malloc(100 + i % 3000);
        *block = 'x';
        free(block);
    }
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
    fprintf(stderr, "%d maps\n", handler_maps);
    return finish();
}

/* The kernel refuses memory, to the program and to the recorder: the program gets NULL as it would alone, and goes on.
 */
static int limited(void) {
    struct rlimit limit = {120u << 20, 120u << 20};
    setrlimit(RLIMIT_AS, &limit);
    begin();
    static void *blocks[2000000];
    size_t count = 0;
    while (count < sizeof blocks / sizeof *blocks && (blocks[count] = malloc(24 + count % 3000)) != NULL)
        count++;
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
    void *again = malloc(1000);
    fprintf(stderr, "%zu blocks\n", count);
    return again == NULL || count < 1000 ? 2 : finish();
}

static const struct {
    const char *name;
    int (*run)(void);
} modes[] = {
    {"program_break", program_break},     {"by_pointer", by_pointer}, {"many_threads", many_threads},
    {"short_threads", short_threads},     {"forks", forks},           {"spawns", spawns},
    {"replaces_itself", replaces_itself}, {"signals", signals},       {"limited", limited},
};

int main(int argc, char **argv) {
    for (size_t i = 0; argc == 2 && i < sizeof modes / sizeof *modes; i++)
        if (strcmp(argv[1], modes[i].name) == 0)
            return modes[i].run();
    return 2;
}
