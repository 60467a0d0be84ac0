/* Rows: the composition of the peak, grouping, order and samples, against plain recounting. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image_builder.h"
#include "trace/rows.h"
#include "unit.h"

struct loaded {
    struct mt_target *target;
    struct mt_image *image;
};

static struct loaded load(struct image_builder *builder) {
    struct loaded loaded = {.target = builder_finish(builder)};
    assert_ok(mt_image_load(loaded.target, NULL, &loaded.image));
    return loaded;
}

static void unload(struct loaded *loaded) {
    mt_image_destroy(loaded->image);
    mt_target_destroy(loaded->target);
}

static struct mt_rows *rows_of(const struct loaded *loaded, enum mt_rows_of of, enum mt_group_by by) {
    struct mt_rows *rows;
    assert_ok(mt_rows_load(loaded->image, NULL, of, by, 0, &rows));
    return rows;
}

/* Random sites, half of them with numbers of their own at the peak, under every grouping. */
static void composition_agrees_with_recounting(void **state) {
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct image_builder builder;
        uint64_t random = seed * 77;
        builder_init(&builder);
        builder.header.shards[0].epoch = 5;
        uint32_t codes[4], stacks[12];
        for (uint32_t i = 0; i < 4; i++) {
            char name[16];
            snprintf(name, sizeof name, "f%u", i);
            codes[i] = builder_code(&builder, name, i % 2 == 0 ? "a.py" : "b.py", 10 * i);
        }
        for (uint32_t i = 0; i < 12; i++)
            stacks[i] = builder_stack(&builder, i > 3 ? stacks[mt_test_random(&random) % i] : 0, codes[i % 4],
                                      (uint32_t)(mt_test_random(&random) % 3));
        for (uint32_t i = 0; i < 3; i++)
            builder_thread(&builder, 5000 + i, "worker");
        uint64_t peak[30] = {0}, live[30] = {0}, peak_sum = 0, live_sum = 0;
        uint32_t peak_blocks = 0, live_blocks = 0;
        for (uint32_t i = 0; i < 30; i++) {
            uint32_t site =
                builder_site(&builder, mt_test_random(&random) % 4 == 0 ? 0 : stacks[mt_test_random(&random) % 12],
                             (uint16_t)(mt_test_random(&random) % 4), (uint8_t)(1 + mt_test_random(&random) % 3));
            for (uint64_t blocks = mt_test_random(&random) % 8; blocks > 0; blocks--) {
                uint64_t size = mt_test_random(&random) % 300;
                builder_block(&builder, 0x100000 * site + 512 * blocks, size, site);
                live[i] += size;
                live_blocks++;
            }
            peak[i] = live[i];
            uint32_t at_peak = builder.sites.data[site].blocks;
            if (mt_test_random(&random) % 2 == 0) {
                at_peak = (uint32_t)(mt_test_random(&random) % 9);
                peak[i] = at_peak > 0 ? mt_test_random(&random) % 5000 : 0;
                builder_at_peak(&builder, site, (int64_t)peak[i], at_peak);
            } else if (mt_test_random(&random) % 2 == 0) {
                builder_at_peak(&builder, site, 123456, 99);
                builder.sites.data[site].epoch = 4; /* of a peak that was overtaken */
            }
            peak_blocks += at_peak;
            peak_sum += peak[i];
            live_sum += live[i];
        }
        struct loaded loaded = load(&builder);
        for (unsigned by = MT_BY_STACK; by <= MT_BY_ALLOCATOR; by++) {
            for (unsigned of = MT_ROWS_PEAK; of <= MT_ROWS_LIVE; of++) {
                struct mt_rows *rows = rows_of(&loaded, of, by);
                assert_int_equal(rows->peak.bytes, peak_sum);
                assert_int_equal(rows->peak.blocks, peak_blocks);
                assert_int_equal(rows->live.bytes, live_sum);
                assert_int_equal(rows->live.blocks, live_blocks);
                uint64_t sum = 0;
                for (size_t i = 0; i < rows->count; i++) {
                    const struct mt_amount *amount = of == MT_ROWS_PEAK ? &rows->rows[i].peak : &rows->rows[i].live;
                    assert_true(amount->blocks > 0);
                    sum += amount->bytes;
                    if (i > 0) {
                        const struct mt_amount *before =
                            of == MT_ROWS_PEAK ? &rows->rows[i - 1].peak : &rows->rows[i - 1].live;
                        assert_true(before->bytes > amount->bytes ||
                                    (before->bytes == amount->bytes && before->blocks >= amount->blocks));
                        assert_int_not_equal(rows->rows[i].key, rows->rows[i - 1].key);
                    }
                }
                assert_int_equal(sum, of == MT_ROWS_PEAK ? peak_sum : live_sum);
                mt_rows_destroy(rows);
            }
            /* Every site by itself, recounted by the allocator that it names. */
            if (by == MT_BY_ALLOCATOR) {
                struct mt_rows *rows = rows_of(&loaded, MT_ROWS_PEAK, by);
                for (size_t r = 0; r < rows->count; r++) {
                    uint64_t sum = 0;
                    for (uint32_t i = 0; i < 30; i++)
                        sum += builder.sites.data[i + 1].allocator == rows->rows[r].key ? peak[i] : 0;
                    assert_int_equal(rows->rows[r].peak.bytes, sum);
                }
                mt_rows_destroy(rows);
            }
        }
        unload(&loaded);
        builder_deinit(&builder);
    }
}

