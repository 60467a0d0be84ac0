#include "commands/settings.h"

#include <stdint.h>
#include <string.h>

#include "commands/words.h"

struct word {
    const char *text;
    size_t value;
};

struct setting {
    const char *name;
    const char *help;
    size_t initial;
    bool takes_number;
    const struct word *words;
};

static const struct word all[] = {{"all", SIZE_MAX}, {NULL, 0}};
static const struct word automatic[] = {{"auto", MT_WIDTH_AUTO}, {NULL, 0}};
static const struct word on_off[] = {{"on", 1}, {"off", 0}, {NULL, 0}};
static const struct word on_off_auto[] = {
    {"auto", MT_VARIABLES_AUTO}, {"on", MT_VARIABLES_ON}, {"off", MT_VARIABLES_OFF}, {NULL, 0}};

static const struct setting settings_table[MT_SETTING_COUNT] = {
    [MT_SETTING_LIMIT] = {"limit", "rows of a text answer without --limit", 20, true, all},
    [MT_SETTING_WIDTH] = {"width", "columns; 0: nothing is cut", MT_WIDTH_AUTO, true, automatic},
    [MT_SETTING_HINTS] = {"hints", "tell people what to try next", 1, false, on_off},
    [MT_SETTING_VALUES] = {"values", "off: always as with --no-values", 1, false, on_off},
    [MT_SETTING_VARIABLES] = {"variables", "rows also as $mt1..; auto: where harmless", MT_VARIABLES_AUTO, false,
                              on_off_auto},
};

void mt_settings_init(struct mt_settings *settings) {
    for (size_t i = 0; i < MT_SETTING_COUNT; i++)
        settings->of[i] = settings_table[i].initial;
}

struct mt_error *mt_setting_find(const char *word, enum mt_setting *ret) {
    size_t length = strlen(word), found = MT_SETTING_COUNT;
    struct mt_words names = {0};
    for (size_t i = 0; i < MT_SETTING_COUNT; i++) {
        mt_words_add(&names, settings_table[i].name);
        if (length == 0 || strncmp(settings_table[i].name, word, length) != 0)
            continue;
        if (found < MT_SETTING_COUNT)
            return mt_error_create(MT_ERROR_USAGE, "setting `%s` is ambiguous: %s or %s", word,
                                   settings_table[found].name, settings_table[i].name);
        found = i;
    }
    if (found == MT_SETTING_COUNT) {
        struct mt_strbuf known = MT_STRBUF_INIT;
        mt_words_join(&names, ", ", &known);
        struct mt_error *error =
            mt_error_create(MT_ERROR_USAGE, "no setting `%s`: there are %s", word, known.data ? known.data : "others");
        mt_strbuf_deinit(&known);
        return error;
    }
    *ret = (enum mt_setting)found;
    return NULL;
}

const char *mt_setting_name(enum mt_setting setting) {
    return settings_table[setting].name;
}

const char *mt_setting_help(enum mt_setting setting) {
    return settings_table[setting].help;
}

bool mt_setting_takes_number(enum mt_setting setting) {
    return settings_table[setting].takes_number;
}

const char *mt_setting_word(enum mt_setting setting, size_t index) {
    return settings_table[setting].words[index].text;
}

void mt_setting_append(enum mt_setting setting, size_t value, struct mt_strbuf *out) {
    for (const struct word *word = settings_table[setting].words; word->text; word++)
        if (word->value == value) {
            mt_strbuf_append(out, word->text);
            return;
        }
    mt_strbuf_printf(out, "%zu", value);
}

struct mt_error *mt_settings_set(struct mt_settings *settings, enum mt_setting setting, const char *word) {
    const struct setting *about = &settings_table[setting];
    const struct word *found = NULL;
    struct mt_words known = {0};
    size_t number, length = strlen(word);
    bool ambiguous = false;
    if (about->takes_number) {
        mt_words_add(&known, "a number");
        if (mt_word_is_number(word, &number)) {
            settings->of[setting] = number;
            return NULL;
        }
    }
    for (const struct word *candidate = about->words; candidate->text; candidate++) {
        mt_words_add(&known, candidate->text);
        if (length == 0 || strncmp(candidate->text, word, length) != 0)
            continue;
        ambiguous = found && strcmp(found->text, word) != 0;
        if (!found || candidate->text[length] == '\0')
            found = candidate;
    }
    if (found && !ambiguous) {
        settings->of[setting] = found->value;
        return NULL;
    }
    struct mt_strbuf takes = MT_STRBUF_INIT;
    mt_words_join(&known, " or ", &takes);
    struct mt_error *error = mt_error_create(MT_ERROR_USAGE, "%s takes %s, not `%s`", about->name,
                                             takes.data ? takes.data : "something else", word);
    mt_strbuf_deinit(&takes);
    return error;
}

void mt_settings_complete(const char *before, const char *word, struct mt_strbuf *out) {
    enum mt_setting setting = MT_SETTING_LIMIT;
    if (*before == '\0') {
        for (size_t i = 0; i < MT_SETTING_COUNT; i++)
            mt_word_offer(settings_table[i].name, word, out);
        return;
    }
    struct mt_error *error = mt_setting_find(before, &setting);
    if (error) {
        mt_error_destroy(error);
        return;
    }
    for (const struct word *value = settings_table[setting].words; value->text; value++)
        mt_word_offer(value->text, word, out);
}
