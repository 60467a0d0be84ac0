#include "base/hash_map.h"

#include <stdlib.h>

void mt_hash_map_deinit(struct mt_hash_map *map) {
    free(map->entries);
    *map = (struct mt_hash_map)MT_HASH_MAP_INIT;
}

size_t mt_hash_map_count(const struct mt_hash_map *map) {
    return map->used + map->has_zero;
}

/* The entry of a key, or the empty one where it belongs. Some entry is always empty. */
static struct mt_hash_map_entry *probe(struct mt_hash_map_entry *entries, size_t capacity, uint64_t key) {
    size_t i = mt_hash_u64(key) & (capacity - 1);
    while (entries[i].key && entries[i].key != key)
        i = (i + 1) & (capacity - 1);
    return &entries[i];
}

uint64_t *mt_hash_map_find(const struct mt_hash_map *map, uint64_t key) {
    if (!key)
        return map->has_zero ? (uint64_t *)&map->zero_value : NULL;
    if (!map->capacity)
        return NULL;
    struct mt_hash_map_entry *entry = probe(map->entries, map->capacity, key);
    return entry->key ? &entry->value : NULL;
}

static bool grow(struct mt_hash_map *map) {
    size_t capacity = map->capacity ? map->capacity * 2 : 16;
    struct mt_hash_map_entry *entries = calloc(capacity, sizeof(*entries));
    if (!entries)
        return false;
    for (size_t i = 0; i < map->capacity; i++)
        if (map->entries[i].key)
            *probe(entries, capacity, map->entries[i].key) = map->entries[i];
    free(map->entries);
    map->entries = entries;
    map->capacity = capacity;
    return true;
}

uint64_t *mt_hash_map_find_or_insert(struct mt_hash_map *map, uint64_t key, uint64_t initial, bool *ret_new) {
    uint64_t *value = mt_hash_map_find(map, key);
    bool is_new = !value;
    if (is_new && !key) {
        map->has_zero = true;
        map->zero_value = initial;
        value = &map->zero_value;
    } else if (is_new) {
        if (map->used >= map->capacity / 2 + map->capacity / 8 && !grow(map))
            return NULL;
        struct mt_hash_map_entry *entry = probe(map->entries, map->capacity, key);
        *entry = (struct mt_hash_map_entry){key, initial};
        map->used++;
        value = &entry->value;
    }
    if (ret_new)
        *ret_new = is_new;
    return value;
}

bool mt_hash_map_next(const struct mt_hash_map *map, size_t *cursor, uint64_t *ret_key, uint64_t *ret_value) {
    for (; *cursor < map->capacity; ++*cursor)
        if (map->entries[*cursor].key) {
            *ret_key = map->entries[*cursor].key;
            *ret_value = map->entries[(*cursor)++].value;
            return true;
        }
    if (*cursor == map->capacity && map->has_zero) {
        ++*cursor;
        *ret_key = 0;
        *ret_value = map->zero_value;
        return true;
    }
    return false;
}
