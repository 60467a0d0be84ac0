#include "commands/holder_words.h"

#include "commands/object_words.h"
#include "python/object.h"

void mt_holder_remark(const struct mt_holder *holder, struct mt_strbuf *out) {
    if (holder->kind == MT_EDGE_WEAK)
        mt_strbuf_append(out, " (weak)");
    else if (holder->kind == MT_EDGE_GUESS)
        mt_strbuf_append(out, " (guess)");
    else if (!holder->counted)
        mt_strbuf_append(out, " (borrowed)");
}

void mt_holder_emit_name(struct mt_emitter *emitter, const struct mt_holder_name *name) {
    mt_emit_cell_value(emitter, name->text.data, name->place.data);
}

/* The object whose namespace the holding dict is; MT_NO_OBJECT: the holder is no element of a namespace. */
static uint32_t find_owner(const struct mt_climber *climber, const struct mt_chain *chain) {
    struct mt_python *python = climber->graph->census->python;
    bool is_attribute = chain->count > 1 && mt_link_is_namespace(&chain->links[1].link) &&
                        mt_holder_link_is_name(python, &chain->links[0].link);
    return is_attribute ? chain->links[1].source : MT_NO_OBJECT;
}

struct mt_handle mt_holder_handle(const struct mt_climber *climber, const struct mt_holder *holder,
                                  const struct mt_chain *chain) {
    uint32_t owner = find_owner(climber, chain);
    uint32_t object = owner != MT_NO_OBJECT ? owner : holder->source;
    if (object == MT_NO_OBJECT)
        return (struct mt_handle){.kind = MT_HANDLE_OTHER};
    return (struct mt_handle){.kind = MT_HANDLE_OBJECT, .address = climber->graph->census->addresses[object]};
}

static const char *root_type(enum mt_root_form form) {
    switch (form) {
    case MT_ROOT_LOCAL:
    case MT_ROOT_FRAME:
        return "frame";
    case MT_ROOT_THREAD:
        return "thread";
    case MT_ROOT_INTERPRETER:
        return "interpreter";
    case MT_ROOT_RUNTIME:
        return "runtime";
    case MT_ROOT_DATA:
        return "data";
    case MT_ROOT_STACK:
        return "stack";
    case MT_ROOT_NATIVE:
        return "block";
    }
    return "?";
}

static void emit_link(struct mt_call *call, struct mt_python *python, const struct mt_link *link) {
    struct mt_strbuf text = MT_STRBUF_INIT;
    mt_holder_link(call, python, link, &text);
    mt_emit_string(&call->emitter, "link", mt_strbuf_text(&text));
    mt_strbuf_deinit(&text);
}

static void emit_variable(struct mt_emitter *emitter, struct mt_python *python, const struct mt_link *link,
                          const struct mt_holder_name *name) {
    struct mt_strbuf variable = MT_STRBUF_INIT;
    if (!name->has_frame)
        return;
    mt_emit_string(emitter, "function", name->frame.function);
    mt_emit_string(emitter, "file", name->frame.file);
    mt_emit_integer(emitter, "line", name->frame.line);
    if (link->form == MT_LINK_NAMED && mt_str_append(python, link->name, SIZE_MAX, &variable))
        mt_emit_string(emitter, "variable", mt_strbuf_text(&variable));
    mt_strbuf_deinit(&variable);
}

static void emit_owner(struct mt_call *call, const struct mt_climber *climber, const struct mt_chain *chain) {
    const struct mt_census *census = climber->graph->census;
    uint32_t owner = find_owner(climber, chain);
    if (owner == MT_NO_OBJECT)
        return;
    struct mt_link link = {.form = MT_LINK_ATTRIBUTE, .name = chain->links[0].link.name};
    mt_emit_begin(&call->emitter, "owner", '{');
    mt_emit_address(&call->emitter, "address", census->addresses[owner]);
    mt_emit_string(&call->emitter, "type", mt_census_type(census, owner)->name);
    emit_link(call, census->python, &link);
    mt_emit_end(&call->emitter, '}');
}

void mt_holder_emit(struct mt_call *call, const struct mt_climber *climber, const struct mt_holder *holder,
                    const struct mt_chain *chain, const struct mt_holder_name *name) {
    const struct mt_census *census = climber->graph->census;
    struct mt_emitter *emitter = &call->emitter;
    bool is_root = holder->source == MT_NO_OBJECT;
    const struct mt_link *link = is_root ? &holder->root.edge.link : &holder->link;
    mt_emit_address(emitter, "address", is_root ? holder->root.where : census->addresses[holder->source]);
    mt_emit_string(emitter, "type",
                   is_root ? root_type(holder->root.form) : mt_census_type(census, holder->source)->name);
    emit_link(call, census->python, link);
    mt_emit_string(emitter, "kind", mt_edge_kind_name(holder->kind));
    mt_emit_boolean(emitter, "counted", holder->counted);
    mt_emit_string(emitter, "name", mt_strbuf_text(&name->text));
    emit_owner(call, climber, chain);
    if (chain->count == 0 || (chain->count == 1 && !chain->root))
        emit_variable(emitter, census->python, link, name);
    uint32_t thread = is_root ? holder->root.thread : name->thread;
    if (thread > 0)
        mt_emit_unsigned(emitter, "thread", thread);
    if (name->thread > 0)
        mt_emit_unsigned(emitter, "frame", name->frame_number);
}
