#include "commands/command.h"

#include "commands/listing.h"
#include "commands/object_address.h"
#include "commands/object_words.h"
#include "commands/reach_words.h"
#include "commands/references.h"
#include "output/text.h"

static void emit_headline(struct mt_call *call, struct mt_python *python, const struct mt_object_address *asked,
                          const struct mt_references *references) {
    struct mt_strbuf line = MT_STRBUF_INIT, total = MT_STRBUF_INIT;
    mt_object_words(python, asked->address, asked->type, &line);
    mt_object_address_words(asked, &line);
    mt_emit_line(&call->emitter, "%s", mt_strbuf_text(&line));
    mt_words_counted(&total, references->list.length, "reference", "references");
    mt_strbuf_append(&total, ", to objects of ");
    mt_text_size(&total, references->own_bytes);
    mt_strbuf_append(&total, " of their own");
    if (references->list.length > 0)
        mt_emit_line(&call->emitter, "%s", mt_strbuf_text(&total));
    else
        mt_emit_line(&call->emitter, "refers to no object");
    mt_strbuf_deinit(&line);
    mt_strbuf_deinit(&total);
}

static struct mt_error *answer(struct mt_call *call, struct mt_census *census, const struct mt_object_address *asked,
                               const struct mt_references *references) {
    emit_headline(call, census->python, asked, references);
    mt_emit_address(&call->emitter, "object", asked->address);
    mt_emit_string(&call->emitter, "type", asked->type->name);
    mt_emit_unsigned(&call->emitter, "count", references->list.length);
    mt_emit_unsigned(&call->emitter, "own_bytes", references->own_bytes);
    struct mt_error *error = mt_reach_emit(call, asked->object);
    if (!error)
        error = mt_references_emit(call, census, "rows", references, mt_listing_shown(call, references->list.length));
    if (!error && references->strays > 0)
        mt_call_warn(call, "%llu references lead to no live object: the object is half built, or memory is damaged",
                     (unsigned long long)references->strays);
    return error;
}

static struct mt_error *run(struct mt_call *call) {
    struct mt_census *census;
    struct mt_object_address asked;
    struct mt_references references;
    struct mt_error *error = mt_call_census(call, &census);
    if (!error)
        error = mt_object_address_parse(call, census, &asked);
    if (!error)
        error = mt_references_find(call, census, asked.object, &references);
    if (error)
        return error;
    error = answer(call, census, &asked, &references);
    mt_references_deinit(&references);
    if (!error) {
        mt_call_warn_census(call, census);
        mt_call_hint(call, "try: memtrace object 1 · memtrace who-holds 1");
    }
    return error;
}

const struct mt_command mt_holds_command = {
    .name = "holds",
    .summary = "List what an object refers to, each reference by its name.",
    .argument = "ADDR",
    .options = MT_OPTION_DEEP | MT_OPTION_EXCLUSIVE | MT_OPTION_LIMIT | MT_OPTION_THREAD | MT_OPTION_FRAME |
               MT_OPTION_NO_VALUES | MT_OPTION_JSON,
    .details = MT_OBJECT_ADDRESS_DETAILS,
    .run = run,
};
