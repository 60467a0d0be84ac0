/* Objects on made-up memory, in the layouts of all versions: counts, text, numbers, dictionaries, sizes, blocks; and
 * all of them with memory that makes no sense. (What real interpreters have is compared in tests/exam.) */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "heap/size.h"
#include "python/dict.h"
#include "python/object.h"
#include "python/str.h"
#include "synthetic_target.h"
#include "unit.h"

#define START 0x100000u
#define SIZE 0x40000u
#define UNREADABLE 0x10000000u
#define NO_INTERPRETER UNREADABLE

static const uint32_t versions[] = {0x030902f0, 0x030a0df0, 0x030b02f0, 0x030c01f0, 0x030d05f0, 0x030e08f0, 0x030f00f0};
#define VERSIONS (sizeof versions / sizeof versions[0])

struct scene {
    struct mt_target *target;
    struct mt_python python;
    uint8_t *memory; /* at START */
    uint64_t next;   /* free memory from here on */
};

#define LAYOUT(scene) (&(scene)->python.layout)

static void poke_bytes(struct scene *scene, uint64_t address, const void *bytes, size_t size) {
    assert_true(address >= START && address + size <= START + SIZE);
    memcpy(scene->memory + (address - START), bytes, size);
}

static void poke(struct scene *scene, uint64_t address, int64_t offset, uint64_t word) {
    assert_true(offset >= 0);
    poke_bytes(scene, address + (uint64_t)offset, &word, sizeof word);
}
#define POKE(scene, address, structure, member, word)                                                                  \
    poke((scene), (address), MT_AT(LAYOUT(scene), structure, member), (word))

static void poke_byte(struct scene *scene, uint64_t address, int64_t offset, uint8_t byte) {
    assert_true(offset >= 0);
    poke_bytes(scene, address + (uint64_t)offset, &byte, 1);
}

static uint64_t take(struct scene *scene, uint64_t size) {
    uint64_t address = scene->next;
    scene->next += (size + 15) / 16 * 16;
    assert_true(scene->next <= START + SIZE);
    return address;
}

static uint64_t take_text(struct scene *scene, const char *text) {
    uint64_t address = take(scene, strlen(text) + 1);
    poke_bytes(scene, address, text, strlen(text) + 1);
    return address;
}

/* A static type. */
static uint64_t take_type(struct scene *scene, const char *name, int64_t basic_size, int64_t item_size,
                          uint64_t more_flags) {
    uint64_t type = take(scene, (uint64_t)MT_AT(LAYOUT(scene), PyTypeObject, sizeof));
    uint64_t metatype = scene->python.type_type ? scene->python.type_type : type;
    poke(scene, type, MT_OB_REFCNT, 1);
    poke(scene, type, MT_OB_TYPE, metatype);
    POKE(scene, type, PyTypeObject, tp_name, take_text(scene, name));
    POKE(scene, type, PyTypeObject, tp_basicsize, (uint64_t)basic_size);
    POKE(scene, type, PyTypeObject, tp_itemsize, (uint64_t)item_size);
    POKE(scene, type, PyTypeObject, tp_flags, MT_TYPE_READY | more_flags);
    POKE(scene, type, PyTypeObject, tp_base, scene->python.object_type);
    return type;
}

static struct scene *set_up(uint32_t version) {
    struct scene *scene = calloc(1, sizeof *scene);
    assert_non_null(scene);
    scene->target = mt_synthetic_target_create();
    scene->memory =
        mt_synthetic_target_add(scene->target, START, NULL, SIZE, MT_SYNTHETIC_READ | MT_SYNTHETIC_WRITE, NULL);
    scene->next = START;
    assert_true(mt_python_layout_choose(version, 0, &scene->python.layout));
    scene->python.minor = mt_python_layout_minor(&scene->python.layout);
    assert_true(mt_vector_push(&scene->python.interpreters, (uint64_t)NO_INTERPRETER));
    scene->python.type_type = take_type(scene, "type", MT_AT(LAYOUT(scene), PyHeapTypeObject, sizeof), 40,
                                        MT_TYPE_TYPE_SUBCLASS | MT_TYPE_HAVE_GC);
    scene->python.object_type = take_type(scene, "object", MT_OBJECT_SIZE, 0, 0);
    assert_ok(mt_view_create(scene->target, &scene->python.view));
    assert_ok(mt_types_create(&scene->python, &scene->python.types));
    return scene;
}