static void sample_is_the_biggest_then_the_lowest(void **state) {
    struct image_builder builder;
    builder_init(&builder);
    uint32_t site = builder_site(&builder, 0, 0, MT_MALLOC), again = builder_site(&builder, 0, 0, MT_CALLOC);
    static const uint64_t sizes[] = {64, 100, 5000, 64, 100, 5000, 9000, 100, 64, 100};
    for (uint64_t i = 0; i < 10; i++)
        builder_block(&builder, 0x9000 - 0x100 * i, sizes[i], i % 2 == 0 ? site : again);
    struct loaded loaded = load(&builder);
    struct mt_rows *rows = rows_of(&loaded, MT_ROWS_LIVE, MT_BY_STACK);
    assert_int_equal(rows->count, 1);
    const struct mt_row *row = &rows->rows[0];
    assert_int_equal(row->sample_count, MT_SAMPLE_BLOCKS);
    static const uint64_t expected[][2] = {
        {9000, 0x8a00}, {5000, 0x8b00}, {5000, 0x8e00}, {100, 0x8700}, {100, 0x8900}};
    for (size_t i = 0; i < MT_SAMPLE_BLOCKS; i++) {
        assert_int_equal(row->sample[i].size, expected[i][0]);
        assert_int_equal(row->sample[i].address, expected[i][1]);
    }
    mt_rows_destroy(rows);
    unload(&loaded);
    builder_deinit(&builder);
}

/* Equal bytes and blocks: by name, whatever order the recorder met them in. */
static void ties_are_broken_by_name(void **state) {
    static const char *const names[] = {"delta", "alpha", "charlie", "bravo"};
    for (unsigned turn = 0; turn < 4; turn++) {
        struct image_builder builder;
        builder_init(&builder);
        for (unsigned i = 0; i < 4; i++) {
            unsigned which = (i + turn) % 4;
            uint32_t stack = builder_stack(&builder, 0, builder_code(&builder, names[which], "x.py", 1), 5);
            builder_block(&builder, 0x1000 + 64 * i, 50, builder_site(&builder, stack, 0, MT_MALLOC));
        }
        struct loaded loaded = load(&builder);
        static const char *const expected[] = {"alpha", "bravo", "charlie", "delta"};
        for (unsigned by = MT_BY_STACK; by <= MT_BY_LINE; by++) {
            struct mt_rows *rows = rows_of(&loaded, MT_ROWS_LIVE, by);
            for (unsigned i = 0; i < 4; i++) {
                uint32_t key = rows->rows[i].key;
                uint32_t place = by == MT_BY_STACK ? loaded.image->nodes.data[key].place : key;
                assert_string_equal(mt_image_frame(loaded.image, place).function, expected[i]);
            }
            mt_rows_destroy(rows);
        }
        unload(&loaded);
        builder_deinit(&builder);
    }
}

static void thread_at_the_peak_follows_the_epoch(void **state) {
    struct image_builder builder;
    builder_init(&builder);
    uint32_t f = builder_stack(&builder, 0, builder_code(&builder, "f", "x.py", 1), 2);
    uint32_t g = builder_stack(&builder, 0, builder_code(&builder, "g", "x.py", 5), 6);
    uint32_t at_peak = builder_site(&builder, f, 0, MT_MALLOC), last = builder_site(&builder, g, 0, MT_MALLOC);
    builder.header.shards[0].epoch = 3;
    builder.threads.data[0].peak_site = at_peak;
    builder.threads.data[0].last_site = last;
    const struct {
        uint64_t epoch;
        const char *function;
    } cases[] = {{3, "f"}, {2, "g"}};
    for (size_t i = 0; i < 2; i++) {
        builder.threads.data[0].peak_epoch = cases[i].epoch;
        struct loaded loaded = load(&builder);
        uint32_t node = mt_thread_at_peak(loaded.image, 0);
        assert_string_equal(mt_image_frame(loaded.image, loaded.image->nodes.data[node].place).function,
                            cases[i].function);
        unload(&loaded);
    }
    /* The site was used again, by another thread. */
    builder.sites.data[last].thread = (uint16_t)builder_thread(&builder, 99, "other");
    struct loaded loaded = load(&builder);
    assert_int_equal(mt_thread_at_peak(loaded.image, 0), 0);
    unload(&loaded);
    builder_deinit(&builder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(composition_agrees_with_recounting),
        cmocka_unit_test(sample_is_the_biggest_then_the_lowest),
        cmocka_unit_test(ties_are_broken_by_name),
        cmocka_unit_test(thread_at_the_peak_follows_the_epoch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
