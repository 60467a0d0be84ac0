/* A map from 64-bit keys (any, 0 too) to 64-bit values. Entries are never taken out one by one. */
#ifndef MEMTRACE_HASH_MAP_H
#define MEMTRACE_HASH_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mt_hash_map_entry {
    uint64_t key;
    uint64_t value;
};

struct mt_hash_map {
    struct mt_hash_map_entry *entries; /* open addressing; key 0 marks an empty one */
    size_t capacity;                   /* a power of two, or 0 */
    size_t used;                       /* entries that are not empty */
    bool has_zero;                     /* the entry of key 0 lives apart */
    uint64_t zero_value;
};

#define MT_HASH_MAP_INIT                                                                                               \
    { 0 }

/* Spreads all bits of a word over all bits of the result. */
static inline uint64_t mt_hash_u64(uint64_t word) {
    word ^= word >> 32;
    word *= 0x9e3779b97f4a7c15ULL;
    word ^= word >> 29;
    word *= 0xbf58476d1ce4e5b9ULL;
    return word ^ word >> 32;
}

void mt_hash_map_deinit(struct mt_hash_map *map);
size_t mt_hash_map_count(const struct mt_hash_map *map);
/* The value of `key`, or NULL when it is not there. The pointer is good until the next insertion. */
uint64_t *mt_hash_map_find(const struct mt_hash_map *map, uint64_t key);
/* The value of `key`, put in as `initial` when it was not there (`*ret_new` says so; may be NULL). NULL when memory is
 * out. The pointer is good until the next insertion. */
uint64_t *mt_hash_map_find_or_insert(struct mt_hash_map *map, uint64_t key, uint64_t initial, bool *ret_new);
/* Walks all entries in no order: start with `*cursor` 0, go on until false. No insertions meanwhile. */
bool mt_hash_map_next(const struct mt_hash_map *map, size_t *cursor, uint64_t *ret_key, uint64_t *ret_value);

#endif
