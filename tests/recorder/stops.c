/* Stops without a debugger: this program writes the slots itself, as one would, and puts a breakpoint of its own on the
 * hook. Each case prints one line of JSON: the stops that came. */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "image_reader.h"
#include "step.h"

#define STOPS_MAX 4096
#define INT3 0xcc

struct seen {
    struct mt_stop_event event;
    int64_t live_bytes;  /* as the books have it */
    uint32_t lock;       /* held by anybody */
    uint32_t operation;  /* of the thread that stopped */
    uint32_t is_own_tid; /* it is the thread that the event names */
};

static struct seen seen[STOPS_MAX];
static unsigned seen_count;
static struct mt_image_header *image;

/* The breakpoint stands on the first byte of the hook: `ret` is all that is left to do of it. */
static void at_breakpoint(int number, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const struct mt_stop_event *event = (const struct mt_stop_event *)registers[REG_RDI];
    unsigned place = __atomic_fetch_add(&seen_count, 1, __ATOMIC_RELAXED);
    if (place < STOPS_MAX) {
        const struct mt_thread *thread = image_record(&image->threads, event->thread);
        seen[place] = (struct seen){*event, image->shards[0].live_bytes, image->shards[0].lock, thread->operation,
                                    thread->tid == (uint32_t)gettid()};
    }
    registers[REG_RIP] = *(greg_t *)registers[REG_RSP];
    registers[REG_RSP] += 8;
}

static void set_breakpoint(void) {
    unsigned char *hook = dlsym(RTLD_DEFAULT, MT_STOP_HOOK_SYMBOL);
    if (hook == NULL || (uint64_t)hook != image->stop_hook)
        exit(3);
    struct sigaction action = {.sa_sigaction = at_breakpoint, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, NULL);
    mprotect((void *)((uintptr_t)hook & ~4095UL), 8192, PROT_READ | PROT_WRITE | PROT_EXEC);
    *hook = INT3;
}

static void set(unsigned slot, uint32_t kind, uint64_t argument, int64_t limit) {
    image->stops[slot] = (struct mt_stop){.argument = argument, .limit = limit};
    __atomic_store_n(&image->stops[slot].kind, kind, __ATOMIC_SEQ_CST);
    image->stops_state |= MT_STOPS_CHANGED;
}

static void print_seen(const char *more) {
    printf("{\"stops\":[");
    for (unsigned i = 0; i < seen_count && i < STOPS_MAX; i++) {
        const struct seen *s = &seen[i];
        printf("%s{\"fired\":%u,\"operation\":%u,\"has_site\":%s,\"address\":%llu,\"size\":%llu,\"old_address\":%llu,"
               "\"net\":%lld,\"live\":%lld,\"live_then\":%lld,\"lock\":%u,\"operation_then\":%u,\"is_own\":%u}",
               i ? "," : "", s->event.fired, s->event.operation, s->event.site ? "true" : "false",
               (unsigned long long)s->event.address, (unsigned long long)s->event.size,
               (unsigned long long)s->event.old_address, (long long)s->event.net_bytes, (long long)s->event.live_bytes,
               (long long)s->live_bytes, s->lock, s->operation, s->is_own_tid);
    }
    printf("],\"state\":%u%s}\n", image->stops_state, more);
}

/* --- cases: what they leave in `image` is printed with the stops -------------------------------------------------- */

static char more[512];
static char *old; /* a block from before the recording */

static void heap(void) {
    int64_t before = image->shards[0].live_bytes;
    set(0, MT_STOP_HEAP, (uint64_t)before + 100000, 0);
    void *a = malloc(60000), *b = malloc(40000); /* exactly at the limit: not above */
    void *c = malloc(1), *d = malloc(5000);      /* above; more above */
    free(c);
    free(d);          /* fallen to it: armed again */
    d = malloc(2000); /* and above */
    free(a);
    free(b);
    free(d);
    snprintf(more, sizeof more, ",\"limit\":%lld", (long long)before + 100000);
}

static void heap_is_above_already(void) {
    void *a = malloc(70000);
    set(3, MT_STOP_HEAP, 50000, 0);
    void *b = malloc(10), *c = malloc(10);
    free(a);
    free(b);
    free(c);
}

static void peak(void) {
    void *climb[4], *small = malloc(500);
    int64_t top = image->shards[0].peak_bytes;
    set(1, MT_STOP_PEAK, 0, 0);
    climb[0] = malloc((size_t)(top - image->shards[0].live_bytes)); /* a tie is not new */
    climb[1] = malloc(100);
    climb[2] = malloc(200); /* the same climb */
    free(small);
    small = malloc(500); /* where it was: a tie */
    climb[3] = malloc(1);
    for (int i = 0; i < 4; i++)
        free(climb[i]);
    free(small);
    snprintf(more, sizeof more, ",\"top\":%lld", (long long)top);
}

static void peak_above(void) {
    int64_t top = image->shards[0].peak_bytes;
    set(1, MT_STOP_PEAK, (uint64_t)top + 1000, 0);
    void *a = malloc((size_t)(top - image->shards[0].live_bytes) + 900), *b = malloc(100), *c = malloc(1);
    free(a);
    free(b);
    free(c);
    snprintf(more, sizeof more, ",\"top\":%lld", (long long)top);
}

