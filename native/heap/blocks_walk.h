/* Inside heap/blocks*.c: the walk over the blocks of one object. */
#ifndef MEMTRACE_HEAP_BLOCKS_WALK_H
#define MEMTRACE_HEAP_BLOCKS_WALK_H

#include "heap/size.h"
#include "heap/size_rules.h"

struct mt_block_walk {
    struct mt_python *python;
    uint64_t address;
    const struct mt_type *type;
    mt_owned_block_visit *visit;
    void *context;
};

/* Shows a block, unless its address is 0. */
static inline void mt_walk_block(const struct mt_block_walk *walk, uint64_t address, uint64_t size, const char *what) {
    struct mt_owned_block block = {.address = address, .size = size, .what = what};
    if (address != 0)
        walk->visit(walk->context, &block);
}

/* A word of the object. */
static inline uint64_t mt_walk_member(const struct mt_block_walk *walk, uint64_t offset) {
    return mt_size_word(walk->python, walk->address, offset);
}

/* A C string with its final zero. */
void mt_walk_text(const struct mt_block_walk *walk, uint64_t address, const char *what);

typedef void mt_block_rule(const struct mt_block_walk *walk);
/* The sizes of all blocks that a rule shows (heap/blocks.c). */
uint64_t mt_size_of_blocks(struct mt_python *python, uint64_t address, const struct mt_type *type, mt_block_rule *rule);

/* heap/blocks_extension.c: of types of extension modules; others have none. */
mt_block_rule mt_walk_extension_blocks;
/* heap/blocks_code.c: those that sys.getsizeof counts, and the others */
mt_block_rule mt_walk_counted_code_blocks, mt_walk_other_code_blocks;

#endif
