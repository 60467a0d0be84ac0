#include "commands/expression_literal.h"

#include <ctype.h>
#include <string.h>

#include "python/object.h"
#include "python/str.h"

#define MOST_CHARACTERS 200 /* of a str or bytes */
#define MOST_DIGITS 8       /* of an int, of 30 bits each */
#define MOST_ITEMS 8        /* of a tuple */
#define MOST_DEPTH 3        /* of tuples in tuples */
/* Longer than what any of the above makes: nothing is cut. */
#define VALUE_LIMIT (16 * MOST_CHARACTERS)
#define MOST_NAME 100 /* bytes of an identifier */

static bool append_value(struct mt_python *python, uint64_t object, struct mt_strbuf *out) {
    mt_value_append(python, object, VALUE_LIMIT, out);
    return true;
}

static bool append_str(struct mt_python *python, uint64_t object, struct mt_strbuf *out) {
    struct mt_str str;
    return mt_str_read(python, object, &str) && str.length <= MOST_CHARACTERS && append_value(python, object, out);
}

/* Infinities and nan have no literals. */
static bool append_float(struct mt_python *python, uint64_t object, struct mt_strbuf *out) {
    size_t before = out->length;
    mt_value_append(python, object, VALUE_LIMIT, out);
    if (out->length > before && !strpbrk(out->data + before, "ni<"))
        return true;
    out->length = before;
    return false;
}

static bool append_literal(struct mt_python *python, uint64_t object, unsigned depth, struct mt_strbuf *out);

static bool append_items(struct mt_python *python, uint64_t tuple, uint64_t count, unsigned depth,
                         struct mt_strbuf *out) {
    for (uint64_t i = 0; i < count; i++) {
        uint64_t item;
        mt_strbuf_append(out, i > 0 ? ", " : "");
        if (!mt_view_u64(python->view, tuple + MT_OFFSET(python, PyTupleObject, ob_item) + i * sizeof item, &item) ||
            !append_literal(python, item, depth + 1, out))
            return false;
    }
    return true;
}

static bool append_tuple(struct mt_python *python, uint64_t tuple, const struct mt_type *type, unsigned depth,
                         struct mt_strbuf *out) {
    uint64_t count = mt_object_item_count(python, tuple, type);
    if (depth >= MOST_DEPTH || count > MOST_ITEMS)
        return false;
    mt_strbuf_append_char(out, '(');
    bool is_complete = append_items(python, tuple, count, depth, out);
    mt_strbuf_append(out, count == 1 ? ",)" : ")");
    return is_complete;
}

static bool append_literal(struct mt_python *python, uint64_t object, unsigned depth, struct mt_strbuf *out) {
    const struct mt_type *type = mt_object_type(python, object);
    if (object == python->none && object != 0)
        return append_value(python, object, out);
    if (!type || !type->is_exact)
        return false;
    switch (type->kind) {
    case MT_KIND_STR:
        return append_str(python, object, out);
    case MT_KIND_BYTES:
        return mt_object_item_count(python, object, type) <= MOST_CHARACTERS && append_value(python, object, out);
    case MT_KIND_INT:
        return mt_object_item_count(python, object, type) <= MOST_DIGITS && append_value(python, object, out);
    case MT_KIND_BOOL:
        return append_value(python, object, out);
    case MT_KIND_FLOAT:
        return append_float(python, object, out);
    case MT_KIND_TUPLE:
        return append_tuple(python, object, type, depth, out);
    default:
        return false;
    }
}

bool mt_literal_append(struct mt_python *python, uint64_t object, struct mt_strbuf *out) {
    struct mt_strbuf literal = MT_STRBUF_INIT;
    bool has_one = append_literal(python, object, 0, &literal) && literal.data;
    if (has_one)
        mt_strbuf_append(out, literal.data);
    mt_strbuf_deinit(&literal);
    return has_one;
}

/* --- identifiers -------------------------------------------------------------------------------------------------- */

static bool is_keyword(const char *text) {
    static const char *const keywords[] = {
        "False", "None",     "True",  "and",    "as",   "assert", "async",  "await",    "break",
        "class", "continue", "def",   "del",    "elif", "else",   "except", "finally",  "for",
        "from",  "global",   "if",    "import", "in",   "is",     "lambda", "nonlocal", "not",
        "or",    "pass",     "raise", "return", "try",  "while",  "with",   "yield",
    };
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
        if (strcmp(text, keywords[i]) == 0)
            return true;
    return false;
}

bool mt_is_identifier(const char *text) {
    size_t length = strlen(text);
    if (length == 0 || length > MOST_NAME || isdigit((unsigned char)text[0]))
        return false;
    for (size_t i = 0; i < length; i++)
        if (!isascii((unsigned char)text[i]) || (!isalnum((unsigned char)text[i]) && text[i] != '_'))
            return false;
    bool is_special = length > 4 && strncmp(text, "__", 2) == 0 && strcmp(text + length - 2, "__") == 0;
    return !is_special && !is_keyword(text);
}

bool mt_identifier_append(struct mt_python *python, uint64_t str, struct mt_strbuf *out) {
    struct mt_strbuf text = MT_STRBUF_INIT;
    struct mt_str header;
    const struct mt_type *type = mt_object_type(python, str);
    /* What has zero bytes in it is longer than its text. */
    bool can = type && type->kind == MT_KIND_STR && mt_str_read(python, str, &header) && header.length <= MOST_NAME &&
               mt_str_append(python, str, SIZE_MAX, &text) && text.data && header.length == strlen(text.data) &&
               mt_is_identifier(text.data);
    if (can)
        mt_strbuf_append(out, text.data);
    mt_strbuf_deinit(&text);
    return can;
}
