#include "commands/who_holds_type.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "commands/holder_groups.h"
#include "commands/holder_words.h"
#include "commands/listing.h"
#include "commands/object_words.h"
#include "commands/type_words.h"
#include "heap/size.h"
#include "output/text.h"

#define POLL_EVERY 4096 /* objects between two looks at the clock */

/* An instance, and a group of holders that holds it. */
struct pair {
    uint32_t group;
    uint32_t instance;
};

struct answer {
    struct mt_call *call;
    struct mt_graph *graph;
    struct mt_instances instances;
    struct mt_climber climber;
    struct mt_holder_groups groups;
    uint32_t *sources; /* all objects that hold an instance, ascending */
    size_t source_count;
    MT_VECTOR(struct pair) pairs;
    uint32_t source; /* whose references are being walked */
    uint64_t own_bytes;
    uint64_t free_instances; /* that nothing holds */
    bool failed;
};

static bool is_wanted(const struct answer *answer, uint32_t object) {
    return answer->instances.wanted[answer->graph->census->types[object]];
}

/* --- finding -------------------------------------------------------------------------------------------------------
 */

/* All objects that hold an instance, each once. */
static struct mt_error *find_sources(struct answer *answer) {
    const struct mt_graph *graph = answer->graph;
    const struct mt_census *census = graph->census;
    MT_AUTO_FREE bool *holds = calloc((size_t)census->count + 1, sizeof *holds);
    if (!holds)
        return &mt_error_no_memory;
    for (size_t i = 0; i < answer->instances.count; i++) {
        uint32_t object = answer->instances.objects[i];
        answer->own_bytes +=
            mt_object_own_size(census->python, census->addresses[object], mt_census_type(census, object));
        for (uint32_t k = graph->first[object]; k < graph->first[object + 1]; k++) {
            answer->source_count += !holds[graph->sources[k]];
            holds[graph->sources[k]] = true;
        }
        struct mt_error *error =
            i % POLL_EVERY == 0 ? mt_watch_poll(&answer->call->watch, "looking for holders") : NULL;
        if (error)
            return error;
    }
    answer->sources = malloc((answer->source_count + 1) * sizeof *answer->sources);
    if (!answer->sources)
        return &mt_error_no_memory;
    for (uint32_t i = 0, at = 0; i < census->count && at < answer->source_count; i++)
        if (holds[i])
            answer->sources[at++] = i;
    return NULL;
}

static void add_holder(struct answer *answer, const struct mt_holder *holder, uint32_t instance) {
    struct mt_chain chain;
    uint32_t group;
    mt_chain_of(&answer->climber, holder, &chain);
    if (!mt_holder_groups_find(&answer->groups, &answer->climber, holder, &chain, &group) ||
        !mt_vector_push(&answer->pairs, ((struct pair){group, instance})))
        answer->failed = true;
}

static void take_edge(void *context, const struct mt_edge *edge) {
    struct answer *answer = context;
    uint32_t target = mt_census_find(answer->graph->census, edge->target);
    if (target == MT_NO_OBJECT || !edge->counted || !is_wanted(answer, target))
        return;
    struct mt_holder holder = {.kind = edge->kind, .counted = true, .source = answer->source, .link = edge->link};
    add_holder(answer, &holder, target);
}

static struct mt_error *find_objects(struct answer *answer) {
    const struct mt_census *census = answer->graph->census;
    for (size_t i = 0; i < answer->source_count && !answer->failed; i++) {
        struct mt_error *error = mt_watch_poll(&answer->call->watch, "naming holders");
        if (error)
            return error;
        answer->source = answer->sources[i];
        mt_edges_visit(census->python, census->addresses[answer->source], mt_census_type(census, answer->source),
                       take_edge, answer);
    }
    return answer->failed ? &mt_error_no_memory : NULL;
}

