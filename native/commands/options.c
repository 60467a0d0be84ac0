#include "commands/options.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "commands/size_words.h"
#include "commands/words.h"
#include "trace/rows.h"

struct value {
    const char *name;
    unsigned value;
};

struct option {
    enum mt_option id;
    const char *name;
    const char *placeholder;    /* NULL: takes no value; "TYPE N": two words; "EXPRESSION": the rest of the line */
    const struct value *values; /* NULL: others than these */
    const char *suggestion;     /* one of the others, for completion */
    const char *help;
};

static const struct value groups[] = {
    {"stack", MT_BY_STACK},
    {"line", MT_BY_LINE},
    {"function", MT_BY_FUNCTION},
    {"file", MT_BY_FILE},
    {"thread", MT_BY_THREAD},
    {"allocator", MT_BY_ALLOCATOR},
    {NULL, 0},
};

static const struct value levels[] = {
    {"objects", MT_LEVEL_OBJECTS},
    {"heap", MT_LEVEL_HEAP},
    {NULL, 0},
};

static const struct option options[] = {
    {MT_OPTION_BY, "--by", "WHAT", groups, NULL,
     "one row for each stack (the default), line, function, file, thread or allocator"},
    {MT_OPTION_SINCE, "--since", "MARK", NULL, "start",
     "only blocks that were born after this mark: its number, or its name"},
    {MT_OPTION_LEVEL, "--level", "LEVEL", levels, NULL,
     "objects (the default): every Python object and what C allocates; heap: what malloc and mmap hand out, the "
     "cheapest"},
    {MT_OPTION_LIMIT, "--limit", "N", NULL, "all", "show N rows, or all; text shows 20 otherwise, JSON all"},
    {MT_OPTION_DIRECT, "--direct", NULL, NULL, NULL, "name the holder itself, not what it is part of"},
    {MT_OPTION_ALL_ROOTS, "--all-roots", NULL, NULL, NULL, "find every root, not only the nearest"},
    {MT_OPTION_TYPE, "--type", "TYPE", NULL, NULL, "of all instances of this type, instead of one object"},
    {MT_OPTION_THREAD, "--thread", "T", NULL, NULL,
     "a thread by its number in `threads`: it alone is shown, and names are those of its frames (else those of the "
     "debugger's selected thread, or of the one that runs Python)"},
    {MT_OPTION_FRAME, "--frame", "N", NULL, NULL, "names are those of this frame of the thread: 0 is the innermost"},
    {MT_OPTION_DEEP, "--deep", NULL, NULL, NULL, "sum up all that it leads to, but for types and modules"},
    {MT_OPTION_EXCLUSIVE, "--exclusive", NULL, NULL, NULL, "sum up what only it keeps alive"},
    {MT_OPTION_HEAP, "--heap", "SIZE", NULL, NULL, "live bytes rise above SIZE (300M, 300Mi, 1.5G)"},
    {MT_OPTION_ALLOC, "--alloc", "SIZE", NULL, NULL, "one request for SIZE or more is met"},
    {MT_OPTION_NEW_PEAK, "--new-peak", NULL, NULL, NULL, "live bytes are higher than ever; once a climb"},
    {MT_OPTION_ABOVE, "--above", "SIZE", NULL, NULL, "of --new-peak: only peaks above SIZE"},
    {MT_OPTION_FREE, "--free", "ADDR", NULL, NULL,
     "the block that contains ADDR ends: freed, moved or unmapped; ADDR is one word, as of `born`"},
    {MT_OPTION_TYPE_COUNT, "--type-count", "TYPE N", NULL, NULL, "N instances of the Python class TYPE are alive"},
    {MT_OPTION_REFS, "--refs", "ADDR", NULL, NULL,
     "count each change of the object's reference count, by place, until its life ends: see `refs`"},
    {MT_OPTION_REFS_OF_NEXT, "--refs-of-next", "TYPE", NULL, NULL,
     "the same for the next object of TYPE that is made; a type's name, or its address"},
    {MT_OPTION_LINE, "--line", "FILE:LINE", NULL, NULL,
     "Python comes to this line; FILE is a file's name, or the end of its path"},
    {MT_OPTION_FUNCTION, "--function", "NAME", NULL, NULL,
     "a Python function is called: its name, or the end of its qualified name"},
    {MT_OPTION_FORCE, "--force", NULL, NULL, NULL,
     "also where a seccomp filter can't be read, which may kill the process for what recording takes"},
    {MT_OPTION_TEMPORARY, "--temporary", NULL, NULL, NULL, "stop once, then forget the breakpoint"},
    {MT_OPTION_IF, "--if", "EXPRESSION", NULL, NULL,
     "stop only where this expression of the debugger is not 0: the rest of the line"},
    {MT_OPTION_NO_VALUES, "--no-values", NULL, NULL, NULL, "leave the program's own data out: values and keys"},
    {MT_OPTION_JSON, "--json", NULL, NULL, NULL, "answer with one JSON object"},
};
#define OPTION_COUNT (sizeof options / sizeof options[0])