static void tear_down(struct scene *scene) {
    mt_types_destroy(scene->python.types);
    mt_view_destroy(scene->python.view);
    mt_vector_deinit(&scene->python.interpreters);
    mt_target_destroy(scene->target);
    free(scene);
}

/* The view keeps what it has read: after each change there is a new one. */
static void renew_view(struct scene *scene) {
    mt_view_destroy(scene->python.view);
    assert_ok(mt_view_create(scene->target, &scene->python.view));
}

static uint64_t take_object(struct scene *scene, uint64_t type, uint64_t size) {
    uint64_t object = take(scene, size);
    poke(scene, object, MT_OB_REFCNT, 1);
    poke(scene, object, MT_OB_TYPE, type);
    return object;
}

static void assert_value(struct scene *scene, uint64_t object, size_t limit, const char *expected) {
    struct mt_strbuf text = MT_STRBUF_INIT;
    renew_view(scene);
    mt_value_append(&scene->python, object, limit, &text);
    assert_string_equal(text.data, expected);
    mt_strbuf_deinit(&text);
}

/* --- builders ------------------------------------------------------------------------------------------------------
 */

#define STR_TYPE_FLAGS ((uint64_t)1 << 28) /* Py_TPFLAGS_UNICODE_SUBCLASS */

static uint64_t take_str_type(struct scene *scene) {
    return take_type(scene, "str", MT_AT(LAYOUT(scene), PyUnicodeObject, sizeof), 0, STR_TYPE_FLAGS);
}

/* A compact str of code points of `kind` bytes. */
static uint64_t take_str(struct scene *scene, uint64_t type, const uint32_t *points, size_t length, unsigned kind,
                         bool ascii) {
    int64_t start =
        ascii ? MT_AT(LAYOUT(scene), PyASCIIObject, sizeof) : MT_AT(LAYOUT(scene), PyCompactUnicodeObject, sizeof);
    uint64_t str = take_object(scene, type, (uint64_t)start + (length + 1) * kind);
    POKE(scene, str, PyASCIIObject, length, length);
    poke(scene, str, MT_AT(LAYOUT(scene), PyASCIIObject, state), kind << 2 | 1u << 5 | (ascii ? 1u << 6 : 0));
    for (size_t i = 0; i < length; i++)
        poke_bytes(scene, str + (uint64_t)start + i * kind, &points[i], kind);
    return str;
}

static uint64_t take_ascii(struct scene *scene, uint64_t type, const char *text) {
    uint32_t points[64];
    size_t length = strlen(text);
    assert_true(length <= sizeof points / sizeof points[0]);
    for (size_t i = 0; i < length; i++)
        points[i] = (unsigned char)text[i];
    return take_str(scene, type, points, length, 1, true);
}

static uint64_t take_int_type(struct scene *scene) {
    return take_type(scene, "int", MT_AT(LAYOUT(scene), PyLongObject, sizeof), (int64_t)sizeof(uint32_t), 0);
}

static uint64_t take_int(struct scene *scene, uint64_t type, const uint32_t *digits, uint64_t count, bool negative) {
    bool is_new = scene->python.minor >= 12;
    int64_t start =
        is_new ? MT_AT(LAYOUT(scene), PyLongObject, long_value_ob_digit) : MT_AT(LAYOUT(scene), PyLongObject, ob_digit);
    uint64_t object = take_object(scene, type, (uint64_t)start + count * sizeof digits[0] + 8);
    if (is_new)
        poke(scene, object, MT_OB_SIZE, count << 3 | (count == 0 ? 1 : negative ? 2 : 0));
    else
        poke(scene, object, MT_OB_SIZE, negative ? 0 - count : count);
    if (count > 0)
        poke_bytes(scene, object + (uint64_t)start, digits, count * sizeof digits[0]);
    return object;
}

