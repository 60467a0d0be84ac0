#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash_map.h"
#include "base/strbuf.h"
#include "base/string_table.h"
#include "base/vector.h"
#include "unit.h"

static void vector_keeps_what_is_pushed(void **state) {
    MT_VECTOR(uint32_t) vector = {0};
    for (uint32_t i = 0; i < 10000; i++)
        assert_true(mt_vector_push(&vector, i * 7));
    assert_int_equal(vector.length, 10000);
    for (uint32_t i = 0; i < 10000; i++)
        assert_int_equal(vector.data[i], i * 7);
    mt_vector_deinit(&vector);
    assert_null(vector.data);
}

static void vector_refuses_absurd_sizes(void **state) {
    MT_VECTOR(uint64_t) vector = {0};
    assert_true(mt_vector_push(&vector, 42));
    assert_false(mt_vector_reserve(&vector, (size_t)-1));
    assert_false(mt_vector_reserve(&vector, (size_t)-1 / 8 + 1));
    assert_int_equal(vector.length, 1);
    assert_int_equal(vector.data[0], 42);
    mt_vector_deinit(&vector);
}

/* Against a plain array: keys 0 to 4095, many of them never put in, in random order. */
static void hash_map_agrees_with_an_array(void **state) {
    enum { KEYS = 4096, STEP = 16 };
    static uint64_t values[KEYS];
    static bool present[KEYS];
    struct mt_hash_map map = MT_HASH_MAP_INIT;
    uint64_t random = 1;
    size_t count = 0;
    assert_null(mt_hash_map_find(&map, 0));
    assert_null(mt_hash_map_find(&map, 77));
    for (int i = 0; i < 20000; i++) {
        uint64_t number = mt_test_random(&random) % KEYS, value = mt_test_random(&random);
        bool is_new;
        uint64_t *slot = mt_hash_map_find_or_insert(&map, number * STEP, value, &is_new);
        assert_non_null(slot);
        assert_int_equal(is_new, !present[number]);
        assert_int_equal(*slot, present[number] ? values[number] : value);
        *slot = value + 1;
        count += is_new;
        present[number] = true;
        values[number] = value + 1;
    }
    assert_int_equal(mt_hash_map_count(&map), count);
    for (uint64_t number = 0; number < KEYS; number++) {
        uint64_t *slot = mt_hash_map_find(&map, number * STEP);
        assert_int_equal(slot != NULL, present[number]);
        if (slot)
            assert_int_equal(*slot, values[number]);
        assert_null(mt_hash_map_find(&map, number * STEP + 1));
    }
    size_t cursor = 0, walked = 0;
    uint64_t key, value, keys = 0;
    while (mt_hash_map_next(&map, &cursor, &key, &value)) {
        assert_int_equal(value, values[key / STEP]);
        walked++;
        keys += key / STEP;
    }
    for (uint64_t number = 0; number < KEYS; number++)
        keys -= present[number] ? number : 0;
    assert_int_equal(walked, count);
    assert_int_equal(keys, 0);
    mt_hash_map_deinit(&map);
}

static void string_table_numbers_equal_strings_once(void **state) {
    struct mt_string_table table = MT_STRING_TABLE_INIT;
    char text[32];
    uint32_t number;
    const char *first = NULL;
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 5000; i++) {
            snprintf(text, sizeof(text), "string number %u", i);
            assert_true(mt_string_table_add(&table, text, strlen(text), &number));
            assert_int_equal(number, i);
            assert_string_equal(mt_string_table_get(&table, number), text);
        }
        if (!first)
            first = mt_string_table_get(&table, 17);
        assert_ptr_equal(mt_string_table_get(&table, 17), first);
    }
    assert_int_equal(table.count, 5000);
    assert_true(mt_string_table_add(&table, "string number 1 and more", 15, &number));
    assert_int_equal(number, 1);
    assert_true(mt_string_table_add(&table, "", 0, &number));
    assert_int_equal(number, 5000);
    assert_true(mt_string_table_add(&table, "\0hidden", 7, &number));
    assert_int_equal(number, 5000);
    mt_string_table_deinit(&table);
}

static void strbuf_grows(void **state) {
    struct mt_strbuf buffer = MT_STRBUF_INIT;
    for (int i = 0; i < 1000; i++) {
        assert_true(mt_strbuf_printf(&buffer, "%d,", i));
        assert_true(mt_strbuf_append(&buffer, "ab"));
        assert_true(mt_strbuf_append_char(&buffer, '\n'));
        assert_int_equal(strlen(buffer.data), buffer.length);
    }
    assert_memory_equal(buffer.data, "0,ab\n1,ab\n", 10);
    assert_true(mt_strbuf_ok(&buffer));
    char *text = mt_strbuf_steal(&buffer);
    assert_int_equal(strlen(text), 10 * 1 + 90 * 2 + 900 * 3 + 1000 * 4);
    free(text);
    assert_null(buffer.data);
    text = mt_strbuf_steal(&buffer);
    assert_string_equal(text, "");
    free(text);
}

static void strbuf_remembers_a_failure(void **state) {
    struct mt_strbuf buffer = MT_STRBUF_INIT;
    assert_true(mt_strbuf_append(&buffer, "kept"));
    assert_false(mt_strbuf_append_bytes(&buffer, "x", (size_t)-1 / 2));
    assert_false(mt_strbuf_append(&buffer, "more"));
    assert_false(mt_strbuf_ok(&buffer));
    assert_string_equal(buffer.data, "kept");
    assert_null(mt_strbuf_steal(&buffer));
}

static void errors_are_one_line(void **state) {
    assert_error(mt_error_create(MT_ERROR_USAGE, "a\nb %d", 7), MT_ERROR_USAGE, "a b 7");
    assert_error(mt_error_system(2, "can't open %s", "x"), MT_ERROR_SYSTEM, "can't open x: No such file");
    struct mt_error *error = mt_error_fault(0x1234, "at %x", 0x1234u);
    assert_int_equal(error->address, 0x1234);
    assert_error(error, MT_ERROR_FAULT, "at 1234");
    mt_error_destroy(NULL);
    mt_error_destroy(&mt_error_no_memory);
    for (int code = MT_ERROR_NO_MEMORY; code <= MT_ERROR_UNSUPPORTED; code++)
        assert_string_not_equal(mt_error_code_name((enum mt_error_code)code), "unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vector_keeps_what_is_pushed),
        cmocka_unit_test(vector_refuses_absurd_sizes),
        cmocka_unit_test(hash_map_agrees_with_an_array),
        cmocka_unit_test(string_table_numbers_equal_strings_once),
        cmocka_unit_test(strbuf_grows),
        cmocka_unit_test(strbuf_remembers_a_failure),
        cmocka_unit_test(errors_are_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
