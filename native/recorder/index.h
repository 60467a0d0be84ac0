/* A hash index over records that live elsewhere: open addressing on 32-bit record numbers (0: empty). The keys stay in
 * the records, so the index asks its owner to hash and to compare. The recorder's lock is held. */
#ifndef MEMTRACE_RECORDER_INDEX_H
#define MEMTRACE_RECORDER_INDEX_H

#include <stdbool.h>
#include <stdint.h>

struct mt_index {
    uint64_t (*hash_of)(uint32_t record);
    uint32_t *slots;
    uint32_t capacity; /* a power of two, or 0 */
    uint32_t count;
};

/* Walks the records whose hash may be `hash`: start with *cursor = 0; 0 ends the walk. */
uint32_t mt_index_next(const struct mt_index *index, uint64_t hash, uint32_t *cursor);
/* Room for one more record; false when memory is out. */
bool mt_index_reserve(struct mt_index *index);
/* After mt_index_reserve(). */
void mt_index_add(struct mt_index *index, uint64_t hash, uint32_t record);

static inline uint64_t mt_mix(uint64_t value) {
    value ^= value >> 32;
    value *= 0xD6E8FEB86659FD93u;
    value ^= value >> 32;
    value *= 0xD6E8FEB86659FD93u;
    return value ^ value >> 32;
}

#endif
