/* References out of objects, on made-up memory: every one by its name, none beyond the object, none for ever. */
#include <stdlib.h>
#include <string.h>

#include "heap/edges.h"
#include "python/plain.h"
#include "python/types.h"
#include "synthetic_target.h"
#include "unit.h"

#define START 0x100000u
#define SIZE 0x40000u
#define MAX_SEEN 4096
#define SOME_INTERPRETER (START + SIZE - 0x800) /* zeros */

static const uint32_t versions[] = {0x030902f0, 0x030a0df0, 0x030b02f0, 0x030c01f0, 0x030d05f0, 0x030e08f0, 0x030f00f0};
#define VERSIONS (sizeof versions / sizeof versions[0])

struct scene {
    struct mt_target *target;
    struct mt_python python;
    uint8_t *memory; /* at START */
    struct mt_type type;
    struct mt_edge seen[MAX_SEEN];
    size_t count; /* all of them, also what `seen` has no room for */
};

static struct scene *set_up(uint32_t version, enum mt_kind kind) {
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    scene->target = mt_synthetic_target_create();
    scene->memory =
        mt_synthetic_target_add(scene->target, START, NULL, SIZE, MT_SYNTHETIC_READ | MT_SYNTHETIC_WRITE, NULL);
    assert_true(mt_python_layout_choose(version, 0, &scene->python.layout));
    scene->python.minor = mt_python_layout_minor(&scene->python.layout);
    assert_true(mt_vector_push(&scene->python.interpreters, (uint64_t)SOME_INTERPRETER));
    assert_ok(mt_view_create(scene->target, &scene->python.view));
    assert_ok(mt_types_create(&scene->python, &scene->python.types));
    scene->python.interned_was_searched = true;
    scene->type = (struct mt_type){
        .address = START + SIZE - 0x1000, .kind = kind, .kind_type = &scene->type, .is_exact = true, .basic_size = 16};
    if (kind <= MT_KIND_OBJECT)
        scene->type.kind_type = NULL;
    return scene;
}

static void tear_down(struct scene *scene) {
    mt_types_destroy(scene->python.types);
    mt_view_destroy(scene->python.view);
    mt_vector_deinit(&scene->python.interpreters);
    mt_target_destroy(scene->target);
    free(scene);
}

static void poke(struct scene *scene, uint64_t address, int64_t offset, uint64_t word) {
    assert_true(offset >= 0 && address + (uint64_t)offset >= START && address + (uint64_t)offset + 8 <= START + SIZE);
    memcpy(scene->memory + (address + (uint64_t)offset - START), &word, sizeof word);
}
#define POKE(scene, address, structure, member, word)                                                                  \
    poke((scene), (address), MT_AT(&(scene)->python.layout, structure, member), (word))

static void note(void *context, const struct mt_edge *edge) {
    struct scene *scene = context;
    assert_int_not_equal(edge->target, 0);
    if (scene->count < MAX_SEEN)
        scene->seen[scene->count] = *edge;
    scene->count++;
}

/* The view keeps what it has read: every look has a new one. */
static void renew_view(struct scene *scene) {
    mt_view_destroy(scene->python.view);
    assert_ok(mt_view_create(scene->target, &scene->python.view));
    scene->count = 0;
}

static void visit(struct scene *scene, uint64_t address) {
    renew_view(scene);
    mt_edges_visit(&scene->python, address, &scene->type, note, scene);
}

static void expect(struct scene *scene, size_t index, uint64_t target, const char *link, bool counted) {
    struct mt_strbuf text = MT_STRBUF_INIT;
    assert_true(index < scene->count);
    assert_int_equal(scene->seen[index].target, target);
    mt_link_append(&scene->python, &scene->seen[index].link, &text);
    assert_string_equal(text.data, link);
    assert_int_equal(scene->seen[index].counted, counted);
    mt_strbuf_deinit(&text);
}

/* --- containers --------------------------------------------------------------------------------------------------- */

static void make_list(struct scene *scene, uint64_t count, uint64_t allocated, uint64_t items) {
    poke(scene, START, 16, count);
    POKE(scene, START, PyListObject, ob_item, items);
    POKE(scene, START, PyListObject, allocated, allocated);
}

