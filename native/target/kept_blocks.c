#define _GNU_SOURCE 1

#include "target/kept_blocks.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "target/file.h"
#include "target/target.h"

#define STEP_BLOCKS 256u
#define STEP_BYTES ((size_t)STEP_BLOCKS * MT_BLOCK)
#define STEPS_IN_MEMORY ((256u << 20) / STEP_BYTES)

void mt_kept_blocks_init(struct mt_kept_blocks *kept) {
    *kept = (struct mt_kept_blocks){.fd = -1};
}

void mt_kept_blocks_deinit(struct mt_kept_blocks *kept) {
    for (size_t i = 0; i < kept->steps.length; i++)
        munmap(kept->steps.data[i], STEP_BYTES);
    if (kept->fd >= 0)
        close(kept->fd);
    mt_vector_deinit(&kept->steps);
    mt_vector_deinit(&kept->blocks);
    mt_hash_map_deinit(&kept->index);
}

/* Memory for more blocks; NULL: none. */
static void *map_step(struct mt_kept_blocks *kept) {
    size_t steps = kept->steps.length;
    if (steps < STEPS_IN_MEMORY)
        return mmap(NULL, STEP_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    off_t offset = (off_t)((steps - STEPS_IN_MEMORY) * STEP_BYTES);
    if (kept->fd < 0)
        kept->fd = mt_open_nameless_file();
    /* A place on a full disk that is mapped but not there would kill the debugger. */
    if (kept->fd < 0 || posix_fallocate(kept->fd, offset, (off_t)STEP_BYTES) != 0)
        return MAP_FAILED;
    return mmap(NULL, STEP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, kept->fd, offset);
}

static bool make_room(struct mt_kept_blocks *kept) {
    if (kept->blocks.length < kept->steps.length * STEP_BLOCKS)
        return true;
    void *step = map_step(kept);
    if (step == MAP_FAILED)
        return false;
    if (mt_vector_push(&kept->steps, step))
        return true;
    munmap(step, STEP_BYTES);
    return false;
}

struct mt_kept_block *mt_kept_blocks_find(const struct mt_kept_blocks *kept, uint64_t number) {
    const uint64_t *index = mt_hash_map_find(&kept->index, number);
    return index ? &kept->blocks.data[*index] : NULL;
}

struct mt_kept_block *mt_kept_blocks_add(struct mt_kept_blocks *kept, uint64_t number) {
    size_t index = kept->blocks.length;
    if (!make_room(kept) || !mt_vector_reserve(&kept->blocks, index + 1) ||
        !mt_hash_map_find_or_insert(&kept->index, number, index, NULL))
        return NULL;
    uint8_t *bytes = kept->steps.data[index / STEP_BLOCKS] + index % STEP_BLOCKS * MT_BLOCK;
    kept->blocks.data[kept->blocks.length++] = (struct mt_kept_block){.bytes = bytes};
    return &kept->blocks.data[index];
}
