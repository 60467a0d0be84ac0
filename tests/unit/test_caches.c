/* What keeps what alive, against brute force: on random heaps of lists, with random references cut. */
#include <stdlib.h>
#include <string.h>

#include "heap/dominators.h"
#include "heap/holdings.h"
#include "heap/reach.h"
#include "python/object.h"
#include "python/types.h"
#include "synthetic_target.h"
#include "unit.h"

#define START 0x100000u
#define SIZE 0x40000u
#define STRIDE 0x1000u /* bytes of a list and its items: a page of the census */
#define ITEMS_AT 64u
#define MOST_ITEMS 16u
#define MOST 40u /* objects */
#define ROUNDS 400
#define SOME_INTERPRETER (START + SIZE - 0x1000) /* zeros */

struct scene {
    struct mt_target *target;
    uint8_t *memory; /* at START */
    struct mt_python python;
    struct mt_type type;
    struct mt_census census;
    struct mt_graph graph;
    uint32_t slots[256];
    uint32_t count;
    uint32_t items[MOST][MOST_ITEMS];
    uint32_t item_count[MOST];
    bool is_root[MOST];
};

static uint32_t below(uint32_t limit) {
    static uint64_t state = 1;
    return (uint32_t)(mt_test_random(&state) % limit);
}

/* --- a heap of lists ---------------------------------------------------------------------------------------------- */

static uint64_t address_of(uint32_t object) {
    return START + object * STRIDE;
}

static void poke(struct scene *scene, uint64_t address, uint64_t word) {
    memcpy(scene->memory + (address - START), &word, sizeof word);
}

/* As the census finds an object by its address (census.h). */
static void index_pages(struct scene *scene) {
    struct mt_census *census = &scene->census;
    census->page_slots = scene->slots;
    census->page_slot_mask = sizeof scene->slots / sizeof scene->slots[0] - 1;
    census->pages = calloc(MOST, sizeof *census->pages);
    assert_non_null(census->pages);
    for (uint32_t i = 0; i < scene->count; i++) {
        uint64_t number = address_of(i) >> 12;
        size_t slot = (number * 0x9e3779b97f4a7c15ULL >> 20) & census->page_slot_mask;
        census->pages[i] = (struct mt_census_page){.number = number, .first = i, .bits = {1}};
        while (scene->slots[slot] != 0)
            slot = (slot + 1) & census->page_slot_mask;
        scene->slots[slot] = i + 1;
    }
    census->page_count = scene->count;
}

/* Random references; what more than those a count says comes from outside. */
static void fill(struct scene *scene, uint32_t most_items) {
    struct mt_python_layout *layout = &scene->python.layout;
    struct mt_graph *graph = &scene->graph;
    for (uint32_t i = 0; i < scene->count; i++) {
        scene->census.addresses[i] = address_of(i);
        scene->item_count[i] = below(most_items + 1);
        poke(scene, address_of(i) + MT_OB_TYPE, scene->type.address);
        poke(scene, address_of(i) + MT_OB_SIZE, scene->item_count[i]);
        poke(scene, address_of(i) + (uint64_t)MT_AT(layout, PyListObject, ob_item), address_of(i) + ITEMS_AT);
        poke(scene, address_of(i) + (uint64_t)MT_AT(layout, PyListObject, allocated), scene->item_count[i]);
        for (uint32_t k = 0; k < scene->item_count[i]; k++) {
            scene->items[i][k] = below(scene->count);
            poke(scene, address_of(i) + ITEMS_AT + 8 * k, address_of(scene->items[i][k]));
            graph->explained[scene->items[i][k]]++;
        }
    }
    for (uint32_t i = 0; i < scene->count; i++) {
        scene->is_root[i] = below(8) == 0;
        poke(scene, address_of(i), graph->explained[i] + scene->is_root[i]);
    }
}

static struct scene *set_up(void) {
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    scene->target = mt_synthetic_target_create();
    scene->memory =
        mt_synthetic_target_add(scene->target, START, NULL, SIZE, MT_SYNTHETIC_READ | MT_SYNTHETIC_WRITE, NULL);
    assert_true(mt_python_layout_choose(0x030b02f0, 0, &scene->python.layout));
    scene->python.minor = mt_python_layout_minor(&scene->python.layout);
    scene->python.interned_was_searched = true;
    assert_true(mt_vector_push(&scene->python.interpreters, (uint64_t)SOME_INTERPRETER));
    assert_ok(mt_view_create(scene->target, &scene->python.view));
    assert_ok(mt_types_create(&scene->python, &scene->python.types));
    scene->type = (struct mt_type){.address = START + SIZE - 0x2000,
                                   .kind = MT_KIND_LIST,
                                   .kind_type = &scene->type,
                                   .storage = MT_STORAGE_LIST,
                                   .is_exact = true,
                                   .basic_size = 40};
    assert_true(mt_vector_push(&scene->python.types->list, &scene->type));
    scene->count = 1 + below(MOST);
    scene->census = (struct mt_census){.python = &scene->python, .count = scene->count};
    scene->census.addresses = calloc(scene->count, sizeof *scene->census.addresses);
    scene->census.types = calloc(scene->count, sizeof *scene->census.types);
    scene->graph.census = &scene->census;
    scene->graph.explained = calloc(scene->count, sizeof *scene->graph.explained);
    scene->graph.guessed = calloc(scene->count, sizeof *scene->graph.guessed);
    scene->graph.first = calloc(scene->count + 1, sizeof *scene->graph.first);
    index_pages(scene);
    fill(scene, 1 + below(4));
    /* A view keeps what it has read. */
    mt_view_destroy(scene->python.view);
    assert_ok(mt_view_create(scene->target, &scene->python.view));
    return scene;
}