static void items_of_a_list(void **state) {
    struct scene *scene = set_up(versions[2], MT_KIND_LIST);
    make_list(scene, 3, 4, START + 0x100);
    poke(scene, START + 0x100, 0, 0xa0);
    poke(scene, START + 0x100, 16, 0xa2);
    poke(scene, START + 0x100, 24, 0xbad);
    visit(scene, START);
    assert_int_equal(scene->count, 2);
    expect(scene, 0, 0xa0, "[0]", true);
    expect(scene, 1, 0xa2, "[2]", true);
    make_list(scene, 5, 4, START + 0x100); /* in the middle of a change */
    visit(scene, START);
    assert_int_equal(scene->count, 0);
    make_list(scene, 2, UINT64_MAX, START + SIZE - 8); /* the second item can't be read */
    poke(scene, START + SIZE - 8, 0, 0xa0);
    visit(scene, START);
    assert_int_equal(scene->count, 1);
    make_list(scene, UINT64_MAX - 1, UINT64_MAX, START + 0x100);
    visit(scene, START);
    assert_int_equal(scene->count, 0);
    tear_down(scene);
}

static void many_items_are_read_by_chunks(void **state) {
    struct scene *scene = set_up(versions[2], MT_KIND_LIST);
    make_list(scene, 2000, 2000, START + 0x100);
    for (uint64_t i = 0; i < 2000; i++)
        poke(scene, START + 0x100, (int64_t)(8 * i), 0x1000 + i);
    visit(scene, START);
    assert_int_equal(scene->count, 2000);
    expect(scene, 1999, 0x1000 + 1999, "[1999]", true);
    tear_down(scene);
}

static void items_of_a_tuple_in_every_version(void **state) {
    for (size_t i = 0; i < VERSIONS; i++) {
        struct scene *scene = set_up(versions[i], MT_KIND_TUPLE);
        poke(scene, START, 16, 2);
        poke(scene, START, MT_AT(&scene->python.layout, PyTupleObject, ob_item), 0xa0);
        poke(scene, START, MT_AT(&scene->python.layout, PyTupleObject, ob_item) + 8, 0xa1);
        visit(scene, START);
        assert_int_equal(scene->count, 2);
        expect(scene, 1, 0xa1, "[1]", true);
        tear_down(scene);
    }
}

static void deleted_elements_of_a_set_are_none(void **state) {
    struct scene *scene = set_up(versions[2], MT_KIND_SET);
    POKE(scene, START, PySetObject, mask, 7);
    POKE(scene, START, PySetObject, table, START + 0x100);
    poke(scene, START + 0x100, 16, 0xa1);
    poke(scene, START + 0x100, 24, 77);
    poke(scene, START + 0x100, 32, 0xbad); /* a placeholder, with the hash of one */
    poke(scene, START + 0x100, 40, UINT64_MAX);
    visit(scene, START);
    assert_int_equal(scene->count, 1);
    expect(scene, 0, 0xa1, "element", true);
    POKE(scene, START, PySetObject, mask, UINT64_MAX);
    visit(scene, START);
    assert_int_equal(scene->count, 0);
    tear_down(scene);
}

static void items_of_a_deque_across_blocks(void **state) {
    struct scene *scene = set_up(versions[2], MT_KIND_DEQUE);
    const uint64_t first = START + 0x1000, second = START + 0x2000;
    poke(scene, START, 16, 70);
    POKE(scene, START, dequeobject, leftblock, first);
    POKE(scene, START, dequeobject, leftindex, 60);
    for (int64_t i = 60; i < 64; i++)
        poke(scene, first, MT_AT(&scene->python.layout, deque_block, data) + 8 * i, 0x500 + (uint64_t)i);
    for (int64_t i = 0; i < 64; i++)
        poke(scene, second, MT_AT(&scene->python.layout, deque_block, data) + 8 * i, 0x600 + (uint64_t)i);
    POKE(scene, first, deque_block, rightlink, second);
    visit(scene, START);
    assert_int_equal(scene->count, 68); /* the third block is missing */
    expect(scene, 0, 0x500 + 60, "[0]", true);
    expect(scene, 4, 0x600, "[4]", true);
    POKE(scene, START, dequeobject, leftindex, 64);
    visit(scene, START);
    assert_int_equal(scene->count, 0);
    tear_down(scene);
}

/* --- dicts -------------------------------------------------------------------------------------------------------- */

