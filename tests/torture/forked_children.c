/* Forks while three threads allocate, move and free: forked_children COUNT. Each child prints its pid and waits until
 * standard input ends, having one block from before the fork (1003 bytes) and one of its own (1004). */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 3

static void *allocate_for_ever(void *argument) {
    for (;;) {
        char *block = malloc(100);
        block = realloc(block, 3000);
        *block = 'x';
        free(block);
    }
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t thread;
    char byte;
    int count = argc > 1 ? atoi(argv[1]) : 0;
    void *kept = malloc(1003);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&thread, NULL, allocate_for_ever, NULL);
    for (int i = 0; i < count; i++) {
        usleep(1000);
        if (fork() == 0) {
            void *mine = malloc(1004);
            dprintf(1, "%d\n", (int)getpid());
            _exit(read(0, &byte, 1) == 0 && kept != NULL && mine != NULL ? 0 : 1);
        }
    }
    for (int i = 0; i < count; i++) {
        int status;
        if (wait(&status) < 0 || status != 0)
            _exit(2);
    }
    _exit(0);
}
