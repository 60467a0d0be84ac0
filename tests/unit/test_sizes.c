/* Sizes as people write and read them. */
#include <stdint.h>

#include "commands/size_words.h"
#include "unit.h"

static void expect(const char *word, uint64_t bytes) {
    uint64_t parsed = 1;
    assert_true(mt_size_parse(word, &parsed));
    assert_int_equal(parsed, bytes);
}

static void sizes_are_powers_of_1000_or_1024(void **state) {
    expect("0", 0);
    expect("300000000", 300000000);
    expect("300M", 300000000);
    expect("300MB", 300000000);
    expect("300m", 300000000);
    expect("300Mi", UINT64_C(300) << 20);
    expect("300MiB", UINT64_C(300) << 20);
    expect("64K", 64000);
    expect("1.5G", 1500000000);
    expect("0.25Ki", 256);
    expect("2T", 2000000000000);
    expect("1Ti", UINT64_C(1) << 40);
    expect("12B", 12);
}

static void what_is_no_size_is_refused(void **state) {
    static const char *const words[] = {"",         "M",     "lots", "-1",  "1X",      "1MM",   "1.5",
                                        ".5M",      "1..5M", "0x10", "1 M", "1.0001K", "1Mib5", "30000000000000000000",
                                        "99999999T"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        uint64_t untouched = 7;
        assert_false(mt_size_parse(words[i], &untouched));
        assert_int_equal(untouched, 7);
    }
}

static void expect_text(uint64_t bytes, const char *text) {
    struct mt_strbuf out = MT_STRBUF_INIT;
    mt_size_append(&out, bytes);
    assert_string_equal(out.data, text);
    mt_strbuf_deinit(&out);
}

static void sizes_are_written_exactly(void **state) {
    expect_text(0, "0 bytes");
    expect_text(1, "1 byte");
    expect_text(999, "999 bytes");
    expect_text(4000, "4 kB");
    expect_text(300000000, "300 MB");
    expect_text(1500000000, "1.5 GB");
    expect_text(2000000000000, "2,000 GB");
    expect_text(314572800, "314,572,800 bytes");
    expect_text(1234567, "1,234,567 bytes");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_powers_of_1000_or_1024),
        cmocka_unit_test(what_is_no_size_is_refused),
        cmocka_unit_test(sizes_are_written_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