static void allocation(void) {
    set(2, MT_STOP_ALLOCATION, 30000, 0);
    set(5, MT_STOP_ALLOCATION, 50000, 0);
    void *a = malloc(29999), *b = calloc(2, 15000), *c = malloc(10);
    c = realloc(c, 60000);
    c = realloc(c, 100);
    free(a);
    free(b);
    free(c);
    void *map = mmap(NULL, 40000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(map, 40000);
}

static void ends(void) {
    char *freed = malloc(100), *moved = malloc(100), *other = malloc(100);
    char *map = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    set(0, MT_STOP_FREE, (uint64_t)freed, 0);
    set(1, MT_STOP_FREE, (uint64_t)moved, 0);
    set(2, MT_STOP_FREE, (uint64_t)map, 0);
    set(4, MT_STOP_FREE, (uint64_t)other + 16, 0); /* no block begins there */
    snprintf(more, sizeof more, ",\"freed\":%llu,\"moved\":%llu,\"map\":%llu", (unsigned long long)freed,
             (unsigned long long)moved, (unsigned long long)map);
    munmap(map + 2 * 4096, 2 * 4096); /* its tail only */
    free(other);
    free(freed);
    moved = realloc(moved, 1 << 20);
    free(moved);
    munmap(map, 2 * 4096);
}

static void old_block(void) {
    set(0, MT_STOP_FREE, (uint64_t)old, 0);
    free(old);
}

static void count(void) {
    static int64_t word = -5;
    set(7, MT_STOP_COUNT, (uint64_t)&word, 3);
    for (int i = 0; i < 12; i++, word++)
        free(malloc(1));
    snprintf(more, sizeof more, ",\"kind\":%u", image->stops[7].kind);
}

/* The watched word goes away together with its block, whether that was recorded or not. */
static void word_goes(void) {
    char *recorded = calloc(1, 1 << 20);
    void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    set(0, MT_STOP_COUNT, (uint64_t)recorded + 4096, 1);
    set(1, MT_STOP_COUNT, (uint64_t)map + 8, 1);
    set(2, MT_STOP_COUNT, (uint64_t)old + 100000, 1);
    free(malloc(1));
    free(recorded);
    munmap(map, 4096);
    free(old);
    free(malloc(1));
    snprintf(more, sizeof more, ",\"kinds\":[%u,%u,%u]", image->stops[0].kind, image->stops[1].kind,
             image->stops[2].kind);
}

static void several_at_once(void) {
    static int64_t word = 1;
    set(0, MT_STOP_HEAP, (uint64_t)image->shards[0].live_bytes + 10, 0);
    set(3, MT_STOP_ALLOCATION, 1000, 0);
    set(9, MT_STOP_COUNT, (uint64_t)&word, 1);
    set(15, MT_STOP_PEAK, 0, 0);
    free(malloc(10000));
}

static volatile sig_atomic_t handled;

static void allocate_in_handler(int number) {
    handled++;
    free(malloc(777));
}

/* A handler's blocks, wherever it comes. */
static void in_handlers(void) {
    struct sigaction action = {.sa_handler = allocate_in_handler};
    sigaction(SIGALRM, &action, NULL);
    set(0, MT_STOP_ALLOCATION, 777, 0);
    ualarm(200, 200);
    while (handled < 200)
        free(malloc(10));
    ualarm(0, 0);
    snprintf(more, sizeof more, ",\"handled\":%d,\"dropped\":%llu", (int)handled,
             (unsigned long long)image->dropped[MT_DROP_SIGNAL]);
}

static void in_fork(void) {
    set(0, MT_STOP_ALLOCATION, 3000, 0);
    fflush(stdout);
    pid_t pid = fork();
    free(malloc(3000));
    if (pid == 0)
        _exit((int)seen_count);
    int status;
    waitpid(pid, &status, 0);
    snprintf(more, sizeof more, ",\"in_child\":%d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

#define THREADS 4
#define ROUNDS 200

static void *allocate_in_thread(void *size) {
    for (int i = 0; i < ROUNDS; i++) {
        free(malloc((size_t)size));
        free(malloc(10));
    }
    return NULL;
}

static void in_threads(void) {
    pthread_t threads[THREADS];
    set(0, MT_STOP_ALLOCATION, 5000, 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, allocate_in_thread, (void *)(5000 + i));
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void taken_away(void) {
    set(0, MT_STOP_ALLOCATION, 10, 0);
    free(malloc(10));
    set(0, MT_STOP_NONE, 0, 0);
    free(malloc(10));
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {{"heap", heap},
                 {"heap_is_above_already", heap_is_above_already},
                 {"peak", peak},
                 {"peak_above", peak_above},
                 {"allocation", allocation},
                 {"ends", ends},
                 {"old_block", old_block},
                 {"count", count},
                 {"word_goes", word_goes},
                 {"several_at_once", several_at_once},
                 {"in_handlers", in_handlers},
                 {"in_fork", in_fork},
                 {"in_threads", in_threads},
                 {"taken_away", taken_away}};
    image = image_header();
    if (image == NULL || argc != 2)
        return 2;
    setvbuf(stdout, malloc(1 << 16), _IOFBF, 1 << 16);
    old = calloc(1, 1 << 20);
    set_breakpoint();
    scenario_prepare();
    scenario_start(MT_LEVEL_HEAP);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strcmp(argv[1], cases[i].name) == 0)
            cases[i].run();
    uint32_t state = scenario_stop();
    print_seen(more);
    return state == MT_RECORDING_STOPPED ? 0 : 2;
}
