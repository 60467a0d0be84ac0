/* A program that makes the recorder grow in all its parts: live blocks of many sizes, ranges, threads, a mark. It
 * prints a checksum of what it wrote into its memory, then its pid, and waits for a line. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image/image.h"

#define BLOCKS 12000
#define MAPS 300
#define THREADS 24

static uint64_t sum(const unsigned char *bytes, size_t size) {
    uint64_t result = 0;
    for (size_t i = 0; i < size; i += 64)
        result = result * 31 + bytes[i];
    return result;
}

static void *thread(void *argument) {
    size_t me = (size_t)argument;
    uint64_t *result = malloc(sizeof *result);
    *result = 0;
    for (size_t i = 1; i < 50; i++) {
        unsigned char *block = calloc(i, me + 1);
        memset(block, (int)(me + i), i * (me + 1));
        block = realloc(block, i * (me + 1) * 2);
        *result += sum(block, i * (me + 1));
        free(block);
    }
    return result;
}

static void mark(void) {
    struct mt_image_header *header = dlsym(RTLD_DEFAULT, MT_IMAGE_SYMBOL);
    if (header != NULL)
        header->request = MT_REQUEST_MARK;
    free(malloc(1));
}

int main(void) {
    static unsigned char *blocks[BLOCKS], *maps[MAPS];
    uint64_t result = 0;
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t size = 16 + i * 7 % 2000;
        blocks[i] = malloc(size);
        memset(blocks[i], (int)i, size);
        if (i % 3 == 0)
            blocks[i] = realloc(blocks[i], size + 500);
        if (i == BLOCKS / 2)
            mark();
    }
    for (size_t i = 0; i < MAPS; i++) {
        maps[i] = mmap(NULL, 4 << 12, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(maps[i], (int)i, 4 << 12);
        munmap(maps[i] + (1 << 12), 1 << 12); /* two ranges from one */
    }
    for (size_t t = 0; t < THREADS; t += 8) {
        pthread_t threads[8];
        void *part;
        for (size_t i = 0; i < 8; i++)
            pthread_create(&threads[i], NULL, thread, (void *)(t + i));
        for (size_t i = 0; i < 8; i++) {
            pthread_join(threads[i], &part);
            result += *(uint64_t *)part;
            free(part);
        }
    }
    mark();
    for (size_t i = 0; i < BLOCKS; i++) {
        result += sum(blocks[i], 16 + i * 7 % 2000);
        if (i % 2 == 0)
            free(blocks[i]);
    }
    for (size_t i = 0; i < MAPS; i++)
        result += sum(maps[i] + (2 << 12), 2 << 12);
    printf("%llu\n%d\n", (unsigned long long)result, (int)getpid());
    fflush(stdout);
    return getchar() == '\n' ? 0 : 1;
}
