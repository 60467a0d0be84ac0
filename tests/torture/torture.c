/* A mix of everything that goes wrong around an allocator: torture SEED
 *
 * The seed steers what is done: bursts of allocations, threads with destructors, forks (of several threads, nested,
 * killed), vfork and exec, posix_spawn, signal handlers, libraries loaded and unloaded. What it prints, and its status,
 * depend on the seed alone; at its end it may become another program by exec, that prints the same. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define ACTIONS 24
#define DEPTH_MAX 2
#define SLOTS 200

static const char *own_path;

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static uint64_t below(uint64_t *state, uint64_t limit) {
    return next_random(state) % limit;
}

static uint64_t seed_of(uint64_t seed) {
    return (seed + 1) * 0x9E3779B97F4A7C15u | 1;
}

/* Allocates, moves, checks and frees; every block is filled with a byte of its slot. */
static uint64_t burst(uint64_t *state, unsigned steps) {
    static const size_t sizes[] = {1, 8, 24, 100, 127, 128, 500, 2000, 5000, 70000, 300000};
    struct {
        unsigned char *bytes;
        size_t size;
    } slots[SLOTS] = {0};
    uint64_t result = 0;
    for (unsigned i = 0; i < steps; i++) {
        unsigned slot = (unsigned)below(state, SLOTS);
        size_t size = 1 + sizes[below(state, sizeof sizes / sizeof *sizes)];
        if (slots[slot].bytes != NULL &&
            (slots[slot].bytes[0] != slot || slots[slot].bytes[slots[slot].size - 1] != slot))
            abort();
        switch (below(state, 5)) {
        case 0:
            free(slots[slot].bytes);
            slots[slot].bytes = malloc(size);
            break;
        case 1:
            free(slots[slot].bytes);
            slots[slot].bytes = calloc(size, 1);
            if (slots[slot].bytes[size - 1] != 0)
                abort();
            break;
        case 2:
            slots[slot].bytes = realloc(slots[slot].bytes, size);
            break;
        case 3:
            free(slots[slot].bytes);
            slots[slot].bytes = aligned_alloc(64, (size + 63) & ~(size_t)63);
            break;
        default:
            free(slots[slot].bytes);
            slots[slot].bytes = NULL;
            size = 0;
        }
        if (slots[slot].bytes != NULL)
            memset(slots[slot].bytes, (int)slot, size);
        slots[slot].size = size;
        result = result * 31 + size;
    }
    for (unsigned slot = 0; slot < SLOTS; slot++)
        free(slots[slot].bytes);
    return result;
}

/* --- threads ------------------------------------------------------------------------------------------------------ */

#define THREADS 6

struct job {
    pthread_t thread;
    uint64_t state, result;
};

static pthread_key_t key;

static void destructor(void *block) {
    unsigned char *other = malloc(300);
    memset(other, 1, 300);
    free(block);
    free(other);
}

static void *run_job(void *argument) {
    struct job *job = argument;
    pthread_setspecific(key, malloc(50));
    job->result = burst(&job->state, 500);
    return NULL;
}

static void start_jobs(uint64_t *state, struct job *jobs, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        jobs[i] = (struct job){.state = next_random(state) | 1};
        if (pthread_create(&jobs[i].thread, NULL, run_job, &jobs[i]) != 0)
            abort();
    }
}

static uint64_t end_jobs(struct job *jobs, unsigned count) {
    uint64_t result = 0;
    for (unsigned i = 0; i < count; i++) {
        pthread_join(jobs[i].thread, NULL);
        result += jobs[i].result;
    }
    return result;
}

/* --- children ----------------------------------------------------------------------------------------------------- */

static uint64_t play(uint64_t *state, unsigned actions, unsigned depth);

static uint64_t wait_for(pid_t child) {
    int status;
    while (waitpid(child, &status, 0) != child)
        if (errno != EINTR)
            abort();
    return WIFEXITED(status) ? (uint64_t)WEXITSTATUS(status) : 1000 + (uint64_t)WTERMSIG(status);
}