struct table {
    uint64_t keys;
    uint64_t entries;
    uint32_t entry_size;
};

/* An empty table of 8 places, that has room for 5 entries. */
static struct table take_table(struct scene *scene, bool unicode) {
    enum { LOG2_PLACES = 3, PLACES = 1 << LOG2_PLACES, ROOM = 5 };
    bool is_new = scene->python.minor >= 11;
    struct table table = {.entry_size = is_new && unicode ? 16 : 24};
    uint64_t header = (uint64_t)MT_AT(LAYOUT(scene), PyDictKeysObject, dk_indices);
    table.keys = take(scene, header + PLACES + ROOM * table.entry_size);
    table.entries = table.keys + header + PLACES;
    POKE(scene, table.keys, PyDictKeysObject, dk_refcnt, 1);
    POKE(scene, table.keys, PyDictKeysObject, dk_usable, ROOM);
    if (!is_new) {
        POKE(scene, table.keys, PyDictKeysObject, dk_size, PLACES);
        return table;
    }
    poke_byte(scene, table.keys, MT_AT(LAYOUT(scene), PyDictKeysObject, dk_log2_size), LOG2_PLACES);
    poke_byte(scene, table.keys, MT_AT(LAYOUT(scene), PyDictKeysObject, dk_log2_index_bytes), LOG2_PLACES);
    poke_byte(scene, table.keys, MT_AT(LAYOUT(scene), PyDictKeysObject, dk_kind), unicode);
    return table;
}

/* Value 0: a deleted entry. */
static void add_entry(struct scene *scene, const struct table *table, unsigned index, uint64_t key, uint64_t value) {
    uint64_t entry = table->entries + index * table->entry_size, key_at = entry + (table->entry_size == 24 ? 8 : 0);
    poke(scene, key_at, 0, key);
    poke(scene, key_at, 8, value);
    POKE(scene, table->keys, PyDictKeysObject, dk_nentries, index + 1);
    POKE(scene, table->keys, PyDictKeysObject, dk_usable, 5 - (index + 1));
}

static uint64_t take_dict(struct scene *scene, uint64_t type, const struct table *table, uint64_t used) {
    uint64_t dict = take_object(scene, type, (uint64_t)MT_AT(LAYOUT(scene), PyDictObject, sizeof));
    POKE(scene, dict, PyDictObject, ma_used, used);
    POKE(scene, dict, PyDictObject, ma_keys, table->keys);
    return dict;
}

static uint64_t take_dict_type(struct scene *scene) {
    return take_type(scene, "dict", MT_AT(LAYOUT(scene), PyDictObject, sizeof), 0, 0);
}

/* --- headers -------------------------------------------------------------------------------------------------------
 */