/* The accepted option that `word` (`length` bytes, with one or two dashes) means: its name or a unique beginning of it.
 */
static struct mt_error *find_option(const char *word, size_t length, unsigned accepted, const struct option **ret) {
    MT_AUTO_FREE char *name = mt_word_copy(word, length);
    if (!name)
        return &mt_error_no_memory;
    const char *bare = name + strspn(name, "-");
    const struct option *found = NULL;
    struct mt_words known = {0};
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (!(accepted & options[i].id))
            continue;
        mt_words_add(&known, options[i].name);
        const char *candidate = options[i].name + 2;
        if (strncmp(candidate, bare, strlen(bare)) != 0 || *bare == '\0')
            continue;
        if (strcmp(candidate, bare) == 0) { /* in full: it may be the beginning of another */
            found = &options[i];
            break;
        }
        if (found)
            return mt_error_create(MT_ERROR_USAGE, "option `%s` is ambiguous: %s or %s", name, found->name,
                                   options[i].name);
        found = &options[i];
    }
    if (!found) {
        const char *nearest = mt_words_nearest(&known, name);
        if (nearest)
            return mt_error_create(MT_ERROR_USAGE, "unknown option `%s`: did you mean `%s`?", name, nearest);
        return mt_error_create(MT_ERROR_USAGE, "unknown option `%s`", name);
    }
    *ret = found;
    return NULL;
}

static struct mt_error *parse_choice(const struct option *option, const char *word, unsigned *ret) {
    const struct value *found = NULL;
    struct mt_words known = {0};
    for (const struct value *value = option->values; value->name; value++) {
        mt_words_add(&known, value->name);
        if (strcmp(value->name, word) == 0) {
            *ret = value->value;
            return NULL;
        }
        if (*word != '\0' && strncmp(value->name, word, strlen(word)) == 0) {
            if (found)
                return mt_error_create(MT_ERROR_USAGE, "%s `%s` is ambiguous: %s or %s", option->name, word,
                                       found->name, value->name);
            found = value;
        }
    }
    if (!found) {
        struct mt_strbuf all = MT_STRBUF_INIT;
        mt_words_join(&known, ", ", &all);
        struct mt_error *error = mt_error_create(MT_ERROR_USAGE, "%s takes one of %s, not `%s`", option->name,
                                                 all.data ? all.data : "its values", word);
        mt_strbuf_deinit(&all);
        return error;
    }
    *ret = found->value;
    return NULL;
}

static struct mt_error *parse_limit(const char *word, size_t *ret) {
    if (strcmp(word, "all") == 0)
        *ret = SIZE_MAX;
    else if (!mt_word_is_number(word, ret))
        return mt_error_create(MT_ERROR_USAGE, "--limit takes a number of rows, or `all`, not `%s`", word);
    return NULL;
}

static struct mt_error *parse_frame_number(const char *option, const char *word, size_t *ret) {
    if (!mt_word_is_number(word, ret))
        return mt_error_create(MT_ERROR_USAGE, "%s takes a number as `memtrace threads` shows it, not `%s`", option,
                               word);
    return NULL;
}

static struct mt_error *parse_since(const char *word, char *ret) {
    if (strlen(word) >= MT_MARK_NAME)
        return mt_error_create(MT_ERROR_USAGE, "--since takes a mark's number or name, and no name is that long");
    strcpy(ret, word);
    return NULL;
}

static struct mt_error *parse_type(const char *word, char *ret) {
    if (strlen(word) >= MT_TYPE_WORD)
        return mt_error_create(MT_ERROR_USAGE, "--type takes a type's name of at most %d bytes", MT_TYPE_WORD - 1);
    strcpy(ret, word);
    return NULL;
}

static struct mt_error *parse_size(const char *option, const char *word, uint64_t *ret) {
    if (!mt_size_parse(word, ret))
        return mt_error_create(MT_ERROR_USAGE, "%s takes a size (300M, 300Mi, 1.5G, or bytes), not `%s`", option, word);
    return NULL;
}

