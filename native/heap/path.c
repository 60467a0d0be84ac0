#include "heap/path.h"

#include <stdlib.h>
#include <string.h>

#include "heap/reach.h"
#include "python/dict.h"
#include "python/interned.h"
#include "python/object.h"

#define L (&python->layout)

#define POLL_EVERY 4096 /* objects between two looks at the clock */

/* An entry of sys.modules. */
struct module {
    uint64_t name, module;
};

struct search {
    struct mt_graph *graph;
    struct mt_python *python;
    struct mt_watch *watch;
    struct mt_paths *paths;
    size_t wanted;
    size_t found; /* ends of the forms that are wanted */
    MT_VECTOR(uint32_t) queue;
    MT_VECTOR(struct module) module_list;
    struct mt_hash_map modules;     /* dict of a module in sys.modules -> index into module_list */
    struct mt_hash_map frames;      /* up to 3.10: frame object that runs -> index into graph->roots */
    uint32_t *lengths;              /* of each object that was seen: references from it on */
    struct mt_hash_map first_root;  /* object -> index of the first of its roots */
    struct mt_hash_map first_guess; /* object -> index of the first guess that leads to it */
    struct mt_marks has_root;       /* asked before the map is */
    struct mt_marks guessed;        /* objects whose way goes over a guess */
    bool over_guesses;              /* what is found now is */
    bool failed;                    /* memory is out */
};

/* --- where the search ends ---------------------------------------------------------------------------------------- */

static bool take_module(void *context, uint64_t key, uint64_t value, uint64_t index) {
    struct search *search = context;
    struct mt_python *python = search->python;
    const struct mt_type *type = mt_object_type(python, value);
    uint64_t dict;
    if (!type || type->kind != MT_KIND_MODULE ||
        !mt_view_u64(python->view, value + MT_OFFSET(python, PyModuleObject, md_dict), &dict))
        return true;
    uint32_t object = mt_census_find(search->graph->census, dict);
    if (object != MT_NO_OBJECT)
        search->failed |= !mt_hash_map_find_or_insert(&search->modules, object, search->module_list.length, NULL) ||
                          !mt_vector_push(&search->module_list, ((struct module){.name = key, .module = value}));
    return !search->failed;
}

/* The main interpreter's come first: it is the last of the list. */
static void find_modules(struct search *search) {
    struct mt_python *python = search->python;
    int64_t offset = MT_HAS(L, PyInterpreterState, modules) ? MT_AT(L, PyInterpreterState, modules)
                                                            : MT_AT(L, PyInterpreterState, imports_modules);
    for (size_t i = python->interpreters.length; i-- > 0;) {
        uint64_t modules;
        if (offset >= 0 && mt_view_u64(python->view, python->interpreters.data[i] + (uint64_t)offset, &modules))
            mt_dict_visit(python, modules, take_module, search);
    }
}

/* Up to 3.10 the root is the running C function's reference to the frame object. */
static bool is_running_frame(const struct search *search, const struct mt_root_edge *edge) {
    return search->python->minor <= 10 && edge->root.form == MT_ROOT_FRAME &&
           mt_census_type(search->graph->census, edge->target)->kind == MT_KIND_FRAME;
}

static struct mt_error *find_roots(struct search *search) {
    const struct mt_graph *graph = search->graph;
    for (size_t i = 0; i < graph->roots.length; i++) {
        const struct mt_root_edge *edge = &graph->roots.data[i];
        mt_marks_add(&search->has_root, edge->target);
        if (!mt_hash_map_find_or_insert(&search->first_root, edge->target, i, NULL) ||
            (is_running_frame(search, edge) && !mt_hash_map_find_or_insert(&search->frames, edge->target, i, NULL)))
            return &mt_error_no_memory;
    }
    for (size_t i = 0; i < graph->guesses.length; i++)
        if (!mt_hash_map_find_or_insert(&search->first_guess, graph->guesses.data[i].target, i, NULL))
            return &mt_error_no_memory;
    find_modules(search);
    return search->failed ? &mt_error_no_memory : NULL;
}

/* --- links -------------------------------------------------------------------------------------------------------- */

