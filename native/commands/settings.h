/* What a user sets for a session: one table says which settings there are, what values they take and what they mean.
 * `memtrace set` and `memtrace show` are the same in all doors; a debugger may show them as its own settings too. */
#ifndef MEMTRACE_COMMANDS_SETTINGS_H
#define MEMTRACE_COMMANDS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/strbuf.h"

enum mt_setting {
    MT_SETTING_LIMIT,     /* rows of text answers; SIZE_MAX: all */
    MT_SETTING_WIDTH,     /* columns; 0: neither wrapped nor cut; MT_WIDTH_AUTO: the console's */
    MT_SETTING_HINTS,     /* 1: what to try next is told */
    MT_SETTING_VALUES,    /* 0: as if --no-values were given everywhere */
    MT_SETTING_VARIABLES, /* enum mt_variables */
    MT_SETTING_COUNT,
};

#define MT_WIDTH_AUTO SIZE_MAX

/* Whether rows are kept as variables of the debugger, `$mt1`. AUTO: where that changes nothing in the process; the
 * debugger's adapter knows. */
enum mt_variables { MT_VARIABLES_OFF, MT_VARIABLES_ON, MT_VARIABLES_AUTO };

struct mt_settings {
    size_t of[MT_SETTING_COUNT];
};

void mt_settings_init(struct mt_settings *settings);
/* The setting that `word` means: its name or a unique beginning of it. */
struct mt_error *mt_setting_find(const char *word, enum mt_setting *ret);
const char *mt_setting_name(enum mt_setting setting);
const char *mt_setting_help(enum mt_setting setting);
/* Does it take a number, besides words? */
bool mt_setting_takes_number(enum mt_setting setting);
/* The words that it takes, by index; NULL: behind the last. */
const char *mt_setting_word(enum mt_setting setting, size_t index);
/* Appends a value as `memtrace set` takes it. */
void mt_setting_append(enum mt_setting setting, size_t value, struct mt_strbuf *out);
/* The error says what it takes; the settings are untouched then. */
struct mt_error *mt_settings_set(struct mt_settings *settings, enum mt_setting setting, const char *word);
/* Candidates for `word`, a line each: names when `before` (what stands before it) is empty, else values. */
void mt_settings_complete(const char *before, const char *word, struct mt_strbuf *out);

#endif
