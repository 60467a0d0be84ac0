#include "recorder/names.h"

#include <string.h>

#include "recorder/header.h"
#include "recorder/index.h"
#include "recorder/memory.h"
#include "recorder/pool.h"

#define STRING_CHUNK_SHIFT 12
#define STRING_CHUNK (1u << STRING_CHUNK_SHIFT)

/* Chunks are records of a pool of its own, so that the directory grows like every other. */
static struct mt_pool_ref chunks;

static uint64_t hash_text(const char *text, size_t length) {
    uint64_t hash = length;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001B3u;
    return mt_mix(hash);
}

/* Index records are offset + 1. */
static uint64_t hash_string(uint32_t record) {
    const char *text = mt_string_at(record - 1);
    return hash_text(text, strlen(text));
}

/* Index records are code index + 1. */
static uint64_t hash_fields(uint32_t file, uint32_t function, uint32_t first_line) {
    return mt_mix(((uint64_t)file << 32 | function) + first_line * 0x9E3779B97F4A7C15u);
}

static uint64_t hash_code(uint32_t record) {
    const struct mt_code *code = mt_pool_at(&memtrace_image.codes, record - 1);
    return hash_fields(code->file, code->function, code->first_line);
}

static struct mt_index strings = {.hash_of = hash_string};
static struct mt_index codes = {.hash_of = hash_code};

void mt_names_init(void) {
    mt_pool_init(&chunks, STRING_CHUNK, 0);
    memtrace_image.string_chunk_shift = STRING_CHUNK_SHIFT;
    mt_pool_init(&memtrace_image.codes, sizeof(struct mt_code), 8);
}

const char *mt_string_at(uint32_t offset) {
    return (const char *)mt_pool_at(&chunks, offset >> STRING_CHUNK_SHIFT) + (offset & (STRING_CHUNK - 1));
}

bool mt_string_intern(const char *text, size_t length, uint32_t *ret) {
    uint64_t hash = hash_text(text, length);
    uint32_t cursor = 0, record;
    while ((record = mt_index_next(&strings, hash, &cursor)) != 0) {
        const char *known = mt_string_at(record - 1);
        if (strncmp(known, text, length) == 0 && known[length] == '\0') {
            *ret = record - 1;
            return true;
        }
    }
    uint64_t used = memtrace_image.string_bytes;
    if ((used & (STRING_CHUNK - 1)) + length + 1 > STRING_CHUNK)
        used = (used + STRING_CHUNK - 1) & ~(uint64_t)(STRING_CHUNK - 1);
    if (used + length + 1 > UINT32_MAX || !mt_index_reserve(&strings))
        return false;
    if (used >> STRING_CHUNK_SHIFT == chunks.count) {
        if (mt_pool_reserve(&chunks) == NULL)
            return false;
        mt_pool_publish(&chunks);
        memtrace_image.strings = chunks.directory;
    }
    char *copy = (char *)(uintptr_t)mt_string_at((uint32_t)used);
    memcpy(copy, text, length);
    copy[length] = '\0';
    __atomic_store_n(&memtrace_image.string_bytes, used + length + 1, __ATOMIC_RELEASE);
    mt_index_add(&strings, hash, (uint32_t)used + 1);
    *ret = (uint32_t)used;
    return true;
}

bool mt_code_intern(uint32_t file, uint32_t function, uint32_t first_line, uint32_t *ret) {
    uint64_t hash = hash_fields(file, function, first_line);
    uint32_t cursor = 0, record;
    while ((record = mt_index_next(&codes, hash, &cursor)) != 0) {
        const struct mt_code *known = mt_pool_at(&memtrace_image.codes, record - 1);
        if (known->file == file && known->function == function && known->first_line == first_line) {
            *ret = record - 1;
            return true;
        }
    }
    struct mt_code *code = mt_index_reserve(&codes) ? mt_pool_reserve(&memtrace_image.codes) : NULL;
    if (code == NULL)
        return false;
    *code = (struct mt_code){.file = file, .function = function, .first_line = first_line};
    *ret = (uint32_t)memtrace_image.codes.count;
    mt_pool_publish(&memtrace_image.codes);
    mt_index_add(&codes, hash, *ret + 1);
    return true;
}
