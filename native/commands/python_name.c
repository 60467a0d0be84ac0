#include "commands/python_name.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "heap/edges.h"
#include "commands/selected_thread.h"
#include "output/place.h"
#include "python/attribute.h"
#include "python/item.h"
#include "python/object.h"
#include "python/scope.h"
#include "python/threads.h"

#define PREFIX "py"
/* Bytes of a name or key. */
#define WORD_MAX 1024
/* Names that an error lists. */
#define NAMES_SHOWN 12

/* --- the text -------------------------------------------------------------------------------------------------------
 */

static bool is_word_character(char c) {
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* Behind `py:` or `py@N:`; NULL: it does not begin so. */
static const char *behind_prefix(const char *text, size_t *ret_frame) {
    size_t frame = SIZE_MAX;
    if (strncmp(text, PREFIX, strlen(PREFIX)) != 0)
        return NULL;
    text += strlen(PREFIX);
    if (*text == '@') {
        char *end;
        errno = 0;
        frame = isdigit((unsigned char)text[1]) ? strtoul(text + 1, &end, 10) : SIZE_MAX;
        if (frame == SIZE_MAX || errno != 0)
            return NULL;
        text = end;
    }
    if (*text != ':')
        return NULL;
    *ret_frame = frame;
    return text + 1;
}

bool mt_python_name_is(const char *text) {
    return strncmp(text, PREFIX ":", strlen(PREFIX) + 1) == 0 || strncmp(text, PREFIX "@", strlen(PREFIX) + 1) == 0;
}

/* A name as it is resolved: how far it was read, and what that means. */
struct resolution {
    struct mt_call *call;
    struct mt_python *python;
    const char *text; /* behind the prefix */
    const char *at;
    uint64_t value;
};

static struct mt_error *syntax_error(const struct resolution *resolution, const char *wanted) {
    if (*resolution->at == '\0')
        return mt_error_create(MT_ERROR_USAGE, "`%s` is no Python name: %s is missing at its end", resolution->text,
                               wanted);
    return mt_error_create(MT_ERROR_USAGE, "`%s` is no Python name: %s is missing at `%s`", resolution->text, wanted,
                           resolution->at);
}

static void skip_blanks(struct resolution *resolution) {
    resolution->at += strspn(resolution->at, " \t");
}

/* A word at the cursor, which moves behind it. */
static struct mt_error *read_word(struct resolution *resolution, char *word) {
    size_t length = 0;
    while (is_word_character(resolution->at[length]))
        length++;
    if (length == 0 || isdigit((unsigned char)*resolution->at))
        return syntax_error(resolution, "a name");
    if (length >= WORD_MAX)
        return mt_error_create(MT_ERROR_USAGE, "no name is that long");
    memcpy(word, resolution->at, length);
    word[length] = '\0';
    resolution->at += length;
    return NULL;
}

/* The part of the name that was resolved, "app.cache". */
static char *resolved_text(const struct resolution *resolution, const char *end) {
    const char *start = resolution->text + strspn(resolution->text, " \t");
    while (end > start && isblank((unsigned char)end[-1]))
        end--;
    return strndup(start, (size_t)(end - start));
}

static const char *type_name(const struct resolution *resolution) {
    const struct mt_type *type = mt_object_type(resolution->python, resolution->value);
    return type ? type->name : "?";
}

/* --- the first word: which frame ------------------------------------------------------------------------------------
 */

struct frame_search {
    uint32_t wanted;
    uint32_t count;
    bool found;
    struct mt_python_frame frame;
};

static bool take_frame(void *context, const struct mt_python_frame *frame, uint32_t number) {
    struct frame_search *search = context;
    if (frame->incomplete)
        return true;
    search->count = number + 1;
    search->found = number == search->wanted;
    if (search->found)
        search->frame = *frame;
    return !search->found;
}

static struct mt_error *choose_thread(const struct resolution *resolution, const struct mt_threads *threads,
                                      const struct mt_python_thread **ret) {
    const struct mt_options *options = &resolution->call->options;
    size_t count = threads->list.length, chosen = 0;
    if (count == 0)
        return mt_error_create(MT_ERROR_NOT_FOUND, "there are no Python threads");
    if (options->given & MT_OPTION_THREAD) {
        if (options->thread == 0 || options->thread > count)
            return mt_error_create(MT_ERROR_NOT_FOUND, "there is no thread %zu: `memtrace threads` shows 1 to %zu",
                                   options->thread, count);
        chosen = options->thread - 1;
    } else {
        size_t selected = mt_selected_thread(resolution->call, resolution->python, threads);
        for (size_t i = count; i-- > 0;)
            chosen = threads->list.data[i].has_gil ? i : chosen;
        chosen = selected < count ? selected : chosen;
    }
    *ret = &threads->list.data[chosen];
    return NULL;
}

/* The chosen frame; found false: the thread has no frames at all. */
static struct mt_error *choose_frame(const struct resolution *resolution, const struct mt_python_thread *thread,
                                     size_t frame, struct frame_search *ret) {
    const struct mt_options *options = &resolution->call->options;
    bool is_chosen = frame != SIZE_MAX || options->given & MT_OPTION_FRAME;
    if (frame == SIZE_MAX)
        frame = options->given & MT_OPTION_FRAME ? options->frame : 0;
    *ret = (struct frame_search){.wanted = frame < UINT32_MAX ? (uint32_t)frame : UINT32_MAX};
    mt_frames_visit(resolution->python, thread, take_frame, ret);
    if (ret->found || (ret->count == 0 && !is_chosen))
        return NULL;
    if (ret->count == 0)
        return mt_error_create(MT_ERROR_NOT_FOUND, "thread %" PRIu32 " has no Python frames", thread->number);
    return mt_error_create(MT_ERROR_NOT_FOUND, "there is no frame %zu in thread %" PRIu32 ": it has 0 to %" PRIu32,
                           frame, thread->number, ret->count - 1);
}

/* --- the first word: what it means ----------------------------------------------------------------------------------
 */

struct names {
    struct mt_python *python;
    struct mt_strbuf text;
    size_t count;
};

static bool list_name(void *context, uint64_t name, uint64_t value) {
    struct names *names = context;
    if (names->count++ == NAMES_SHOWN) {
        mt_strbuf_append(&names->text, ", ...");
        return false;
    }
    mt_strbuf_append(&names->text, names->count > 1 ? ", " : "");
    mt_str_append(names->python, name, WORD_MAX, &names->text);
    return true;
}

/* A frame further out that has a variable of this name. */
struct outer_search {
    struct mt_python *python;
    const char *name;
    uint32_t number;
    bool found;
};

static bool look_further_out(void *context, const struct mt_python_frame *frame, uint32_t number) {
    struct outer_search *search = context;
    uint64_t value;
    search->number = number;
    search->found =
        !frame->incomplete && mt_scope_variable(search->python, frame, search->name, &value) == MT_SCOPE_FOUND;
    return !search->found;
}

/* "no variable `x` in process_data() holding.py:51 (thread 1, frame 2), whose locals are: data, data_pow" */
static struct mt_error *no_variable(const struct resolution *resolution, const struct mt_python_thread *thread,
                                    const struct frame_search *frame, const char *name) {
    struct mt_frame_place place;
    if (!frame->found || !mt_frame_place(resolution->python, &frame->frame, &place))
        return mt_error_create(MT_ERROR_NOT_FOUND,
                               "no variable or module `%s`: thread %" PRIu32 " has no Python frames", name,
                               thread->number);
    struct outer_search outer = {.python = resolution->python, .name = name};
    struct names names = {.python = resolution->python};
    struct mt_strbuf more = MT_STRBUF_INIT;
    mt_frames_visit(resolution->python, thread, look_further_out, &outer);
    mt_scope_visit_variables(resolution->python, &frame->frame, list_name, &names);
    if (outer.found)
        mt_strbuf_printf(&more, "; frame %" PRIu32 " has one: py@%" PRIu32 ":%s", outer.number, outer.number, name);
    else if (names.count > 0)
        mt_strbuf_printf(&more, ", whose locals are: %s", mt_strbuf_text(&names.text));
    else
        mt_strbuf_append(&more, ", which has no locals");
    struct mt_error *error = mt_error_create(
        MT_ERROR_NOT_FOUND, "no variable `%s` in %s() %s:%" PRId32 " (thread %" PRIu32 ", frame %" PRIu32 ")%s", name,
        place.function, mt_place_tail(place.file, 1), place.line, thread->number, frame->wanted, mt_strbuf_text(&more));
    mt_strbuf_deinit(&names.text);
    mt_strbuf_deinit(&more);
    return error;
}

static struct mt_error *resolve_variable(struct resolution *resolution, const struct mt_threads *threads,
                                         size_t frame_number) {
    char name[WORD_MAX];
    const struct mt_python_thread *thread = NULL;
    struct frame_search frame;
    skip_blanks(resolution);
    struct mt_error *error = read_word(resolution, name);
    if (!error)
        error = choose_thread(resolution, threads, &thread);
    if (!error)
        error = choose_frame(resolution, thread, frame_number, &frame);
    if (error)
        return error;
    switch (mt_scope_find(resolution->python, thread->interpreter, frame.found ? &frame.frame : NULL, name,
                          &resolution->value)) {
    case MT_SCOPE_FOUND:
        return NULL;
    case MT_SCOPE_UNSET:
        return mt_error_create(MT_ERROR_NOT_FOUND, "variable `%s` has no value yet", name);
    case MT_SCOPE_NONE:
        break;
    }
    return no_variable(resolution, thread, &frame, name);
}

/* --- what C members hold
 * ---------------------------------------------------------------------------------------------- */

struct link_search {
    struct mt_python *python;
    const char *name; /* `func_code`, or what stands between the underscores of `__code__` */
    struct mt_strbuf link;
    uint64_t value;
};

static void compare_link(void *context, const struct mt_edge *edge) {
    struct link_search *search = context;
    size_t length = strlen(search->name);
    if (search->value != 0 || edge->kind != MT_EDGE_EXACT || edge->link.form != MT_LINK_TEXT)
        return;
    search->link.length = 0;
    mt_link_append(search->python, &edge->link, &search->link);
    const char *link = search->link.data;
    size_t size = search->link.length;
    if (size < length || memcmp(link + size - length, search->name, length) != 0)
        return;
    if (size == length || link[size - length - 1] == '_')
        search->value = edge->target;
}

/* A reference by the name that `memtrace holds` shows (`func_code`), or that Python has for it (`__code__`); 0: none.
 */
static uint64_t find_link(const struct resolution *resolution, const char *name) {
    const struct mt_type *type = mt_object_type(resolution->python, resolution->value);
    size_t length = strlen(name);
    bool is_special = length > 4 && strncmp(name, "__", 2) == 0 && strcmp(name + length - 2, "__") == 0;
    MT_AUTO_FREE char *bare = is_special ? strndup(name + 2, length - 4) : strdup(name);
    struct link_search search = {.python = resolution->python, .name = bare};
    if (type && bare)
        mt_edges_visit(resolution->python, resolution->value, type, compare_link, &search);
    mt_strbuf_deinit(&search.link);
    return search.value;
}

/* --- attributes and items -------------------------------------------------------------------------------------------
 */

static bool find_str_key(const struct resolution *resolution, const char *word, uint64_t *ret) {
    struct mt_item_key key = {.text = word, .length = strlen(word), .is_str = true};
    uint64_t count;
    return mt_item_find(resolution->python, resolution->value, &key, ret, &count) == MT_ITEM_FOUND;
}

/* What a descriptor makes is often kept as an attribute with an underscore. */
static struct mt_error *no_plain_attribute(const struct resolution *resolution, const char *owner, const char *name) {
    char hidden[WORD_MAX + 1];
    snprintf(hidden, sizeof hidden, "_%s", name);
    bool has_hidden = mt_attribute_own(resolution->python, resolution->value, hidden) != 0;
    return mt_error_create(MT_ERROR_NOT_FOUND,
                           "`.%s` of `%s` is made by a descriptor of %s, which would have to be called: no code is "
                           "run%s%s%s",
                           name, owner, type_name(resolution), has_hidden ? "; it has `." : "",
                           has_hidden ? hidden : "", has_hidden ? "`" : "");
}

static struct mt_error *resolve_attribute(struct resolution *resolution) {
    const char *start = resolution->at;
    char name[WORD_MAX];
    uint64_t value = 0;
    resolution->at++;
    skip_blanks(resolution);
    struct mt_error *error = read_word(resolution, name);
    if (error)
        return error;
    enum mt_attribute_state state = mt_attribute_find(resolution->python, resolution->value, name, &value);
    if (state != MT_ATTRIBUTE_FOUND &&
        (find_str_key(resolution, name, &value) || (value = find_link(resolution, name)) != 0))
        state = MT_ATTRIBUTE_FOUND;
    if (state == MT_ATTRIBUTE_FOUND) {
        resolution->value = value;
        return NULL;
    }
    MT_AUTO_FREE char *owner = resolved_text(resolution, start);
    if (state == MT_ATTRIBUTE_DESCRIPTOR)
        return no_plain_attribute(resolution, owner ? owner : "", name);
    return mt_error_create(MT_ERROR_NOT_FOUND, "`%s` (%s) has no attribute `%s`", owner ? owner : "",
                           type_name(resolution), name);
}

/* The characters of a quoted key at the cursor, its backslashes undone. */
static struct mt_error *read_quoted(struct resolution *resolution, char *text, size_t *ret_length) {
    char quote = *resolution->at++;
    size_t length = 0;
    for (; *resolution->at != quote; resolution->at++) {
        if (*resolution->at == '\\')
            resolution->at++;
        if (*resolution->at == '\0')
            return syntax_error(resolution, "the end of the quoted key");
        if (length + 1 >= WORD_MAX)
            return mt_error_create(MT_ERROR_USAGE, "no key is that long");
        text[length++] = *resolution->at;
    }
    resolution->at++;
    *ret_length = length;
    return NULL;
}

/* What is no quoted text, up to the bracket that ends it. */
static struct mt_error *read_plain_key(struct resolution *resolution, char *text, size_t *ret_length) {
    size_t length = 0, depth = 0;
    for (; *resolution->at != '\0' && (depth > 0 || *resolution->at != ']'); resolution->at++) {
        depth += strchr("[({", *resolution->at) != NULL;
        depth -= depth > 0 && strchr("])}", *resolution->at) != NULL;
        if (length + 1 >= WORD_MAX)
            return mt_error_create(MT_ERROR_USAGE, "no key is that long");
        text[length++] = *resolution->at;
    }
    while (length > 0 && isblank((unsigned char)text[length - 1]))
        length--;
    *ret_length = length;
    return length > 0 ? NULL : syntax_error(resolution, "an index or a key");
}

static bool is_number(const char *text, size_t length, int64_t *ret) {
    size_t digits = text[0] == '-' ? 1 : 0;
    if (digits == length)
        return false;
    for (size_t i = digits; i < length; i++)
        if (!isdigit((unsigned char)text[i]))
            return false;
    errno = 0;
    *ret = strtoll(text, NULL, 10);
    return errno == 0;
}

/* `[key]` at the cursor. */
static struct mt_error *read_key(struct resolution *resolution, char *text, struct mt_item_key *ret) {
    struct mt_item_key key = {.text = text};
    resolution->at++;
    skip_blanks(resolution);
    key.is_str = *resolution->at == '\'' || *resolution->at == '"';
    struct mt_error *error =
        key.is_str ? read_quoted(resolution, text, &key.length) : read_plain_key(resolution, text, &key.length);
    if (error)
        return error;
    text[key.length] = '\0';
    key.is_int = !key.is_str && is_number(text, key.length, &key.number);
    skip_blanks(resolution);
    if (*resolution->at != ']')
        return syntax_error(resolution, "`]`");
    resolution->at++;
    *ret = key;
    return NULL;
}

static struct mt_error *resolve_item(struct resolution *resolution) {
    const char *start = resolution->at;
    char text[WORD_MAX];
    struct mt_item_key key = {0};
    uint64_t value = 0, count = 0;
    struct mt_error *error = read_key(resolution, text, &key);
    if (error)
        return error;
    enum mt_item_state state = mt_item_find(resolution->python, resolution->value, &key, &value, &count);
    if (state == MT_ITEM_NONE && !key.is_str && !key.is_int && find_str_key(resolution, text, &value))
        state = MT_ITEM_FOUND;
    MT_AUTO_FREE char *owner = resolved_text(resolution, start);
    MT_AUTO_FREE char *brackets = strndup(start, (size_t)(resolution->at - start));
    const char *shown = owner ? owner : "", *type = type_name(resolution);
    switch (state) {
    case MT_ITEM_FOUND:
        resolution->value = value;
        return NULL;
    case MT_ITEM_NO_CONTAINER:
        return mt_error_create(MT_ERROR_NOT_FOUND,
                               "`%s` is of type %s: items are found in dicts, lists, tuples and deques alone", shown,
                               type);
    case MT_ITEM_WRONG_KEY:
        return mt_error_create(MT_ERROR_NOT_FOUND, "`%s` (%s) has items by number, not %s", shown, type,
                               brackets ? brackets : "");
    case MT_ITEM_NONE:
        break;
    }
    return mt_error_create(MT_ERROR_NOT_FOUND, "`%s` (%s of %" PRIu64 ") has no %s", shown, type, count,
                           brackets ? brackets : "");
}

struct mt_error *mt_python_name_resolve(struct mt_call *call, const char *text, uint64_t *ret) {
    size_t frame = SIZE_MAX;
    struct resolution resolution = {.call = call, .text = behind_prefix(text, &frame)};
    if (!resolution.text)
        return mt_error_create(MT_ERROR_USAGE, "`%s` is no Python name: py:NAME, or py@2:NAME in frame 2", text);
    resolution.at = resolution.text;
    struct mt_threads threads = {0};
    struct mt_error *error = mt_call_python(call, &resolution.python);
    if (!error)
        error = mt_threads_read(resolution.python, &call->watch, &threads);
    if (!error)
        error = resolve_variable(&resolution, &threads, frame);
    mt_threads_deinit(&threads);
    while (!error) {
        skip_blanks(&resolution);
        if (*resolution.at == '\0')
            break;
        if (*resolution.at == '.')
            error = resolve_attribute(&resolution);
        else if (*resolution.at == '[')
            error = resolve_item(&resolution);
        else
            error = syntax_error(&resolution, "`.` or `[`");
    }
    if (!error)
        *ret = resolution.value;
    return error;
}
