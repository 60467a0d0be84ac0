/* Eight threads, each of which allocates 1,000,000 bytes and keeps them; then the process ends in the way that its
 * argument says. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS 8

static pthread_barrier_t all_have_allocated;
static char **arguments;

static void *allocate(void *argument) {
    long number = (long)argument;
    void *volatile kept = malloc(1000000);
    if (!kept)
        abort();
    pthread_barrier_wait(&all_have_allocated);
    if (!strcmp(arguments[1], "main-first")) {
        usleep(100000 + 2000 * (number % 2)); /* several at once */
        return NULL;
    }
    if (number == 3) {
        usleep(50000);
        if (!strcmp(arguments[1], "other-exits"))
            _exit(9);
        if (!strcmp(arguments[1], "other-crashes"))
            *(volatile int *)8 = 1;
        if (!strcmp(arguments[1], "exec"))
            execvp(arguments[2], arguments + 2);
    }
    for (;;) /* busy with blocks that are gone again */
        free(malloc(16));
}

int main(int count, char **words) {
    pthread_t thread;
    if (count < 2)
        return 2;
    arguments = words;
    pthread_barrier_init(&all_have_allocated, NULL, THREADS + 1);
    for (long i = 0; i < THREADS; i++)
        if (pthread_create(&thread, NULL, allocate, (void *)i))
            return 3;
    pthread_barrier_wait(&all_have_allocated);
    if (!strcmp(words[1], "main-first"))
        pthread_exit(NULL);
    if (!strcmp(words[1], "return")) {
        usleep(50000);
        return 4;
    }
    for (;;)
        pause();
}
