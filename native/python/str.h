/* Strings: where their characters are, in each of the forms that a str can have.
 *
 * Objects/unicodeobject.c, Include/cpython/unicodeobject.h. Compact strings have their characters behind them; others
 * (subclasses of str, and legacy strings up to 3.11) in a block of their own. */
#ifndef MEMTRACE_PYTHON_STR_H
#define MEMTRACE_PYTHON_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "python/python.h"

struct mt_str {
    uint64_t length; /* code points */
    unsigned kind;   /* bytes of a code point: 1, 2, 4 */
    bool ascii;
    bool compact;
    unsigned interned;
    uint64_t data;      /* address of the first code point; a zero one follows the last */
    uint64_t utf8;      /* address of a copy in UTF-8 that has a block of its own; 0: none */
    uint64_t utf8_size; /* its bytes, with the final zero */
    uint64_t wide;      /* up to 3.11: address of a copy as wchar_t that has a block of its own; 0: none */
    uint64_t wide_size; /* its bytes, with the final zero */
};

/* Of a str or an instance of a subclass: its type is not looked at. False: unreadable, or no string could be like
 * that. */
bool mt_str_read(struct mt_python *python, uint64_t address, struct mt_str *ret);
/* The next `*ret_count` code points from `index` on, at most `room`; false: unreadable. */
bool mt_str_code_points(struct mt_python *python, const struct mt_str *str, uint64_t index, size_t room, uint32_t *ret,
                        size_t *ret_count);
/* One code point as UTF-8; a surrogate as \udcXX. */
bool mt_utf8_append(struct mt_strbuf *out, uint32_t code_point);

#endif
