#include "synthetic_target.h"

#include <stdlib.h>
#include <string.h>

#include "base/vector.h"
#include "target/regions.h"
#include "unit.h"

struct piece {
    uint64_t start;
    uint8_t *bytes;
    size_t size;
};

struct symbol {
    char *name;
    uint64_t address;
};

struct synthetic_target {
    struct mt_target base;
    MT_VECTOR(struct piece) pieces;
    MT_VECTOR(struct symbol) symbols;
    struct mt_regions mapped;
    size_t reads;
};

static struct synthetic_target *synthetic_of(struct mt_target *target) {
    return (struct synthetic_target *)target;
}

static struct piece *piece_of(struct synthetic_target *synthetic, uint64_t address) {
    for (size_t i = 0; i < synthetic->pieces.length; i++)
        if (address >= synthetic->pieces.data[i].start &&
            address - synthetic->pieces.data[i].start < synthetic->pieces.data[i].size)
            return &synthetic->pieces.data[i];
    return NULL;
}

static size_t synthetic_read(struct mt_target *target, uint64_t address, void *buffer, size_t size) {
    struct synthetic_target *synthetic = synthetic_of(target);
    synthetic->reads++;
    struct piece *piece = piece_of(synthetic, address);
    if (!piece)
        return 0;
    size_t offset = (size_t)(address - piece->start);
    size_t part = size < piece->size - offset ? size : piece->size - offset;
    memcpy(buffer, piece->bytes + offset, part);
    return part;
}

static size_t synthetic_write(struct mt_target *target, uint64_t address, const void *buffer, size_t size) {
    struct piece *piece = piece_of(synthetic_of(target), address);
    if (!piece)
        return 0;
    size_t offset = (size_t)(address - piece->start);
    size_t part = size < piece->size - offset ? size : piece->size - offset;
    memcpy(piece->bytes + offset, buffer, part);
    return part;
}

static struct mt_error *synthetic_load_regions(struct mt_target *target) {
    struct synthetic_target *synthetic = synthetic_of(target);
    mt_regions_settle(&synthetic->mapped);
    target->regions = synthetic->mapped.data;
    target->region_count = synthetic->mapped.length;
    return NULL;
}

static bool synthetic_find_symbol(struct mt_target *target, const char *name, uint64_t *ret) {
    struct synthetic_target *synthetic = synthetic_of(target);
    for (size_t i = 0; i < synthetic->symbols.length; i++)
        if (!strcmp(synthetic->symbols.data[i].name, name)) {
            *ret = synthetic->symbols.data[i].address;
            return true;
        }
    return false;
}

static void synthetic_destroy(struct mt_target *target) {
    struct synthetic_target *synthetic = synthetic_of(target);
    for (size_t i = 0; i < synthetic->pieces.length; i++)
        free(synthetic->pieces.data[i].bytes);
    for (size_t i = 0; i < synthetic->symbols.length; i++)
        free(synthetic->symbols.data[i].name);
    mt_vector_deinit(&synthetic->pieces);
    mt_vector_deinit(&synthetic->symbols);
    mt_regions_deinit(&synthetic->mapped);
    free(synthetic);
}

static const struct mt_target_ops synthetic_ops = {
    .read = synthetic_read,
    .write = synthetic_write,
    .load_regions = synthetic_load_regions,
    .find_symbol = synthetic_find_symbol,
    .destroy = synthetic_destroy,
};

struct mt_target *mt_synthetic_target_create(void) {
    struct synthetic_target *synthetic = calloc(1, sizeof(*synthetic));
    assert_non_null(synthetic);
    synthetic->base.ops = &synthetic_ops;
    synthetic->base.info.kind = MT_TARGET_SYNTHETIC;
    return &synthetic->base;
}

void *mt_synthetic_target_add(struct mt_target *target, uint64_t address, const void *bytes, size_t size,
                              unsigned access, const char *path) {
    struct synthetic_target *synthetic = synthetic_of(target);
    struct piece piece = {address, calloc(1, size), size};
    assert_non_null(piece.bytes);
    if (bytes)
        memcpy(piece.bytes, bytes, size);
    struct mt_region region = {
        .start = address,
        .end = address + size,
        .readable = access & MT_SYNTHETIC_READ,
        .writable = access & MT_SYNTHETIC_WRITE,
        .executable = access & MT_SYNTHETIC_EXECUTE,
        .path = path,
        .held = size,
    };
    assert_true(mt_vector_push(&synthetic->pieces, piece));
    assert_ok(mt_regions_add(&synthetic->mapped, region, path ? strlen(path) : 0));
    target->regions_loaded = false;
    return piece.bytes;
}

void mt_synthetic_target_add_symbol(struct mt_target *target, const char *name, uint64_t address) {
    struct symbol symbol = {strdup(name), address};
    assert_non_null(symbol.name);
    assert_true(mt_vector_push(&synthetic_of(target)->symbols, symbol));
}

size_t mt_synthetic_target_reads(const struct mt_target *target) {
    return ((const struct synthetic_target *)target)->reads;
}
