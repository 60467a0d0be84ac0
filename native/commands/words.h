/* Words of a command line. */
#ifndef MEMTRACE_COMMANDS_WORDS_H
#define MEMTRACE_COMMANDS_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"

/* Bytes up to the next blank or the end. */
size_t mt_word_length(const char *text);
const char *mt_word_skip_blanks(const char *text);
/* Is the first word of `text` this one? */
bool mt_word_is(const char *text, const char *word);
/* False: not a number, or a ridiculous one. */
bool mt_word_is_number(const char *word, size_t *ret);
char *mt_word_copy(const char *text, size_t length);
/* Appends `candidate` and a newline when it begins with `word`. */
void mt_word_offer(const char *candidate, const char *word, struct mt_strbuf *out);

/* A few names to choose from; what is added beyond the capacity is left out. */
struct mt_words {
    const char *words[32];
    size_t count;
};

void mt_words_add(struct mt_words *words, const char *word);
/* The one that looks most like `word`, as a mistyped word does; NULL: none does. */
const char *mt_words_nearest(const struct mt_words *words, const char *word);
void mt_words_join(const struct mt_words *words, const char *separator, struct mt_strbuf *out);

/* Appends `left` and, from column `indent` on, `text`, broken at blanks to lines of at most `width` columns; ASCII. */
void mt_words_wrap(const char *left, size_t indent, const char *text, size_t width, struct mt_strbuf *out);

#endif
