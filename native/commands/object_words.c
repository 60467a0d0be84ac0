#include "commands/object_words.h"

#include <inttypes.h>

#include "output/text.h"
#include "python/dict.h"
#include "python/object.h"

bool mt_object_count(struct mt_python *python, uint64_t address, const struct mt_type *type, uint64_t *ret) {
    struct mt_dict dict;
    switch (type->kind) {
    case MT_KIND_LIST:
    case MT_KIND_TUPLE:
    case MT_KIND_DEQUE:
        *ret = mt_object_item_count(python, address, type);
        return true;
    case MT_KIND_SET:
    case MT_KIND_FROZENSET:
        return mt_view_u64(python->view, address + (uint64_t)MT_AT(&python->layout, PySetObject, used), ret);
    case MT_KIND_DICT:
    case MT_KIND_FROZENDICT:
    case MT_KIND_DEFAULTDICT:
    case MT_KIND_ORDERED_DICT:
        if (!mt_dict_read(python, address, &dict))
            return false;
        *ret = dict.used;
        return true;
    default:
        return false;
    }
}

void mt_object_words(struct mt_python *python, uint64_t address, const struct mt_type *type, struct mt_strbuf *out) {
    uint64_t count;
    const struct mt_type *class = type->kind == MT_KIND_TYPE ? mt_types_get(python->types, address) : NULL;
    if (class)
        mt_strbuf_printf(out, "class %s", class->name);
    else
        mt_strbuf_append(out, type->name);
    if (mt_object_count(python, address, type, &count)) {
        mt_strbuf_append(out, " of ");
        mt_text_count(out, count);
    }
    mt_strbuf_printf(out, " at 0x%" PRIx64, address);
}

uint64_t mt_refcount_unknown(const struct mt_explanation *explanation) {
    uint64_t found = explanation->exact + explanation->guessed;
    return explanation->immortal || found >= explanation->refcount ? 0 : explanation->refcount - found;
}

static void append_part(struct mt_strbuf *out, const char **separator, uint64_t count, const char *what) {
    mt_strbuf_append(out, *separator);
    mt_text_count(out, count);
    mt_strbuf_printf(out, " %s", what);
    *separator = " + ";
}

void mt_refcount_words(const struct mt_explanation *explanation, struct mt_strbuf *out) {
    if (explanation->immortal) {
        mt_strbuf_append(out, "immortal: its count means nothing");
        return;
    }
    const char *separator = explanation->exact + explanation->guessed > explanation->refcount ? ", but " : " = ";
    uint64_t unknown = mt_refcount_unknown(explanation);
    mt_strbuf_append(out, "refcount ");
    mt_text_count(out, explanation->refcount);
    if (explanation->exact > 0 || explanation->guessed + unknown == 0)
        append_part(out, &separator, explanation->exact, "found");
    if (explanation->guessed > 0)
        append_part(out, &separator, explanation->guessed, "guessed");
    if (unknown > 0)
        append_part(out, &separator, unknown, "unknown");
}

void mt_refcount_emit(struct mt_emitter *emitter, const struct mt_explanation *explanation) {
    mt_emit_unsigned(emitter, "refcount", explanation->refcount);
    mt_emit_boolean(emitter, "immortal", explanation->immortal);
    mt_emit_unsigned(emitter, "references_explained", explanation->exact + explanation->guessed);
    mt_emit_unsigned(emitter, "references_guessed", explanation->guessed);
}

void mt_object_value(const struct mt_call *call, struct mt_python *python, uint64_t address, size_t limit,
                     struct mt_strbuf *out) {
    if (!(call->options.given & MT_OPTION_NO_VALUES))
        mt_value_append(python, address, limit, out);
}

const char *mt_edge_kind_name(enum mt_edge_kind kind) {
    switch (kind) {
    case MT_EDGE_EXACT:
        return "exact";
    case MT_EDGE_GUESS:
        return "guess";
    case MT_EDGE_ROOT:
        return "root";
    case MT_EDGE_WEAK:
        return "weak";
    }
    return "?";
}

void mt_words_counted(struct mt_strbuf *out, uint64_t count, const char *singular, const char *plural) {
    mt_text_count(out, count);
    mt_strbuf_printf(out, " %s", count == 1 ? singular : plural);
}

void mt_call_warn_census(struct mt_call *call, const struct mt_census *census) {
    if (census->python->unverified)
        mt_call_warn(call, "CPython %s is not among the measured releases: the nearest one's layout was taken",
                     census->python->version_text);
    if (census->lists_damaged)
        mt_call_warn(call, "the collector's lists don't close (it was stopped in the middle of a collection, or memory "
                           "is damaged): objects may be missing");
}
