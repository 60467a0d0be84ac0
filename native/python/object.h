/* What every object has: a type, a reference count, a place among the collector's lists; and values as text. */
#ifndef MEMTRACE_PYTHON_OBJECT_H
#define MEMTRACE_PYTHON_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "python/python.h"
#include "python/types.h"

/* The same in every build with the GIL (Include/object.h). */
enum { MT_OB_REFCNT = 0, MT_OB_TYPE = 8, MT_OB_SIZE = 16 };
enum { MT_OBJECT_SIZE = 16, MT_VAR_OBJECT_SIZE = 24, MT_GC_HEAD_SIZE = 16 };
/* sys.getsizeof(b''). */
enum { MT_EMPTY_BYTES_SIZE = 33 };
/* Where user memory ends on x86-64: no object, and no count of things in memory, is larger. */
#define MT_ADDRESS_LIMIT ((uint64_t)1 << 47)

/* The offset of a member that this version has, to be added to an address. */
#define MT_OFFSET(python, structure, member) ((uint64_t)MT_AT(&(python)->layout, structure, member))

/* A count as the version means it: 3.12+ immortal objects have none. */
struct mt_refcount {
    uint64_t count;
    bool immortal;
};

/* `word`: the first word of an object. */
struct mt_refcount mt_refcount_of(const struct mt_python *python, uint64_t word);
bool mt_object_refcount(struct mt_python *python, uint64_t address, struct mt_refcount *ret);
/* NULL: not an object, or its type is none. */
const struct mt_type *mt_object_type(struct mt_python *python, uint64_t address);
/* ob_size, of an int the number of its digits (of 0: 0, or 1 from 3.12 on for some); 0 when it can't be read, is
 * negative or more than fits the address space. */
uint64_t mt_object_item_count(struct mt_python *python, uint64_t address, const struct mt_type *type);
/* Could this be a live object? Its type is one, its count is sane, and it is aligned. For candidates from scans. */
bool mt_object_is_plausible(struct mt_python *python, uint64_t address);

/* Has this very object a header of the collector? Of all types only type says no for some: static types. */
bool mt_object_has_gc(struct mt_python *python, uint64_t address, const struct mt_type *type);
/* Where the collector has it. */
struct mt_gc_state {
    bool has_gc;
    bool watched;   /* in one of its lists */
    bool finalized; /* its finalizer was called */
};
struct mt_gc_state mt_object_gc_state(struct mt_python *python, uint64_t address, const struct mt_type *type);

/* Appends the text of a str (or subclass) as UTF-8, at most `limit` bytes (then "..." follows); false: it is no str, or
 * can't be read. Lone surrogates become \udcXX. */
bool mt_str_append(struct mt_python *python, uint64_t address, size_t limit, struct mt_strbuf *out);
/* Is the str at `address` this text (ASCII)? */
bool mt_str_equals(struct mt_python *python, uint64_t address, const char *text);
/* Appends what repr() would show of a value, at most about `limit` bytes: int (also big ones), float, complex, bool,
 * None, Ellipsis, str, bytes, bytearray in full; containers with a few elements, nested one deep (`[1, 'a', ...]`,
 * `{'k': <Order>}`), functions, classes, modules, methods by name; range, slice; other objects as `<app.Order at
 * 0x..>`. Always appends something. */
void mt_value_append(struct mt_python *python, uint64_t address, size_t limit, struct mt_strbuf *out);
/* The value of an int that fits; false: not an int, or too large. */
bool mt_int_value(struct mt_python *python, uint64_t address, int64_t *ret);

#endif
