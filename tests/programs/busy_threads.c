/* Threads that wait, one each in sleep, accept and epoll_wait, one that takes and gives back large blocks all the time,
 * and one that does so with a library. The main thread waits for a byte; then it allocates a known block, says
 * `allocated`, waits for another, says `done` and how often which went round, and ends: with 1 when anything went
 * wrong.
 *
 *     busy_threads LIBRARY
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define KNOWN_BYTES 7654321

static volatile bool is_over;
static volatile int wrong;
static unsigned long blocks;
static int interruptions;
static const char *library;
static int wakes[2];
static char *volatile kept;

static void *in_sleep(void *unused) {
    while (!is_over)
        if (usleep(50000))
            wrong = 1;
    return NULL;
}

static void *in_accept(void *unused) {
    struct sockaddr_un any = {.sun_family = AF_UNIX};
    int server = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(server, (struct sockaddr *)&any, sizeof(sa_family_t)) || listen(server, 1))
        wrong = 2;
    accept(server, NULL, NULL);
    wrong = 3; /* nobody connects */
    return NULL;
}

static void *in_epoll(void *unused) {
    int epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(epoll, EPOLL_CTL_ADD, wakes[0], &event);
    int ready;
    while ((ready = epoll_wait(epoll, &event, 1, -1)) < 0 && errno == EINTR)
        interruptions++;
    if (ready != 1)
        wrong = 4;
    return NULL;
}

/* Every third is large enough for a mapping of its own. */
static void *in_malloc(void *unused) {
    while (!is_over) {
        size_t size = blocks % 3 ? 3000 + blocks % 60000 : 500000 + blocks % 1000000;
        char *block = malloc(size);
        block[0] = block[size - 1] = (char)blocks;
        if (blocks % 5 == 0)
            block = realloc(block, size *= 2);
        if (block[0] != (char)blocks)
            wrong = 5;
        free(block);
        blocks++;
    }
    return NULL;
}

static void *in_loader(void *unused) {
    while (!is_over) {
        void *handle = dlopen(library, RTLD_NOW);
        void (*allocate)(void) = handle ? (void (*)(void))dlsym(handle, "later_allocate") : NULL;
        if (!allocate || dlclose(handle))
            wrong = 6;
    }
    return NULL;
}

int main(int count, char **arguments) {
    static void *(*const bodies[])(void *) = {in_epoll, in_sleep, in_malloc, in_loader, in_accept};
    pthread_t threads[5];
    char byte;
    if (count != 2 || pipe(wakes))
        return 2;
    library = arguments[1];
    for (int i = 0; i < 5; i++)
        if (pthread_create(&threads[i], NULL, bodies[i], NULL))
            return 2;
    if (write(1, "ready\n", 6) != 6 || read(0, &byte, 1) != 1)
        return 2;
    kept = malloc(KNOWN_BYTES);
    kept[0] = 1;
    if (write(1, "allocated\n", 10) != 10 || read(0, &byte, 1) != 1)
        return 2;
    is_over = true;
    if (write(wakes[1], "x", 1) != 1)
        return 2;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    printf("done %d\n", interruptions);
    return wrong;
}