/* A table of 8 places with two entries of keys 0xc0 and 0xc1, in the form of 3.11+; `kind`: dk_kind. */
static void make_keys(struct scene *scene, uint64_t keys, unsigned kind, uint64_t entry_size) {
    uint8_t *header = scene->memory + (keys - START);
    POKE(scene, keys, PyDictKeysObject, dk_refcnt, 2);
    header[MT_AT(&scene->python.layout, PyDictKeysObject, dk_log2_size)] = 3;
    header[MT_AT(&scene->python.layout, PyDictKeysObject, dk_log2_index_bytes)] = 3;
    header[MT_AT(&scene->python.layout, PyDictKeysObject, dk_kind)] = (uint8_t)kind;
    POKE(scene, keys, PyDictKeysObject, dk_usable, 3);
    POKE(scene, keys, PyDictKeysObject, dk_nentries, 2);
    uint64_t entries = keys + (uint64_t)MT_AT(&scene->python.layout, PyDictKeysObject, dk_indices) + 8;
    for (uint64_t i = 0; i < 2; i++)
        poke(scene, entries, (int64_t)(i * entry_size + (entry_size == 24 ? 8 : 0)), 0xc0 + i);
    if (kind == 2)
        return;
    for (uint64_t i = 0; i < 2; i++)
        poke(scene, entries, (int64_t)(i * entry_size + entry_size - 8), 0xd0 + i);
}

static void keys_and_values_of_a_dict(void **state) {
    struct scene *scene = set_up(versions[2], MT_KIND_DICT);
    POKE(scene, START, PyDictObject, ma_used, 2);
    POKE(scene, START, PyDictObject, ma_keys, START + 0x200);
    make_keys(scene, START + 0x200, 0, 24);
    visit(scene, START);
    assert_int_equal(scene->count, 4);
    expect(scene, 0, 0xc0, "key", true);
    assert_int_equal(scene->seen[1].target, 0xd0);
    assert_int_equal(scene->seen[1].link.form, MT_LINK_KEY);
    assert_int_equal(scene->seen[1].link.name, 0xc0);
    assert_int_equal(scene->seen[0].shared, 0);
    tear_down(scene);
}

/* All keys of the table, also those that this dict has no value for: whoever counts takes them from one owner. */
static void shared_keys_say_so(void **state) {
    struct scene *scene = set_up(versions[2], MT_KIND_DICT);
    POKE(scene, START, PyDictObject, ma_used, 1);
    POKE(scene, START, PyDictObject, ma_keys, START + 0x200);
    POKE(scene, START, PyDictObject, ma_values, START + 0x400);
    make_keys(scene, START + 0x200, 2, 16);
    poke(scene, START + 0x400, 8, 0xe1);
    visit(scene, START);
    assert_int_equal(scene->count, 3);
    assert_int_equal(scene->seen[0].target, 0xe1);
    assert_int_equal(scene->seen[0].link.name, 0xc1);
    for (size_t i = 1; i < 3; i++) {
        expect(scene, i, 0xc0 + i - 1, "key", true);
        assert_int_equal(scene->seen[i].shared, START + 0x200);
    }
    tear_down(scene);
}

static void interned_strings_are_held_weakly(void **state) {
    struct scene *scene = set_up(versions[2], MT_KIND_DICT);
    scene->python.interned = START;
    POKE(scene, START, PyDictObject, ma_used, 2);
    POKE(scene, START, PyDictObject, ma_keys, START + 0x200);
    make_keys(scene, START + 0x200, 0, 24);
    visit(scene, START);
    assert_int_equal(scene->count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(scene->seen[i].kind, MT_EDGE_WEAK);
        assert_false(scene->seen[i].counted);
    }
    tear_down(scene);
}

/* --- rings and lists that do not end ------------------------------------------------------------------------------ */

static void nodes_of_an_ordered_dict_are_as_many_as_its_keys(void **state) {
    struct scene *scene = set_up(versions[2], MT_KIND_ORDERED_DICT);
    POKE(scene, START, PyDictObject, ma_used, 2);
    POKE(scene, START, PyDictObject, ma_keys, START + 0x200);
    make_keys(scene, START + 0x200, 0, 24);
    POKE(scene, START, PyODictObject, od_first, START + 0x400);
    POKE(scene, START + 0x400, _odictnode, key, 0xc0);
    POKE(scene, START + 0x400, _odictnode, next, START + 0x400);
    visit(scene, START);
    assert_int_equal(scene->count, 6);
    expect(scene, 5, 0xc0, "key", true);
    tear_down(scene);
}

