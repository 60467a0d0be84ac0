/* Marks: differences against plain recounting, which marks are found, and marks that are torn or lie. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image_builder.h"
#include "trace/marks.h"
#include "trace/rows.h"
#include "unit.h"

struct loaded {
    struct mt_target *target;
    struct mt_image *image;
    struct mt_marks marks;
};

static struct loaded load(struct image_builder *builder) {
    struct loaded loaded = {.target = builder_finish(builder)};
    assert_ok(mt_image_load(loaded.target, NULL, &loaded.image));
    assert_ok(mt_marks_load(loaded.image, NULL, &loaded.marks));
    return loaded;
}

static void unload(struct loaded *loaded) {
    mt_image_destroy(loaded->image);
    mt_target_destroy(loaded->target);
}

static struct mt_moment moment(const struct loaded *loaded, const char *word) {
    struct mt_moment found;
    assert_ok(mt_moment_find(loaded->image, &loaded->marks, word, &found));
    return found;
}

static struct mt_error *difference(const struct loaded *loaded, const char *from, const char *to, enum mt_group_by by,
                                   struct mt_rows **ret) {
    struct mt_moment a = moment(loaded, from), b = moment(loaded, to);
    return mt_rows_load_change(loaded->image, NULL, &loaded->marks, &a, &b, by, ret);
}

/* --- against recounting ------------------------------------------------------------------------------------------- */

#define MARKS 6
#define ORIGINS 12

struct origin {
    uint32_t stack;
    uint16_t thread;
    uint8_t allocator;
};

/* A random history, and what a diary of it says was alive at each mark: by thread and by allocator. */
struct history {
    struct image_builder builder;
    int64_t bytes[MARKS + 2][4][4]; /* [moment][thread][allocator]; moment 0: the start, MARKS + 1: now */
    int64_t blocks[MARKS + 2][4][4];
    struct {
        uint64_t address, size;
        uint16_t thread;
        uint8_t allocator;
        uint32_t generation;
    } live[400];
    size_t live_count;
};

static void note_moment(struct history *history, size_t index) {
    for (size_t i = 0; i < history->live_count; i++) {
        history->bytes[index][history->live[i].thread][history->live[i].allocator] += (int64_t)history->live[i].size;
        history->blocks[index][history->live[i].thread][history->live[i].allocator]++;
    }
}

static void make_history(struct history *history, uint64_t seed) {
    struct image_builder *builder = &history->builder;
    struct origin origins[ORIGINS];
    uint32_t sites[ORIGINS] = {0};
    uint64_t random = seed * 991, address = 0x10000;
    builder_init(builder);
    uint32_t codes[3] = {builder_code(builder, "f", "a.py", 1), builder_code(builder, "g", "a.py", 9),
                         builder_code(builder, "h", "b.py", 1)};
    for (uint32_t i = 0; i < 3; i++)
        builder_thread(builder, 5000 + i, "worker");
    for (uint32_t i = 0; i < ORIGINS; i++)
        origins[i] = (struct origin){i % 5 == 0 ? 0 : builder_stack(builder, 0, codes[i % 3], i % 4),
                                     (uint16_t)(mt_test_random(&random) % 4), (uint8_t)(1 + i % 3)};
    for (size_t mark = 1; mark <= MARKS + 1; mark++) {
        memset(sites, 0, sizeof sites);
        for (uint64_t steps = mt_test_random(&random) % 60; steps > 0; steps--) {
            uint32_t i = (uint32_t)(mt_test_random(&random) % ORIGINS);
            if (mt_test_random(&random) % 2 == 0 && history->live_count > 0) {
                size_t victim = mt_test_random(&random) % history->live_count;
                builder_free(builder, history->live[victim].address);
                history->live[victim] = history->live[--history->live_count];
                continue;
            }
            if (sites[i] == 0)
                sites[i] = builder_site(builder, origins[i].stack, origins[i].thread, origins[i].allocator);
            uint64_t size = mt_test_random(&random) % 3 == 0 ? 100 : mt_test_random(&random) % 2000;
            address += 4096;
            builder_block(builder, address, size, sites[i]);
            history->live[history->live_count].address = address;
            history->live[history->live_count].size = size;
            history->live[history->live_count].thread = origins[i].thread;
            history->live[history->live_count].allocator = origins[i].allocator;
            history->live[history->live_count++].generation = builder->header.generation;
        }
        note_moment(history, mark);
        if (mark <= MARKS)
            builder_mark(builder, "");
    }
}

