/* Inside value*.c: values as repr() shows them. Each appends something in any case, about `limit` bytes at most. */
#ifndef MEMTRACE_PYTHON_VALUE_PARTS_H
#define MEMTRACE_PYTHON_VALUE_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "python/python.h"
#include "python/types.h"

/* value_number.c */
void mt_value_append_int(struct mt_python *python, uint64_t address, const struct mt_type *type, size_t limit,
                         struct mt_strbuf *out);
void mt_value_append_float(struct mt_python *python, uint64_t address, struct mt_strbuf *out);
void mt_value_append_complex(struct mt_python *python, uint64_t address, struct mt_strbuf *out);

/* value_text.c */
void mt_value_append_str(struct mt_python *python, uint64_t address, size_t limit, struct mt_strbuf *out);
/* `size` bytes at `bytes` of the target: b'..'. */
void mt_value_append_bytes(struct mt_python *python, uint64_t bytes, uint64_t size, bool is_bytearray, size_t limit,
                           struct mt_strbuf *out);

/* value_container.c: elements are shown by `append_element`, which shows no elements of its own. */
typedef void mt_value_append_element(struct mt_python *python, uint64_t address, size_t limit, struct mt_strbuf *out);
void mt_value_append_container(struct mt_python *python, uint64_t address, const struct mt_type *type, size_t limit,
                               mt_value_append_element *append_element, struct mt_strbuf *out);
/* The same without the elements: [...], or [] of an empty one. */
void mt_value_append_closed_container(struct mt_python *python, uint64_t address, const struct mt_type *type,
                                      struct mt_strbuf *out);
bool mt_value_is_container(const struct mt_type *type);

/* What stands for memory that can't be read. */
#define MT_VALUE_UNREADABLE "<unreadable>"

#endif
