#include "commands/command.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "commands/birth.h"
#include "commands/holder_groups.h"
#include "commands/holder_words.h"
#include "commands/listing.h"
#include "commands/object_address.h"
#include "commands/object_words.h"
#include "commands/searched_holders.h"
#include "commands/who_holds_type.h"
#include "heap/size.h"
#include "output/text.h"
#include "python/object.h"

struct answer {
    struct mt_call *call;
    struct mt_graph *graph;
    struct mt_object_address asked;
    struct mt_explanation explanation;
    struct mt_holders holders;
    struct mt_climber climber;
    struct mt_holder_groups groups;
    uint32_t *group_of; /* of each holder */
};

static struct mt_holder *holder_at(const struct answer *answer, size_t index) {
    return &answer->holders.list.data[index];
}

/* --- finding -------------------------------------------------------------------------------------------------------
 */

static bool same_variable(const struct mt_link *a, const struct mt_link *b) {
    return a->form == b->form && a->name == b->name && a->number == b->number;
}

/* Does a running frame hold it by this variable? */
static bool is_held_by_frame(const struct answer *answer, const struct mt_link *link) {
    for (size_t i = 0; i < answer->holders.list.length; i++) {
        const struct mt_holder *holder = holder_at(answer, i);
        if (holder->source == MT_NO_OBJECT && holder->root.form == MT_ROOT_LOCAL &&
            same_variable(&holder->root.edge.link, link))
            return true;
    }
    return false;
}

/* The object that stands for a running frame shows the frame's variables, which the frame holds: once is enough. */
static void drop_shadows(struct answer *answer) {
    size_t kept = 0;
    for (size_t i = 0; i < answer->holders.list.length; i++) {
        const struct mt_holder *holder = holder_at(answer, i);
        bool is_shadow = holder->source != MT_NO_OBJECT && !holder->counted &&
                         mt_chain_kind(&answer->climber, holder->source) == MT_KIND_FRAME &&
                         is_held_by_frame(answer, &holder->link);
        if (!is_shadow)
            answer->holders.list.data[kept++] = *holder;
    }
    answer->holders.list.length = kept;
}

static struct mt_error *climb(struct answer *answer) {
    size_t count = answer->holders.list.length, sources = 0;
    MT_AUTO_FREE uint32_t *objects = malloc((count + 1) * sizeof *objects);
    if (!objects)
        return &mt_error_no_memory;
    for (size_t i = 0; i < count; i++)
        if (holder_at(answer, i)->source != MT_NO_OBJECT)
            objects[sources++] = holder_at(answer, i)->source;
    return mt_climber_climb(&answer->climber, objects, sources, &answer->call->watch);
}

static struct mt_error *group(struct answer *answer) {
    size_t count = answer->holders.list.length;
    answer->group_of = calloc(count + 1, sizeof *answer->group_of);
    if (!answer->group_of)
        return &mt_error_no_memory;
    for (size_t i = 0; i < count; i++) {
        struct mt_chain chain;
        mt_chain_of(&answer->climber, holder_at(answer, i), &chain);
        if (!mt_holder_groups_find(&answer->groups, &answer->climber, holder_at(answer, i), &chain,
                                   &answer->group_of[i]))
            return &mt_error_no_memory;
        answer->groups.list.data[answer->group_of[i]].count += holder_at(answer, i)->count;
    }
    return NULL;
}

static struct mt_error *find(struct answer *answer) {
    struct mt_watch *watch = &answer->call->watch;
    mt_graph_explain(answer->graph, answer->asked.object, &answer->explanation);
    struct mt_error *error = mt_graph_holders(answer->graph, answer->asked.object, watch, &answer->holders);
    if (!error)
        error = mt_climber_init(&answer->climber, answer->graph, watch);
    if (error)
        return error;
    drop_shadows(answer);
    if (!(answer->call->options.given & MT_OPTION_DIRECT))
        error = climb(answer);
    return error ? error : group(answer);
}

/* --- what it is ----------------------------------------------------------------------------------------------------
 */

