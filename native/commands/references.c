#include "commands/references.h"

#include "allocators/glibc.h"
#include "base/hash_map.h"
#include "commands/holder_name.h"
#include "commands/listing.h"
#include "commands/object_words.h"
#include "heap/size.h"

struct collection {
    struct mt_census *census;
    struct mt_references references;
    struct mt_references weak;
    struct mt_hash_map seen; /* objects whose bytes were counted */
    bool failed;
};

static void take_edge(void *context, const struct mt_edge *edge) {
    struct collection *collection = context;
    struct mt_census *census = collection->census;
    struct mt_references *references = edge->kind == MT_EDGE_WEAK ? &collection->weak : &collection->references;
    uint32_t object = mt_census_find(census, edge->target);
    bool is_new;
    if (object == MT_NO_OBJECT) {
        references->strays += edge->kind == MT_EDGE_EXACT;
        return;
    }
    struct mt_reference reference = {*edge, object, 0};
    reference.own_bytes = mt_object_own_size(census->python, edge->target, mt_census_type(census, object));
    if (!mt_vector_push(&references->list, reference) ||
        !mt_hash_map_find_or_insert(&collection->seen, object, 0, &is_new))
        collection->failed = true;
    else if (is_new)
        collection->references.own_bytes += reference.own_bytes;
}

struct mt_error *mt_references_find(struct mt_call *call, struct mt_census *census, uint32_t object,
                                    struct mt_references *ret) {
    struct mt_python *python = census->python;
    const struct mt_type *type = mt_census_type(census, object);
    struct collection collection = {.census = census};
    struct mt_error *error = mt_watch_poll(&call->watch, "reading references");
    if (error)
        return error;
    mt_edges_visit(python, census->addresses[object], type, take_edge, &collection);
    if (mt_edges_has_guesses(type))
        mt_edges_guess(python, census->addresses[object], type, mt_census_block_size, (void *)census, take_edge,
                       &collection);
    for (size_t i = 0; i < collection.weak.list.length && !collection.failed; i++)
        collection.failed = !mt_vector_push(&collection.references.list, collection.weak.list.data[i]);
    mt_hash_map_deinit(&collection.seen);
    mt_references_deinit(&collection.weak);
    if (collection.failed) {
        mt_references_deinit(&collection.references);
        return &mt_error_no_memory;
    }
    *ret = collection.references;
    return NULL;
}

void mt_references_deinit(struct mt_references *references) {
    mt_vector_deinit(&references->list);
}

static void emit_row(struct mt_call *call, struct mt_census *census, const struct mt_reference *reference) {
    struct mt_emitter *emitter = &call->emitter;
    struct mt_strbuf link = MT_STRBUF_INIT, value = MT_STRBUF_INIT;
    mt_holder_link(call, census->python, &reference->edge.link, &link);
    if (!emitter->json && reference->edge.kind != MT_EDGE_EXACT)
        mt_strbuf_printf(&link, " (%s)", mt_edge_kind_name(reference->edge.kind));
    mt_object_value(call, census->python, reference->edge.target, emitter->json ? MT_VALUE_LIMIT_JSON : MT_VALUE_LIMIT,
                    &value);
    mt_emit_row_begin(emitter, MT_ROW_BOTH);
    mt_emit_address(emitter, "address", reference->edge.target);
    mt_emit_cell_number(emitter, mt_listing_number_object(call, reference->edge.target));
    mt_emit_cell_text(emitter, link.data);
    mt_emit_cell_text(emitter, mt_census_type(census, reference->object)->name);
    mt_emit_cell_text(emitter, value.data);
    mt_emit_cell_number(emitter, reference->own_bytes);
    mt_emit_string(emitter, "kind", mt_edge_kind_name(reference->edge.kind));
    mt_emit_boolean(emitter, "counted", reference->edge.counted);
    mt_emit_unsigned(emitter, "count", 1);
    mt_emit_row_end(emitter);
    mt_strbuf_deinit(&link);
    mt_strbuf_deinit(&value);
}

static uint64_t sum_bytes(const struct mt_references *references, size_t first) {
    uint64_t bytes = 0;
    for (size_t i = first; i < references->list.length; i++)
        bytes += references->list.data[i].own_bytes;
    return bytes;
}

static void emit_rest(struct mt_call *call, const struct mt_references *references, size_t shown) {
    struct mt_strbuf text = MT_STRBUF_INIT;
    mt_words_counted(&text, references->list.length - shown, "other", "others");
    mt_emit_row_begin(&call->emitter, MT_ROW_TEXT);
    mt_emit_cell_text(&call->emitter, NULL);
    mt_emit_cell_text(&call->emitter, text.data);
    mt_emit_cell_text(&call->emitter, NULL);
    mt_emit_cell_text(&call->emitter, NULL);
    mt_emit_cell_number(&call->emitter, sum_bytes(references, shown));
    mt_emit_row_end(&call->emitter);
    mt_strbuf_deinit(&text);
}

struct mt_error *mt_references_emit(struct mt_call *call, struct mt_census *census, const char *key,
                                    const struct mt_references *references, size_t shown) {
    bool has_values = !(call->options.given & MT_OPTION_NO_VALUES);
    const struct mt_column columns[] = {
        {MT_COLUMN_HANDLE, "#", NULL},
        {MT_COLUMN_VALUE, "link", "link"},
        {MT_COLUMN_VALUE, "type", "type"},
        {MT_COLUMN_VALUE, has_values ? "value" : NULL, "repr"},
        {MT_COLUMN_NUMBER, "own bytes", "own_bytes"},
    };
    struct mt_error *error = NULL;
    size_t count = references->list.length;
    mt_emit_table_begin(&call->emitter, key, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < shown && !error; i++) {
        emit_row(call, census, &references->list.data[i]);
        error = mt_watch_poll(&call->watch, "writing rows");
    }
    if (shown < count)
        emit_rest(call, references, shown);
    mt_emit_table_end(&call->emitter);
    if (shown < count)
        mt_listing_omitted(call, count - shown, sum_bytes(references, shown));
    return error;
}
