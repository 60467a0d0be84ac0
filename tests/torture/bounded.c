/* Work that goes on for ever over a constant live set: bounded MODE AMOUNT
 * (bounded offsets: where the image's header has its fields)
 *
 * After half of the amount (the warm-up), and at the end, it prints the recorder's own memory; nothing that it does
 * in between leaves a live block behind. */
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/image.h"

static struct mt_image_header *header;

static void tell(const char *when, uint64_t done) {
    const struct mt_shard *shard = &header->shards[0];
    uint64_t dropped = 0;
    for (unsigned i = 0; i < MT_DROP_KINDS; i++)
        dropped += header->dropped[i];
    printf("{\"when\":\"%s\",\"done\":%llu,\"recorder_bytes\":%llu,\"events\":%llu,\"live_blocks\":%lld,"
           "\"live_bytes\":%lld,\"dropped\":%llu,\"threads\":%llu,\"sites\":%llu}\n",
           when, (unsigned long long)done, (unsigned long long)header->recorder_bytes,
           (unsigned long long)shard->events, (long long)shard->live_blocks, (long long)shard->live_bytes,
           (unsigned long long)dropped, (unsigned long long)header->threads.count,
           (unsigned long long)header->sites.count);
    fflush(stdout);
}

/* --- short threads ------------------------------------------------------------------------------------------------ */

static void *allocate_and_end(void *argument) {
    free(malloc(100));
    free(calloc(1, 200));
    return NULL;
}

static int threads(uint64_t amount) {
    for (uint64_t done = 0; done < amount; done++) {
        pthread_t thread;
        if (done == amount / 2)
            tell("warm", done);
        if (pthread_create(&thread, NULL, allocate_and_end, NULL) != 0)
            return 2;
        pthread_join(thread, NULL);
    }
    return 0;
}

/* Several at once, so that slots are not only handed on from one to the next. */
#define CROWD 16

static int crowds(uint64_t amount) {
    for (uint64_t done = 0; done < amount; done += CROWD) {
        pthread_t thread[CROWD];
        if (done == amount / 2 / CROWD * CROWD)
            tell("warm", done);
        for (int i = 0; i < CROWD; i++)
            if (pthread_create(&thread[i], NULL, allocate_and_end, NULL) != 0)
                return 2;
        for (int i = 0; i < CROWD; i++)
            pthread_join(thread[i], NULL);
    }
    return 0;
}

/* --- many events -------------------------------------------------------------------------------------------------- */

#define LIVE 10000u

/* Replaces the blocks of a constant set by others of the same sizes, in an order that does not repeat. */
static int events(uint64_t amount) {
    static void *blocks[LIVE];
    uint64_t state = 88172645463325252u;
    for (uint32_t i = 0; i < LIVE; i++)
        blocks[i] = malloc(16 + i % 3000);
    for (uint64_t done = 0; done < amount; done += 2) {
        if (done == amount / 4 * 2)
            tell("warm", done);
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        uint32_t i = (uint32_t)(state % LIVE);
        free(blocks[i]);
        blocks[i] = malloc(16 + i % 3000);
        if (blocks[i] == NULL)
            return 2;
    }
    return 0;
}

/* --- for programs that are not C ---------------------------------------------------------------------------------- */

static void offsets(void) {
#define OFFSET(field) offsetof(struct mt_image_header, field)
    printf("{\"generation\":%zu,\"request\":%zu,\"dropped\":%zu,\"recorder_bytes\":%zu}\n", OFFSET(generation),
           OFFSET(request), OFFSET(dropped), OFFSET(recorder_bytes));
#undef OFFSET
}

static const struct {
    const char *name;
    int (*run)(uint64_t amount);
} modes[] = {{"threads", threads}, {"crowds", crowds}, {"events", events}};

int main(int argc, char **argv) {
    static char buffer[4096];
    if (argc == 2 && strcmp(argv[1], "offsets") == 0) {
        offsets();
        return 0;
    }
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer); /* or stdio would be part of the live set */
    header = dlsym(RTLD_DEFAULT, MT_IMAGE_SYMBOL);
    for (size_t i = 0; argc == 3 && header != NULL && i < sizeof modes / sizeof *modes; i++) {
        if (strcmp(argv[1], modes[i].name) != 0)
            continue;
        uint64_t amount = strtoull(argv[2], NULL, 10);
        int status = modes[i].run(amount);
        tell("end", amount);
        return status;
    }
    return 2;
}
