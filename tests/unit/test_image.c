/* The reader of the recorder's image: what it finds, what it refuses. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "image_builder.h"
#include "synthetic_target.h"
#include "trace/image.h"
#include "trace/rows.h"
#include "unit.h"

static struct mt_error *load(struct mt_target *target, struct mt_image **ret) {
    return mt_image_load(target, NULL, ret);
}

static void check_example(struct image_builder *builder) {
    struct mt_target *target = builder_finish(builder);
    struct mt_image *image;
    assert_ok(load(target, &image));
    assert_int_equal(image->address, BUILDER_IMAGE);
    assert_ok(mt_image_check_recorded(image));
    struct mt_frame_list list = {0};
    size_t count;
    assert_true(mt_image_stack(image, image->sites[2].stack, &list, &count));
    assert_int_equal(count, 3);
    assert_string_equal(list.frames[0].function, "subtract_scalar");
    assert_string_equal(list.frames[0].file, "/home/usr/code/holding.py");
    assert_int_equal(list.frames[0].line, 37);
    assert_string_equal(list.frames[1].function, "process_data");
    assert_int_equal(list.frames[1].line, 50);
    assert_string_equal(list.frames[2].function, "<module>");
    assert_string_equal(mt_image_thread_name(image, 0), "MainThread");
    assert_string_equal(mt_image_thread_name(image, 1), "Worker-1");
    assert_null(mt_image_thread_name(image, 2));
    struct mt_rows *rows;
    assert_ok(mt_rows_load(image, NULL, MT_ROWS_PEAK, MT_BY_STACK, 0, &rows));
    assert_int_equal(rows->live.bytes, builder->header.shards[0].live_bytes);
    assert_int_equal(rows->live.blocks, builder->header.shards[0].live_blocks);
    assert_int_equal(rows->peak.bytes, rows->live.bytes + 100000000);
    assert_int_equal(rows->count, 6);
    mt_rows_destroy(rows);
    mt_frame_list_deinit(&list);
    mt_image_destroy(image);
    mt_target_destroy(target);
}

static void image_is_found_by_symbol(void **state) {
    struct image_builder builder;
    builder_example(&builder);
    check_example(&builder);
    builder_deinit(&builder);
}

/* Without symbols, in a named and in an unnamed mapping, behind copies of the header that are not where they say. */
static void image_is_found_by_magic(void **state) {
    const char *const paths[] = {"/gone/libmemtrace-recorder.so (deleted)", NULL};
    for (size_t i = 0; i < 2; i++) {
        struct image_builder builder;
        builder_example(&builder);
        builder.symbol = false;
        builder.path = paths[i];
        struct mt_target *target = builder_finish(&builder);
        unsigned char *copy =
            mt_synthetic_target_add(target, 0x1000000, NULL, 5 << 20, MT_SYNTHETIC_READ | MT_SYNTHETIC_WRITE, NULL);
        memcpy(copy + 4096, builder.header_bytes, 4096);
        memcpy(copy + 100, builder.header_bytes, sizeof(struct mt_image_header));
        struct mt_image *image;
        assert_ok(load(target, &image));
        assert_int_equal(image->address, BUILDER_IMAGE);
        mt_image_destroy(image);
        mt_target_destroy(target);
        builder_deinit(&builder);
    }
}

static void symbol_of_something_else_is_not_trusted(void **state) {
    struct mt_target *target = mt_synthetic_target_create();
    mt_synthetic_target_add(target, 0x10000, NULL, 65536, MT_SYNTHETIC_READ | MT_SYNTHETIC_WRITE, NULL);
    mt_synthetic_target_add_symbol(target, MT_IMAGE_SYMBOL, 0x10000);
    struct mt_image *image;
    assert_error(load(target, &image), MT_ERROR_NOT_RECORDED, "memtrace record");
    mt_target_destroy(target);
}

static void newer_minor_with_longer_records_is_read(void **state) {
    struct image_builder builder;
    builder_example(&builder);
    builder.header.minor = MT_IMAGE_MINOR + 7;
    builder.extra_stride = 24;
    builder.extra_header = 512;
    check_example(&builder);
    builder_deinit(&builder);
}

static void chunks_of_any_size_are_read(void **state) {
    for (uint32_t shift = 0; shift < 12; shift += 3) {
        struct image_builder builder;
        builder_example(&builder);
        builder.chunk_shift = shift;
        check_example(&builder);
        builder_deinit(&builder);
    }
}

