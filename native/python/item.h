/* An item of a container by what stands between the brackets, found by reading memory. */
#ifndef MEMTRACE_PYTHON_ITEM_H
#define MEMTRACE_PYTHON_ITEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "python/python.h"

/* `[3]`, `['name']`, or anything else as repr() shows a key: `[(1, 2)]`, `[None]`. */
struct mt_item_key {
    const char *text; /* of a str: its characters; else as it was written */
    size_t length;
    bool is_str;
    bool is_int; /* then `number` is its value */
    int64_t number;
};

enum mt_item_state {
    MT_ITEM_FOUND,
    MT_ITEM_NONE,         /* the container has no such key or index */
    MT_ITEM_NO_CONTAINER, /* nothing in which items are looked up without running code */
    MT_ITEM_WRONG_KEY,    /* a sequence wants a number */
};

/* Of dicts and their subclasses, mappingproxies of such, lists, tuples and deques: a number below 0 counts from the
 * end. *ret_count: how many items there are (not of MT_ITEM_NO_CONTAINER). */
enum mt_item_state mt_item_find(struct mt_python *python, uint64_t container, const struct mt_item_key *key,
                                uint64_t *ret, uint64_t *ret_count);

#endif