struct link_search {
    const struct mt_type *source;
    uint64_t target;
    uint32_t ordinal; /* of those to the target */
    bool any;         /* the best of all instead */
    int best;         /* how good `link` is; 0: none yet */
    struct mt_link link;
};

/* A name that people and Python know is better than a C field's; what owns is better than what borrows. */
static int quality(const struct mt_type *source, const struct mt_edge *edge) {
    int named = edge->link.form != MT_LINK_TEXT && edge->link.form != MT_LINK_NUMBERED;
    return edge->kind == MT_EDGE_WEAK ? 1 : (mt_edge_keeps(source, edge) ? 4 : 2) + named;
}

static void take_link(void *context, const struct mt_edge *edge) {
    struct link_search *search = context;
    if (edge->target != search->target)
        return;
    int here = quality(search->source, edge);
    if (search->any ? here > search->best : search->ordinal-- == 0) {
        search->best = here;
        search->link = edge->link;
    }
}

/* The link of `source` to `target`: the one of that ordinal, or the best. False: it has none, as memory now says. */
static bool find_link(const struct mt_graph *graph, uint32_t source, uint32_t target, const uint32_t *ordinal,
                      struct mt_link *ret) {
    const struct mt_census *census = graph->census;
    struct link_search search = {
        .source = mt_census_type(census, source),
        .target = census->addresses[target],
        .ordinal = ordinal ? *ordinal : 0,
        .any = !ordinal,
    };
    mt_edges_visit(census->python, census->addresses[source], search.source, take_link, &search);
    if (search.best > 0)
        *ret = search.link;
    return search.best > 0;
}

/* --- ends --------------------------------------------------------------------------------------------------------- */

static bool is_wanted(enum mt_path_form form) {
    return form <= MT_PATH_ROOT;
}

static void add_end(struct search *search, struct mt_path_end end) {
    if (is_wanted(end.form) && mt_marks_has(&search->guessed, end.object))
        end.form = MT_PATH_GUESS;
    end.length = search->lengths[end.object] + 1;
    search->found += is_wanted(end.form);
    search->failed |= !mt_vector_push(&search->paths->ends, end);
}

static bool same_root(const struct mt_root *a, const struct mt_root *b) {
    const struct mt_link *link = &a->edge.link, *other = &b->edge.link;
    return a->form == b->form && a->thread == b->thread && a->frame == b->frame && link->form == other->form &&
           link->text == other->text && link->number == other->number && link->name == other->name;
}

static enum mt_path_form form_of(const struct mt_root *root) {
    if (root->edge.kind == MT_EDGE_GUESS)
        return MT_PATH_GUESS;
    return root->form == MT_ROOT_LOCAL && root->edge.link.form == MT_LINK_NAMED ? MT_PATH_LOCAL : MT_PATH_ROOT;
}

static void end_at_roots(struct search *search, uint32_t object) {
    const struct mt_graph *graph = search->graph;
    if (!mt_marks_has(&search->has_root, object))
        return;
    const uint64_t *first = mt_hash_map_find(&search->first_root, object);
    for (size_t i = *first; i < graph->roots.length && graph->roots.data[i].target == object; i++) {
        const struct mt_root *root = &graph->roots.data[i].root;
        if (i > *first && same_root(root, &graph->roots.data[i - 1].root))
            continue;
        add_end(search,
                (struct mt_path_end){.form = form_of(root), .object = object, .holder = MT_NO_OBJECT, .root = root});
    }
}

static void end_at_holder(struct search *search, uint32_t object, uint32_t holder, uint32_t ordinal) {
    struct mt_path_end end = {.object = object, .holder = holder, .ordinal = ordinal};
    const uint64_t *module = mt_hash_map_find(&search->modules, holder);
    if (module) {
        end.form = MT_PATH_GLOBAL;
        end.name = search->module_list.data[*module].name;
        end.module = search->module_list.data[*module].module;
    } else {
        struct mt_link link = {0};
        find_link(search->graph, holder, object, &ordinal, &link);
        end.form = link.form == MT_LINK_NAMED ? MT_PATH_LOCAL : MT_PATH_ROOT;
        end.root = &search->graph->roots.data[*mt_hash_map_find(&search->frames, holder)].root;
    }
    add_end(search, end);
}

