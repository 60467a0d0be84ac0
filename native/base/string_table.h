/* Strings kept once: equal strings have one number, counted from 0 in the order of their first coming, and one address
 * that stays good until the table goes. */
#ifndef MEMTRACE_STRING_TABLE_H
#define MEMTRACE_STRING_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mt_string_table {
    char **strings;
    size_t count;
    size_t capacity;
    uint32_t *slots; /* number + 1 of a string; 0: empty */
    size_t slot_count;
};

#define MT_STRING_TABLE_INIT                                                                                           \
    { 0 }

void mt_string_table_deinit(struct mt_string_table *table);
/* The number of these bytes, which are copied (a NUL is put behind them) when they are new; false when memory is out.
 */
bool mt_string_table_add(struct mt_string_table *table, const char *bytes, size_t length, uint32_t *ret_number);
/* NUL-terminated. */
static inline const char *mt_string_table_get(const struct mt_string_table *table, uint32_t number) {
    return table->strings[number];
}

#endif