static struct mt_error *parse_text(const char *option, const char *word, char *ret, size_t size) {
    if (strlen(word) >= size)
        return mt_error_create(MT_ERROR_USAGE, "%s takes at most %zu bytes", option, size - 1);
    strcpy(ret, word);
    return NULL;
}

/* "Order 1000" */
static struct mt_error *parse_type_count(const char *words, char *ret_type, uint64_t *ret_count) {
    MT_AUTO_FREE char *type = mt_word_copy(words, mt_word_length(words));
    const char *number = mt_word_skip_blanks(words + mt_word_length(words));
    size_t count;
    if (!type)
        return &mt_error_no_memory;
    if (!mt_word_is_number(number, &count) || count == 0)
        return mt_error_create(MT_ERROR_USAGE, "--type-count takes a type and how many instances: --type-count %s 1000",
                               type);
    *ret_count = count;
    return parse_type(type, ret_type);
}

static struct mt_error *parse_line(const char *word, struct mt_options *ret) {
    const char *colon = strrchr(word, ':');
    size_t line;
    if (!colon || colon == word || !mt_word_is_number(colon + 1, &line) || line == 0 || line > INT32_MAX)
        return mt_error_create(MT_ERROR_USAGE, "--line takes a file and a line, --line app.py:12, not `%s`", word);
    if ((size_t)(colon - word) >= sizeof ret->place)
        return mt_error_create(MT_ERROR_USAGE, "--line takes the end of a file's path, at most %d bytes",
                               (int)sizeof ret->place - 1);
    memcpy(ret->place, word, (size_t)(colon - word));
    ret->place[colon - word] = '\0';
    ret->line = line;
    return NULL;
}

static struct mt_error *apply(const struct option *option, const char *value, struct mt_options *result) {
    switch (option->id) {
    case MT_OPTION_BY:
        return parse_choice(option, value, &result->by);
    case MT_OPTION_LEVEL:
        return parse_choice(option, value, &result->level);
    case MT_OPTION_LIMIT:
        return parse_limit(value, &result->limit);
    case MT_OPTION_SINCE:
        return parse_since(value, result->since);
    case MT_OPTION_TYPE:
        return parse_type(value, result->type);
    case MT_OPTION_THREAD:
        return parse_frame_number(option->name, value, &result->thread);
    case MT_OPTION_FRAME:
        return parse_frame_number(option->name, value, &result->frame);
    case MT_OPTION_HEAP:
    case MT_OPTION_ALLOC:
        return parse_size(option->name, value, &result->size);
    case MT_OPTION_ABOVE:
        return parse_size(option->name, value, &result->above);
    case MT_OPTION_FREE:
    case MT_OPTION_REFS:
        return parse_text(option->name, value, result->block, sizeof result->block);
    case MT_OPTION_REFS_OF_NEXT:
        return parse_text(option->name, value, result->type, sizeof result->type);
    case MT_OPTION_TYPE_COUNT:
        return parse_type_count(value, result->type, &result->count);
    case MT_OPTION_IF:
        return parse_text(option->name, value, result->condition, sizeof result->condition);
    case MT_OPTION_LINE:
        return parse_line(value, result);
    case MT_OPTION_FUNCTION:
        return parse_text(option->name, value, result->place, sizeof result->place);
    case MT_OPTION_NEW_PEAK:
    case MT_OPTION_FORCE:
    case MT_OPTION_TEMPORARY:
    case MT_OPTION_DEEP:
    case MT_OPTION_EXCLUSIVE:
    case MT_OPTION_ALL_ROOTS:
    case MT_OPTION_DIRECT:
    case MT_OPTION_NO_VALUES:
    case MT_OPTION_JSON:
        break;
    }
    return NULL;
}

/* Behind the closing quote of a value that is wholly in quotes; NULL: it is not. A condition's are the debugger's own.
 */
static const char *quoted_end(const struct option *option, const char *value) {
    bool is_word = option->id != MT_OPTION_IF && !strchr(option->placeholder, ' ');
    const char *quote = is_word && (value[0] == '\'' || value[0] == '"') ? strchr(value + 1, value[0]) : NULL;
    return quote && mt_word_length(quote + 1) == 0 ? quote + 1 : NULL;
}

/* Where the value that begins at `value` ends. */
static const char *value_end(const struct option *option, const char *value) {
    const char *end = value + mt_word_length(value);
    if (option->id == MT_OPTION_IF) {
        end = value + strlen(value);
        while (end > value && mt_word_length(end - 1) == 0)
            end--;
        static const char json[] = " --json"; /* the one option that may stand at a line's end */
        size_t length = sizeof json - 1;
        if ((size_t)(end - value) > length && strncmp(end - length, json, length) == 0)
            end -= length;
    } else if (strchr(option->placeholder, ' ')) {
        const char *second = mt_word_skip_blanks(end);
        end = second + mt_word_length(second);
    }
    return end;
}