static void test_counts(void **state) {
    static const struct {
        unsigned minor;
        uint64_t word, count;
        bool immortal;
    } rows[] = {
        {9, 5, 5, false},
        {11, 999999999, 999999999, true},
        {10, 999999999, 999999999, false},
        {11, 800000000, 800000000, false},
        {12, 0xffffffff, 0xffffffff, true},
        {12, 0x100000003, 3, true}, /* counted on by an extension of the old stable ABI */
        {13, 7, 7, false},
        {14, 0x0005c0000000, 0xc0000000, true},
        {14, 0x0001000000000004, 4, false},
        {15, 0x00050000c0000000, 0xc0000000, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mt_python python = {.minor = rows[i].minor};
        struct mt_refcount refcount = mt_refcount_of(&python, rows[i].word);
        assert_int_equal(refcount.count, rows[i].count);
        assert_int_equal(refcount.immortal, rows[i].immortal);
    }
}

static void test_plausible(void **state) {
    for (size_t v = 0; v < VERSIONS; v++) {
        struct scene *scene = set_up(versions[v]);
        uint64_t object = take_object(scene, scene->python.object_type, MT_OBJECT_SIZE);
        uint64_t dead = take_object(scene, scene->python.object_type, MT_OBJECT_SIZE);
        poke(scene, dead, MT_OB_REFCNT, scene->python.minor >= 14 ? 0x7f1234567890 : 0);
        uint64_t foreign = take_object(scene, object, MT_OBJECT_SIZE);
        assert_true(mt_object_is_plausible(&scene->python, object));
        assert_false(mt_object_is_plausible(&scene->python, object + 4));
        assert_false(mt_object_is_plausible(&scene->python, dead));
        assert_false(mt_object_is_plausible(&scene->python, foreign));
        assert_false(mt_object_is_plausible(&scene->python, 0));
        assert_false(mt_object_is_plausible(&scene->python, UNREADABLE));
        tear_down(scene);
    }
}

/* In a list of the collector is only what its neighbour points back to. */
static void test_collector(void **state) {
    struct scene *scene = set_up(versions[2]);
    uint64_t type = take_type(scene, "list", MT_AT(LAYOUT(scene), PyListObject, sizeof), 0, MT_TYPE_HAVE_GC);
    uint64_t head = take(scene, MT_GC_HEAD_SIZE), list = take_object(scene, type, 64), other = take(scene, 16);
    poke(scene, head, 0, other);
    poke(scene, head, 8, other | 1);
    poke(scene, other, 8, head | 3);
    struct mt_gc_state gc = mt_object_gc_state(&scene->python, list, mt_object_type(&scene->python, list));
    assert_true(gc.has_gc && gc.watched && gc.finalized);
    poke(scene, other, 8, head + 16);
    renew_view(scene);
    gc = mt_object_gc_state(&scene->python, list, mt_object_type(&scene->python, list));
    assert_true(gc.has_gc && !gc.watched);
    assert_false(mt_object_has_gc(&scene->python, type, mt_object_type(&scene->python, type)));
    tear_down(scene);
}

/* --- text ----------------------------------------------------------------------------------------------------------
 */

static void test_text(void **state) {
    static const struct {
        uint32_t points[8];
        size_t length;
        unsigned kind;
        const char *text, *repr;
    } rows[] = {
        {{'a', '\'', 'b'}, 3, 1, "a'b", "\"a'b\""},
        {{'\'', '"', '\\'}, 3, 1, "'\"\\", "'\\'\"\\\\'"},
        {{'\n', 0x7f, 0xe9, 0xad}, 4, 1, "\n\x7f\xc3\xa9\xc2\xad", "'\\n\\x7f\xc3\xa9\\xad'"},
        {{0x20ac, 0xd800, 0x200b}, 3, 2, "\xe2\x82\xac\\ud800\xe2\x80\x8b", "'\xe2\x82\xac\\ud800\\u200b'"},
        {{0x1f600, 0xe0001}, 2, 4, "\xf0\x9f\x98\x80\xf3\xa0\x80\x81", "'\xf0\x9f\x98\x80\\U000e0001'"},
    };
    for (size_t v = 0; v < VERSIONS; v++) {
        struct scene *scene = set_up(versions[v]);
        uint64_t type = take_str_type(scene);
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            uint64_t str = take_str(scene, type, rows[i].points, rows[i].length, rows[i].kind, false);
            struct mt_strbuf text = MT_STRBUF_INIT;
            renew_view(scene);
            assert_true(mt_str_append(&scene->python, str, 100, &text));
            assert_string_equal(text.data, rows[i].text);
            mt_strbuf_deinit(&text);
            assert_value(scene, str, 100, rows[i].repr);
        }
        uint64_t word = take_ascii(scene, type, "abcdef");
        assert_value(scene, word, 4, "'abcd'...");
        assert_true(mt_str_equals(&scene->python, word, "abcdef"));
        assert_false(mt_str_equals(&scene->python, word, "abcde"));
        assert_false(mt_str_equals(&scene->python, type, "abcdef"));
        struct mt_strbuf text = MT_STRBUF_INIT;
        assert_true(mt_str_append(&scene->python, word, 3, &text));
        assert_string_equal(text.data, "abc...");
        mt_strbuf_deinit(&text);
        tear_down(scene);
    }
}

