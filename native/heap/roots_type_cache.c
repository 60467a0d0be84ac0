/* The cache of type attributes (Objects/typeobject.c: method_cache of 3.9, later struct type_cache of the interpreter,
 * Include/internal/pycore_typeobject.h). An entry owns the name and borrows the value. Its place is found by its form:
 * 4096 entries of {unsigned version; name; value}, whose names are str objects, None or NULL. */
#include "heap/roots_parts.h"
#include "python/object.h"

#include <string.h>

enum { ENTRY_NAME = 8, ENTRY_VALUE = 16, ENTRY_SIZE = 24, ENTRY_COUNT = 1 << 12 };
#define WORDS_OF_ENTRY (ENTRY_SIZE / 8)
/* Zeros look like empty entries; so many must be in use. */
#define NAMES_MIN 16

static bool is_name(struct mt_python *python, uint64_t object) {
    if (object == python->none)
        return true;
    const struct mt_type *type = object % 8 == 0 ? mt_object_type(python, object) : NULL;
    return type && (type->kind == MT_KIND_STR || strcmp(type->name, "NoneType") == 0);
}

/* A run of what could be entries, at one of the three ways to divide words into them. Zeros in front of the cache and
 * behind it belong to the run as well, and do no harm. */
struct run {
    uint64_t start, end;
    uint64_t names;
};

static bool is_cache(const struct run *run, struct mt_extent *ret) {
    if (run->end - run->start < ENTRY_COUNT * ENTRY_SIZE || run->names < NAMES_MIN)
        return false;
    *ret = (struct mt_extent){.start = run->start, .end = run->end};
    return true;
}

static bool is_entry(struct mt_python *python, const uint64_t *words) {
    return words[0] <= UINT32_MAX && words[2] % 8 == 0 && (words[1] == 0 || is_name(python, words[1]));
}

bool mt_type_cache_find(struct mt_python *python, uint64_t start, uint64_t end, struct mt_extent *ret) {
    struct run runs[WORDS_OF_ENTRY] = {0};
    uint64_t words[WORDS_OF_ENTRY] = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
    for (uint64_t at = (start + 7) & ~(uint64_t)7; at + 8 <= end; at += 8) {
        words[0] = words[1];
        words[1] = words[2];
        words[2] = 1; /* unreadable: no entry */
        mt_view_u64(python->view, at, &words[2]);
        struct run *run = &runs[at / 8 % WORDS_OF_ENTRY];
        if (!is_entry(python, words)) {
            if (is_cache(run, ret))
                return true;
            *run = (struct run){0};
            continue;
        }
        if (run->start == 0)
            run->start = at - ENTRY_VALUE;
        run->end = at + 8;
        run->names += words[1] != 0 && words[1] != python->none;
    }
    for (size_t i = 0; i < WORDS_OF_ENTRY; i++)
        if (is_cache(&runs[i], ret))
            return true;
    return false;
}

void mt_type_cache_names(struct mt_python *python, const struct mt_extent *cache, mt_type_cache_visit *visit,
                         void *context) {
    for (uint64_t at = cache->start; at + ENTRY_SIZE <= cache->end; at += ENTRY_SIZE) {
        uint64_t name = 0;
        mt_view_u64(python->view, at + ENTRY_NAME, &name);
        if (name != 0)
            visit(context, at + ENTRY_NAME, name);
    }
}
