/* Objects as Python would write them down again: keys of dicts, names of variables and attributes. */
#ifndef MEMTRACE_COMMANDS_EXPRESSION_LITERAL_H
#define MEMTRACE_COMMANDS_EXPRESSION_LITERAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "python/python.h"

/* Appends a literal that is equal to the object: of str, int, bytes, float, bool, None and short tuples of those.
 * False, and nothing is appended: there is none, or it would be long. Subclasses have none: their == may be any. */
bool mt_literal_append(struct mt_python *python, uint64_t object, struct mt_strbuf *out);
/* Appends the text of a str that can follow a dot: an ASCII identifier that is no keyword, and none that Python itself
 * gives a meaning (__dict__). False: it can't. */
bool mt_identifier_append(struct mt_python *python, uint64_t str, struct mt_strbuf *out);
/* The same of a text. */
bool mt_is_identifier(const char *text);

#endif