static void tear_down(struct scene *scene) {
    scene->python.types->list.length = 0;
    mt_types_destroy(scene->python.types);
    mt_view_destroy(scene->python.view);
    mt_vector_deinit(&scene->python.interpreters);
    mt_target_destroy(scene->target);
    free(scene->census.addresses);
    free(scene->census.types);
    free(scene->census.pages);
    free(scene->graph.explained);
    free(scene->graph.guessed);
    free(scene->graph.first);
    mt_forward_destroy(scene->graph.forward);
    free(scene);
}

/* --- brute force -------------------------------------------------------------------------------------------------- */

typedef bool follows(uint32_t object, uint32_t item, uint32_t what);

static void spread(const struct scene *scene, bool *reached, follows *follow, uint32_t what) {
    for (bool changed = true; changed;) {
        changed = false;
        for (uint32_t i = 0; i < scene->count; i++) {
            for (uint32_t k = 0; reached[i] && k < scene->item_count[i]; k++) {
                if (!follow(i, k, what) || reached[scene->items[i][k]])
                    continue;
                reached[scene->items[i][k]] = changed = true;
            }
        }
    }
}

static void reach_roots(const struct scene *scene, bool *reached, follows *follow, uint32_t what) {
    memcpy(reached, scene->is_root, sizeof scene->is_root);
    spread(scene, reached, follow, what);
}

static bool all(uint32_t object, uint32_t item, uint32_t what) {
    return true;
}

static bool not_out_of(uint32_t object, uint32_t item, uint32_t what) {
    return object != what;
}

static void compare(const struct scene *scene, const struct mt_marks *marks, const bool *expected) {
    for (uint32_t i = 0; i < scene->count; i++)
        assert_int_equal(mt_marks_has(marks, i), expected[i]);
}

/* --- reach -------------------------------------------------------------------------------------------------------- */

static void alive_is_what_roots_lead_to(void **state) {
    for (int round = 0; round < ROUNDS; round++) {
        struct scene *scene = set_up();
        bool expected[MOST];
        uint32_t without = below(scene->count);
        struct mt_marks marks;
        reach_roots(scene, expected, all, 0);
        assert_ok(mt_reach_alive(&scene->graph, NULL, 0, NULL, &marks));
        compare(scene, &marks, expected);
        mt_marks_deinit(&marks);
        reach_roots(scene, expected, not_out_of, without);
        assert_ok(mt_reach_alive(&scene->graph, &without, 1, NULL, &marks));
        compare(scene, &marks, expected);
        mt_marks_deinit(&marks);
        tear_down(scene);
    }
}

static void deep_and_exclusive(void **state) {
    for (int round = 0; round < ROUNDS; round++) {
        struct scene *scene = set_up();
        uint32_t object = below(scene->count);
        bool deep[MOST] = {false}, expected[MOST], otherwise[MOST], alive;
        struct mt_marks marks;
        struct mt_reach_sum sum;
        deep[object] = true;
        spread(scene, deep, all, 0);
        assert_ok(mt_reach_from(&scene->graph, object, NULL, &marks));
        compare(scene, &marks, deep);
        uint64_t objects = 0, bytes = 0;
        for (uint32_t i = 0; i < scene->count; i++) {
            objects += deep[i];
            bytes += deep[i] ? mt_object_total_size(&scene->census, i) : 0;
        }
        assert_ok(mt_reach_difference(&scene->graph, &marks, NULL, NULL, &sum));
        assert_int_equal(sum.objects, objects);
        assert_int_equal(sum.bytes, bytes);
        mt_marks_deinit(&marks);
        reach_roots(scene, otherwise, not_out_of, object);
        for (uint32_t i = 0; i < scene->count; i++)
            expected[i] = deep[i] && (!otherwise[i] || i == object);
        assert_ok(mt_reach_exclusive(&scene->graph, object, NULL, &marks, &alive));
        assert_int_equal(alive, otherwise[object]);
        /* Ways through what others hold lead only to what others hold. */
        compare(scene, &marks, expected);
        mt_marks_deinit(&marks);
        tear_down(scene);
    }
}

