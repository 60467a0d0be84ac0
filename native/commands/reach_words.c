#include "commands/reach_words.h"

#include "commands/object_words.h"
#include "heap/reach.h"
#include "output/text.h"

static void emit_sum(struct mt_call *call, const char *key, const char *label, const struct mt_reach_sum *sum) {
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_strbuf_append(&line, label);
    mt_words_counted(&line, sum->objects, "object", "objects");
    mt_strbuf_append(&line, ", ");
    mt_words_counted(&line, sum->bytes, "byte", "bytes");
    mt_emit_line(&call->emitter, "%s", mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
    mt_emit_begin(&call->emitter, key, '{');
    mt_emit_unsigned(&call->emitter, "objects", sum->objects);
    mt_emit_unsigned(&call->emitter, "bytes", sum->bytes);
    mt_emit_end(&call->emitter, '}');
}

static struct mt_error *emit_deep(struct mt_call *call, struct mt_graph *graph, uint32_t object) {
    struct mt_marks marks;
    struct mt_reach_sum sum;
    struct mt_error *error = mt_reach_from(graph, object, &call->watch, &marks);
    if (error)
        return error;
    error = mt_reach_difference(graph, &marks, NULL, &call->watch, &sum);
    mt_marks_deinit(&marks);
    if (!error)
        emit_sum(call, "deep", "with all that it leads to, but for types and modules: ", &sum);
    return error;
}

static struct mt_error *emit_exclusive(struct mt_call *call, struct mt_graph *graph, uint32_t object) {
    struct mt_marks marks;
    struct mt_reach_sum sum;
    bool alive;
    struct mt_error *error = mt_reach_exclusive(graph, object, &call->watch, &marks, &alive);
    if (error)
        return error;
    error = mt_reach_difference(graph, &marks, NULL, &call->watch, &sum);
    mt_marks_deinit(&marks);
    if (error)
        return error;
    emit_sum(call, "exclusive",
             alive ? "with all that only it keeps alive: "
                   : "nothing keeps it alive; with the garbage that it leads to: ",
             &sum);
    mt_emit_boolean(&call->emitter, "alive", alive);
    return NULL;
}

struct mt_error *mt_reach_emit(struct mt_call *call, uint32_t object) {
    unsigned given = call->options.given & (MT_OPTION_DEEP | MT_OPTION_EXCLUSIVE);
    struct mt_graph *graph;
    if (given == 0)
        return NULL;
    struct mt_error *error = mt_call_graph(call, &graph);
    if (!error && given & MT_OPTION_DEEP)
        error = emit_deep(call, graph, object);
    if (!error && given & MT_OPTION_EXCLUSIVE)
        error = emit_exclusive(call, graph, object);
    return error;
}
