#include "recorder/index.h"

#include <stddef.h>

#include "recorder/memory.h"

#define CAPACITY_MIN 1024u

uint32_t mt_index_next(const struct mt_index *index, uint64_t hash, uint32_t *cursor) {
    if (index->capacity == 0)
        return 0;
    uint32_t position = (uint32_t)(hash + (*cursor)++) & (index->capacity - 1);
    return index->slots[position];
}

bool mt_index_reserve(struct mt_index *index) {
    if (index->count < index->capacity / 4 * 3)
        return true;
    uint32_t capacity = index->capacity != 0 ? index->capacity * 2 : CAPACITY_MIN;
    uint32_t *slots = capacity != 0 ? mt_memory_pages((size_t)capacity * sizeof *slots) : NULL;
    if (slots == NULL)
        return false;
    struct mt_index grown = {index->hash_of, slots, capacity, 0};
    for (uint32_t i = 0; i < index->capacity; i++)
        if (index->slots[i] != 0)
            mt_index_add(&grown, index->hash_of(index->slots[i]), index->slots[i]);
    /* The old slots become spare pages, all zero as the list wants them. */
    for (uint32_t i = 0; i < index->capacity; i++)
        index->slots[i] = 0;
    for (uint32_t i = 0; i < index->capacity; i += MT_PAGE / sizeof *slots)
        mt_memory_return_page(&index->slots[i]);
    *index = grown;
    return true;
}

void mt_index_add(struct mt_index *index, uint64_t hash, uint32_t record) {
    uint32_t position = (uint32_t)hash & (index->capacity - 1);
    while (index->slots[position] != 0)
        position = (position + 1) & (index->capacity - 1);
    index->slots[position] = record;
    index->count++;
}
