/* What the memory of a CPython process is made of, in parts that add up to all that is resident.
 *
 * Each page in memory is shared out by what lies on it: blocks that objects own, other blocks in use, what is left of
 * the allocators' memory; pages of no allocator go by their mapping. A block belongs as a whole (what rounding adds to
 * it, malloc's header) to the object whose body or buffer it has. */
#ifndef MEMTRACE_HEAP_MEMORY_MAP_H
#define MEMTRACE_HEAP_MEMORY_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/watch.h"
#include "heap/census.h"
#include "target/residence.h"

enum mt_memory_part {
    MT_MEMORY_OBJECTS,        /* bodies and buffers of Python objects */
    MT_MEMORY_PYMALLOC_SLACK, /* free blocks and pools of pymalloc, remainders, headers */
    MT_MEMORY_MALLOC_SLACK,   /* free chunks of malloc and the tops of its heaps */
    MT_MEMORY_NATIVE,         /* blocks in use that no known object owns */
    MT_MEMORY_STACKS,         /* C stacks of threads */
    MT_MEMORY_FILES,          /* mapped files and shared memory that nobody executes */
    MT_MEMORY_PROGRAM,        /* the program and its libraries: code and data, static objects among it */
    MT_MEMORY_RECORDER,       /* memtrace's own */
    MT_MEMORY_OTHER,          /* anonymous mappings that nobody claims: other allocators, the program's own mmap */
    MT_MEMORY_PARTS,
};

struct mt_memory_map {
    uint64_t resident;               /* the sum of: */
    uint64_t parts[MT_MEMORY_PARTS]; /* bytes */
    uint64_t native_blocks;
    uint64_t stacks;
    const char *largest_file; /* of MT_MEMORY_FILES; owned by the target; NULL: none */
    uint64_t largest_file_bytes;
    /* Of all objects of each type (by its index in python->types): bytes of bodies and buffers, large ones as far as
     * they are in memory; shared tables count for the first object that has them. */
    struct mt_memory_type {
        uint64_t count;
        uint64_t bytes;
    } * types;
    uint64_t *object_bytes; /* the same of each object */
};

/* `recorder_bytes`: that the recorder has mapped; 0: there is none. Free it with mt_memory_map_destroy. */
struct mt_error *mt_memory_map_create(struct mt_census *census, const struct mt_residence *residence,
                                      uint64_t recorder_bytes, struct mt_watch *watch, struct mt_memory_map **ret);
void mt_memory_map_destroy(struct mt_memory_map *map);

#endif
