/* Writes one compact JSON value, piece by piece. The writer puts the commas; the caller balances begin and end. Nesting
 * is at most MT_JSON_DEPTH (our own documents: a handful). */
#ifndef MEMTRACE_OUTPUT_JSON_H
#define MEMTRACE_OUTPUT_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"

#define MT_JSON_DEPTH 16

struct mt_json {
    struct mt_strbuf *out;
    unsigned depth;
    bool filled[MT_JSON_DEPTH]; /* something stands before at this depth: a comma is due */
};

void mt_json_init(struct mt_json *json, struct mt_strbuf *out);
/* `key`: NULL for an element of an array. */
void mt_json_begin(struct mt_json *json, const char *key, char bracket /* '{' or '[' */);
void mt_json_end(struct mt_json *json, char bracket /* '}' or ']' */);
void mt_json_integer(struct mt_json *json, const char *key, int64_t value);
void mt_json_unsigned(struct mt_json *json, const char *key, uint64_t value);
void mt_json_boolean(struct mt_json *json, const char *key, bool value);
void mt_json_null(struct mt_json *json, const char *key);
/* Bytes that are not valid UTF-8 become the four characters \xNN. NULL: null. */
void mt_json_string(struct mt_json *json, const char *key, const char *value);
void mt_json_address(struct mt_json *json, const char *key, uint64_t value);
/* Nanoseconds as a number of seconds with six decimals. */
void mt_json_seconds(struct mt_json *json, const char *key, uint64_t nanoseconds);
/* Text that is valid JSON already. */
void mt_json_raw(struct mt_json *json, const char *key, const char *value, size_t length);

#endif
