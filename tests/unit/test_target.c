#include <stdio.h>
#include <string.h>

#include "synthetic_target.h"
#include "target/regions.h"
#include "unit.h"

static void reads_across_touching_regions(void **state) {
    struct mt_target *target = mt_synthetic_target_create();
    mt_synthetic_target_add(target, 0x1000, "abcdefgh", 8, MT_SYNTHETIC_READ, NULL);
    mt_synthetic_target_add(target, 0x1008, "ijklmnop", 8, MT_SYNTHETIC_READ, NULL);
    char text[17] = "";
    assert_ok(mt_target_read(target, 0x1000, text, 16));
    assert_string_equal(text, "abcdefghijklmnop");
    uint32_t half;
    uint64_t whole;
    assert_ok(mt_target_read_u32(target, 0x1004, &half));
    assert_int_equal(half, 0x68676665);
    assert_ok(mt_target_read_u64(target, 0x1004, &whole));
    assert_int_equal(whole, 0x6c6b6a6968676665);
    mt_target_destroy(target);
}

static void fault_names_the_first_byte_that_is_missing(void **state) {
    struct mt_target *target = mt_synthetic_target_create();
    mt_synthetic_target_add(target, 0x1000, NULL, 8, MT_SYNTHETIC_READ | MT_SYNTHETIC_WRITE, NULL);
    char text[17] = "untouched";
    struct mt_error *error = mt_target_read(target, 0x1004, text, 16);
    assert_int_equal(error->address, 0x1008);
    assert_error(error, MT_ERROR_FAULT, "0x1008");
    error = mt_target_write(target, 0x1004, text, 16);
    assert_int_equal(error->address, 0x1008);
    assert_error(error, MT_ERROR_FAULT, "0x1008");
    uint64_t value = 42;
    assert_error(mt_target_read_u64(target, 0x1008, &value), MT_ERROR_FAULT, "0x1008");
    assert_int_equal(value, 42);
    assert_error(mt_target_read(target, 0xfffffffffffffffcULL, text, 16), MT_ERROR_FAULT, "0xfffffffffffffffc");
    assert_ok(mt_target_read(target, 0, text, 0));
    mt_target_destroy(target);
}

static void symbols_are_found_or_not(void **state) {
    struct mt_target *target = mt_synthetic_target_create();
    mt_synthetic_target_add_symbol(target, "here", 0x77);
    uint64_t address = 1;
    assert_error(mt_target_find_symbol(target, "there", &address), MT_ERROR_NOT_FOUND, "there");
    assert_int_equal(address, 1);
    assert_ok(mt_target_find_symbol(target, "here", &address));
    assert_int_equal(address, 0x77);
    mt_target_destroy(target);
}

/* Random heaps of overlapping regions, against a table of which byte belongs to whom. */
static void settled_regions_are_in_order_and_apart(void **state) {
    uint64_t random = 7;
    for (int round = 0; round < 2000; round++) {
        struct mt_regions regions = MT_REGIONS_INIT;
        bool covered[64] = {false};
        int count = (int)(mt_test_random(&random) % 12);
        for (int i = 0; i < count; i++) {
            uint64_t start = mt_test_random(&random) % 60, end = start + mt_test_random(&random) % (64 - start);
            /* Offsets follow the address, so that a cut can be checked. */
            struct mt_region region = {
                .start = start, .end = end, .file_offset = 1000 + start, .held = end - start, .path = "path"};
            assert_ok(mt_regions_add(&regions, region, 4));
            memset(covered + start, 1, end - start);
        }
        mt_regions_settle(&regions);
        uint64_t end = 0, bytes = 0;
        for (size_t i = 0; i < regions.length; i++) {
            const struct mt_region *region = &regions.data[i];
            assert_true(region->start < region->end && region->start >= end);
            assert_int_equal(region->file_offset, 1000 + region->start);
            assert_int_equal(region->held, region->end - region->start);
            assert_ptr_equal(region->path, regions.data[0].path);
            end = region->end;
            bytes += region->end - region->start;
        }
        for (uint64_t address = 0; address < 64; address++) {
            const struct mt_region *region = mt_region_of(regions.data, regions.length, address);
            assert_int_equal(region != NULL, covered[address]);
            assert_true(!region || (region->start <= address && address < region->end));
            bytes -= covered[address];
        }
        assert_int_equal(bytes, 0);
        mt_regions_deinit(&regions);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_across_touching_regions),
        cmocka_unit_test(fault_names_the_first_byte_that_is_missing),
        cmocka_unit_test(symbols_are_found_or_not),
        cmocka_unit_test(settled_regions_are_in_order_and_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