static void check_order(const struct mt_rows *rows) {
    for (size_t i = 0; i < rows->count; i++) {
        const struct mt_row *row = &rows->rows[i], *before = row - 1;
        assert_true(row->change.bytes != 0 || row->change.blocks != 0);
        if (i > 0)
            assert_true(mt_magnitude(before->change.bytes) >= mt_magnitude(row->change.bytes));
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(rows->rows[j].key, row->key);
    }
}

static void differences_agree_with_a_diary(void **state) {
    static const char *const words[] = {"start", "1", "2", "3", "4", "5", "6", "now"};
    for (uint64_t seed = 1; seed <= 25; seed++) {
        struct history *history = calloc(1, sizeof *history);
        assert_non_null(history);
        make_history(history, seed);
        struct loaded loaded = load(&history->builder);
        assert_int_equal(loaded.marks.count, MARKS);
        for (size_t pair = 0; pair < 64; pair++) {
            size_t a = pair / 8, b = pair % 8;
            for (unsigned by = MT_BY_STACK; by <= MT_BY_ALLOCATOR; by++) {
                struct mt_rows *rows;
                assert_ok(difference(&loaded, words[a], words[b], by, &rows));
                struct mt_change total = {0}, sum = {0};
                for (size_t t = 0; t < 4; t++)
                    for (size_t k = 0; k < 4; k++) {
                        total.bytes += history->bytes[b][t][k] - history->bytes[a][t][k];
                        total.blocks += history->blocks[b][t][k] - history->blocks[a][t][k];
                    }
                check_order(rows);
                for (size_t i = 0; i < rows->count; i++) {
                    struct mt_change here = {0};
                    sum.bytes += rows->rows[i].change.bytes;
                    sum.blocks += rows->rows[i].change.blocks;
                    for (size_t j = 0; j < 4; j++) {
                        size_t t = by == MT_BY_THREAD ? rows->rows[i].key : j;
                        size_t k = by == MT_BY_THREAD ? j : rows->rows[i].key;
                        if (by < MT_BY_THREAD)
                            continue;
                        here.bytes += history->bytes[b][t][k] - history->bytes[a][t][k];
                        here.blocks += history->blocks[b][t][k] - history->blocks[a][t][k];
                    }
                    if (by >= MT_BY_THREAD) {
                        assert_int_equal(rows->rows[i].change.bytes, here.bytes);
                        assert_int_equal(rows->rows[i].change.blocks, here.blocks);
                    }
                }
                assert_int_equal(sum.bytes, total.bytes);
                assert_int_equal(sum.blocks, total.blocks);
                assert_int_equal(rows->change.bytes, total.bytes);
                assert_int_equal(rows->change.blocks, total.blocks);
                mt_rows_destroy(rows);
            }
        }
        /* Born since each mark, and alive. */
        for (uint32_t since = 0; since <= MARKS; since++) {
            struct mt_rows *rows;
            uint64_t bytes = 0, blocks = 0;
            for (size_t i = 0; i < history->live_count; i++)
                if (history->live[i].generation >= since) {
                    bytes += history->live[i].size;
                    blocks++;
                }
            assert_ok(mt_rows_load(loaded.image, NULL, MT_ROWS_LIVE, MT_BY_LINE, since, &rows));
            assert_int_equal(rows->live.bytes, bytes);
            assert_int_equal(rows->live.blocks, blocks);
            mt_rows_destroy(rows);
        }
        unload(&loaded);
        builder_deinit(&history->builder);
        free(history);
    }
}

