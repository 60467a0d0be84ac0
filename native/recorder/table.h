/* Live blocks that the shadow does not take: larger ones, unaligned ones, those of the malloc family.
 *
 * Extendible hashing over pages of 255 slots: a page splits in two when it is nearly full, so no event ever pays for
 * more than one page, and neighbours in memory stay neighbours in a page (the hash is of the address's 1 KiB). Readers
 * scan the pages and never hash; image.h has the slots' form. The recorder's lock is held. */
#ifndef MEMTRACE_RECORDER_TABLE_H
#define MEMTRACE_RECORDER_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"

struct mt_block {
    uint64_t address;
    uint64_t size;
    uint32_t site;
};

/* Enters a block; a block that stood at the same address comes back in *ret_before (site 0: none did).
 * false when memory is out, and nothing was entered. */
bool mt_table_insert(const struct mt_block *block, struct mt_block *ret_before);
/* The block at `address`; false when there is none. */
bool mt_table_find(uint64_t address, struct mt_block *ret);
/* Takes out the block at `address`; false when there is none. */
bool mt_table_remove(uint64_t address, struct mt_block *ret);
void mt_table_clear(void);

#endif