static void ring_of_a_cache_is_as_long_as_its_dict(void **state) {
    struct scene *scene = set_up(versions[2], MT_KIND_LRU_CACHE);
    const uint64_t cache = START + 0x800, element = START + 0x400;
    POKE(scene, START, lru_cache_object, cache, cache);
    POKE(scene, START, lru_cache_object, func, 0xf0);
    POKE(scene, cache, PyDictObject, ma_used, 2);
    POKE(scene, cache, PyDictObject, ma_keys, START + 0x200);
    make_keys(scene, START + 0x200, 0, 24);
    POKE(scene, START, lru_cache_object, root_next, element);
    POKE(scene, element, lru_list_elem, key, 0xa0);
    POKE(scene, element, lru_list_elem, result, 0xa1);
    POKE(scene, element, lru_list_elem, next, element);
    visit(scene, START);
    assert_int_equal(scene->count, 8);
    expect(scene, 0, 0xf0, "func", true);
    expect(scene, 1, cache, "cache", true);
    expect(scene, 2, element, "root", true);
    expect(scene, 3, 0xa0, "cache key", false); /* the element's reference */
    expect(scene, 4, 0xa1, "cache value", false);
    POKE(scene, element, lru_list_elem, next, START);
    visit(scene, START);
    assert_int_equal(scene->count, 5);
    tear_down(scene);
}

/* --- instances ---------------------------------------------------------------------------------------------------- */

static void slots_and_the_class_of_an_instance(void **state) {
    struct scene *scene = set_up(versions[2], MT_KIND_OBJECT);
    struct mt_member members[] = {{"first", 16}, {"second", 24}, {"alias", 24}, {"__weakref__", 32}};
    scene->type.members = members;
    scene->type.member_count = 4;
    scene->type.weak_offset = 32;
    scene->type.is_heap = scene->type.is_python_class = true;
    poke(scene, START, 24, 0xa1);
    poke(scene, START, 32, 0xbad);
    visit(scene, START);
    assert_int_equal(scene->count, 2);
    expect(scene, 0, 0xa1, ".second", true);
    expect(scene, 1, scene->type.address, "ob_type", true);
    tear_down(scene);
}

static void weak_references_do_not_count(void **state) {
    struct scene *scene = set_up(versions[2], MT_KIND_WEAKREF_REFERENCE);
    scene->python.none = 0x77;
    POKE(scene, START, PyWeakReference, wr_object, 0xa0);
    POKE(scene, START, PyWeakReference, wr_callback, 0xa1);
    visit(scene, START);
    assert_int_equal(scene->count, 2);
    expect(scene, 0, 0xa1, "wr_callback", true);
    expect(scene, 1, 0xa0, "wr_object", false);
    assert_int_equal(scene->seen[1].kind, MT_EDGE_WEAK);
    POKE(scene, START, PyWeakReference, wr_object, 0x77); /* dead */
    visit(scene, START);
    assert_int_equal(scene->count, 1);
    tear_down(scene);
}

/* --- plain types -------------------------------------------------------------------------------------------------- */

static struct scene *set_up_plain(uint32_t version, const char *name, uint16_t size) {
    struct scene *scene = set_up(version, MT_KIND_PLAIN);
    scene->type.basic_size = scene->python.layout.value[size];
    scene->type.plain = mt_plain_find(&scene->python.layout, name, scene->type.basic_size);
    assert_non_null(scene->type.plain);
    return scene;
}

static void time_zone_is_there_only_when_the_object_says_so(void **state) {
    struct scene *scene = set_up_plain(versions[2], "datetime.datetime", MT_FIELD_PyDateTime_DateTime__sizeof);
    POKE(scene, START, PyDateTime_DateTime, tzinfo, 0xa0);
    visit(scene, START);
    assert_int_equal(scene->count, 0);
    scene->memory[MT_AT(&scene->python.layout, PyDateTime_DateTime, hastzinfo)] = 1;
    visit(scene, START);
    assert_int_equal(scene->count, 1);
    expect(scene, 0, 0xa0, "tzinfo", true);
    tear_down(scene);
}

static void text_of_an_element_is_tagged(void **state) {
    struct scene *scene = set_up_plain(versions[2], "xml.etree.ElementTree.Element", MT_FIELD_ElementObject__sizeof);
    POKE(scene, START, ElementObject, text, 0xa0 | 1);
    POKE(scene, START, ElementObject, extra, START + 0x100);
    POKE(scene, START + 0x100, ElementObjectExtra, attrib, 0xa1);
    POKE(scene, START + 0x100, ElementObjectExtra, children, START + 0x200);
    POKE(scene, START + 0x100, ElementObjectExtra, length, 1);
    POKE(scene, START + 0x100, ElementObjectExtra, allocated, 4);
    poke(scene, START + 0x200, 0, 0xa2);
    visit(scene, START);
    assert_int_equal(scene->count, 3);
    expect(scene, 0, 0xa0, "text", true);
    expect(scene, 1, 0xa1, "attrib", true);
    expect(scene, 2, 0xa2, "children[0]", true);
    tear_down(scene);
}

