/* A TYPE argument: the types that people mean by a name. */
#ifndef MEMTRACE_COMMANDS_TYPE_WORDS_H
#define MEMTRACE_COMMANDS_TYPE_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "commands/command.h"
#include "heap/census.h"

/* Instances of the types that are called so. */
struct mt_instances {
    bool *wanted;      /* by index into python->types: is it one of them */
    size_t types;      /* how many types of that name have instances */
    uint32_t *objects; /* of the census, ascending */
    size_t count;
    const char *name; /* of the first of these types; "" when there is none */
};

/* MT_ERROR_NOT_FOUND: no type is called `word`, or none that has live instances; the nearest names are suggested. Says
 * in a note when several types have that name. Free it with mt_instances_deinit. */
struct mt_error *mt_instances_find(struct mt_call *call, const struct mt_census *census, const char *word,
                                   struct mt_instances *ret);
void mt_instances_deinit(struct mt_instances *instances);
/* Appends "40,000 Orders", "1 dict". */
void mt_instances_words(const struct mt_instances *instances, struct mt_strbuf *out);

/* Appends the names of types that begin with `word`, a line each, as far as the session has read them. */
void mt_type_words_complete(const struct mt_session *session, const char *word, struct mt_strbuf *out);

#endif