static void emit_headline(const struct answer *answer) {
    struct mt_emitter *emitter = &answer->call->emitter;
    struct mt_python *python = answer->graph->census->python;
    const struct mt_object_address *asked = &answer->asked;
    struct mt_strbuf line = MT_STRBUF_INIT, count = MT_STRBUF_INIT;
    mt_object_words(python, asked->address, asked->type, &line);
    if (!mt_object_address_words(asked, &line)) {
        mt_strbuf_append(&line, ", ");
        mt_words_counted(&line, mt_object_own_size(python, asked->address, asked->type), "byte", "bytes");
    }
    mt_refcount_words(&answer->explanation, &count);
    mt_emit_line(emitter, "%s", mt_strbuf_text(&line));
    mt_emit_line(emitter, "%s", mt_strbuf_text(&count));
    mt_strbuf_deinit(&line);
    mt_strbuf_deinit(&count);
    mt_emit_address(emitter, "object", asked->address);
    mt_emit_string(emitter, "type", asked->type->name);
    mt_refcount_emit(emitter, &answer->explanation);
}

/* --- rows ----------------------------------------------------------------------------------------------------------
 */

/* A row of text: one holder, or all of a group. */
struct row {
    uint32_t index; /* of the holder, or of the group */
    bool is_group;
    uint64_t count;
};

/* Keys of one cache, and the instances of a class, are one row however few they are. */
static bool is_always_folded(const struct answer *answer, size_t index) {
    const struct mt_holder *holder = holder_at(answer, index);
    struct mt_chain chain;
    mt_chain_of(&answer->climber, holder, &chain);
    return mt_link_is(&holder->link, MT_LINK_TEXT, "ob_type") ||
           mt_holder_cache(&answer->climber, &chain) != MT_NO_OBJECT;
}