/* --- groups of references ----------------------------------------------------------------------------------------- */

/* Some references of every object are a group of their own. */
static bool is_of_group(uint32_t object, uint32_t item) {
    return (object + item) % 2 == 0;
}

static bool not_of_object(uint32_t object, uint32_t item, uint32_t what) {
    return object != what || !is_of_group(object, item);
}

/* Without the groups of every third object. */
static bool not_of_thirds(uint32_t object, uint32_t item, uint32_t what) {
    return object % 3 != 0 || !is_of_group(object, item);
}

static bool takes(void *context, const struct mt_holding_source *source, const struct mt_edge *edge) {
    assert_int_equal(source->object, source->group);
    return is_of_group(source->object, (uint32_t)edge->link.number);
}

static void check_each_group(struct scene *scene, const struct mt_holdings *holdings) {
    bool alive[MOST], without[MOST];
    reach_roots(scene, alive, all, 0);
    for (uint32_t i = 0; i < scene->count; i++)
        assert_int_equal(holdings->of[i] == MT_KEPT_BY_NOBODY, !alive[i]);
    for (uint32_t group = 0; group < scene->count; group++) {
        struct mt_reach_sum sum = {0};
        bool inside[MOST];
        reach_roots(scene, without, not_of_object, group);
        mt_holdings_inside(holdings, group, inside);
        for (uint32_t i = 0; i < scene->count; i++) {
            bool is_kept = alive[i] && !without[i];
            assert_int_equal(holdings->of[i] < holdings->group_count && inside[holdings->of[i]], is_kept);
            sum.objects += is_kept;
            sum.bytes += is_kept ? mt_object_total_size(&scene->census, i) : 0;
        }
        assert_int_equal(holdings->groups[group].kept.objects, sum.objects);
        assert_int_equal(holdings->groups[group].kept.bytes, sum.bytes);
    }
}

static void check_without_thirds(struct scene *scene, const struct mt_holdings *holdings) {
    bool cut[MOST], without[MOST];
    struct mt_marks marks;
    for (uint32_t i = 0; i < scene->count; i++)
        cut[i] = i % 3 == 0;
    reach_roots(scene, without, not_of_thirds, 0);
    assert_ok(mt_holdings_otherwise(holdings, cut, NULL, &marks));
    compare(scene, &marks, without);
    mt_marks_deinit(&marks);
}

static void groups_keep_what_would_be_freed_without_them(void **state) {
    for (int round = 0; round < ROUNDS; round++) {
        struct scene *scene = set_up();
        struct mt_holding_source sources[MOST];
        struct mt_holding_question question = {
            .sources = sources, .source_count = scene->count, .group_count = scene->count, .takes = takes};
        for (uint32_t i = 0; i < scene->count; i++)
            sources[i] = (struct mt_holding_source){scene->count - 1 - i, scene->count - 1 - i};
        struct mt_holdings holdings;
        assert_ok(mt_holdings_find(&scene->graph, &question, NULL, &holdings));
        check_each_group(scene, &holdings);
        check_without_thirds(scene, &holdings);
        mt_holdings_deinit(&holdings);
        tear_down(scene);
    }
}

/* --- dominators --------------------------------------------------------------------------------------------------- */

/* A chain that is as deep as it is long, and each of its nodes reached from its beginning too. */
static void a_deep_chain(void **state) {
    enum { LENGTH = 300000 };
    uint32_t *first = calloc(LENGTH + 1, sizeof *first), *targets = calloc(2 * LENGTH, sizeof *targets), at = 0;
    assert_true(first && targets);
    for (uint32_t i = 0; i < LENGTH; i++) {
        first[i] = at;
        if (i + 1 < LENGTH)
            targets[at++] = i + 1;
        if (i > LENGTH / 2)
            targets[at++] = LENGTH / 2;
    }
    first[LENGTH] = at;
    const uint32_t roots[] = {0, 10, 0};
    struct mt_flow flow = {
        .count = LENGTH, .common = LENGTH, .first = first, .targets = targets, .roots = roots, .root_count = 3};
    struct mt_dominators dominators;
    assert_ok(mt_dominators_find(&flow, NULL, &dominators));
    assert_int_equal(dominators.reached, LENGTH);
    assert_int_equal(dominators.of[0], MT_DOMINATOR_ROOTS);
    assert_int_equal(dominators.of[10], MT_DOMINATOR_ROOTS);
    assert_int_equal(dominators.of[5], 4);
    assert_int_equal(dominators.of[LENGTH - 1], LENGTH - 2);
    mt_dominators_deinit(&dominators);
    free(first);
    free(targets);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alive_is_what_roots_lead_to),
        cmocka_unit_test(deep_and_exclusive),
        cmocka_unit_test(groups_keep_what_would_be_freed_without_them),
        cmocka_unit_test(a_deep_chain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
