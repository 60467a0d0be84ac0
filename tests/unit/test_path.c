/* Ways from roots to objects: the search against brute force on made-up graphs. */
#include "commands/expression_literal.h"
#include "heap/path.h"
#include "synthetic_target.h"
#include "target/view.h"
#include "unit.h"

/* --- made-up graphs ----------------------------------------------------------------------------------------------- */

enum { OBJECTS = 60, GRAPHS = 300, MOST_EDGES = 4 * OBJECTS, MOST_ROOTS = 6, FAR = 1000 };

/* A graph of lists that refer to one another; nothing of it is in memory. */
struct heap {
    struct mt_python python;
    struct mt_types types;
    struct mt_type type, *type_list[1];
    struct mt_census census;
    struct mt_graph graph;
    uint64_t addresses[OBJECTS];
    uint32_t types_of[OBJECTS], explained[OBJECTS], guessed[OBJECTS];
    uint32_t first[OBJECTS + 1], sources[MOST_EDGES];
    bool edge[OBJECTS][OBJECTS]; /* [source][target] */
};

static void make_edges(struct heap *heap, uint64_t *random) {
    uint64_t count = mt_test_random(random) % MOST_EDGES;
    size_t at = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t source = mt_test_random(random) % OBJECTS;
        heap->edge[source][mt_test_random(random) % OBJECTS] = true;
    }
    for (uint32_t target = 0; target < OBJECTS; target++) {
        heap->first[target] = (uint32_t)at;
        for (uint32_t source = 0; source < OBJECTS; source++)
            if (heap->edge[source][target])
                heap->sources[at++] = source;
    }
    heap->first[OBJECTS] = (uint32_t)at;
}

static void make_roots(struct heap *heap, uint64_t *random) {
    unsigned count = MOST_ROOTS;
    for (uint32_t target = 0; target < OBJECTS && count > 0; target++) {
        if (mt_test_random(random) % (OBJECTS / MOST_ROOTS) != 0)
            continue;
        struct mt_root root = {.form = MT_ROOT_LOCAL,
                               .edge = {.kind = MT_EDGE_ROOT, .counted = true, .link = {.form = MT_LINK_NAMED}}};
        if (mt_test_random(random) % 3 == 0)
            root = (struct mt_root){.form = MT_ROOT_STACK, .edge = {.kind = MT_EDGE_GUESS, .counted = true}};
        assert_true(mt_vector_push(&heap->graph.roots, ((struct mt_root_edge){.target = target, .root = root})));
        count--;
    }
}

static void make_heap(struct heap *heap, struct mt_view *view, uint64_t *random) {
    *heap = (struct heap){.type = {.kind = MT_KIND_LIST}};
    heap->type_list[0] = &heap->type;
    heap->types.list.data = heap->type_list;
    heap->types.list.length = 1;
    heap->python.view = view;
    heap->python.types = &heap->types;
    heap->python.minor = 12;
    for (uint64_t i = 0; i < OBJECTS; i++)
        heap->addresses[i] = 0x1000 + 16 * i;
    heap->census = (struct mt_census){
        .python = &heap->python, .count = OBJECTS, .addresses = heap->addresses, .types = heap->types_of};
    heap->graph = (struct mt_graph){.census = &heap->census,
                                    .first = heap->first,
                                    .sources = heap->sources,
                                    .explained = heap->explained,
                                    .guessed = heap->guessed};
    make_edges(heap, random);
    make_roots(heap, random);
}

/* References on the shortest way from each object to `object`, by as many rounds as there are objects. */
static void measure(const struct heap *heap, uint32_t object, uint32_t *distances) {
    for (uint32_t i = 0; i < OBJECTS; i++)
        distances[i] = i == object ? 0 : FAR;
    for (uint32_t round = 0; round < OBJECTS; round++)
        for (uint32_t source = 0; source < OBJECTS; source++)
            for (uint32_t target = 0; target < OBJECTS; target++)
                if (heap->edge[source][target] && distances[target] + 1 < distances[source])
                    distances[source] = distances[target] + 1;
}