static bool is_holder(const struct search *search, uint32_t object, const struct mt_type *type) {
    return (type->kind == MT_KIND_DICT && mt_hash_map_find(&search->modules, object)) ||
           (type->kind == MT_KIND_FRAME && mt_hash_map_find(&search->frames, object));
}

/* --- the search --------------------------------------------------------------------------------------------------- */

struct keeping {
    const struct mt_type *source;
    uint64_t target;
    bool keeps;
};

static void take_keeping(void *context, const struct mt_edge *edge) {
    struct keeping *keeping = context;
    keeping->keeps |= edge->target == keeping->target && mt_edge_keeps(keeping->source, edge);
}

/* Do references of this kind of object borrow or weaken? (An lru_cache borrows what its elements own, and the collector
 * sees it as its own.) */
static bool may_not_keep(enum mt_kind kind) {
    switch (kind) {
    case MT_KIND_WEAKREF:
    case MT_KIND_WEAKREF_REFERENCE:
    case MT_KIND_WEAKPROXY:
    case MT_KIND_WEAKREF_PROXY:
    case MT_KIND_WEAKCALLABLEPROXY:
    case MT_KIND_WEAKREF_CALLABLE_PROXY:
    case MT_KIND_FRAME:
    case MT_KIND_GENERATOR:
    case MT_KIND_COROUTINE:
    case MT_KIND_ASYNC_GENERATOR:
    case MT_KIND_MODULE:
        return true;
    default:
        return false;
    }
}

static bool keeps(const struct search *search, uint32_t source, const struct mt_type *type, uint32_t target) {
    const struct mt_census *census = search->graph->census;
    /* The dict of interned strings does not keep them. */
    if (type->kind == MT_KIND_DICT && mt_census_type(census, target)->kind == MT_KIND_STR)
        return !mt_interned_is_dict(search->python, census->addresses[source]);
    if (!may_not_keep(type->kind))
        return true;
    struct keeping keeping = {.source = type, .target = census->addresses[target]};
    mt_edges_visit(search->python, census->addresses[source], type, take_keeping, &keeping);
    return keeping.keeps;
}

static void see(struct search *search, uint32_t object, uint32_t next) {
    search->paths->nexts[object] = next + 1;
    search->lengths[object] = object == next ? 0 : search->lengths[next] + 1;
    if (search->over_guesses)
        mt_marks_add(&search->guessed, object);
    search->failed |= !mt_vector_push(&search->queue, object);
}

static void see_sources(struct search *search, uint32_t object) {
    const struct mt_graph *graph = search->graph;
    uint32_t before = MT_NO_OBJECT, ordinal = 0;
    for (uint32_t i = graph->first[object]; i < graph->first[object + 1]; i++) {
        uint32_t source = graph->sources[i];
        const struct mt_type *type = mt_census_type(graph->census, source);
        ordinal = source == before ? ordinal + 1 : 0;
        if (is_holder(search, source, type))
            end_at_holder(search, object, source, ordinal);
        else if (source != before && search->paths->nexts[source] == 0 && keeps(search, source, type, object))
            see(search, source, object);
        before = source;
    }
}

static void go_on_from(struct search *search, uint32_t object) {
    end_at_roots(search, object);
    see_sources(search, object);
}

static bool has_enough(const struct search *search) {
    return search->failed || search->found >= search->wanted;
}

/* Goes on from the objects of the queue from `*at` on. */
static struct mt_error *go_on(struct search *search, size_t *at) {
    for (; *at < search->queue.length && !has_enough(search); ++*at) {
        struct mt_error *error = *at % POLL_EVERY == 0 ? mt_watch_poll(search->watch, "searching for roots") : NULL;
        if (error)
            return error;
        go_on_from(search, search->queue.data[*at]);
    }
    return search->failed ? &mt_error_no_memory : NULL;
}