/* One option at `*line`, moved behind it. */
static struct mt_error *parse_one(const char **line, unsigned accepted, struct mt_options *result) {
    size_t length = mt_word_length(*line);
    const char *equals = memchr(*line, '=', length);
    const struct option *option;
    struct mt_error *error = find_option(*line, equals ? (size_t)(equals - *line) : length, accepted, &option);
    if (error)
        return error;
    const char *end = *line + length, *value = equals ? equals + 1 : NULL;
    size_t size = 0;
    if (!option->placeholder && value)
        return mt_error_create(MT_ERROR_USAGE, "%s takes no value", option->name);
    if (option->placeholder) {
        if (!value)
            value = mt_word_skip_blanks(end);
        const char *quoted = quoted_end(option, value);
        end = quoted ? quoted : value_end(option, value);
        size = (size_t)(end - value) - (quoted ? 2 : 0);
        value += quoted != NULL;
    }
    if (option->placeholder && size == 0)
        return mt_error_create(MT_ERROR_USAGE, "%s needs a value: %s %s", option->name, option->name,
                               option->placeholder);
    MT_AUTO_FREE char *copy = mt_word_copy(value ? value : "", size);
    if (!copy)
        return &mt_error_no_memory;
    error = apply(option, copy, result);
    if (error)
        return error;
    result->given |= option->id;
    *line = end;
    return NULL;
}

struct mt_error *mt_options_parse(const char *line, unsigned accepted, struct mt_options *ret, const char **ret_rest) {
    *ret = (struct mt_options){
        .by = MT_BY_STACK, .level = MT_LEVEL_OBJECTS, .limit = SIZE_MAX, .thread = SIZE_MAX, .frame = SIZE_MAX};
    struct mt_error *error = NULL;
    line = mt_word_skip_blanks(line);
    while (!error && line[0] == '-' && mt_word_length(line) > 1) {
        bool last = line[1] == '-' && mt_word_length(line) == 2;
        if (last)
            line += 2;
        else
            error = parse_one(&line, accepted, ret);
        if (!error)
            line = mt_word_skip_blanks(line);
        if (last)
            break;
    }
    /* An error is shown as JSON also when `--json` comes after what was wrong. */
    for (const char *word = line; error && *word != '\0'; word = mt_word_skip_blanks(word + mt_word_length(word)))
        if (mt_word_is(word, "--json") || mt_word_is(word, "-json"))
            ret->given |= MT_OPTION_JSON & accepted;
    *ret_rest = line;
    return error;
}

void mt_options_help(unsigned accepted, struct mt_strbuf *out) {
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (!(accepted & options[i].id))
            continue;
        struct mt_strbuf left = MT_STRBUF_INIT;
        mt_strbuf_printf(&left, "  %s%s%s", options[i].name, options[i].placeholder ? " " : "",
                         options[i].placeholder ? options[i].placeholder : "");
        mt_words_wrap(mt_strbuf_text(&left), 18, options[i].help, 78, out);
        mt_strbuf_deinit(&left);
    }
}

/* The option `word` whose value comes next; NULL: it is none. */
static const struct option *option_before_value(const char *word, unsigned accepted) {
    const struct option *option = NULL;
    if (word[0] != '-' || strchr(word, '='))
        return NULL;
    struct mt_error *error = find_option(word, strlen(word), accepted, &option);
    mt_error_destroy(error);
    return !error && option->placeholder ? option : NULL;
}

bool mt_options_wants_type(const char *previous_word, unsigned accepted) {
    const struct option *option = option_before_value(previous_word, accepted);
    return option && (option->id == MT_OPTION_TYPE || option->id == MT_OPTION_REFS_OF_NEXT);
}

void mt_options_complete(const char *previous_word, const char *word, unsigned accepted, struct mt_strbuf *out) {
    const struct option *wants = option_before_value(previous_word, accepted);
    if (wants) {
        for (const struct value *value = wants->values; value && value->name; value++)
            mt_word_offer(value->name, word, out);
        if (wants->suggestion)
            mt_word_offer(wants->suggestion, word, out);
        return;
    }
    for (size_t i = 0; word[0] == '-' && i < OPTION_COUNT; i++)
        if (accepted & options[i].id)
            mt_word_offer(options[i].name, word, out);
}
