/* Threads that get their names in every way there is, each with blocks of its own; then, for each byte that it reads,
 * all of them allocate once more. Says `ready` when nothing will happen until the next byte. */
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BEFORE, INSIDE, BY_PRCTL, OUTSIDE, BY_FILE, THREADS };
static const char *const names[THREADS] = {"before", "inside", "by-prctl", "outside", "by-file"};

static sem_t start[THREADS], done;
static pid_t tids[THREADS];
static void *held[THREADS][16];

/* Each thread by another function of the allocator. */
static void *allocate(size_t me, size_t size) {
    void *block = NULL;
    switch (me) {
    case BEFORE:
        return malloc(size);
    case INSIDE:
        return calloc(1, size);
    case BY_PRCTL:
        return realloc(malloc(1), size);
    case OUTSIDE:
        return posix_memalign(&block, 64, size) == 0 ? block : NULL;
    default:
        block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return block != MAP_FAILED ? block : NULL;
    }
}

static void *run(void *argument) {
    size_t me = (size_t)argument;
    if (me == BEFORE)
        pthread_setname_np(pthread_self(), names[me]);
    tids[me] = (pid_t)syscall(SYS_gettid);
    for (size_t round = 0;; round++) {
        sem_wait(&start[me]);
        held[me][round % 16] = allocate(me, (me + 1) * 10000 + round);
        if (me == INSIDE && round == 0)
            pthread_setname_np(pthread_self(), names[me]);
        if (me == BY_PRCTL && round == 0)
            prctl(PR_SET_NAME, names[me]);
        /* A name that was written into a file of /proc is noticed now and then. */
        for (size_t i = 0; me == BY_FILE && round == 1 && i < 2048; i++)
            free(malloc(1));
        sem_post(&done);
    }
    return NULL;
}

static void all(void) {
    for (size_t i = 0; i < THREADS; i++) {
        sem_post(&start[i]);
        sem_wait(&done);
    }
}

static int name_by_file(pid_t tid, const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", (int)tid);
    int fd = open(path, O_WRONLY);
    return fd >= 0 && write(fd, name, strlen(name)) == (ssize_t)strlen(name) && close(fd) == 0 ? 0 : -1;
}

int main(void) {
    pthread_t threads[THREADS];
    char byte;
    sem_init(&done, 0, 0);
    for (size_t i = 0; i < THREADS; i++) {
        sem_init(&start[i], 0, 0);
        if (pthread_create(&threads[i], NULL, run, (void *)i) != 0)
            return 1;
    }
    all();
    pthread_setname_np(threads[OUTSIDE], names[OUTSIDE]);
    if (name_by_file(tids[BY_FILE], names[BY_FILE]) != 0)
        return 1;
    do {
        if (write(1, "ready\n", 6) != 6)
            return 1;
        if (read(0, &byte, 1) != 1)
            return 0;
        all();
    } while (1);
}
