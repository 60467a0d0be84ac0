/* Dead objects that CPython keeps for the next of their type, and that look alive.
 *
 * Up to 3.13 they are known by their reference count, 0. From 3.14 on the count's word links them (Include/internal/
 * pycore_freelist_state.h), so that every chain must be followed. */
#ifndef MEMTRACE_HEAP_FREE_LISTS_H
#define MEMTRACE_HEAP_FREE_LISTS_H

#include "base/error.h"
#include "base/hash_map.h"
#include "python/python.h"

/* The addresses of all objects on free lists, 3.14 and later; none before. Keys of `ret`, which the caller owns. */
struct mt_error *mt_free_lists_read(struct mt_python *python, struct mt_hash_map *ret);

#endif
