/* Blocks of a target's memory that came over a slow link, each fetched once and kept until the target is let go.
 *
 * The first 256 MiB stand in memory. The rest lies in a file without a name in $TMPDIR (or /var/tmp), mapped, which the
 * kernel writes out when memory is short. Where that file can't grow, nothing more is kept. */
#ifndef MEMTRACE_KEPT_BLOCKS_H
#define MEMTRACE_KEPT_BLOCKS_H

#include <stdint.h>

#include "base/hash_map.h"
#include "base/vector.h"

struct mt_kept_block {
    uint8_t *bytes;    /* MT_BLOCK of them, in the same place as long as the blocks exist */
    uint16_t readable; /* a bit a page */
    bool is_whole;     /* all of it was asked for; else it is still to be read */
};

struct mt_kept_blocks {
    struct mt_hash_map index; /* number of the block in the target -> index into blocks */
    MT_VECTOR(struct mt_kept_block) blocks;
    MT_VECTOR(uint8_t *) steps; /* memory of some blocks each */
    int fd;                     /* of the file; -1: not made yet */
};

void mt_kept_blocks_init(struct mt_kept_blocks *kept);
void mt_kept_blocks_deinit(struct mt_kept_blocks *kept);
/* NULL: it was not fetched. The pointer is good until the next call of add. */
struct mt_kept_block *mt_kept_blocks_find(const struct mt_kept_blocks *kept, uint64_t number);
/* Room for a block that is not there yet, with nothing readable in it; NULL: there is no room. */
struct mt_kept_block *mt_kept_blocks_add(struct mt_kept_blocks *kept, uint64_t number);

#endif