static struct mt_error *find_roots_and_guesses(struct answer *answer) {
    const struct mt_graph *graph = answer->graph;
    for (size_t i = 0; i < graph->roots.length; i++) {
        const struct mt_root_edge *root = &graph->roots.data[i];
        bool holds = root->root.edge.counted || root->root.edge.kind == MT_EDGE_GUESS;
        struct mt_holder holder = {
            .kind = root->root.edge.kind, .counted = true, .source = MT_NO_OBJECT, .root = root->root};
        if (holds && is_wanted(answer, root->target))
            add_holder(answer, &holder, root->target);
    }
    for (size_t i = 0; i < graph->guesses.length; i++) {
        const struct mt_guess_edge *guess = &graph->guesses.data[i];
        struct mt_holder holder = {.kind = MT_EDGE_GUESS,
                                   .counted = true,
                                   .source = guess->source,
                                   .link = {.form = MT_LINK_TEXT, .text = "a word in the memory"}};
        if (is_wanted(answer, guess->target))
            add_holder(answer, &holder, guess->target);
    }
    return answer->failed ? &mt_error_no_memory : NULL;
}

static int compare_pairs(const void *left, const void *right) {
    const struct pair *a = left, *b = right;
    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    return a->instance < b->instance ? -1 : a->instance > b->instance;
}

/* Counts the instances of each group, each once, and those of none. */
static struct mt_error *count_instances(struct answer *answer) {
    struct mt_holder_group *groups = answer->groups.list.data;
    struct pair *pairs = answer->pairs.data;
    size_t count = answer->pairs.length, held = 0;
    MT_AUTO_FREE bool *is_held = calloc((size_t)answer->graph->census->count + 1, sizeof *is_held);
    if (!is_held)
        return &mt_error_no_memory;
    for (size_t i = 0; i < count; i++)
        pairs[i].group = groups[pairs[i].group].same_as;
    if (count > 0)
        qsort(pairs, count, sizeof *pairs, compare_pairs);
    for (size_t i = 0; i < answer->groups.list.length; i++)
        groups[i].count = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || compare_pairs(&pairs[i], &pairs[i - 1]) != 0)
            groups[pairs[i].group].count++;
        held += !is_held[pairs[i].instance];
        is_held[pairs[i].instance] = true;
    }
    answer->free_instances = answer->instances.count - held;
    return NULL;
}

static struct mt_error *find(struct answer *answer) {
    struct mt_watch *watch = &answer->call->watch;
    struct mt_error *error = find_sources(answer);
    if (!error)
        error = mt_climber_init(&answer->climber, answer->graph, watch);
    if (!error && !(answer->call->options.given & MT_OPTION_DIRECT))
        error = mt_climber_climb(&answer->climber, answer->sources, answer->source_count, watch);
    if (!error)
        error = find_objects(answer);
    if (!error)
        error = find_roots_and_guesses(answer);
    if (!error)
        error = mt_holder_groups_name(answer->call, &answer->climber, &answer->groups);
    return error ? error : count_instances(answer);
}

/* --- rows ----------------------------------------------------------------------------------------------------------
 */

/* The biggest first, then by name. */
static int by_count(const void *left, const void *right) {
    const struct mt_holder_group *a = *(struct mt_holder_group *const *)left,
                                 *b = *(struct mt_holder_group *const *)right;
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    const char *a_name = a->name.text.data, *b_name = b->name.text.data;
    return a_name && b_name ? strcmp(a_name, b_name) : (a_name ? 1 : 0) - (b_name ? 1 : 0);
}

