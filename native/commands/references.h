/* What an object refers to, as rows of an answer. */
#ifndef MEMTRACE_COMMANDS_REFERENCES_H
#define MEMTRACE_COMMANDS_REFERENCES_H

#include <stdint.h>

#include "base/error.h"
#include "base/vector.h"
#include "commands/command.h"
#include "heap/census.h"

struct mt_reference {
    struct mt_edge edge;
    uint32_t object; /* of the census */
    uint64_t own_bytes;
};

struct mt_references {
    MT_VECTOR(struct mt_reference) list; /* exact ones as they stand in the object, then guesses, then weak ones */
    uint64_t own_bytes;                  /* of all, each object once */
    uint64_t strays;                     /* exact ones that lead to no live object */
};

struct mt_error *mt_references_find(struct mt_call *call, struct mt_census *census, uint32_t object,
                                    struct mt_references *ret);
void mt_references_deinit(struct mt_references *references);
/* The table of the first `shown`, `key` in JSON, and what was omitted. */
struct mt_error *mt_references_emit(struct mt_call *call, struct mt_census *census, const char *key,
                                    const struct mt_references *references, size_t shown);

#endif