/* A length that no memory has, one that leads out of what is readable, a kind that there is not. */
static void test_damaged_text(void **state) {
    for (size_t v = 0; v < VERSIONS; v++) {
        struct scene *scene = set_up(versions[v]);
        uint64_t str = take_ascii(scene, take_str_type(scene), "abc");
        struct mt_str read;
        POKE(scene, str, PyASCIIObject, length, UINT64_MAX / 2);
        assert_false(mt_str_read(&scene->python, str, &read));
        POKE(scene, str, PyASCIIObject, length, SIZE * 2);
        struct mt_strbuf text = MT_STRBUF_INIT;
        renew_view(scene);
        assert_false(mt_str_append(&scene->python, str, SIZE * 4, &text));
        mt_strbuf_deinit(&text);
        poke(scene, str, MT_AT(LAYOUT(scene), PyASCIIObject, state), 3u << 2 | 3u << 5);
        renew_view(scene);
        assert_false(mt_str_read(&scene->python, str, &read));
        assert_value(scene, str, 100, "<unreadable>");
        tear_down(scene);
    }
}

/* --- numbers -------------------------------------------------------------------------------------------------------
 */

static void test_ints(void **state) {
    static const uint32_t largest[] = {0x3fffffff, 0x3fffffff, 7}, beyond[] = {0, 0, 8}, power[] = {0, 0, 0, 1u << 10};
    for (size_t v = 0; v < VERSIONS; v++) {
        struct scene *scene = set_up(versions[v]);
        uint64_t type = take_int_type(scene);
        int64_t value = 0;
        uint64_t zero = take_int(scene, type, NULL, 0, false), most = take_int(scene, type, largest, 3, false);
        uint64_t least = take_int(scene, type, beyond, 3, true), more = take_int(scene, type, beyond, 3, false);
        assert_true(mt_int_value(&scene->python, zero, &value));
        assert_int_equal(value, 0);
        assert_true(mt_int_value(&scene->python, most, &value));
        assert_int_equal(value, INT64_MAX);
        assert_true(mt_int_value(&scene->python, least, &value));
        assert_int_equal(value, INT64_MIN);
        assert_false(mt_int_value(&scene->python, more, &value));
        assert_false(mt_int_value(&scene->python, type, &value));
        assert_value(scene, zero, 50, "0");
        assert_value(scene, least, 50, "-9223372036854775808");
        uint64_t large = take_int(scene, type, power, 4, false);
        assert_value(scene, large, 50, "1267650600228229401496703205376");
        assert_value(scene, large, 10, "<int of 101 bits>");
        tear_down(scene);
    }
}

static void test_floats(void **state) {
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {0.1, "0.1"},
        {100.0, "100.0"},
        {123456.789, "123456.789"},
        {1e15, "1000000000000000.0"},
        {1e16, "1e+16"},
        {0.0001, "0.0001"},
        {0.00001, "1e-05"},
        {1.0 / 3, "0.3333333333333333"},
        {5e-324, "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {0x1p976, "6.386688990511104e+293"}, /* a power of two: its neighbours are not equally far */
        {9007199254740993.0, "9007199254740992.0"},
        {INFINITY, "inf"},
        {-INFINITY, "-inf"},
        {NAN, "nan"},
    };
    struct scene *scene = set_up(versions[0]);
    uint64_t type = take_type(scene, "float", MT_AT(LAYOUT(scene), PyFloatObject, sizeof), 0, 0);
    uint64_t complex_type = take_type(scene, "complex", MT_AT(LAYOUT(scene), PyComplexObject, sizeof), 0, 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t object = take_object(scene, type, 24);
        poke_bytes(scene, object + MT_OBJECT_SIZE, &rows[i].value, sizeof rows[i].value);
        assert_value(scene, object, 50, rows[i].text);
    }
    static const double parts[] = {1, -2.5, 0, 1};
    uint64_t number = take_object(scene, complex_type, 32), imaginary = take_object(scene, complex_type, 32);
    poke_bytes(scene, number + MT_OBJECT_SIZE, parts, 16);
    poke_bytes(scene, imaginary + MT_OBJECT_SIZE, parts + 2, 16);
    assert_value(scene, number, 50, "(1-2.5j)");
    assert_value(scene, imaginary, 50, "1j");
    tear_down(scene);
}

/* --- dictionaries --------------------------------------------------------------------------------------------------
 */

