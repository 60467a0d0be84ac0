#include "commands/type_words.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "commands/session.h"
#include "commands/words.h"
#include "output/text.h"
#include "python/types.h"

#define POLL_EVERY 65536 /* objects between two looks at the clock */

/* The live type whose name looks most like `word`; NULL: none does. */
static const char *find_nearest(const struct mt_types *types, const uint32_t *counts, const char *word) {
    struct mt_words names = {0};
    bool is_qualified = strchr(word, '.') != NULL;
    const char *best = NULL;
    for (size_t i = 0; i < types->list.length; i++) {
        const struct mt_type *type = mt_types_at(types, (uint32_t)i);
        const char *last = strrchr(type->name, '.');
        if (counts[i] == 0)
            continue;
        /* One challenger at a time against the best one so far. */
        names.count = 0;
        if (best)
            mt_words_add(&names, best);
        mt_words_add(&names, last && !is_qualified ? last + 1 : type->name);
        best = mt_words_nearest(&names, word);
    }
    return best;
}

static struct mt_error *unknown_type(const struct mt_types *types, const uint32_t *counts, const char *word) {
    const char *nearest = find_nearest(types, counts, word);
    bool exists = false;
    for (size_t i = 0; i < types->list.length; i++)
        exists |= mt_type_is_called(mt_types_at(types, (uint32_t)i), word);
    if (strstr(word, " -"))
        return mt_error_create(MT_ERROR_USAGE, "`%s` is no type's name: options come before it", word);
    if (exists)
        return mt_error_create(MT_ERROR_NOT_FOUND, "no instance of `%s` is alive", word);
    if (nearest)
        return mt_error_create(MT_ERROR_NOT_FOUND, "no live object's type is called `%s`: did you mean `%s`?", word,
                               nearest);
    return mt_error_create(MT_ERROR_NOT_FOUND, "no live object's type is called `%s`: `memtrace types` lists them",
                           word);
}

static struct mt_error *count_types(struct mt_call *call, const struct mt_census *census, uint32_t *counts) {
    for (uint32_t i = 0; i < census->count; i++) {
        counts[census->types[i]]++;
        struct mt_error *error = i % POLL_EVERY == 0 ? mt_watch_poll(&call->watch, "counting instances") : NULL;
        if (error)
            return error;
    }
    return NULL;
}

static struct mt_error *collect(struct mt_call *call, const struct mt_census *census, struct mt_instances *result) {
    for (uint32_t i = 0, at = 0; i < census->count && at < result->count; i++) {
        if (result->wanted[census->types[i]])
            result->objects[at++] = i;
        struct mt_error *error = i % POLL_EVERY == 0 ? mt_watch_poll(&call->watch, "collecting instances") : NULL;
        if (error)
            return error;
    }
    return NULL;
}

static struct mt_error *find(struct mt_call *call, const struct mt_census *census, const char *word,
                             struct mt_instances *result) {
    const struct mt_types *types = census->python->types;
    MT_AUTO_FREE uint32_t *counts = calloc(types->list.length + 1, sizeof *counts);
    result->wanted = calloc(types->list.length + 1, sizeof *result->wanted);
    if (!counts || !result->wanted)
        return &mt_error_no_memory;
    struct mt_error *error = count_types(call, census, counts);
    if (error)
        return error;
    for (size_t i = 0; i < types->list.length; i++) {
        const struct mt_type *type = mt_types_at(types, (uint32_t)i);
        result->wanted[i] = counts[i] > 0 && mt_type_is_called(type, word);
        if (!result->wanted[i])
            continue;
        if (result->types++ == 0)
            result->name = type->name;
        result->count += counts[i];
    }
    if (result->types == 0)
        return unknown_type(types, counts, word);
    result->objects = malloc(result->count * sizeof *result->objects);
    return result->objects ? collect(call, census, result) : &mt_error_no_memory;
}

struct mt_error *mt_instances_find(struct mt_call *call, const struct mt_census *census, const char *word,
                                   struct mt_instances *ret) {
    struct mt_instances result = {.name = ""};
    struct mt_error *error = find(call, census, word, &result);
    if (error) {
        mt_instances_deinit(&result);
        return error;
    }
    if (result.types > 1)
        mt_call_warn(call, "%zu types are called `%s`: these are the instances of all of them", result.types, word);
    *ret = result;
    return NULL;
}

void mt_instances_deinit(struct mt_instances *instances) {
    free(instances->wanted);
    free(instances->objects);
    *instances = (struct mt_instances){.name = ""};
}

void mt_instances_words(const struct mt_instances *instances, struct mt_strbuf *out) {
    size_t length = strlen(instances->name);
    bool ends_in_s = length > 0 && instances->name[length - 1] == 's';
    mt_text_count(out, instances->count);
    if (ends_in_s || length == 0)
        mt_strbuf_printf(out, " instance%s of %s", instances->count == 1 ? "" : "s", instances->name);
    else
        mt_strbuf_printf(out, " %s%s", instances->name, instances->count == 1 ? "" : "s");
}

void mt_type_words_complete(const struct mt_session *session, const char *word, struct mt_strbuf *out) {
    const struct mt_census *census = session ? mt_session_known_census(session) : NULL;
    for (size_t i = 0; census && i < census->python->types->list.length; i++) {
        const struct mt_type *type = mt_types_at(census->python->types, (uint32_t)i);
        bool is_short = strncmp(type->name, word, strlen(word)) == 0;
        const char *name = is_short ? type->name : type->qualified;
        if (name[mt_word_length(name)] == '\0')
            mt_word_offer(name, word, out);
    }
}
