/* How much of each page belongs to whom: bytes that are claimed page by page, for the memory map. */
#ifndef MEMTRACE_HEAP_MEMORY_LEDGER_H
#define MEMTRACE_HEAP_MEMORY_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash_map.h"
#include "base/vector.h"
#include "target/residence.h"

enum mt_ledger_class {
    MT_LEDGER_OBJECTS,
    MT_LEDGER_NATIVE,
    MT_LEDGER_PYMALLOC, /* memory that the allocator has, whatever is in it */
    MT_LEDGER_MALLOC,
    MT_LEDGER_CLASSES,
};

#define MT_LEDGER_SHIFT 20
#define MT_LEDGER_SEGMENT (UINT64_C(1) << MT_LEDGER_SHIFT)
#define MT_LEDGER_PAGES (MT_LEDGER_SEGMENT / MT_RESIDENCE_PAGE)
/* Allocators align to this; of each such place it is known whether an object's block begins there. */
#define MT_LEDGER_GRANULE 16u
#define MT_LEDGER_WORDS (MT_LEDGER_SEGMENT / MT_LEDGER_GRANULE / 64)

/* 1 MiB of address space. */
struct mt_ledger_segment {
    uint16_t claimed[MT_LEDGER_CLASSES][MT_LEDGER_PAGES]; /* bytes of each page, at most a page */
    uint64_t owned[MT_LEDGER_WORDS];                      /* a bit a granule: a block of an object begins there */
};

struct mt_ledger {
    const struct mt_residence *residence;
    struct mt_hash_map index; /* number -> index into segments + 1; 0: nothing of it is in memory */
    MT_VECTOR(struct mt_ledger_segment *) segments;
    uint64_t last_number; /* of the segment that was asked for last */
    struct mt_ledger_segment *last;
    bool failed; /* memory is out; all calls do nothing then */
};

void mt_ledger_init(struct mt_ledger *ledger, const struct mt_residence *residence);
void mt_ledger_deinit(struct mt_ledger *ledger);
/* The segment that an address lies in, made when it is new; NULL: nothing there is in memory, or memory is out. */
struct mt_ledger_segment *mt_ledger_segment(struct mt_ledger *ledger, uint64_t address);
/* The same, NULL when nothing there was claimed. */
const struct mt_ledger_segment *mt_ledger_find(const struct mt_ledger *ledger, uint64_t address);
/* [start, end) belongs to `class`. Only what is in memory counts later; claims beyond a page's size are cut. */
void mt_ledger_claim(struct mt_ledger *ledger, enum mt_ledger_class class, uint64_t start, uint64_t end);
/* The same inside of one segment. */
void mt_ledger_claim_in(struct mt_ledger_segment *segment, enum mt_ledger_class class, uint64_t offset, uint64_t size);
/* An object's block begins at `address`. */
void mt_ledger_own(struct mt_ledger *ledger, uint64_t address);
/* Does one begin anywhere in [start, end)? */
bool mt_ledger_is_owned(struct mt_ledger *ledger, uint64_t start, uint64_t end);
/* The same inside of one segment, whose bytes [offset, offset + size) are asked for. */
bool mt_ledger_is_owned_in(const struct mt_ledger_segment *segment, uint64_t offset, uint64_t size);

#endif