struct visited {
    uint64_t keys[8], values[8];
    size_t count, stop_after;
};

static bool note_entry(void *context, uint64_t key, uint64_t value, uint64_t index) {
    struct visited *visited = context;
    assert_true(visited->count < 8);
    visited->keys[visited->count] = key;
    visited->values[visited->count++] = value;
    return visited->count != visited->stop_after;
}

static void test_dict(void **state) {
    for (size_t v = 0; v < VERSIONS; v++) {
        for (int unicode = 0; unicode < 2; unicode++) {
            struct scene *scene = set_up(versions[v]);
            uint64_t str_type = take_str_type(scene), dict_type = take_dict_type(scene);
            uint64_t one = take_ascii(scene, str_type, "one"), two = take_ascii(scene, str_type, "two");
            struct table table = take_table(scene, unicode);
            add_entry(scene, &table, 0, one, two);
            add_entry(scene, &table, 1, one, 0);
            add_entry(scene, &table, 2, two, one);
            uint64_t dict = take_dict(scene, dict_type, &table, 2);
            struct visited all = {0}, first = {.stop_after = 1};
            assert_true(mt_dict_visit(&scene->python, dict, note_entry, &all));
            assert_int_equal(all.count, 2);
            assert_true(all.keys[0] == one && all.values[0] == two && all.keys[1] == two && all.values[1] == one);
            assert_true(mt_dict_visit(&scene->python, dict, note_entry, &first));
            assert_int_equal(first.count, 1);
            assert_true(mt_dict_get(&scene->python, dict, "two") == one);
            assert_true(mt_dict_get(&scene->python, dict, "three") == 0);
            assert_value(scene, dict, 100, "{'one': 'two', 'two': 'one'}");
            assert_value(scene, dict, 5, "{'one': 'two', ...}");
            tear_down(scene);
        }
    }
}

/* Values apart from the keys, as instances of one class share them. */
static void test_split_dict(void **state) {
    for (size_t v = 0; v < VERSIONS; v++) {
        struct scene *scene = set_up(versions[v]);
        unsigned minor = scene->python.minor;
        uint64_t str_type = take_str_type(scene), name = take_ascii(scene, str_type, "name");
        struct table table = take_table(scene, true);
        if (minor >= 11)
            poke_byte(scene, table.keys, MT_AT(LAYOUT(scene), PyDictKeysObject, dk_kind), 2);
        add_entry(scene, &table, 0, name, 0);
        add_entry(scene, &table, 1, name, 0);
        uint64_t dict = take_dict(scene, take_dict_type(scene), &table, 1), block = take(scene, 128),
                 values = block + 8;
        if (minor >= 13)
            poke_byte(scene, block, 0, 5); /* capacity */
        else if (minor >= 11)
            poke_byte(scene, block, 7, 8); /* what stands in front of the array */
        poke(scene, values, 8, str_type);
        POKE(scene, dict, PyDictObject, ma_values, minor >= 13 ? block : values);
        struct visited visited = {0};
        struct mt_dict read;
        renew_view(scene);
        assert_true(mt_dict_read(&scene->python, dict, &read));
        assert_true(read.values == values && !read.embedded);
        assert_true(mt_dict_visit(&scene->python, dict, note_entry, &visited));
        assert_int_equal(visited.count, 1);
        assert_true(visited.values[0] == str_type);
        if (minor == 11 || minor == 12) {
            uint64_t start, size;
            assert_true(mt_dict_values_block(&scene->python, values, read.keys.room, &start, &size));
            assert_true(start == block && size == 8 + 5 * 8);
        }
        tear_down(scene);
    }
}

