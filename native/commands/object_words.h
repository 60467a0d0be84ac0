/* Objects, and what is known of them, as answers show them. */
#ifndef MEMTRACE_COMMANDS_OBJECT_WORDS_H
#define MEMTRACE_COMMANDS_OBJECT_WORDS_H

#include <stdint.h>

#include "base/strbuf.h"
#include "commands/command.h"
#include "heap/graph.h"

/* How many elements a container has; false: it is none. */
bool mt_object_count(struct mt_python *python, uint64_t address, const struct mt_type *type, uint64_t *ret);
/* Appends "numpy.ndarray at 0x7f..", "list of 4 at 0x7f..". */
void mt_object_words(struct mt_python *python, uint64_t address, const struct mt_type *type, struct mt_strbuf *out);
/* Appends "refcount 3 = 2 found + 1 unknown", "refcount 1 = 1 guessed", "immortal: its count means nothing". */
void mt_refcount_words(const struct mt_explanation *explanation, struct mt_strbuf *out);
/* `refcount`, `immortal`, `references_explained`, `references_guessed`. */
void mt_refcount_emit(struct mt_emitter *emitter, const struct mt_explanation *explanation);
/* References that were neither found nor guessed. */
uint64_t mt_refcount_unknown(const struct mt_explanation *explanation);

/* Appends the value, at most about `limit` bytes of it; nothing when values are not to be shown. */
void mt_object_value(const struct mt_call *call, struct mt_python *python, uint64_t address, size_t limit,
                     struct mt_strbuf *out);
/* "exact", "guess", "root", "weak". */
const char *mt_edge_kind_name(enum mt_edge_kind kind);
/* Appends "1 instance", "1,000 instances". */
void mt_words_counted(struct mt_strbuf *out, uint64_t count, const char *singular, const char *plural);
/* Warns about what holds for any answer from this census. */
void mt_call_warn_census(struct mt_call *call, const struct mt_census *census);

#define MT_VALUE_LIMIT 60 /* bytes of a value in a row of text */
#define MT_VALUE_LIMIT_JSON 200

#endif
