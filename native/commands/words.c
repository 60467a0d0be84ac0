#include "commands/words.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS " \t\r\n\v\f"
#define LONGEST 32 /* of a name that suggestions are sought for */

size_t mt_word_length(const char *text) {
    return strcspn(text, BLANKS);
}

const char *mt_word_skip_blanks(const char *text) {
    return text + strspn(text, BLANKS);
}

bool mt_word_is(const char *text, const char *word) {
    size_t length = mt_word_length(text);
    return length == strlen(word) && memcmp(text, word, length) == 0;
}

bool mt_word_is_number(const char *word, size_t *ret) {
    size_t number = 0;
    const char *c = word;
    for (; isdigit((unsigned char)*c) && number < SIZE_MAX / 20; c++)
        number = 10 * number + (size_t)(*c - '0');
    if (c == word || *c != '\0')
        return false;
    *ret = number;
    return true;
}

char *mt_word_copy(const char *text, size_t length) {
    return strndup(text, length);
}

void mt_word_offer(const char *candidate, const char *word, struct mt_strbuf *out) {
    if (strncmp(candidate, word, strlen(word)) != 0)
        return;
    mt_strbuf_append(out, candidate);
    mt_strbuf_append_char(out, '\n');
}

void mt_words_add(struct mt_words *words, const char *word) {
    if (words->count < sizeof words->words / sizeof words->words[0])
        words->words[words->count++] = word;
}

static size_t smallest(size_t a, size_t b, size_t c) {
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* How many letters must be put in, taken out or replaced to make one of the other. */
static size_t distance(const char *a, const char *b) {
    size_t row[LONGEST + 1], length = strlen(b);
    if (strlen(a) > LONGEST || length > LONGEST)
        return LONGEST;
    for (size_t j = 0; j <= length; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= length; j++) {
            size_t above = row[j];
            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[length];
}

const char *mt_words_nearest(const struct mt_words *words, const char *word) {
    const char *nearest = NULL;
    size_t least = strlen(word) / 3 + 2;
    for (size_t i = 0; i < words->count; i++) {
        size_t here = distance(word, words->words[i]);
        if (here < least && here < strlen(words->words[i])) {
            least = here;
            nearest = words->words[i];
        }
    }
    return nearest;
}

void mt_words_join(const struct mt_words *words, const char *separator, struct mt_strbuf *out) {
    for (size_t i = 0; i < words->count; i++) {
        mt_strbuf_append(out, i > 0 ? separator : "");
        mt_strbuf_append(out, words->words[i]);
    }
}

void mt_words_wrap(const char *left, size_t indent, const char *text, size_t width, struct mt_strbuf *out) {
    size_t column = strlen(left);
    mt_strbuf_append(out, left);
    if (column + 1 > indent) {
        mt_strbuf_append(out, column > 0 && *text != '\0' ? "\n" : "");
        column = column > 0 && *text != '\0' ? 0 : column;
    }
    for (bool first = true; *text != '\0'; first = false) {
        size_t length = mt_word_length(text);
        if (!first && column + 1 + length > width) {
            mt_strbuf_append_char(out, '\n');
            column = 0;
        } else if (!first) {
            mt_strbuf_append_char(out, ' ');
            column++;
        }
        for (; column < indent; column++)
            mt_strbuf_append_char(out, ' ');
        mt_strbuf_append_bytes(out, text, length);
        column += length;
        text = mt_word_skip_blanks(text + length);
    }
    mt_strbuf_append_char(out, '\n');
}