static void emit_headline(const struct answer *answer) {
    struct mt_emitter *emitter = &answer->call->emitter;
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_instances_words(&answer->instances, &line);
    mt_strbuf_append(&line, ", ");
    mt_text_size(&line, answer->own_bytes);
    mt_emit_line(emitter, "%s", mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
    mt_emit_string(emitter, "type", answer->instances.name);
    mt_emit_unsigned(emitter, "count", answer->instances.count);
    mt_emit_unsigned(emitter, "own_bytes", answer->own_bytes);
    mt_emit_unsigned(emitter, "unheld", answer->free_instances);
}

static void emit_group(const struct answer *answer, struct mt_holder_group *group) {
    struct mt_call *call = answer->call;
    struct mt_chain chain;
    mt_holder_group_name(call, &answer->climber, group);
    mt_chain_of(&answer->climber, &group->first, &chain);
    mt_emit_row_begin(&call->emitter, MT_ROW_BOTH);
    mt_holder_emit(call, &answer->climber, &group->first, &chain, &group->name);
    mt_emit_cell_number(&call->emitter,
                        mt_listing_number(call, mt_holder_handle(&answer->climber, &group->first, &chain)));
    mt_holder_emit_name(&call->emitter, &group->name);
    mt_emit_cell_number(&call->emitter, group->count);
    mt_emit_row_end(&call->emitter);
}

static void emit_line_of(struct mt_call *call, const char *text, bool has_count, uint64_t count) {
    mt_emit_row_begin(&call->emitter, MT_ROW_TEXT);
    mt_emit_cell_text(&call->emitter, NULL);
    mt_emit_cell_text(&call->emitter, text);
    if (has_count)
        mt_emit_cell_number(&call->emitter, count);
    else
        mt_emit_cell_text(&call->emitter, NULL);
    mt_emit_row_end(&call->emitter);
}

static struct mt_error *emit_table(const struct answer *answer, struct mt_holder_group **groups, size_t count) {
    static const struct mt_column columns[] = {
        {MT_COLUMN_HANDLE, "#", NULL},
        {MT_COLUMN_VALUE, "held by", NULL},
        {MT_COLUMN_NUMBER, "instances", "count"},
    };
    struct mt_call *call = answer->call;
    struct mt_error *error = NULL;
    size_t shown = mt_listing_shown(call, count);
    mt_emit_table_begin(&call->emitter, "rows", columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < shown && !error; i++) {
        emit_group(answer, groups[i]);
        error = mt_watch_poll(&call->watch, "writing rows");
    }
    struct mt_strbuf rest = MT_STRBUF_INIT;
    mt_words_counted(&rest, count - shown, "other holder", "other holders");
    if (shown < count) /* an instance may have several holders: sums would mean nothing */
        emit_line_of(call, rest.data, false, 0);
    if (answer->free_instances > 0)
        emit_line_of(call, "nothing that was found", true, answer->free_instances);
    mt_strbuf_deinit(&rest);
    mt_emit_table_end(&call->emitter);
    if (shown < count)
        mt_listing_omitted(call, count - shown, 0);
    return error;
}

static struct mt_error *write_answer(struct answer *answer) {
    size_t count = 0;
    MT_AUTO_FREE struct mt_holder_group **groups = calloc(answer->groups.list.length + 1, sizeof *groups);
    if (!groups)
        return &mt_error_no_memory;
    for (size_t i = 0; i < answer->groups.list.length; i++)
        if (answer->groups.list.data[i].same_as == i)
            groups[count++] = &answer->groups.list.data[i];
    qsort(groups, count, sizeof *groups, by_count);
    emit_headline(answer);
    return emit_table(answer, groups, count);
}

struct mt_error *mt_who_holds_type(struct mt_call *call, const char *word) {
    struct answer answer = {.call = call};
    struct mt_census *census;
    struct mt_error *error = mt_call_census(call, &census);
    if (!error)
        error = mt_instances_find(call, census, word, &answer.instances);
    if (!error)
        error = mt_call_graph(call, &answer.graph);
    if (!error)
        error = find(&answer);
    if (!error)
        error = write_answer(&answer);
    if (!error) {
        mt_call_warn_census(call, census);
        mt_call_hint(call, "try: memtrace who-holds 1 · memtrace instances TYPE");
    }
    free(answer.sources);
    mt_vector_deinit(&answer.pairs);
    mt_holder_groups_deinit(&answer.groups);
    mt_climber_deinit(&answer.climber);
    mt_instances_deinit(&answer.instances);
    return error;
}
