#include "base/string_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash_map.h"
#include "base/vector.h"

void mt_string_table_deinit(struct mt_string_table *table) {
    for (size_t i = 0; i < table->count; i++)
        free(table->strings[i]);
    free(table->strings);
    free(table->slots);
    *table = (struct mt_string_table)MT_STRING_TABLE_INIT;
}

static uint64_t hash_bytes(const char *bytes, size_t length) {
    uint64_t hash = mt_hash_u64(length + 1);
    for (; length >= 8; bytes += 8, length -= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        hash = mt_hash_u64(hash ^ word);
    }
    uint64_t tail = 0;
    memcpy(&tail, bytes, length);
    return mt_hash_u64(hash ^ tail);
}

static bool grow_slots(struct mt_string_table *table) {
    size_t slot_count = table->slot_count ? table->slot_count * 2 : 16;
    uint32_t *slots = calloc(slot_count, sizeof(*slots));
    if (!slots)
        return false;
    for (size_t i = 0; i < table->count; i++) {
        size_t slot = hash_bytes(table->strings[i], strlen(table->strings[i])) & (slot_count - 1);
        while (slots[slot])
            slot = (slot + 1) & (slot_count - 1);
        slots[slot] = (uint32_t)i + 1;
    }
    free(table->slots);
    table->slots = slots;
    table->slot_count = slot_count;
    return true;
}

bool mt_string_table_add(struct mt_string_table *table, const char *bytes, size_t length, uint32_t *ret_number) {
    length = strnlen(bytes, length); /* what lies behind a NUL could not be told apart later */
    if (table->count >= UINT32_MAX - 1 || (table->count >= table->slot_count / 2 && !grow_slots(table)))
        return false;
    size_t slot = hash_bytes(bytes, length) & (table->slot_count - 1);
    for (; table->slots[slot]; slot = (slot + 1) & (table->slot_count - 1)) {
        const char *known = table->strings[table->slots[slot] - 1];
        if (!strncmp(known, bytes, length) && !known[length]) {
            *ret_number = table->slots[slot] - 1;
            return true;
        }
    }
    char **strings = mt_vector_grown(table->strings, &table->capacity, sizeof(*strings), table->count + 1);
    if (!strings)
        return false;
    table->strings = strings;
    char *copy = strndup(bytes, length);
    if (!copy)
        return false;
    table->strings[table->count++] = copy;
    table->slots[slot] = (uint32_t)table->count;
    *ret_number = (uint32_t)table->count - 1;
    return true;
}