/* Is what was found, found by brute force as well, and in the right order? */
static void check_ends(const struct mt_paths *paths, const uint32_t *distances) {
    const struct mt_path_end *before = NULL;
    for (size_t i = 0; i < paths->ends.length; i++) {
        const struct mt_path_end *end = &paths->ends.data[i];
        assert_int_equal(end->form, end->root->edge.kind == MT_EDGE_GUESS ? MT_PATH_GUESS : MT_PATH_LOCAL);
        assert_int_equal(end->length, distances[end->object] + 1);
        if (before)
            assert_true(before->form < end->form || (before->form == end->form && before->length <= end->length));
        before = end;
    }
}

static void count_roots(const struct heap *heap, const uint32_t *distances, size_t *ret_named, size_t *ret_guessed) {
    *ret_named = *ret_guessed = 0;
    for (size_t i = 0; i < heap->graph.roots.length; i++)
        if (distances[heap->graph.roots.data[i].target] < FAR)
            ++*(heap->graph.roots.data[i].root.edge.kind == MT_EDGE_GUESS ? ret_guessed : ret_named);
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static void check_object(struct heap *heap, uint32_t object) {
    uint32_t distances[OBJECTS];
    size_t named, guessed;
    struct mt_paths paths;
    measure(heap, object, distances);
    count_roots(heap, distances, &named, &guessed);
    assert_ok(mt_paths_find(&heap->graph, object, SIZE_MAX, NULL, &paths));
    assert_true(paths.complete && paths.ends.length == named + guessed);
    check_ends(&paths, distances);
    mt_paths_deinit(&paths);
    for (size_t wanted = 1; wanted <= MOST_ROOTS; wanted++) {
        uint32_t nearest = FAR;
        assert_ok(mt_paths_find(&heap->graph, object, wanted, NULL, &paths));
        assert_int_equal(paths.ends.length, least(named > 0 ? named : guessed, wanted));
        check_ends(&paths, distances);
        for (size_t i = 0; i < heap->graph.roots.length; i++) {
            const struct mt_root_edge *root = &heap->graph.roots.data[i];
            if ((named == 0 || root->root.edge.kind != MT_EDGE_GUESS) && distances[root->target] < nearest)
                nearest = distances[root->target];
        }
        if (paths.ends.length > 0)
            assert_int_equal(paths.ends.data[0].length, nearest + 1);
        mt_paths_deinit(&paths);
    }
}

static void searches_agree_with_brute_force(void **state) {
    struct mt_target *target = mt_synthetic_target_create();
    struct mt_view *view;
    uint64_t random = 1;
    assert_ok(mt_view_create(target, &view));
    for (unsigned i = 0; i < GRAPHS; i++) {
        struct heap heap;
        make_heap(&heap, view, &random);
        check_object(&heap, (uint32_t)(mt_test_random(&random) % OBJECTS));
        mt_vector_deinit(&heap.graph.roots);
    }
    mt_view_destroy(view);
    mt_target_destroy(target);
}

static bool interrupted(void *context) {
    return true;
}

static void a_search_can_be_interrupted(void **state) {
    struct mt_target *target = mt_synthetic_target_create();
    struct mt_view *view;
    struct heap heap;
    uint64_t random = 2;
    struct mt_paths paths = {.object = FAR};
    struct mt_watch watch = {.interrupted = interrupted, .last = 1};
    assert_ok(mt_view_create(target, &view));
    make_heap(&heap, view, &random);
    assert_error(mt_paths_find(&heap.graph, 0, SIZE_MAX, &watch, &paths), MT_ERROR_INTERRUPTED, "");
    assert_int_equal(paths.object, FAR);
    mt_vector_deinit(&heap.graph.roots);
    mt_view_destroy(view);
    mt_target_destroy(target);
}

/* --- names -------------------------------------------------------------------------------------------------------- */

static void names_that_can_follow_a_dot(void **state) {
    static const char *const good[] = {"a", "_", "_private", "__mangled", "Class1", "match", "print"};
    static const char *const bad[] = {"",     "1a",    "a b",      "a-b",         "class",
                                      "None", "async", "__dict__", "caf\xc3\xa9", "a\n"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(mt_is_identifier(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(mt_is_identifier(bad[i]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(searches_agree_with_brute_force),
        cmocka_unit_test(a_search_can_be_interrupted),
        cmocka_unit_test(names_that_can_follow_a_dot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
