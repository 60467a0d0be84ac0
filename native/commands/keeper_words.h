/* What keeps most of a heap alive (heap/keepers.h), as answers show it. */
#ifndef MEMTRACE_COMMANDS_KEEPER_WORDS_H
#define MEMTRACE_COMMANDS_KEEPER_WORDS_H

#include "base/strbuf.h"
#include "heap/keepers.h"

/* Appends "cache of Algorithms.factorial_plus", "global `kept` of module app", "local `data` of process_data()", and to
 * `place` where that is: "holding.py:51"; nothing when there is no such place. */
void mt_keeper_words(const struct mt_census *census, const struct mt_keeper *keeper, struct mt_strbuf *out,
                     struct mt_strbuf *place);
/* "cache", "global", "class attribute", "local", "generator", "frame". */
const char *mt_keeper_form_name(enum mt_keeper_form form);

#endif