static void strings_of_many_chunks_are_read(void **state) {
    struct image_builder builder;
    builder_init(&builder);
    builder.header.string_chunk_shift = 7;
    char name[64];
    uint32_t sites[200];
    for (uint32_t i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "function_number_%" PRIu32, i);
        uint32_t code = builder_code(&builder, name, "/a/file.py", i + 1);
        sites[i] = builder_site(&builder, builder_stack(&builder, 0, code, i + 2), 0, MT_MALLOC);
    }
    struct mt_target *target = builder_finish(&builder);
    struct mt_image *image;
    assert_ok(load(target, &image));
    for (uint32_t i = 0; i < 200; i++) {
        struct mt_frame frame = mt_image_frame(image, image->nodes.data[image->sites[sites[i]].stack].place);
        snprintf(name, sizeof name, "function_number_%" PRIu32, i);
        assert_string_equal(frame.function, name);
        assert_string_equal(frame.file, "/a/file.py");
        assert_int_equal(frame.line, i + 2);
    }
    mt_image_destroy(image);
    mt_target_destroy(target);
    builder_deinit(&builder);
}

/* One call path that the recorder has twice: two code objects of one function, two instructions of one line. */
static void same_paths_become_one(void **state) {
    struct image_builder builder;
    builder_init(&builder);
    uint32_t first = builder_code(&builder, "f", "f.py", 1), again = builder_code(&builder, "f", "f.py", 9);
    uint32_t leaf = builder_code(&builder, "g", "f.py", 20);
    uint32_t a = builder_stack(&builder, 0, first, 3), b = builder_stack(&builder, 0, again, 3);
    uint32_t sites[] = {
        builder_site(&builder, builder_stack(&builder, a, leaf, 21), 0, MT_MALLOC),
        builder_site(&builder, builder_stack(&builder, b, leaf, 21), 0, MT_CALLOC),
        builder_site(&builder, builder_stack(&builder, a, leaf, 21), 0, MT_MALLOC),
        builder_site(&builder, builder_stack(&builder, a, leaf, 22), 0, MT_MALLOC),
    };
    for (uint32_t i = 0; i < 4; i++)
        builder_block(&builder, 0x5000 + 16 * i, 16, sites[i]);
    struct mt_target *target = builder_finish(&builder);
    struct mt_image *image;
    struct mt_rows *rows;
    assert_ok(load(target, &image));
    assert_ok(mt_rows_load(image, NULL, MT_ROWS_LIVE, MT_BY_STACK, 0, &rows));
    assert_int_equal(rows->count, 2);
    assert_int_equal(rows->rows[0].live.bytes, 48);
    assert_true(rows->rows[0].mixed_allocators);
    assert_false(rows->rows[0].mixed_threads);
    assert_int_equal(rows->rows[1].live.bytes, 16);
    mt_rows_destroy(rows);
    mt_image_destroy(image);
    mt_target_destroy(target);
    builder_deinit(&builder);
}

/* Builds the example, changed by `change`, and expects an error. */
static void expect_refusal(void (*change)(struct image_builder *builder), enum mt_error_code code, const char *part) {
    struct image_builder builder;
    builder_example(&builder);
    change(&builder);
    struct mt_target *target = builder_finish(&builder);
    struct mt_image *image;
    assert_error(load(target, &image), code, part);
    mt_target_destroy(target);
    builder_deinit(&builder);
}

static void foreign_major(struct image_builder *builder) {
    builder->header.major = 9;
    builder->header.minor = 3;
}

static void many_shards(struct image_builder *builder) {
    builder->header.shard_count = 4;
}

static void forward_parent(struct image_builder *builder) {
    builder->stacks.data[2].parent = 5;
}

static void unknown_code(struct image_builder *builder) {
    builder->stacks.data[2].code = 1000;
}

static void unknown_stack(struct image_builder *builder) {
    builder->sites.data[2].stack = 1000;
}

static void unknown_thread(struct image_builder *builder) {
    builder->sites.data[2].thread = 1000;
}

static void unknown_name(struct image_builder *builder) {
    builder->codes.data[1].function = 1 << 20;
}