static uint64_t fork_and_play(uint64_t *state, unsigned depth) {
    uint64_t childs = next_random(state) | 1;
    pid_t child = fork();
    if (child == 0)
        _exit((int)(play(&childs, 4, depth + 1) & 63));
    return wait_for(child);
}

/* The child allocates until it is killed. */
static uint64_t fork_and_kill(uint64_t *state) {
    uint64_t childs = next_random(state) | 1;
    pid_t child = fork();
    while (child == 0)
        burst(&childs, 100);
    usleep((useconds_t)below(state, 3000));
    kill(child, SIGKILL);
    return wait_for(child);
}

static uint64_t fork_and_exec(uint64_t *state) {
    char seed[32];
    char *const arguments[] = {(char *)(uintptr_t)own_path, "leaf", seed, NULL};
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)below(state, 1000));
    pid_t child;
    if (below(state, 2) == 0) {
        if (posix_spawn(&child, own_path, NULL, NULL, arguments, environ) != 0)
            abort();
    } else if ((child = vfork()) == 0) {
        execv(own_path, arguments);
        _exit(99);
    }
    return wait_for(child);
}

/* --- signals and libraries ---------------------------------------------------------------------------------------- */

static volatile sig_atomic_t handled;

static void handle(int number) {
    int kept = errno;
    void *map = mmap(NULL, 5000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map != MAP_FAILED) {
        *(volatile char *)map = 1;
        munmap(map, 5000);
    }
    handled++;
    errno = kept;
}

static uint64_t under_signals(uint64_t *state, unsigned threads) {
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 150}, {0, 150}};
    struct job jobs[THREADS];
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    start_jobs(state, jobs, threads);
    uint64_t result = burst(state, 1000) + end_jobs(jobs, threads);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
    return result;
}

static uint64_t load_library(uint64_t *state) {
    static const char *const names[] = {"libm.so.6", "libresolv.so.2", "libnone.so"};
    const char *name = names[below(state, 2)];
    void *library = dlopen(name, RTLD_NOW);
    uint64_t found = dlsym(library, "cos") != NULL;
    dlclose(library);
    return found + (dlopen(names[2], RTLD_NOW) != NULL);
}

static uint64_t play(uint64_t *state, unsigned actions, unsigned depth) {
    struct job jobs[THREADS];
    uint64_t result = 0;
    for (unsigned i = 0; i < actions; i++) {
        unsigned count = 1 + (unsigned)below(state, THREADS - 1);
        switch (below(state, depth < DEPTH_MAX ? 8 : 4)) {
        case 0:
            result += burst(state, 2000);
            break;
        case 1:
            start_jobs(state, jobs, count);
            result += end_jobs(jobs, count);
            break;
        case 2:
            result += under_signals(state, below(state, 3) == 0 ? count : 0);
            break;
        case 3:
            result += load_library(state);
            break;
        case 4:
            result += fork_and_play(state, depth);
            break;
        case 5: /* while other threads allocate */
            start_jobs(state, jobs, count);
            result += fork_and_play(state, depth);
            result += end_jobs(jobs, count);
            break;
        case 6:
            result += fork_and_kill(state);
            break;
        default:
            result += fork_and_exec(state);
        }
        result = result * 31 + i;
    }
    return result;
}

int main(int argc, char **argv) {
    char text[32];
    uint64_t state = seed_of(argc > 1 ? strtoull(argv[argc - 1], NULL, 10) : 0);
    own_path = argv[0];
    if (argc == 3 && strcmp(argv[1], "leaf") == 0)
        return (int)(burst(&state, 200) & 63);
    if (argc == 3 && strcmp(argv[1], "tell") == 0) {
        printf("%s\n", argv[2]);
        return (int)(strtoull(argv[2], NULL, 10) & 63);
    }
    if (argc != 2 || pthread_key_create(&key, destructor) != 0)
        return 99;
    snprintf(text, sizeof text, "%llu", (unsigned long long)play(&state, ACTIONS, 0));
    if (below(&state, 3) == 0) {
        execl(own_path, own_path, "tell", text, (char *)NULL);
        return 99;
    }
    printf("%s\n", text);
    return (int)(strtoull(text, NULL, 10) & 63);
}