static void test_damaged_dict(void **state) {
    for (size_t v = 0; v < VERSIONS; v++) {
        struct scene *scene = set_up(versions[v]);
        struct table table = take_table(scene, false);
        uint64_t dict = take_dict(scene, take_dict_type(scene), &table, 1);
        struct visited visited = {0};
        struct mt_dict read;
        /* More in use than entries; more entries than places. */
        assert_false(mt_dict_read(&scene->python, dict, &read));
        POKE(scene, table.keys, PyDictKeysObject, dk_nentries, 6);
        renew_view(scene);
        assert_false(mt_dict_read(&scene->python, dict, &read));
        /* A table that leads out of what can be read: what is readable is visited. */
        add_entry(scene, &table, 0, dict, dict);
        if (scene->python.minor >= 11) {
            poke_byte(scene, table.keys, MT_AT(LAYOUT(scene), PyDictKeysObject, dk_log2_size), 16);
            poke_byte(scene, table.keys, MT_AT(LAYOUT(scene), PyDictKeysObject, dk_log2_index_bytes), 17);
        } else {
            POKE(scene, table.keys, PyDictKeysObject, dk_size, 1 << 16);
        }
        renew_view(scene);
        assert_true(mt_dict_read(&scene->python, dict, &read));
        POKE(scene, table.keys, PyDictKeysObject, dk_nentries, 40000);
        POKE(scene, table.keys, PyDictKeysObject, dk_usable, 0);
        renew_view(scene);
        assert_false(mt_dict_visit(&scene->python, dict, note_entry, &visited));
        /* Keys nowhere. */
        POKE(scene, dict, PyDictObject, ma_keys, UNREADABLE);
        renew_view(scene);
        assert_false(mt_dict_visit(&scene->python, dict, note_entry, &visited));
        assert_int_equal(mt_object_own_size(&scene->python, dict, mt_object_type(&scene->python, dict)), 0);
        tear_down(scene);
    }
}

/* --- sizes and blocks ----------------------------------------------------------------------------------------------
 */

struct blocks {
    struct mt_owned_block seen[16];
    size_t count;
};

static void note_block(void *context, const struct mt_owned_block *block) {
    struct blocks *blocks = context;
    if (blocks->count < 16)
        blocks->seen[blocks->count] = *block;
    blocks->count++;
}

static void test_list_and_dict(void **state) {
    for (size_t v = 0; v < VERSIONS; v++) {
        struct scene *scene = set_up(versions[v]);
        uint64_t list_size = (uint64_t)MT_AT(LAYOUT(scene), PyListObject, sizeof);
        uint64_t type = take_type(scene, "list", (int64_t)list_size, 0, MT_TYPE_HAVE_GC);
        uint64_t list = take_object(scene, type, list_size), items = take(scene, 32);
        poke(scene, list, MT_OB_SIZE, 2);
        POKE(scene, list, PyListObject, ob_item, items);
        POKE(scene, list, PyListObject, allocated, 4);
        poke(scene, items, 0, list);
        renew_view(scene);
        const struct mt_type *read = mt_object_type(&scene->python, list);
        assert_int_equal(mt_object_own_size(&scene->python, list, read), 16 + list_size + 32);
        struct blocks blocks = {0};
        mt_object_blocks(&scene->python, list, read, note_block, &blocks);
        assert_int_equal(blocks.count, 2);
        assert_true(blocks.seen[0].address == list - 16 && blocks.seen[0].size == list_size + 16);
        assert_true(blocks.seen[1].address == items && blocks.seen[1].size == 32 && !blocks.seen[1].shared);
        assert_value(scene, list, 100, "[[...], <unreadable>]");

        struct table table = take_table(scene, true);
        uint64_t dict = take_dict(scene, take_dict_type(scene), &table, 0);
        uint64_t table_size = table.entries - table.keys + 5 * table.entry_size;
        renew_view(scene);
        read = mt_object_type(&scene->python, dict);
        assert_int_equal(mt_object_own_size(&scene->python, dict, read), 48 + table_size);
        POKE(scene, table.keys, PyDictKeysObject, dk_refcnt, 2);
        renew_view(scene);
        assert_int_equal(mt_object_own_size(&scene->python, dict, read), 48);
        blocks.count = 0;
        mt_object_blocks(&scene->python, dict, read, note_block, &blocks);
        assert_int_equal(blocks.count, 2);
        assert_true(blocks.seen[1].address == table.keys && blocks.seen[1].size == table_size && blocks.seen[1].shared);
        tear_down(scene);
    }
}

