/* What answers look like: escaping, numbers, places cut to a width, tables, and JSON. */
#include <stdlib.h>
#include <string.h>

#include "output/emitter.h"
#include "output/place.h"
#include "output/text.h"
#include "unit.h"

#define expect(expected, call)                                                                                         \
    do {                                                                                                               \
        struct mt_strbuf out = MT_STRBUF_INIT;                                                                         \
        call;                                                                                                          \
        assert_true(mt_strbuf_ok(&out));                                                                               \
        assert_string_equal(out.data ? out.data : "", expected);                                                       \
        mt_strbuf_deinit(&out);                                                                                        \
    } while (0)

static void target_text_is_escaped(void **state) {
    expect("plain \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
           mt_text_escape(&out, "plain \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
    expect("a\\x1b[31mb\\x0ac\\x7f\\x9b", mt_text_escape(&out, "a\x1b[31mb\nc\x7f\xc2\x9b"));
    expect("\\u202e\\u2066\\u200f\\ufeff", mt_text_escape(&out, "\xe2\x80\xae\xe2\x81\xa6\xe2\x80\x8f\xef\xbb\xbf"));
    /* Lone continuation, truncated, overlong, surrogate, beyond Unicode. */
    expect("\\x80\\xe2\\x82", mt_text_escape(&out, "\x80\xe2\x82"));
    expect("\\xc0\\xaf\\xed\\xb2\\x80\\xf4\\x90\\x80\\x80",
           mt_text_escape(&out, "\xc0\xaf\xed\xb2\x80\xf4\x90\x80\x80"));
}

static void columns_are_counted(void **state) {
    assert_int_equal(mt_text_columns("abc"), 3);
    assert_int_equal(mt_text_columns("\xc3\xa9"), 1);
    assert_int_equal(mt_text_columns("\xe6\x97\xa5\xe6\x9c\xac"), 4);
    assert_int_equal(mt_text_columns(""), 0);
}

static void numbers_read_well(void **state) {
    expect("0", mt_text_count(&out, 0));
    expect("999", mt_text_count(&out, 999));
    expect("1,000", mt_text_count(&out, 1000));
    expect("18,446,744,073,709,551,615", mt_text_count(&out, UINT64_MAX));
    expect("1 byte", mt_text_size(&out, 1));
    expect("99,999 bytes", mt_text_size(&out, 99999));
    expect("0.1 MB", mt_text_size(&out, 100000));
    expect("400.1 MB", mt_text_size(&out, 400081234));
    expect("1.0 MB", mt_text_size(&out, 999999));
    expect("1,250.0 MB", mt_text_size(&out, 1250000000));
    expect("1.43 s", mt_text_seconds(&out, 1430000000));
    expect("0.021 s", mt_text_seconds(&out, 21400000));
    expect("1,000.00 s", mt_text_seconds(&out, 999999999999));
    expect("99.9 %", mt_text_percent(&out, 99999, 100000));
    expect("100.0 %", mt_text_percent(&out, 5, 5));
    expect("33.3 %", mt_text_percent(&out, UINT64_MAX / 3, UINT64_MAX));
}

static const struct mt_frame chain[] = {
    {"duplicate_data", "/home/usr/code/holding.py", 29},
    {"process_data", "/home/usr/code/holding.py", 52},
    {"run", "/usr/lib/python3/runner.py", 100},
    {"<module>", "/usr/lib/python3/runner.py", 0},
};

static void places_fit_their_width(void **state) {
    expect("/home/usr/code/holding.py:29 <- process_data:52 <- run /usr/lib/python3/runner.py:100 <- module:?",
           mt_place_location(&out, chain, 4, 0));
    expect("/home/usr/code/holding.py:29 <- process_data:52 <- run /usr/lib/python3/runner.py:100 <- module:?",
           mt_place_location(&out, chain, 4, 97));
    expect("usr/code/holding.py:29 <- process_data:52 <- run lib/python3/runner.py:100 <- module:?",
           mt_place_location(&out, chain, 4, 96 - 5));
    expect("holding.py:29 <- process_data:52 <- run runner.py:100 <- module:?", mt_place_location(&out, chain, 4, 65));
    expect("holding.py:29 <- process_data:52 <- run runner.py:100 <- 1 more", mt_place_location(&out, chain, 4, 63));
    expect("holding.py:29 <- process_data:52 <- 2 more", mt_place_location(&out, chain, 4, 62));
    expect("holding.py:29 <- 3 more", mt_place_location(&out, chain, 4, 41));
    expect("holding.py:29", mt_place_location(&out, chain, 4, 21));
    expect("hol..:29", mt_place_location(&out, chain, 4, 8));
    for (size_t width = 8; width < 120; width++) {
        struct mt_strbuf out = MT_STRBUF_INIT;
        mt_place_location(&out, chain, 4, width);
        assert_true(mt_text_columns(out.data) <= width);
        mt_strbuf_deinit(&out);
    }
    expect("", mt_place_location(&out, chain, 0, 80));
}

static void names_fit_their_width(void **state) {
    expect("module", mt_place_function(&out, "<module>", 0));
    expect("Outer.method.<locals>.inner", mt_place_function(&out, "Outer.method.<locals>.inner", 27));
    expect("method.<locals>.inner", mt_place_function(&out, "Outer.method.<locals>.inner", 26));
    expect("inner", mt_place_function(&out, "Outer.method.<locals>.inner", 5));
    expect("a_..ame", mt_place_function(&out, "a_very_long_name", 7));
    expect("x.", mt_place_function(&out, "x.", 2));
    /* Wide characters are never cut in the middle. */
    for (size_t width = 2; width < 12; width++) {
        struct mt_strbuf out = MT_STRBUF_INIT;
        mt_place_function(&out, "\xe6\x97\xa5\xe6\x9c\xac\xe6\x97\xa5\xe6\x9c\xac\xe6\x97\xa5\xe6\x9c\xac", width);
        assert_true(mt_text_columns(out.data) <= width);
        uint32_t code;
        for (size_t i = 0, size; i < out.length; i += size)
            assert_true((size = mt_utf8_next(out.data + i, out.length - i, &code)) > 0);
        mt_strbuf_deinit(&out);
    }
    expect("/a/bb/c.py", mt_place_path(&out, "/a/bb/c.py", 10));
    expect("bb/c.py", mt_place_path(&out, "/a/bb/c.py", 8));
    expect("c..y", mt_place_path(&out, "/a/bb/cccc.py", 4));
}

static void emit_sample(struct mt_emitter *emitter) {
    static const struct mt_column columns[] = {{MT_COLUMN_HANDLE, "#", NULL},
                                               {MT_COLUMN_NUMBER, "bytes", "bytes"},
                                               {MT_COLUMN_NUMBER, NULL, "hidden"},
                                               {MT_COLUMN_TEXT, "state", "state"},
                                               {MT_COLUMN_STACK, "allocated by", "stack"}};
    mt_emit_line(emitter, "a headline that says %s in one sentence which is longer than sixty columns", "something");
    mt_emit_unsigned(emitter, "total", 1234567);
    mt_emit_string(emitter, "name", "caf\xc3\xa9 \xff\"\\\n");
    mt_emit_string(emitter, "nothing", NULL);
    mt_emit_boolean(emitter, "yes", true);
    mt_emit_seconds(emitter, "time", 1430000999);
    mt_emit_table_begin(emitter, "rows", columns, 5);
    for (size_t i = 0; i < 2; i++) {
        mt_emit_row_begin(emitter, MT_ROW_BOTH);
        mt_emit_cell_number(emitter, i + 1);
        mt_emit_cell_number(emitter, i == 0 ? 100000000 : 17);
        mt_emit_cell_number(emitter, 5);
        mt_emit_cell_text(emitter, i == 0 ? "alive" : "a\tb");
        mt_emit_cell_stack(emitter, chain + i, 2 - i);
        mt_emit_address(emitter, "address", 0x7f0000001000);
        mt_emit_row_end(emitter);
    }
    mt_emit_row_begin(emitter, MT_ROW_TEXT);
    mt_emit_cell_text(emitter, NULL);
    mt_emit_cell_number(emitter, 3);
    mt_emit_cell_number(emitter, 3);
    mt_emit_cell_text(emitter, NULL);
    mt_emit_cell_text(emitter, "3 other stacks");
    mt_emit_unsigned(emitter, "never", 1);
    mt_emit_row_end(emitter);
    mt_emit_table_end(emitter);
    mt_emit_place(emitter, "set in", chain, 3);
}

static void check_emitted(bool json, unsigned width, const char *expected) {
    struct mt_emitter emitter;
    mt_emitter_init(&emitter, json, width);
    emit_sample(&emitter);
    assert_true(mt_emitter_ok(&emitter));
    assert_string_equal(emitter.body.data, expected);
    mt_emitter_deinit(&emitter);
}

static void tables_fit_60_columns(void **state) {
    check_emitted(false, 60,
                  "a headline that says something in one sentence which is\n"
                  "    longer than sixty columns\n"
                  "  #        bytes  state   allocated by\n"
                  "  1  100,000,000  alive   dupli..e_data  holding.py:29\n"
                  "  2           17  a\\x09b  process_data   code/holding.py:52\n"
                  "               3          3 other stacks\n"
                  "set in duplicate_data holding.py:29 <- 2 more\n");
}

static void tables_fit_80_columns(void **state) {
    check_emitted(false, 80,
                  "a headline that says something in one sentence which is longer than sixty\n"
                  "    columns\n"
                  "  #        bytes  state   allocated by\n"
                  "  1  100,000,000  alive   duplicate_data  code/holding.py:29 <- process_data:52\n"
                  "  2           17  a\\x09b  process_data    /home/usr/code/holding.py:52\n"
                  "               3          3 other stacks\n"
                  "set in duplicate_data holding.py:29 <- process_data:52 <- run runner.py:100\n");
}

static void tables_spend_120_columns_on_paths(void **state) {
    check_emitted(false, 120,
                  "a headline that says something in one sentence which is longer than sixty columns\n"
                  "  #        bytes  state   allocated by\n"
                  "  1  100,000,000  alive   duplicate_data  /home/usr/code/holding.py:29 <- process_data:52\n"
                  "  2           17  a\\x09b  process_data    /home/usr/code/holding.py:52\n"
                  "               3          3 other stacks\n"
                  "set in duplicate_data /home/usr/code/holding.py:29 <- process_data:52 <- run "
                  "/usr/lib/python3/runner.py:100\n");
}

static void json_says_the_same(void **state) {
    check_emitted(true, 80,
                  "\"total\":1234567,\"name\":\"caf\xc3\xa9 "
                  "\\\\xff\\\"\\\\\\u000a\",\"nothing\":null,\"yes\":true,\"time\":1.430000,"
                  "\"rows\":["
                  "{\"bytes\":100000000,\"hidden\":5,\"state\":\"alive\",\"stack\":["
                  "{\"function\":\"duplicate_data\",\"file\":\"/home/usr/code/holding.py\",\"line\":29},"
                  "{\"function\":\"process_data\",\"file\":\"/home/usr/code/holding.py\",\"line\":52}],"
                  "\"address\":\"0x7f0000001000\"},"
                  "{\"bytes\":17,\"hidden\":5,\"state\":\"a\\u0009b\",\"stack\":["
                  "{\"function\":\"process_data\",\"file\":\"/home/usr/code/holding.py\",\"line\":52}],"
                  "\"address\":\"0x7f0000001000\"}]");
}

static void names_that_do_not_fit_stand_below(void **state) {
    static const struct mt_column columns[] = {{MT_COLUMN_HANDLE, "#", NULL}, {MT_COLUMN_NAME, "name", NULL}};
    static const char *const names[] = {"short", "a_name_that_is_too_long"};
    struct mt_emitter emitter;
    mt_emitter_init(&emitter, false, 24);
    mt_emit_table_begin(&emitter, "rows", columns, 2);
    mt_emit_row_remark(&emitter, "of no row");
    for (size_t i = 0; i < 2; i++) {
        mt_emit_row_begin(&emitter, MT_ROW_BOTH);
        mt_emit_cell_number(&emitter, i + 1);
        mt_emit_cell_value(&emitter, names[i], "a.py:3");
        mt_emit_row_end(&emitter);
        mt_emit_row_remark(&emitter, i == 0 ? "some words about it\n" : "");
    }
    mt_emit_table_end(&emitter);
    assert_true(mt_emitter_ok(&emitter));
    assert_string_equal(emitter.body.data, "  #  name\n"
                                           "  1  short  a.py:3\n"
                                           "     some words about\n"
                                           "     it\\x0a\n"
                                           "  2\n"
                                           "     a_name_that_is_too_long\n"
                                           "     a.py:3\n");
    mt_emitter_deinit(&emitter);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(target_text_is_escaped), cmocka_unit_test(columns_are_counted),
        cmocka_unit_test(numbers_read_well),      cmocka_unit_test(places_fit_their_width),
        cmocka_unit_test(names_fit_their_width),  cmocka_unit_test(tables_fit_60_columns),
        cmocka_unit_test(tables_fit_80_columns),  cmocka_unit_test(tables_spend_120_columns_on_paths),
        cmocka_unit_test(json_says_the_same),     cmocka_unit_test(names_that_do_not_fit_stand_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