static void wrong_images_are_refused(void **state) {
    expect_refusal(foreign_major, MT_ERROR_FORMAT, "version 9.3, this memtrace reads 2.x");
    expect_refusal(many_shards, MT_ERROR_UNSUPPORTED, "4 shards");
    expect_refusal(forward_parent, MT_ERROR_FORMAT, "damaged");
    expect_refusal(unknown_code, MT_ERROR_FORMAT, "damaged");
    expect_refusal(unknown_stack, MT_ERROR_FORMAT, "damaged");
    expect_refusal(unknown_thread, MT_ERROR_FORMAT, "damaged");
    expect_refusal(unknown_name, MT_ERROR_FORMAT, "damaged");
}

/* What a pool says about itself, after the image was built: nothing may be allocated for it. */
static void absurd_pools_are_refused(void **state) {
    struct image_builder builder;
    builder_example(&builder);
    struct mt_target *target = builder_finish(&builder);
    struct mt_image_header *header = (struct mt_image_header *)builder.header_bytes, before = *header;
    struct mt_pool_ref *const pools[] = {&header->codes, &header->stacks, &header->sites, &header->threads};
    struct mt_image *image;
    for (size_t i = 0; i < sizeof pools / sizeof pools[0]; i++) {
        pools[i]->count = 4000000000u;
        assert_error(load(target, &image), MT_ERROR_FORMAT, "more bytes than the process holds");
        pools[i]->count = UINT64_MAX;
        assert_error(load(target, &image), MT_ERROR_FORMAT, "damaged");
        *header = before;
        pools[i]->stride = 3;
        assert_error(load(target, &image), MT_ERROR_FORMAT, "damaged");
        pools[i]->stride = UINT32_MAX;
        assert_error(load(target, &image), MT_ERROR_FORMAT, "damaged");
        *header = before;
        pools[i]->chunk_shift = 63;
        assert_error(load(target, &image), MT_ERROR_FORMAT, "damaged");
        *header = before;
        pools[i]->directory = 0x10;
        assert_error(load(target, &image), MT_ERROR_FAULT, "0x10");
        *header = before;
    }
    header->string_bytes = UINT64_MAX;
    assert_error(load(target, &image), MT_ERROR_FORMAT, "damaged");
    *header = before;
    header->string_chunk_shift = 60;
    assert_error(load(target, &image), MT_ERROR_FORMAT, "damaged");
    *header = before;
    header->header_size = 16;
    assert_error(load(target, &image), MT_ERROR_FORMAT, "header");
    mt_target_destroy(target);
    builder_deinit(&builder);
}

static void states_without_a_recording_say_what_to_do(void **state) {
    const struct {
        uint32_t recording, request;
        const char *part;
    } cases[] = {{MT_RECORDING_NEVER, MT_REQUEST_NONE, "Use `memtrace record`"},
                 {MT_RECORDING_NEVER, MT_REQUEST_START, "begins at the next allocation"},
                 {MT_RECORDING_DORMANT, MT_REQUEST_NONE, "told to leave this program alone"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct image_builder builder;
        builder_init(&builder);
        builder.header.state = cases[i].recording;
        builder.header.request = cases[i].request;
        struct mt_target *target = builder_finish(&builder);
        struct mt_image *image;
        assert_ok(load(target, &image));
        assert_error(mt_image_check_recorded(image), MT_ERROR_NOT_RECORDED, cases[i].part);
        mt_image_destroy(image);
        mt_target_destroy(target);
        builder_deinit(&builder);
    }
}

static bool always(void *context) {
    return true;
}

static void search_can_be_interrupted(void **state) {
    struct mt_target *target = mt_synthetic_target_create();
    mt_synthetic_target_add(target, 0x10000000, NULL, 64 << 20, MT_SYNTHETIC_READ | MT_SYNTHETIC_WRITE, NULL);
    struct mt_watch watch = {.interrupted = always, .last = 1};
    struct mt_image *image;
    assert_error(mt_image_load(target, &watch, &image), MT_ERROR_INTERRUPTED, "interrupted");
    mt_target_destroy(target);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(image_is_found_by_symbol),
        cmocka_unit_test(image_is_found_by_magic),
        cmocka_unit_test(symbol_of_something_else_is_not_trusted),
        cmocka_unit_test(newer_minor_with_longer_records_is_read),
        cmocka_unit_test(chunks_of_any_size_are_read),
        cmocka_unit_test(strings_of_many_chunks_are_read),
        cmocka_unit_test(same_paths_become_one),
        cmocka_unit_test(wrong_images_are_refused),
        cmocka_unit_test(absurd_pools_are_refused),
        cmocka_unit_test(states_without_a_recording_say_what_to_do),
        cmocka_unit_test(search_can_be_interrupted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
