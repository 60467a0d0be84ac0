/* 100,000 blocks of 8 bytes: under an allocator that packs two into 16 bytes, all must be alive in the books, each
 * once, and none may overwrite another.  Run with the recorder and then the allocator preloaded.
 *
 * Prints how many pairs of neighbours share 16 bytes, so that a test knows that the allocator did pack. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image_reader.h"

#define BLOCKS 100000

static uint64_t *blocks[BLOCKS];
static uint64_t sorted[BLOCKS];
static uint8_t seen[BLOCKS];

static int compare(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static bool see(void *context, const struct block *block) {
    uint64_t *strange = context;
    const uint64_t *found = bsearch(&block->address, sorted, BLOCKS, sizeof sorted[0], compare);
    if (found == NULL)
        return true;
    if (block->size != sizeof *blocks[0] || image_site(block->site)->allocator != MT_MALLOC || seen[found - sorted])
        ++*strange;
    seen[found - sorted] = 1;
    return true;
}

int main(void) {
    uint64_t alive = 0, strange = 0, overwritten = 0, packed = 0, left = 0;
    for (uint64_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(sizeof *blocks[i]);
        *blocks[i] = i;
        sorted[i] = (uint64_t)blocks[i];
    }
    qsort(sorted, BLOCKS, sizeof sorted[0], compare);
    for (int i = 1; i < BLOCKS; i++)
        packed += sorted[i] / 16 == sorted[i - 1] / 16;
    image_each_block(see, &strange);
    for (uint64_t i = 0; i < BLOCKS; i++) {
        alive += seen[i];
        overwritten += *blocks[i] != i;
    }
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    memset(seen, 0, sizeof seen);
    image_each_block(see, &strange);
    for (int i = 0; i < BLOCKS; i++)
        left += seen[i];
    printf("{\"alive\":%llu,\"strange\":%llu,\"overwritten\":%llu,\"packed\":%llu,\"left\":%llu}\n",
           (unsigned long long)alive, (unsigned long long)strange, (unsigned long long)overwritten,
           (unsigned long long)packed, (unsigned long long)left);
    return 0;
}
