#include <inttypes.h>

#include "heap/edges.h"
#include "python/object.h"

#define MAX_NAME 256 /* bytes of an attribute's or a variable's name */
#define MAX_KEY 100  /* bytes of a key's repr, about */

static void append_name(struct mt_python *python, const struct mt_link *link, struct mt_strbuf *out) {
    if (link->name == 0 || !mt_str_append(python, link->name, MAX_NAME, out))
        mt_strbuf_append(out, "?");
}

void mt_link_append(struct mt_python *python, const struct mt_link *link, struct mt_strbuf *out) {
    switch (link->form) {
    case MT_LINK_TEXT:
        mt_strbuf_append(out, link->text);
        break;
    case MT_LINK_INDEX:
        mt_strbuf_printf(out, "[%" PRIu64 "]", link->number);
        break;
    case MT_LINK_KEY:
        mt_strbuf_append_char(out, '[');
        mt_value_append(python, link->name, MAX_KEY, out);
        mt_strbuf_append_char(out, ']');
        break;
    case MT_LINK_ATTRIBUTE:
        mt_strbuf_append_char(out, '.');
        if (link->text)
            mt_strbuf_append(out, link->text);
        else
            append_name(python, link, out);
        break;
    case MT_LINK_NAMED:
        mt_strbuf_append(out, link->text);
        mt_strbuf_append_char(out, ' ');
        append_name(python, link, out);
        break;
    case MT_LINK_NUMBERED:
        mt_strbuf_printf(out, "%s[%" PRIu64 "]", link->text, link->number);
        break;
    }
}