static void values_of_tee_that_were_not_read_are_none(void **state) {
    struct scene *scene = set_up_plain(versions[2], "itertools._tee_dataobject", MT_FIELD_teedataobject__sizeof);
    POKE(scene, START, teedataobject, values, 0xa0);
    poke(scene, START, MT_AT(&scene->python.layout, teedataobject, values) + 8, 0xbad);
    POKE(scene, START, teedataobject, numread, 1);
    visit(scene, START);
    assert_int_equal(scene->count, 1);
    POKE(scene, START, teedataobject, numread, 58);
    visit(scene, START);
    assert_int_equal(scene->count, 0);
    tear_down(scene);
}

static void ring_of_a_queue_goes_round(void **state) {
    struct scene *scene = set_up_plain(versions[4], "_queue.SimpleQueue", MT_FIELD_simplequeueobject__sizeof);
    POKE(scene, START, simplequeueobject, buf_items, START + 0x100);
    POKE(scene, START, simplequeueobject, buf_items_cap, 4);
    POKE(scene, START, simplequeueobject, buf_get_idx, 3);
    POKE(scene, START, simplequeueobject, buf_num_items, 2);
    for (int64_t i = 0; i < 4; i++)
        poke(scene, START + 0x100, 8 * i, 0xa0 + (uint64_t)i);
    visit(scene, START);
    assert_int_equal(scene->count, 2);
    expect(scene, 0, 0xa3, "[0]", true);
    expect(scene, 1, 0xa0, "[1]", true);
    tear_down(scene);
}

static void types_of_another_size_are_not_ours(void **state) {
    struct scene *scene = set_up(versions[2], MT_KIND_PLAIN);
    int64_t size = MT_AT(&scene->python.layout, zipobject, sizeof);
    assert_non_null(mt_plain_find(&scene->python.layout, "zip", size));
    assert_null(mt_plain_find(&scene->python.layout, "zip", size + 8));
    assert_null(mt_plain_find(&scene->python.layout, "zap", size));
    tear_down(scene);
}

/* --- guesses ------------------------------------------------------------------------------------------------------ */

static bool chunk_of_64(void *context, uint64_t address, uint64_t *ret_size) {
    *ret_size = 64;
    return address == START + 0x1000;
}

static void guesses_leave_out_what_is_known(void **state) {
    struct scene *scene = set_up(versions[2], MT_KIND_UNKNOWN);
    struct mt_member members[] = {{"known", 24}};
    scene->type.members = members;
    scene->type.member_count = 1;
    scene->type.basic_size = 48;
    poke(scene, START, 16, START + 0x1000);
    poke(scene, START, 24, START + 0x1000);
    poke(scene, START, 32, START); /* itself */
    poke(scene, START, 40, START + 0x1001);
    poke(scene, START, 48, START + 0x1000);
    poke(scene, START + 0x1000, 8, START + 0x2000);
    poke(scene, START + 0x1000, 64, START + 0x2000);
    assert_true(mt_edges_has_guesses(&scene->type));
    renew_view(scene);
    mt_edges_guess(&scene->python, START, &scene->type, chunk_of_64, NULL, note, scene);
    assert_int_equal(scene->count, 1);
    expect(scene, 0, START + 0x2000, "block[1]", true);
    assert_int_equal(scene->seen[0].kind, MT_EDGE_GUESS);
    renew_view(scene);
    mt_edges_guess(&scene->python, START, &scene->type, NULL, NULL, note, scene);
    assert_int_equal(scene->count, 0);
    tear_down(scene);
}

static void state_of_a_module_is_as_large_as_its_definition_says(void **state) {
    struct scene *scene = set_up(versions[2], MT_KIND_MODULE);
    POKE(scene, START, PyModuleObject, md_def, START + 0x1000);
    POKE(scene, START, PyModuleObject, md_state, START + 0x2000);
    POKE(scene, START + 0x1000, PyModuleDef, m_size, 16);
    for (int64_t i = 0; i < 4; i++)
        poke(scene, START + 0x2000, 8 * i, START + 0x3000);
    renew_view(scene);
    mt_edges_guess(&scene->python, START, &scene->type, NULL, NULL, note, scene);
    assert_int_equal(scene->count, 2);
    POKE(scene, START + 0x1000, PyModuleDef, m_size, UINT64_MAX); /* it has none */
    renew_view(scene);
    mt_edges_guess(&scene->python, START, &scene->type, NULL, NULL, note, scene);
    assert_int_equal(scene->count, 0);
    tear_down(scene);
}