static void rows_of_a_difference_are_ordered(void **state) {
    struct image_builder builder;
    builder_init(&builder);
    uint32_t code = builder_code(&builder, "f", "x.py", 1);
    uint32_t shrunk = builder_site(&builder, builder_stack(&builder, 0, code, 1), 0, MT_MALLOC);
    builder_block(&builder, 0x10000, 500, shrunk);
    builder_block(&builder, 0x20000, 40, shrunk);
    builder_mark(&builder, "before");
    builder_free(&builder, 0x10000);
    static const uint64_t sizes[] = {500, 7, 900, 7, 0};
    for (uint32_t i = 0; i < 5; i++)
        builder_block(&builder, 0x30000 + 0x10000 * i, sizes[i],
                      builder_site(&builder, i == 4 ? 0 : builder_stack(&builder, 0, code, 20 - i), 0, MT_MALLOC));
    struct loaded loaded = load(&builder);
    struct mt_rows *rows;
    assert_ok(difference(&loaded, "before", "now", MT_BY_LINE, &rows));
    /* By how much, more before less, then blocks, then name. */
    static const struct {
        int64_t bytes, blocks;
        uint32_t line;
    } expected[] = {{900, 1, 18}, {500, 1, 20}, {-500, -1, 1}, {7, 1, 17}, {7, 1, 19}, {0, 1, 0}};
    assert_int_equal(rows->count, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(rows->rows[i].change.bytes, expected[i].bytes);
        assert_int_equal(rows->rows[i].change.blocks, expected[i].blocks);
        assert_int_equal(mt_image_frame(loaded.image, rows->rows[i].key).line, expected[i].line);
    }
    /* What is shown of a row was born in between: not the 40 bytes that were there before. */
    assert_int_equal(rows->rows[0].sample_count, 1);
    assert_int_equal(rows->rows[0].sample[0].address, 0x50000);
    assert_int_equal(rows->rows[2].sample_count, 0);
    mt_rows_destroy(rows);
    unload(&loaded);
    builder_deinit(&builder);
}

/* --- which mark is meant ------------------------------------------------------------------------------------------ */