static void see_guesses(struct search *search, uint32_t object) {
    const struct mt_graph *graph = search->graph;
    const uint64_t *first = mt_hash_map_find(&search->first_guess, object);
    for (size_t i = first ? *first : SIZE_MAX; i < graph->guesses.length && graph->guesses.data[i].target == object;
         i++)
        if (search->paths->nexts[graph->guesses.data[i].source] == 0)
            see(search, graph->guesses.data[i].source, object);
}

/* Goes on from the objects of the queue from `at` on; and, over guesses alone, from all before. */
static struct mt_error *go_over_guesses(struct search *search, size_t at) {
    search->over_guesses = true;
    for (size_t i = 0; i < search->queue.length && !search->failed; i++) {
        struct mt_error *error = i % POLL_EVERY == 0 ? mt_watch_poll(search->watch, "searching for roots") : NULL;
        uint32_t object = search->queue.data[i];
        if (error)
            return error;
        if (i >= at)
            go_on_from(search, object);
        see_guesses(search, object);
    }
    return search->failed ? &mt_error_no_memory : NULL;
}

static bool holds_itself(const struct search *search, uint32_t object, enum mt_path_form *ret) {
    struct mt_explanation explanation;
    mt_graph_explain(search->graph, object, &explanation);
    *ret = explanation.immortal ? MT_PATH_IMMORTAL : MT_PATH_UNKNOWN;
    return explanation.immortal || explanation.refcount > explanation.exact + explanation.guessed;
}

/* Objects that live though nothing was found that holds them; in the order of their addresses, as memory is read best.
 */
static struct mt_error *end_at_unknown(struct search *search) {
    for (uint32_t i = 0; i < search->graph->census->count; i++) {
        enum mt_path_form form;
        struct mt_error *error = i % POLL_EVERY == 0 ? mt_watch_poll(search->watch, "searching for roots") : NULL;
        if (error)
            return error;
        if (search->paths->nexts[i] != 0 && holds_itself(search, i, &form))
            add_end(search, (struct mt_path_end){.form = form, .object = i, .holder = MT_NO_OBJECT});
    }
    return search->failed ? &mt_error_no_memory : NULL;
}

static struct mt_error *find_ends(struct search *search) {
    bool all = search->wanted == SIZE_MAX;
    size_t at = 0;
    see(search, search->paths->object, search->paths->object);
    struct mt_error *error = go_on(search, &at);
    search->paths->complete = !error && at == search->queue.length;
    if (!error && (all || search->found == 0))
        error = go_over_guesses(search, at);
    if (!error && (all || search->found == 0))
        error = end_at_unknown(search);
    return error;
}

/* --- the best of them --------------------------------------------------------------------------------------------- */

static enum mt_path_form rank(const struct mt_path_end *end) {
    return end->form == MT_PATH_LOCAL ? MT_PATH_GLOBAL : end->form;
}

static int compare_ends(const void *left, const void *right) {
    const struct mt_path_end *a = left, *b = right;
    if (rank(a) != rank(b))
        return rank(a) < rank(b) ? -1 : 1;
    if (a->length != b->length)
        return a->length < b->length ? -1 : 1;
    if (a->object != b->object)
        return a->object < b->object ? -1 : 1;
    if (a->holder != b->holder)
        return a->holder < b->holder ? -1 : 1;
    if (a->ordinal != b->ordinal)
        return a->ordinal < b->ordinal ? -1 : 1;
    return a->root < b->root ? -1 : a->root > b->root;
}

/* Without --all-roots: nothing worse than what is known to hold, where there is such; else of the best form alone. */
static void choose_ends(struct mt_paths *paths, size_t wanted) {
    size_t kept = 0;
    if (wanted == SIZE_MAX || paths->ends.length == 0)
        return;
    enum mt_path_form best = paths->ends.data[0].form, worst = is_wanted(best) ? MT_PATH_ROOT : best;
    while (kept < paths->ends.length && kept < wanted && paths->ends.data[kept].form <= worst)
        kept++;
    paths->complete &= kept == paths->ends.length || paths->ends.data[kept].form > worst;
    paths->ends.length = kept;
}

