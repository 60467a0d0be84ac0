/* How large objects are, and which blocks of memory belong to them. */
#ifndef MEMTRACE_HEAP_SIZE_H
#define MEMTRACE_HEAP_SIZE_H

#include <stdint.h>

#include "python/python.h"
#include "python/types.h"

/* What sys.getsizeof() says: __sizeof__ plus what stands in front of the object. 0: can't be told. */
uint64_t mt_object_own_size(struct mt_python *python, uint64_t address, const struct mt_type *type);

/* A block of memory that an object owns besides the one it lies in, or that one itself. */
struct mt_owned_block {
    uint64_t address;
    uint64_t size;    /* bytes that are used, as far as known; 0: unknown */
    const char *what; /* "object", "items", "keys", "values", "buffer", "table", "block", "text", "utf8" ... */
    bool shared;      /* others may own it as well: a keys table */
};
typedef void mt_owned_block_visit(void *context, const struct mt_owned_block *block);
/* The object's own block first (with its headers), then its buffers: list items, dict keys and values, set table, deque
 * blocks, bytearray and array buffers, numpy data that it owns, str data that is not compact, the blocks of a C type
 * that are known. */
void mt_object_blocks(struct mt_python *python, uint64_t address, const struct mt_type *type,
                      mt_owned_block_visit *visit, void *context);

#endif
