#include "heap/memory_ledger.h"

#include <stdlib.h>

#define PAGE MT_RESIDENCE_PAGE
#define NO_NUMBER UINT64_MAX

void mt_ledger_init(struct mt_ledger *ledger, const struct mt_residence *residence) {
    *ledger = (struct mt_ledger){.residence = residence, .last_number = NO_NUMBER};
}

void mt_ledger_deinit(struct mt_ledger *ledger) {
    for (size_t i = 0; i < ledger->segments.length; i++)
        free(ledger->segments.data[i]);
    mt_vector_deinit(&ledger->segments);
    mt_hash_map_deinit(&ledger->index);
}

/* The index + 1 of a new segment; 0: nothing there is in memory. */
static uint64_t add_segment(struct mt_ledger *ledger, uint64_t number) {
    uint64_t start = number << MT_LEDGER_SHIFT;
    if (mt_residence_in(ledger->residence, start, start + MT_LEDGER_SEGMENT) <= 0)
        return 0;
    struct mt_ledger_segment *segment = calloc(1, sizeof *segment);
    if (!segment || !mt_vector_push(&ledger->segments, segment)) {
        free(segment);
        ledger->failed = true;
        return 0;
    }
    return ledger->segments.length;
}

struct mt_ledger_segment *mt_ledger_segment(struct mt_ledger *ledger, uint64_t address) {
    uint64_t number = address >> MT_LEDGER_SHIFT;
    if (number == ledger->last_number)
        return ledger->last;
    bool is_new;
    uint64_t *index = ledger->failed ? NULL : mt_hash_map_find_or_insert(&ledger->index, number, 0, &is_new);
    if (!index) {
        ledger->failed = true;
        return NULL;
    }
    if (is_new)
        *index = add_segment(ledger, number);
    ledger->last_number = number;
    ledger->last = *index ? ledger->segments.data[*index - 1] : NULL;
    return ledger->last;
}

const struct mt_ledger_segment *mt_ledger_find(const struct mt_ledger *ledger, uint64_t address) {
    const uint64_t *index = mt_hash_map_find(&ledger->index, address >> MT_LEDGER_SHIFT);
    return index && *index ? ledger->segments.data[*index - 1] : NULL;
}

void mt_ledger_claim_in(struct mt_ledger_segment *segment, enum mt_ledger_class class, uint64_t offset, uint64_t size) {
    uint16_t *claimed = segment->claimed[class];
    while (size > 0) {
        uint64_t page = offset / PAGE, room = PAGE - offset % PAGE, part = size < room ? size : room;
        uint64_t sum = claimed[page] + part;
        claimed[page] = (uint16_t)(sum < PAGE ? sum : PAGE);
        offset += part;
        size -= part;
    }
}

void mt_ledger_claim(struct mt_ledger *ledger, enum mt_ledger_class class, uint64_t start, uint64_t end) {
    while (start < end && !ledger->failed) {
        uint64_t offset = start & (MT_LEDGER_SEGMENT - 1), room = MT_LEDGER_SEGMENT - offset;
        uint64_t part = end - start < room ? end - start : room;
        struct mt_ledger_segment *segment = mt_ledger_segment(ledger, start);
        if (segment)
            mt_ledger_claim_in(segment, class, offset, part);
        start += part;
    }
}

void mt_ledger_own(struct mt_ledger *ledger, uint64_t address) {
    struct mt_ledger_segment *segment = mt_ledger_segment(ledger, address);
    uint64_t granule = (address & (MT_LEDGER_SEGMENT - 1)) / MT_LEDGER_GRANULE;
    if (segment)
        segment->owned[granule / 64] |= UINT64_C(1) << granule % 64;
}

bool mt_ledger_is_owned_in(const struct mt_ledger_segment *segment, uint64_t offset, uint64_t size) {
    uint64_t first = offset / MT_LEDGER_GRANULE, last = (offset + size - 1) / MT_LEDGER_GRANULE;
    uint64_t mask = UINT64_MAX << first % 64;
    for (uint64_t word = first / 64; word < last / 64; word++) {
        if (segment->owned[word] & mask)
            return true;
        mask = UINT64_MAX;
    }
    return segment->owned[last / 64] & mask & UINT64_MAX >> (63 - last % 64);
}

bool mt_ledger_is_owned(struct mt_ledger *ledger, uint64_t start, uint64_t end) {
    while (start < end) {
        uint64_t offset = start & (MT_LEDGER_SEGMENT - 1), room = MT_LEDGER_SEGMENT - offset;
        uint64_t part = end - start < room ? end - start : room;
        const struct mt_ledger_segment *segment = mt_ledger_find(ledger, start);
        if (segment && mt_ledger_is_owned_in(segment, offset, part))
            return true;
        start += part;
    }
    return false;
}
