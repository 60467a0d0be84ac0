#include "commands/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/vector.h"
#include "commands/array_words.h"
#include "commands/birth.h"
#include "commands/listing.h"
#include "commands/object_address.h"
#include "commands/object_words.h"
#include "commands/references.h"
#include "heap/size.h"
#include "output/text.h"
#include "python/object.h"

#define REFERENCES_SHOWN 10 /* of text */

struct answer {
    struct mt_call *call;
    struct mt_census *census;
    struct mt_object_address asked;
    struct mt_explanation explanation;
    struct mt_gc_state gc;
};

/* --- what it is ----------------------------------------------------------------------------------------------------
 */

static void append_state(const struct answer *answer, struct mt_strbuf *out) {
    mt_refcount_words(&answer->explanation, out);
    if (answer->gc.watched)
        mt_strbuf_append(out, ", watched by the collector");
    else if (answer->gc.has_gc)
        mt_strbuf_append(out, ", not watched by the collector");
    if (answer->gc.finalized)
        mt_strbuf_append(out, ", finalized");
}

static void emit_headline(const struct answer *answer) {
    struct mt_emitter *emitter = &answer->call->emitter;
    const struct mt_object_address *asked = &answer->asked;
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_object_words(answer->census->python, asked->address, asked->type, &line);
    if (mt_object_address_words(asked, &line)) {
        mt_emit_line(emitter, "%s", mt_strbuf_text(&line));
        line.length = 0;
    } else {
        mt_strbuf_append(&line, ", ");
    }
    append_state(answer, &line);
    mt_emit_line(emitter, "%s", mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
}

static void emit_facts(const struct answer *answer) {
    struct mt_emitter *emitter = &answer->call->emitter;
    mt_emit_address(emitter, "address", answer->asked.address);
    mt_emit_string(emitter, "type", answer->asked.type->name);
    mt_emit_string(emitter, "qualified", answer->asked.type->qualified);
    mt_refcount_emit(emitter, &answer->explanation);
    mt_emit_begin(emitter, "gc", '{');
    mt_emit_boolean(emitter, "has_gc", answer->gc.has_gc);
    mt_emit_boolean(emitter, "watched", answer->gc.watched);
    mt_emit_boolean(emitter, "finalized", answer->gc.finalized);
    mt_emit_end(emitter, '}');
}

/* Does the value tell what the headline and the rows don't? */
static bool is_telling(const struct answer *answer, const char *value) {
    char plain[64];
    uint64_t count;
    snprintf(plain, sizeof plain, " at 0x%" PRIx64 ">", answer->asked.address);
    return value && !strstr(value, plain) &&
           !mt_object_count(answer->census->python, answer->asked.address, answer->asked.type, &count);
}

static void emit_value(const struct answer *answer) {
    struct mt_call *call = answer->call;
    struct mt_strbuf value = MT_STRBUF_INIT;
    size_t limit = call->emitter.json ? MT_VALUE_LIMIT_JSON : 2 * MT_VALUE_LIMIT;
    mt_object_value(call, answer->census->python, answer->asked.address, limit, &value);
    if (is_telling(answer, value.data))
        mt_emit_line(&call->emitter, "value %s", value.data);
    mt_emit_string(&call->emitter, "repr", value.data);
    mt_strbuf_deinit(&value);
}

/* --- how large it is -----------------------------------------------------------------------------------------------
 */

/* What the bytes beyond the fixed part of an object are; `size` bytes each. */
static const char *items_name(const struct mt_type *type, uint64_t *ret_size) {
    *ret_size = 1;
    switch (type->kind) {
    case MT_KIND_LIST:
    case MT_KIND_TUPLE:
        *ret_size = sizeof(uint64_t);
        return "pointers";
    case MT_KIND_INT:
    case MT_KIND_BOOL:
        *ret_size = sizeof(uint32_t);
        return "digits";
    case MT_KIND_DICT:
    case MT_KIND_FROZENDICT:
    case MT_KIND_DEFAULTDICT:
    case MT_KIND_ORDERED_DICT:
        return "of keys and values";
    case MT_KIND_SET:
    case MT_KIND_FROZENSET:
        return "of its table";
    case MT_KIND_TYPE:
        return "of names of attributes";
    case MT_KIND_STR:
        return "of text";
    case MT_KIND_BYTES:
    case MT_KIND_BYTEARRAY:
        return "of content";
    case MT_KIND_NUMPY_ARRAY:
        return "of dimensions and data";
    default:
        return "of items";
    }
}

/* "own size 88 bytes = 56 header + 4 x 8 pointers, without what it refers to" */
static void emit_size(const struct answer *answer) {
    const struct mt_type *type = answer->asked.type;
    uint64_t size = mt_object_own_size(answer->census->python, answer->asked.address, type), item_size;
    uint64_t fixed = type->header + (type->basic_size > 0 ? (uint64_t)type->basic_size : 0);
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_emit_unsigned(&answer->call->emitter, "own_bytes", size);
    mt_strbuf_append(&line, "own size ");
    mt_words_counted(&line, size, "byte", "bytes");
    if (size > fixed) {
        const char *items = items_name(type, &item_size);
        uint64_t rest = size - fixed;
        mt_strbuf_append(&line, " = ");
        mt_text_count(&line, fixed);
        mt_strbuf_append(&line, " header + ");
        mt_text_count(&line, rest / item_size);
        if (item_size > 1)
            mt_strbuf_printf(&line, " x %llu", (unsigned long long)item_size);
        mt_strbuf_printf(&line, " %s", items);
    }
    mt_strbuf_append(&line, ", without what it refers to");
    if (size == 0)
        mt_emit_line(&answer->call->emitter, "own size unknown");
    else
        mt_emit_line(&answer->call->emitter, "%s", mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
}

static struct mt_error *emit_references(const struct answer *answer) {
    struct mt_call *call = answer->call;
    struct mt_references references;
    struct mt_error *error = mt_references_find(call, answer->census, answer->asked.object, &references);
    if (error)
        return error;
    size_t shown = mt_listing_shown(call, references.list.length);
    if (!call->emitter.json && !(call->options.given & MT_OPTION_LIMIT) && shown > REFERENCES_SHOWN)
        shown = REFERENCES_SHOWN;
    if (references.list.length > 0)
        error = mt_references_emit(call, answer->census, "references", &references, shown);
    mt_references_deinit(&references);
    return error;
}

static struct mt_error *run(struct mt_call *call) {
    struct answer answer = {.call = call};
    struct mt_graph *graph;
    struct mt_error *error = mt_object_address_in_graph(call, &answer.asked, &graph);
    if (error)
        return error;
    answer.census = graph->census;
    struct mt_python *python = answer.census->python;
    mt_graph_explain(graph, answer.asked.object, &answer.explanation);
    answer.gc = mt_object_gc_state(python, answer.asked.address, answer.asked.type);
    emit_headline(&answer);
    emit_facts(&answer);
    emit_value(&answer);
    emit_size(&answer);
    if (answer.asked.type->kind == MT_KIND_NUMPY_ARRAY)
        mt_array_emit(call, python, answer.asked.address);
    error = emit_references(&answer);
    if (!error)
        error = mt_birth_emit_object(call, python, answer.asked.address, answer.asked.type);
    if (!error) {
        mt_call_warn_census(call, answer.census);
        mt_call_hint(call, "try: memtrace who-holds ADDR · memtrace holds ADDR");
    }
    return error;
}

const struct mt_command mt_object_command = {
    .name = "object",
    .summary = "Tell all about one object: its type, value, size, reference count, and where it was born.",
    .argument = "ADDR",
    .options = MT_OPTION_LIMIT | MT_OPTION_THREAD | MT_OPTION_FRAME | MT_OPTION_NO_VALUES | MT_OPTION_JSON,
    .details = MT_OBJECT_ADDRESS_DETAILS,
    .run = run,
};
