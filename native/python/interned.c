#include "python/interned.h"

#include "python/dict.h"
#include "python/object.h"

/* CPython has some thousands of names before any program begins; a program's own dict of that kind is no static
 * variable. */
enum { FEWEST_STRINGS = 500, STRINGS_TO_TRY = 64 };
/* Objects/unicodeobject.c: the lowest bits of the state of a str. */
enum { INTERNED_MASK = 3 };

struct proof {
    struct mt_python *python;
    unsigned tried;
    bool failed;
};

static bool prove_entry(void *context, uint64_t key, uint64_t value, uint64_t index) {
    struct proof *proof = context;
    uint32_t state;
    if (key != value ||
        !mt_view_u32(proof->python->view, key + MT_OFFSET(proof->python, PyASCIIObject, state), &state) ||
        (state & INTERNED_MASK) == 0)
        proof->failed = true;
    return !proof->failed && ++proof->tried < STRINGS_TO_TRY;
}

static bool is_interned_dict(struct mt_python *python, uint64_t address, uint64_t dict_type) {
    uint64_t type;
    struct mt_dict dict;
    struct proof proof = {.python = python};
    return mt_view_u64(python->view, address + MT_OB_TYPE, &type) && type == dict_type &&
           mt_dict_read(python, address, &dict) && dict.used >= FEWEST_STRINGS &&
           mt_dict_visit(python, address, prove_entry, &proof) && !proof.failed;
}

/* Objects do not lie in the data of programs and libraries; only what is memory of the heap is looked at. */
static bool is_heap_memory(const struct mt_region *regions, size_t count, uint64_t address) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (regions[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && regions[low].start <= address && regions[low].writable &&
           !(regions[low].path && regions[low].path[0] == '/');
}

/* Before 3.12. 0: there is none. */
static uint64_t search_module_data(struct mt_python *python) {
    const struct mt_region *regions;
    size_t count;
    uint64_t interpreter = python->interpreters.data[python->interpreters.length - 1], modules, dict_type, word;
    struct mt_error *error = mt_target_regions(python->view->target, &regions, &count);
    if (error) {
        mt_error_destroy(error);
        return 0;
    }
    if (!mt_view_u64(python->view, interpreter + MT_OFFSET(python, PyInterpreterState, modules), &modules) ||
        !mt_view_u64(python->view, modules + MT_OB_TYPE, &dict_type))
        return 0;
    for (uint64_t at = python->module_start; at < python->module_end; at += sizeof word)
        if (mt_view_u64(python->view, at, &word) && word % sizeof word == 0 && is_heap_memory(regions, count, word) &&
            is_interned_dict(python, word, dict_type))
            return word;
    return 0;
}

bool mt_interned_is_dict(struct mt_python *python, uint64_t address) {
    int64_t offset = MT_AT(&python->layout, PyInterpreterState, cached_objects_interned_strings);
    uint64_t dict;
    if (offset < 0) {
        if (!python->interned_was_searched)
            python->interned = search_module_data(python);
        python->interned_was_searched = true;
        return address == python->interned;
    }
    for (size_t i = 0; i < python->interpreters.length; i++)
        if (mt_view_u64(python->view, python->interpreters.data[i] + (uint64_t)offset, &dict) && dict == address)
            return true;
    return false;
}