static void marks_are_found_by_number_and_name(void **state) {
    struct image_builder builder;
    builder_init(&builder);
    uint32_t site = builder_site(&builder, 0, 0, MT_MALLOC);
    for (uint32_t i = 1; i <= 20; i++) {
        char name[16];
        builder_block(&builder, 0x1000 * i, 10, site);
        snprintf(name, sizeof name, "m%u", i % 12);
        builder_mark(&builder, i % 12 == 0 ? "" : name);
    }
    struct loaded loaded = load(&builder);
    assert_int_equal(loaded.marks.count, MT_MARKS_KEPT);
    for (uint32_t i = 0; i < MT_MARKS_KEPT; i++)
        assert_int_equal(loaded.marks.list[i].generation, 5 + i);
    assert_int_equal(moment(&loaded, "m5").generation, 17); /* the latest of two */
    assert_int_equal(moment(&loaded, "m11").generation, 11);
    assert_int_equal(moment(&loaded, "12").kind, MT_MOMENT_MARK);
    assert_int_equal(moment(&loaded, "20").live_bytes, 200);
    assert_int_equal(moment(&loaded, "20").time, 20000000000);
    assert_int_equal(moment(&loaded, "4").kind, MT_MOMENT_FORGOTTEN);
    assert_int_equal(moment(&loaded, "start").generation, 0);
    assert_int_equal(moment(&loaded, "now").kind, MT_MOMENT_NOW);
    struct mt_moment found;
    static const char *const wrong[] = {"m12", "21", "0", "05", "-1", "99999999999999999999", "4294967297", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_error(mt_moment_find(loaded.image, &loaded.marks, wrong[i], &found), MT_ERROR_NOT_FOUND,
                     "`: there are 5 m5, 6 m6, 7 m7, 8 m8, 9 m9, 10 m10, 11 m11, 12, 13 m1, ");
    struct mt_rows *rows;
    assert_error(difference(&loaded, "4", "now", MT_BY_STACK, &rows), MT_ERROR_NOT_FOUND,
                 "mark 4 is not kept: there are 5 m5, ");
    unload(&loaded);
    builder_deinit(&builder);

    builder_init(&builder);
    loaded = load(&builder);
    assert_error(mt_moment_find(loaded.image, &loaded.marks, "1", &found), MT_ERROR_NOT_FOUND,
                 "there is no mark `1`: no mark is kept (`memtrace mark NAME` sets one)");
    unload(&loaded);
    builder_deinit(&builder);
}

static void pending_mark_shows_what_is_alive(void **state) {
    static const struct {
        uint32_t state, request, argument;
        bool pending;
    } cases[] = {
        {MT_RECORDING_ON, MT_REQUEST_MARK, 2, true},       {MT_RECORDING_ON, MT_REQUEST_MARK, 0, true},
        {MT_RECORDING_ON, MT_REQUEST_STOP, 2, true},       {MT_RECORDING_ON, MT_REQUEST_STOP, 0, false},
        {MT_RECORDING_ON, MT_REQUEST_MARK, 1, false}, /* done, and not yet taken back */
        {MT_RECORDING_STOPPED, MT_REQUEST_MARK, 2, false}, {MT_RECORDING_ON, MT_REQUEST_START, 2, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct image_builder builder;
        builder_init(&builder);
        builder_block(&builder, 0x1000, 10, builder_site(&builder, 0, 0, MT_MALLOC));
        builder_mark(&builder, "first");
        builder_block(&builder, 0x2000, 30, builder_site(&builder, 0, 0, MT_MALLOC));
        builder.header.state = cases[i].state;
        builder.header.request = cases[i].request;
        builder.header.request_argument = cases[i].argument;
        strcpy(builder.header.request_name, "second");
        struct loaded loaded = load(&builder);
        assert_int_equal(loaded.marks.count, cases[i].pending ? 2 : 1);
        if (cases[i].pending) {
            struct mt_rows *rows;
            assert_int_equal(moment(&loaded, "second").kind, MT_MOMENT_PENDING);
            assert_int_equal(moment(&loaded, "2").kind, MT_MOMENT_PENDING);
            assert_ok(difference(&loaded, "second", "now", MT_BY_STACK, &rows));
            assert_int_equal(rows->count, 0);
            mt_rows_destroy(rows);
            assert_ok(difference(&loaded, "1", "2", MT_BY_STACK, &rows));
            assert_int_equal(rows->change.bytes, 30);
            assert_int_equal(rows->rows[0].sample[0].address, 0x2000);
            mt_rows_destroy(rows);
        }
        unload(&loaded);
        builder_deinit(&builder);
    }
}

/* A slot whose thread was gone got another one. */
static void thread_that_is_gone_is_not_taken_for_another(void **state) {
    struct image_builder builder;
    builder_init(&builder);
    builder_block(&builder, 0x1000, 5, builder_site(&builder, 0, 0, MT_MALLOC));
    uint16_t slot = (uint16_t)builder_thread(&builder, 5001, "first");
    builder_block(&builder, 0x2000, 100, builder_site(&builder, 0, slot, MT_MALLOC));
    builder_mark(&builder, "");
    builder_free(&builder, 0x2000);
    builder.threads.data[slot].tid = 5002;
    strcpy(builder.threads.data[slot].name, "second");
    builder.threads.data[slot].start_event = builder.header.shards[0].events;
    builder_block(&builder, 0x3000, 40, builder_site(&builder, 0, slot, MT_MALLOC));
    struct loaded loaded = load(&builder);
    struct mt_rows *rows;
    assert_ok(difference(&loaded, "1", "now", MT_BY_THREAD, &rows));
    assert_int_equal(rows->count, 2);
    assert_int_equal(rows->rows[0].key, MT_THREAD_GONE);
    assert_int_equal(rows->rows[0].change.bytes, -100);
    assert_int_equal(rows->rows[1].key, slot);
    assert_int_equal(rows->rows[1].change.bytes, 40);
    mt_rows_destroy(rows);
    unload(&loaded);
    builder_deinit(&builder);
}

/* --- marks that are torn or lie ----------------------------------------------------------------------------------- */

/* Two marks, and blocks around them. */
static void two_marks(struct image_builder *builder) {
    builder_init(builder);
    builder_block(builder, 0x1000, 10, builder_site(builder, 0, 0, MT_MALLOC));
    builder_mark(builder, "first");
    builder_block(builder, 0x2000, 30, builder_site(builder, 0, 0, MT_MALLOC));
    builder_mark(builder, "second");
}

static void torn_marks_are_no_marks(void **state) {
    struct image_builder builder;
    two_marks(&builder);
    builder.marks[1].record.generation = 0; /* being rewritten */
    struct loaded loaded = load(&builder);
    assert_int_equal(loaded.marks.count, 1);
    assert_int_equal(moment(&loaded, "1").kind, MT_MOMENT_FORGOTTEN);
    assert_int_equal(moment(&loaded, "second").generation, 2);
    unload(&loaded);
    builder_deinit(&builder);

    two_marks(&builder);
    builder.header.generation = 1; /* the second is written, and not yet announced */
    builder.header.request = MT_REQUEST_MARK;
    builder.header.request_argument = 2;
    strcpy(builder.header.request_name, "second");
    loaded = load(&builder);
    assert_int_equal(loaded.marks.count, 2);
    assert_int_equal(moment(&loaded, "second").kind, MT_MOMENT_PENDING);
    unload(&loaded);
    builder_deinit(&builder);
}

static void expect_damage(struct image_builder *builder, bool in_records, const char *part) {
    struct mt_target *target = builder_finish(builder);
    struct mt_image *image;
    struct mt_marks marks;
    assert_ok(mt_image_load(target, NULL, &image));
    struct mt_error *error = mt_marks_load(image, NULL, &marks);
    if (!in_records) {
        assert_ok(error);
        struct mt_moment first, now;
        struct mt_rows *rows;
        assert_ok(mt_moment_find(image, &marks, "first", &first));
        assert_ok(mt_moment_find(image, &marks, "now", &now));
        error = mt_rows_load_change(image, NULL, &marks, &first, &now, MT_BY_STACK, &rows);
    }
    assert_error(error, MT_ERROR_FORMAT, part);
    mt_image_destroy(image);
    mt_target_destroy(target);
    builder_deinit(builder);
}

static void hostile_marks_are_refused(void **state) {
    struct image_builder builder;
    two_marks(&builder);
    builder.marks[1].record.generation = 2;
    expect_damage(&builder, true, "a mark lies in the place of another");
    two_marks(&builder);
    builder.marks[1].sums.data[0].stack = 77;
    expect_damage(&builder, false, "a mark has a stack that is not there");
    two_marks(&builder);
    builder.marks[1].sums.data[0].thread = 1;
    expect_damage(&builder, false, "a mark has a thread that is not there");
    static const uint64_t counts[] = {UINT64_MAX, UINT64_MAX / 24, 1ULL << 60, 100000000};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        two_marks(&builder);
        builder.marks[1].record.sums = BUILDER_MEMORY;
        builder.marks[1].record.sum_count = counts[i];
        expect_damage(&builder, false, i == 0 || i == 2 ? "damaged" : "take more bytes than the process holds");
    }

    /* Sums that no addition can hold, a name without an end, and sums where nothing can be read. */
    two_marks(&builder);
    builder.marks[1].sums.data[0].bytes = INT64_MIN;
    builder.marks[2].sums.data[0].bytes = INT64_MAX;
    memset(builder.marks[2].record.name, 'x', MT_MARK_NAME);
    struct loaded loaded = load(&builder);
    struct mt_rows *rows;
    assert_int_equal(strlen(loaded.marks.list[1].name), MT_MARK_NAME - 1);
    for (unsigned by = MT_BY_STACK; by <= MT_BY_ALLOCATOR; by++) {
        assert_ok(difference(&loaded, "1", "2", by, &rows));
        mt_rows_destroy(rows);
        assert_ok(difference(&loaded, "2", "1", by, &rows));
        mt_rows_destroy(rows);
    }
    unload(&loaded);
    builder_deinit(&builder);
    two_marks(&builder);
    builder.marks[1].record.sums = 0x123000;
    builder.marks[1].record.sum_count = 1;
    loaded = load(&builder);
    assert_error(difference(&loaded, "1", "2", MT_BY_STACK, &rows), MT_ERROR_FAULT, "0x123000");
    unload(&loaded);
    builder_deinit(&builder);
}

static void too_many_marks_are_refused(void **state) {
    struct image_builder builder;
    two_marks(&builder);
    struct mt_target *target = builder_finish(&builder);
    struct mt_image_header *header = (struct mt_image_header *)builder.header_bytes;
    header->marks.count = MT_MARKS_KEPT + 1;
    struct mt_image *image;
    struct mt_marks marks;
    assert_ok(mt_image_load(target, NULL, &image));
    assert_error(mt_marks_load(image, NULL, &marks), MT_ERROR_FORMAT, "more marks than are kept");
    mt_image_destroy(image);
    mt_target_destroy(target);
    builder_deinit(&builder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences_agree_with_a_diary),
        cmocka_unit_test(rows_of_a_difference_are_ordered),
        cmocka_unit_test(marks_are_found_by_number_and_name),
        cmocka_unit_test(pending_mark_shows_what_is_alive),
        cmocka_unit_test(thread_that_is_gone_is_not_taken_for_another),
        cmocka_unit_test(torn_marks_are_no_marks),
        cmocka_unit_test(hostile_marks_are_refused),
        cmocka_unit_test(too_many_marks_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