static struct mt_error *prepare(struct search *search) {
    uint32_t count = search->graph->census->count;
    search->paths->nexts = calloc((size_t)count + 1, sizeof *search->paths->nexts);
    search->lengths = calloc((size_t)count + 1, sizeof *search->lengths);
    if (!search->paths->nexts || !search->lengths || !mt_marks_init(&search->has_root, count) ||
        !mt_marks_init(&search->guessed, count))
        return &mt_error_no_memory;
    return find_roots(search);
}

struct mt_error *mt_paths_find(struct mt_graph *graph, uint32_t object, size_t wanted, struct mt_watch *watch,
                               struct mt_paths *ret) {
    struct mt_paths paths = {.graph = graph, .object = object};
    struct search search = {
        .graph = graph, .python = graph->census->python, .watch = watch, .paths = &paths, .wanted = wanted};
    struct mt_error *error = prepare(&search);
    if (!error)
        error = find_ends(&search);
    mt_vector_deinit(&search.queue);
    mt_vector_deinit(&search.module_list);
    mt_hash_map_deinit(&search.modules);
    mt_hash_map_deinit(&search.frames);
    mt_hash_map_deinit(&search.first_root);
    mt_hash_map_deinit(&search.first_guess);
    free(search.lengths);
    mt_marks_deinit(&search.has_root);
    mt_marks_deinit(&search.guessed);
    if (error) {
        mt_paths_deinit(&paths);
        return error;
    }
    if (paths.ends.length > 0)
        qsort(paths.ends.data, paths.ends.length, sizeof *paths.ends.data, compare_ends);
    choose_ends(&paths, wanted);
    *ret = paths;
    return NULL;
}

void mt_paths_deinit(struct mt_paths *paths) {
    mt_vector_deinit(&paths->ends);
    free(paths->nexts);
    paths->nexts = NULL;
    mt_hash_map_deinit(&paths->links);
    mt_vector_deinit(&paths->link_list);
}

/* --- ways --------------------------------------------------------------------------------------------------------- */

static uint32_t next_of(const struct mt_paths *paths, uint32_t object) {
    return paths->nexts[object] - 1;
}

/* How an object holds the next one on the way, which is always the same. */
static struct mt_error *link_to_next(struct mt_paths *paths, uint32_t object, struct mt_path_link *ret) {
    uint64_t *index = mt_hash_map_find(&paths->links, object);
    if (index) {
        *ret = paths->link_list.data[*index];
        return NULL;
    }
    struct mt_path_link link = {0};
    link.is_guess = !find_link(paths->graph, object, next_of(paths, object), NULL, &link.link);
    if (link.is_guess)
        link.link = (struct mt_link){.form = MT_LINK_TEXT, .text = "a word in the memory"};
    if (!mt_hash_map_find_or_insert(&paths->links, object, paths->link_list.length, NULL) ||
        !mt_vector_push(&paths->link_list, link))
        return &mt_error_no_memory;
    *ret = link;
    return NULL;
}

static struct mt_path_step first_step(const struct mt_paths *paths, const struct mt_path_end *end) {
    struct mt_path_step step = {.object = end->object, .link = {.form = MT_LINK_TEXT, .text = ""}};
    if (end->holder != MT_NO_OBJECT)
        find_link(paths->graph, end->holder, end->object, &end->ordinal, &step.link);
    else if (end->root)
        step.link = end->root->edge.link;
    step.is_guess = end->root && end->root->edge.kind == MT_EDGE_GUESS;
    return step;
}

struct mt_error *mt_paths_read(struct mt_paths *paths, const struct mt_path_end *end, struct mt_path *ret) {
    struct mt_path path = {0};
    struct mt_path_step step = first_step(paths, end);
    struct mt_error *error = NULL;
    while (!error) {
        if (!mt_vector_push(&path.steps, step))
            error = &mt_error_no_memory;
        if (error || step.object == paths->object)
            break;
        struct mt_path_link link;
        error = link_to_next(paths, step.object, &link);
        if (!error)
            step = (struct mt_path_step){next_of(paths, step.object), link.link, link.is_guess};
    }
    if (error) {
        mt_path_deinit(&path);
        return error;
    }
    *ret = path;
    return NULL;
}

void mt_path_deinit(struct mt_path *path) {
    mt_vector_deinit(&path->steps);
}
