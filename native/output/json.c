#include "output/json.h"

#include <inttypes.h>
#include <string.h>

#include "output/text.h"

void mt_json_init(struct mt_json *json, struct mt_strbuf *out) {
    *json = (struct mt_json){.out = out};
}

static void quote(struct mt_strbuf *out, const char *text) {
    size_t length = strlen(text);
    mt_strbuf_append_char(out, '"');
    for (size_t i = 0; i < length;) {
        uint32_t code;
        size_t size = mt_utf8_next(text + i, length - i, &code);
        if (size == 0) {
            mt_strbuf_printf(out, "\\\\x%02x", (unsigned char)text[i]);
            size = 1;
        } else if (code == '"' || code == '\\') {
            mt_strbuf_append_char(out, '\\');
            mt_strbuf_append_char(out, (char)code);
        } else if (code < 0x20 || code == 0x7f) {
            mt_strbuf_printf(out, "\\u%04" PRIx32, code);
        } else {
            mt_strbuf_append_bytes(out, text + i, size);
        }
        i += size;
    }
    mt_strbuf_append_char(out, '"');
}

static void start_value(struct mt_json *json, const char *key) {
    if (json->filled[json->depth])
        mt_strbuf_append_char(json->out, ',');
    json->filled[json->depth] = true;
    if (key) {
        quote(json->out, key);
        mt_strbuf_append_char(json->out, ':');
    }
}

void mt_json_begin(struct mt_json *json, const char *key, char bracket) {
    start_value(json, key);
    mt_strbuf_append_char(json->out, bracket);
    if (json->depth + 1 < MT_JSON_DEPTH)
        json->depth++;
    json->filled[json->depth] = false;
}

void mt_json_end(struct mt_json *json, char bracket) {
    mt_strbuf_append_char(json->out, bracket);
    if (json->depth > 0)
        json->depth--;
}

void mt_json_integer(struct mt_json *json, const char *key, int64_t value) {
    start_value(json, key);
    mt_strbuf_printf(json->out, "%" PRId64, value);
}

void mt_json_unsigned(struct mt_json *json, const char *key, uint64_t value) {
    start_value(json, key);
    mt_strbuf_printf(json->out, "%" PRIu64, value);
}

void mt_json_boolean(struct mt_json *json, const char *key, bool value) {
    start_value(json, key);
    mt_strbuf_append(json->out, value ? "true" : "false");
}

void mt_json_null(struct mt_json *json, const char *key) {
    start_value(json, key);
    mt_strbuf_append(json->out, "null");
}

void mt_json_string(struct mt_json *json, const char *key, const char *value) {
    if (!value) {
        mt_json_null(json, key);
        return;
    }
    start_value(json, key);
    quote(json->out, value);
}

void mt_json_address(struct mt_json *json, const char *key, uint64_t value) {
    start_value(json, key);
    mt_strbuf_printf(json->out, "\"0x%" PRIx64 "\"", value);
}

void mt_json_seconds(struct mt_json *json, const char *key, uint64_t nanoseconds) {
    start_value(json, key);
    mt_strbuf_printf(json->out, "%" PRIu64 ".%06" PRIu64, nanoseconds / 1000000000, nanoseconds % 1000000000 / 1000);
}

void mt_json_raw(struct mt_json *json, const char *key, const char *value, size_t length) {
    start_value(json, key);
    mt_strbuf_append_bytes(json->out, value, length);
}
