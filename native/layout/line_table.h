/* Which line an instruction is on: the three forms that CPython has kept this in. Used by the recorder, inside the
 * process, and by the reader of heaps, so it needs nothing but the bytes of a table.
 *
 * 3.9 co_lnotab: Objects/lnotab_notes.txt; 3.10 co_linetable: PEP 626 in the same file; 3.11+: Objects/locations.md. */
#ifndef MEMTRACE_LINE_TABLE_H
#define MEMTRACE_LINE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

enum mt_line_table {
    MT_LINES_LNOTAB,   /* 3.9: co_lnotab, pairs (address delta, signed line delta) */
    MT_LINES_PAIRS,    /* 3.10: PEP 626 pairs (range length, signed line delta; -128: no line) */
    MT_LINES_LOCATION, /* 3.11+: location table */
};

/* PEP 626's predecessors and 3.10: pairs of bytes. */
static inline uint32_t mt_line_from_pairs(const uint8_t *table, uint32_t size, uint32_t first_line, uint32_t offset,
                                          bool ends_known) {
    int64_t line = first_line, address = 0;
    bool has_line = true;
    for (uint32_t i = 0; i + 1 < size; i += 2) {
        int8_t delta = (int8_t)table[i + 1];
        if (ends_known) { /* 3.10: the pair covers [address, address + delta) */
            has_line = delta != -128;
            line += has_line ? delta : 0;
            address += table[i];
            if (address > offset)
                return has_line ? (uint32_t)line : 0;
        } else { /* 3.9: the pair begins at address + delta */
            address += table[i];
            if (address > offset)
                break;
            line += delta;
        }
    }
    return has_line ? (uint32_t)line : 0;
}

static inline uint32_t mt_line_read_varint(const uint8_t *table, uint32_t size, uint32_t *at) {
    uint32_t value = 0;
    for (unsigned shift = 0; *at < size && shift < 32; shift += 6) {
        uint8_t byte = table[(*at)++];
        value |= (uint32_t)(byte & 63) << shift;
        if ((byte & 64) == 0)
            break;
    }
    return value;
}

/* 3.11+: one entry a run of code units; a byte with bit 7 begins an entry. */
static inline uint32_t mt_line_from_locations(const uint8_t *table, uint32_t size, uint32_t first_line,
                                              uint32_t offset) {
    int64_t line = first_line;
    uint64_t end = 0;
    for (uint32_t i = 0; i < size;) {
        uint8_t head = table[i++];
        unsigned form = head >> 3 & 15;
        if (form == 13 || form == 14) {
            uint32_t delta = mt_line_read_varint(table, size, &i);
            line += delta & 1 ? -(int64_t)(delta >> 1) : (int64_t)(delta >> 1);
        } else if (form >= 10 && form <= 12) {
            line += form - 10;
        }
        end += 2u * ((head & 7u) + 1);
        if (offset < end)
            return form == 15 ? 0 : (uint32_t)line;
        while (i < size && (table[i] & 128) == 0) /* columns */
            i++;
    }
    return first_line;
}

/* Line of the instruction at a byte offset of the code; 0: the table has none for it. `first_line`: co_firstlineno. */
static inline uint32_t mt_line_at(enum mt_line_table form, const uint8_t *table, uint32_t size, uint32_t first_line,
                                  uint32_t offset) {
    switch (form) {
    case MT_LINES_LNOTAB:
        return mt_line_from_pairs(table, size, first_line, offset, false);
    case MT_LINES_PAIRS:
        return mt_line_from_pairs(table, size, first_line, offset, true);
    case MT_LINES_LOCATION:
        return mt_line_from_locations(table, size, first_line, offset);
    }
    return 0;
}

#endif