/* --- tables ------------------------------------------------------------------------------------------------------- */

/* Every member that a version has lies behind the header, aligned, and is in some version at all. */
static void members_of_kinds_are_members(void **state) {
    for (int kind = 0; kind < MT_KIND_COUNT; kind++) {
        const struct mt_plain_member *members = mt_kind_members((enum mt_kind)kind);
        for (size_t i = 0; i < MT_PLAIN_MEMBERS_MAX && members[i].link; i++) {
            bool exists = false;
            for (size_t v = 0; v < VERSIONS; v++) {
                struct mt_python_layout layout;
                assert_true(mt_python_layout_choose(versions[v], 0, &layout));
                int64_t offset = layout.value[members[i].field];
                exists |= offset >= 0;
                assert_true(offset < 0 || (offset >= 16 && offset % 8 == 0));
            }
            assert_true(exists);
        }
    }
}

/* --- hostile memory ----------------------------------------------------------------------------------------------- */

static uint64_t random_word(uint64_t *random) {
    static const uint64_t words[] = {0, 1, 7, 64, UINT64_MAX, UINT64_MAX - 7, (uint64_t)1 << 46, (uint64_t)1 << 62};
    switch (mt_test_random(random) % 4) {
    case 0:
        return words[mt_test_random(random) % 8];
    case 1:
        return mt_test_random(random) % 1024;
    default:
        return START + mt_test_random(random) % SIZE / 8 * 8;
    }
}

static void damaged_objects_of_every_kind(void **state) {
    uint64_t random = 11;
    for (size_t v = 0; v < VERSIONS; v++) {
        for (int kind = 0; kind < MT_KIND_COUNT; kind++) {
            struct scene *scene = set_up(versions[v], (enum mt_kind)kind);
            for (int round = 0; round < 8; round++) {
                for (uint64_t at = 0; at + 8 <= SIZE / 8; at += 8)
                    poke(scene, START, (int64_t)at, random_word(&random));
                scene->type.basic_size = (int64_t)(16 + mt_test_random(&random) % 256);
                scene->type.item_size = (int64_t)(mt_test_random(&random) % 64);
                scene->type.dict_offset = round % 2 ? -8 : 16;
                scene->type.flags = mt_test_random(&random);
                scene->type.is_exact = round % 3 != 0;
                if (kind == MT_KIND_PLAIN)
                    scene->type.plain = mt_plain_find(&scene->python.layout, "itertools._tee_dataobject",
                                                      MT_AT(&scene->python.layout, teedataobject, sizeof));
                visit(scene, START + 0x1000);
                mt_edges_guess(&scene->python, START + 0x1000, &scene->type, chunk_of_64, NULL, note, scene);
                visit(scene, START + SIZE - 16);
                visit(scene, UINT64_MAX - 7);
            }
            tear_down(scene);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_of_a_list),
        cmocka_unit_test(many_items_are_read_by_chunks),
        cmocka_unit_test(items_of_a_tuple_in_every_version),
        cmocka_unit_test(deleted_elements_of_a_set_are_none),
        cmocka_unit_test(items_of_a_deque_across_blocks),
        cmocka_unit_test(keys_and_values_of_a_dict),
        cmocka_unit_test(shared_keys_say_so),
        cmocka_unit_test(interned_strings_are_held_weakly),
        cmocka_unit_test(nodes_of_an_ordered_dict_are_as_many_as_its_keys),
        cmocka_unit_test(ring_of_a_cache_is_as_long_as_its_dict),
        cmocka_unit_test(slots_and_the_class_of_an_instance),
        cmocka_unit_test(weak_references_do_not_count),
        cmocka_unit_test(time_zone_is_there_only_when_the_object_says_so),
        cmocka_unit_test(text_of_an_element_is_tagged),
        cmocka_unit_test(values_of_tee_that_were_not_read_are_none),
        cmocka_unit_test(ring_of_a_queue_goes_round),
        cmocka_unit_test(types_of_another_size_are_not_ours),
        cmocka_unit_test(guesses_leave_out_what_is_known),
        cmocka_unit_test(state_of_a_module_is_as_large_as_its_definition_says),
        cmocka_unit_test(members_of_kinds_are_members),
        cmocka_unit_test(damaged_objects_of_every_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