static int by_count(const void *left, const void *right) {
    const struct row *a = left, *b = right;
    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

/* The rows of text: holders one by one where few; those that are alike as one where many. */
static struct mt_error *choose_rows(struct answer *answer, struct row *rows, size_t *ret_count) {
    size_t holders = answer->holders.list.length, groups = answer->groups.list.length, count = 0;
    bool fold_all = holders > mt_listing_shown(answer->call, holders);
    struct mt_error *error = fold_all ? mt_holder_groups_name(answer->call, &answer->climber, &answer->groups) : NULL;
    if (error)
        return error;
    MT_AUTO_FREE bool *told = calloc(groups + 1, sizeof *told);
    if (!told)
        return &mt_error_no_memory;
    for (size_t i = 0; i < holders; i++) {
        uint32_t number = answer->groups.list.data[answer->group_of[i]].same_as;
        const struct mt_holder_group *all = &answer->groups.list.data[number];
        if (all->count == 1 || !(fold_all || is_always_folded(answer, i)))
            rows[count++] = (struct row){(uint32_t)i, false, 1};
        else if (!told[number])
            rows[count++] = (struct row){number, true, all->count};
        told[number] = true;
    }
    if (fold_all)
        qsort(rows, count, sizeof *rows, by_count);
    *ret_count = count;
    return NULL;
}

static void emit_group(struct answer *answer, const struct row *row) {
    struct mt_emitter *emitter = &answer->call->emitter;
    struct mt_holder_group *all = &answer->groups.list.data[row->index];
    struct mt_chain chain;
    mt_chain_of(&answer->climber, &all->first, &chain);
    mt_holder_group_name(answer->call, &answer->climber, all);
    mt_emit_cell_number(emitter,
                        mt_listing_number(answer->call, mt_holder_handle(&answer->climber, &all->first, &chain)));
    mt_holder_emit_name(emitter, &all->name);
    mt_emit_cell_number(emitter, all->count);
}

static void emit_holder(struct answer *answer, size_t index) {
    struct mt_emitter *emitter = &answer->call->emitter;
    const struct mt_holder *holder = holder_at(answer, index);
    struct mt_chain chain;
    struct mt_holder_name name;
    mt_chain_of(&answer->climber, holder, &chain);
    mt_holder_name(answer->call, &answer->climber, &chain, MT_NAME_EXACT, &name);
    mt_holder_emit(answer->call, &answer->climber, holder, &chain, &name);
    mt_holder_remark(holder, &name.text);
    mt_emit_cell_number(emitter, mt_listing_number(answer->call, mt_holder_handle(&answer->climber, holder, &chain)));
    mt_holder_emit_name(emitter, &name);
    mt_emit_cell_number(emitter, holder->count);
    mt_holder_name_deinit(&name);
}

static void emit_rest(struct mt_call *call, const struct row *rows, size_t shown, size_t count) {
    struct mt_strbuf text = MT_STRBUF_INIT;
    uint64_t times = 0;
    for (size_t i = shown; i < count; i++)
        times += rows[i].count;
    mt_words_counted(&text, count - shown, "other holder", "other holders");
    mt_emit_row_begin(&call->emitter, MT_ROW_TEXT);
    mt_emit_cell_text(&call->emitter, NULL);
    mt_emit_cell_text(&call->emitter, text.data);
    mt_emit_cell_number(&call->emitter, times);
    mt_emit_row_end(&call->emitter);
    mt_strbuf_deinit(&text);
}

static struct mt_error *emit_table(struct answer *answer, const struct row *rows, size_t count) {
    struct mt_call *call = answer->call;
    size_t shown = mt_listing_shown(call, count);
    bool is_counted = shown < count;
    for (size_t i = 0; i < shown; i++)
        is_counted |= rows[i].count > 1;
    const struct mt_column columns[] = {
        {MT_COLUMN_HANDLE, "#", NULL},
        {MT_COLUMN_VALUE, "held by", NULL},
        {MT_COLUMN_NUMBER, is_counted ? "times" : NULL, "count"},
    };
    struct mt_error *error = NULL;
    mt_emit_table_begin(&call->emitter, "rows", columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < shown && !error; i++) {
        mt_emit_row_begin(&call->emitter, MT_ROW_BOTH);
        if (rows[i].is_group)
            emit_group(answer, &rows[i]);
        else
            emit_holder(answer, rows[i].index);
        mt_emit_row_end(&call->emitter);
        error = mt_watch_poll(&call->watch, "writing rows");
    }
    if (is_counted && shown < count)
        emit_rest(call, rows, shown, count);
    mt_emit_table_end(&call->emitter);
    if (shown < count)
        mt_listing_omitted(call, count - shown, 0);
    return error;
}

static struct mt_error *emit_rows(struct answer *answer) {
    size_t count = answer->holders.list.length;
    MT_AUTO_FREE struct row *rows = calloc(count + 1, sizeof *rows);
    if (!rows)
        return &mt_error_no_memory;
    struct mt_error *error = NULL;
    if (answer->call->emitter.json)
        for (size_t i = 0; i < count; i++)
            rows[i] = (struct row){(uint32_t)i, false, 1};
    else
        error = choose_rows(answer, rows, &count);
    return error ? error : emit_table(answer, rows, count);
}

/* --- what follows from it ------------------------------------------------------------------------------------------
 */

static void emit_unknown(const struct answer *answer) {
    uint64_t unknown = mt_refcount_unknown(&answer->explanation);
    if (unknown == 0)
        return;
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_words_counted(&line, unknown, "reference was", "references were");
    mt_emit_line(&answer->call->emitter, "%s not found: C code holds on where nothing can be seen, or forgot to let go",
                 mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
}

/* The only owner, when all references are explained by one; NULL: there are more, or none. */
static const struct mt_holder *find_only_owner(const struct answer *answer) {
    const struct mt_holder *only = NULL;
    for (size_t i = 0; i < answer->holders.list.length; i++) {
        const struct mt_holder *holder = holder_at(answer, i);
        if (holder->kind == MT_EDGE_WEAK || !holder->counted)
            continue;
        if (only)
            return NULL;
        only = holder;
    }
    return only;
}

/* Is every owner a key or value of the same cache? */
static bool is_kept_by_cache_alone(const struct answer *answer) {
    uint32_t cache = MT_NO_OBJECT;
    for (size_t i = 0; i < answer->holders.list.length; i++) {
        const struct mt_holder *holder = holder_at(answer, i);
        struct mt_chain chain;
        if (holder->kind == MT_EDGE_WEAK || !holder->counted)
            continue;
        mt_chain_of(&answer->climber, holder, &chain);
        uint32_t here = mt_holder_cache(&answer->climber, &chain);
        if (here == MT_NO_OBJECT || (cache != MT_NO_OBJECT && here != cache))
            return false;
        cache = here;
    }
    return cache != MT_NO_OBJECT;
}

/* The last sentence where a variable of a running function is the only owner. */
static void emit_end_of_variable(const struct answer *answer, const struct mt_holder *owner) {
    const struct mt_link *link = owner->source == MT_NO_OBJECT ? &owner->root.edge.link : &owner->link;
    struct mt_strbuf variable = MT_STRBUF_INIT;
    struct mt_holder_name name;
    struct mt_chain chain;
    mt_chain_of(&answer->climber, owner, &chain);
    mt_holder_name(answer->call, &answer->climber, &chain, MT_NAME_EXACT, &name);
    bool is_variable = chain.count == (owner->source != MT_NO_OBJECT) && link->form == MT_LINK_NAMED &&
                       name.has_frame && name.thread > 0;
    if (is_variable && mt_str_append(answer->graph->census->python, link->name, SIZE_MAX, &variable))
        mt_emit_line(&answer->call->emitter, "it lives until %s() returns or `%s` is bound anew", name.frame.function,
                     mt_strbuf_text(&variable));
    mt_strbuf_deinit(&variable);
    mt_holder_name_deinit(&name);
}

static void emit_end_of_life(const struct answer *answer) {
    struct mt_emitter *emitter = &answer->call->emitter;
    if (answer->explanation.immortal || mt_refcount_unknown(&answer->explanation) > 0)
        return;
    if (is_kept_by_cache_alone(answer)) {
        mt_emit_line(emitter, "nothing but the cache keeps it alive");
        return;
    }
    const struct mt_holder *only = find_only_owner(answer);
    if (only)
        emit_end_of_variable(answer, only);
}

static struct mt_error *write_answer(struct answer *answer) {
    struct mt_call *call = answer->call;
    emit_headline(answer);
    struct mt_error *error = emit_rows(answer);
    if (error)
        return error;
    emit_unknown(answer);
    error = mt_birth_emit_object(call, answer->graph->census->python, answer->asked.address, answer->asked.type);
    if (error)
        return error;
    emit_end_of_life(answer);
    mt_call_warn_census(call, answer->graph->census);
    mt_call_hint(call, "try: memtrace holds ADDR · memtrace who-holds --type TYPE");
    return NULL;
}

/* The graph to ask: of a remote process the part that a search finds, where that is certain. */
static struct mt_error *choose_graph(struct answer *answer, struct mt_searched **ret_searched) {
    struct mt_call *call = answer->call;
    struct mt_error *error =
        mt_searched_holders_find(call, !(call->options.given & MT_OPTION_DIRECT), ret_searched, &answer->graph);
    if (!error && answer->graph)
        return mt_object_address_parse(call, answer->graph->census, &answer->asked);
    return error ? error : mt_object_address_in_graph(call, &answer->asked, &answer->graph);
}

static struct mt_error *run(struct mt_call *call) {
    bool of_type = call->options.given & MT_OPTION_TYPE;
    if (of_type && call->argument[0] != '\0')
        return mt_error_create(MT_ERROR_USAGE, "takes an address or --type, not both: `%s`", call->argument);
    if (of_type)
        return mt_who_holds_type(call, call->options.type);
    struct answer answer = {.call = call};
    struct mt_searched *searched = NULL;
    struct mt_error *error = choose_graph(&answer, &searched);
    if (error)
        return error;
    error = find(&answer);
    if (!error)
        error = write_answer(&answer);
    free(answer.group_of);
    mt_holder_groups_deinit(&answer.groups);
    mt_climber_deinit(&answer.climber);
    mt_holders_deinit(&answer.holders);
    mt_searched_destroy(searched);
    return error;
}

const struct mt_command mt_who_holds_command = {
    .name = "who-holds",
    .summary = "Name all that holds an object, and tell whether its reference count is explained.",
    .argument = "[ADDR]",
    .options = MT_OPTION_TYPE | MT_OPTION_DIRECT | MT_OPTION_LIMIT | MT_OPTION_THREAD | MT_OPTION_FRAME |
               MT_OPTION_NO_VALUES | MT_OPTION_JSON,
    .details = MT_OBJECT_ADDRESS_DETAILS
    "\nWith `--type TYPE` the holders of all live instances of a type are grouped by name. A weak reference does not "
    "keep "
    "its object alive. A guess is a word in memory of C code that fills what is missing of the count.",
    .run = run,
};