/* A list whose count of items the address space has no room for, a set of 2^60 places, a ring of blocks. */
static void test_impossible_sizes(void **state) {
    struct scene *scene = set_up(versions[3]);
    uint64_t list = take_object(scene, take_type(scene, "list", 40, 0, 0), 40);
    POKE(scene, list, PyListObject, allocated, UINT64_MAX / 8);
    poke(scene, list, MT_OB_SIZE, UINT64_MAX / 2);
    renew_view(scene);
    assert_int_equal(mt_object_own_size(&scene->python, list, mt_object_type(&scene->python, list)), 40);
    assert_value(scene, list, 100, "[]");
    uint64_t set = take_object(scene, take_type(scene, "set", 200, 0, 0), 200);
    POKE(scene, set, PySetObject, mask, UINT64_MAX / 2);
    POKE(scene, set, PySetObject, used, UINT64_MAX / 2);
    POKE(scene, set, PySetObject, table, START);
    renew_view(scene);
    assert_int_equal(mt_object_own_size(&scene->python, set, mt_object_type(&scene->python, set)), 200);
    uint64_t deque = take_object(scene, take_type(scene, "collections.deque", 216, 0, 0), 216), ring = take(scene, 528);
    poke(scene, deque, MT_OB_SIZE, 1000);
    POKE(scene, deque, dequeobject, leftblock, ring);
    POKE(scene, ring, deque_block, rightlink, ring);
    struct blocks blocks = {0};
    renew_view(scene);
    mt_object_blocks(&scene->python, deque, mt_object_type(&scene->python, deque), note_block, &blocks);
    assert_int_equal(blocks.count, 1 + (1000 + 63) / 64);
    tear_down(scene);
}

static const char *const all_names[] = {
#define NAME(kind, name, structure) name,
    MT_KINDS(NAME) MT_STORAGES(NAME)
#undef NAME
};

/* Every type that is known, with nonsense in its instances: words that are numbers, addresses of anything, or nothing.
 */
static void test_nonsense(void **state) {
    uint64_t random = 1;
    for (size_t v = 0; v < VERSIONS; v++) {
        struct scene *scene = set_up(versions[v]);
        uint64_t types[sizeof all_names / sizeof all_names[0]], area = 0;
        for (size_t i = 0; i < sizeof all_names / sizeof all_names[0]; i++)
            types[i] = take_type(scene, all_names[i], 1024, i % 2 ? 8 : 0, MT_TYPE_HAVE_GC | MT_TYPE_MANAGED_DICT);
        area = take(scene, 8192);
        for (unsigned round = 0; round < 4; round++) {
            for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
                for (unsigned word = 0; word < 8192 / 8; word++) {
                    uint64_t dice = mt_test_random(&random), value = 0;
                    if (dice % 4 == 1)
                        value = dice >> (dice >> 8) % 64;
                    else if (dice % 4 > 1)
                        value = START + (dice >> 8) % SIZE / 8 * 8;
                    poke(scene, area, word * 8, value);
                }
                poke(scene, area + 64, MT_OB_TYPE, types[i]);
                renew_view(scene);
                const struct mt_type *type = mt_object_type(&scene->python, area + 64);
                assert_non_null(type);
                struct mt_strbuf text = MT_STRBUF_INIT;
                struct blocks blocks = {0};
                mt_object_own_size(&scene->python, area + 64, type);
                mt_object_blocks(&scene->python, area + 64, type, note_block, &blocks);
                mt_value_append(&scene->python, area + 64, 200, &text);
                assert_true(text.length > 0 && text.length < 20000);
                mt_strbuf_deinit(&text);
            }
        }
        tear_down(scene);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),        cmocka_unit_test(test_plausible),
        cmocka_unit_test(test_collector),     cmocka_unit_test(test_text),
        cmocka_unit_test(test_damaged_text),  cmocka_unit_test(test_ints),
        cmocka_unit_test(test_floats),        cmocka_unit_test(test_dict),
        cmocka_unit_test(test_split_dict),    cmocka_unit_test(test_damaged_dict),
        cmocka_unit_test(test_list_and_dict), cmocka_unit_test(test_impossible_sizes),
        cmocka_unit_test(test_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
