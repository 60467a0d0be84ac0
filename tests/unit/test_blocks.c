/* Live blocks: every one exactly once, wherever the recorder keeps it, also when it was stopped in the middle of an
 * event. */
#include <stdlib.h>
#include <string.h>

#include "base/hash_map.h"
#include "image_builder.h"
#include "synthetic_target.h"
#include "trace/blocks.h"
#include "unit.h"

struct seen {
    struct mt_hash_map sizes; /* by address; (size << 16 | site) + 1 */
    size_t count;
};

static void note(void *context, const struct mt_block *block) {
    struct seen *seen = context;
    bool is_new;
    assert_non_null(mt_hash_map_find_or_insert(&seen->sizes, block->address, block->size << 16 | block->site, &is_new));
    assert_true(is_new);
    seen->count++;
}

/* Builds, reads, and expects the builder's blocks and ranges (those of a site), `more` and nothing else. */
static struct mt_block_gaps check(struct image_builder *builder, const struct builder_block *more, size_t more_count) {
    struct mt_target *target = builder_finish(builder);
    struct mt_image *image;
    struct mt_block_gaps gaps;
    struct seen seen = {0};
    assert_ok(mt_image_load(target, NULL, &image));
    assert_ok(mt_blocks_visit(image, NULL, note, &seen, &gaps));
    size_t expected = more_count;
    for (size_t i = 0; i < builder->blocks.length + more_count; i++) {
        const struct builder_block *block =
            i < builder->blocks.length ? &builder->blocks.data[i] : &more[i - builder->blocks.length];
        const uint64_t *value = mt_hash_map_find(&seen.sizes, block->address);
        assert_non_null(value);
        assert_true(*value == (block->size << 16 | block->site));
    }
    expected += builder->blocks.length;
    for (size_t i = 0; i < builder->ranges.length; i++) {
        const struct mt_range *range = &builder->ranges.data[i];
        if (range->site == 0 || range->state == 0)
            continue;
        const uint64_t *value = mt_hash_map_find(&seen.sizes, range->start);
        assert_non_null(value);
        assert_true(*value == ((range->end - range->start) << 16 | range->site));
        expected++;
    }
    assert_int_equal(seen.count, expected);
    mt_hash_map_deinit(&seen.sizes);
    mt_image_destroy(image);
    mt_target_destroy(target);
    return gaps;
}

static uint32_t init(struct image_builder *builder) {
    builder_init(builder);
    return builder_site(builder, 0, 0, MT_MALLOC);
}

static void all_kinds_of_blocks_are_found(void **state) {
    struct image_builder builder;
    uint32_t site = init(&builder), other = builder_site(&builder, 0, 0, MT_MMAP);
    uint64_t random = 7;
    for (uint64_t i = 0; i < 3000; i++) {
        /* Four neighbourhoods, up to the top of 47 bits; aligned and not; sizes around every limit. */
        static const uint64_t bases[] = {0x10000, 0x555555000000, 0x7ffff0000000, 0x2aaaaaaa0000};
        static const uint64_t sizes[] = {0, 1, 16, 126, 127, 128, 4096, 0xffffffff, 0x100000000, 0x12345678901};
        uint64_t address = bases[mt_test_random(&random) % 4] + 32 * i + (mt_test_random(&random) % 4 == 0 ? 8 : 0);
        builder_block(&builder, address, sizes[mt_test_random(&random) % 10], i % 5 == 0 ? other : site);
    }
    builder_block(&builder, 0x7ffffffffff0, 127, site);
    for (uint64_t i = 0; i < 100; i++)
        builder_range(&builder, 0x600000000000 + 0x100000 * i, 0x600000000000 + 0x100000 * i + 1 + 977 * i,
                      i % 3 == 0 ? 0 : other);
    builder.ranges.data[50].state = 0;
    struct mt_block_gaps gaps = check(&builder, NULL, 0);
    assert_int_equal(gaps.strays, 0);
    assert_int_equal(gaps.unreadable_pages, 0);
    builder_deinit(&builder);
}

/* Sets the descriptor of thread 0. */
static void in_flight(struct image_builder *builder, uint32_t operation, struct builder_block old,
                      uint64_t new_address) {
    struct mt_thread *thread = &builder->threads.data[0];
    thread->operation = operation;
    thread->address = old.address;
    thread->size = old.size;
    thread->site = old.site;
    thread->new_address = new_address;
}

static void realloc_in_flight_counts_its_old_block(void **state) {
    const struct builder_block old = {0x5000, 300, 1};
    struct image_builder builder;
    init(&builder);
    builder_block(&builder, 0x6000, 40, 1);
    in_flight(&builder, MT_OP_REALLOCATE, old, 0);
    check(&builder, &old, 1);
    builder_deinit(&builder);
}

/* The successor: not yet there, there in the shadow, there in the block table, there at the old address. */
static void realloc_being_settled_counts_one_block(void **state) {
    const struct builder_block old = {0x5000, 300, 1};
    static const struct builder_block successors[] = {
        {0x7000, 100, 1}, {0x7008, 100, 1}, {0x7000, 5000, 1}, {0x5000, 400, 1}};
    for (size_t i = 0; i <= 4; i++) {
        struct image_builder builder;
        init(&builder);
        builder_block(&builder, 0x6000, 40, 1);
        if (i < 4)
            builder_block(&builder, successors[i].address, successors[i].size, 1);
        in_flight(&builder, MT_OP_SETTLE, old, i < 4 ? successors[i].address : 0x7000);
        check(&builder, &old, i < 4 ? 0 : 1);
        builder_deinit(&builder);
    }
}

/* The old address was handed out again by the real realloc before this thread could settle: it counts once. */
static void block_on_its_way_into_the_descriptor_counts_once(void **state) {
    for (int small = 0; small < 2; small++) {
        const struct builder_block old = {0x5000, small ? 20 : 2000, 1};
        struct image_builder builder;
        init(&builder);
        builder_block(&builder, old.address, old.size, 1);
        in_flight(&builder, MT_OP_REALLOCATE, old, old.address);
        check(&builder, NULL, 0);
        builder_deinit(&builder);
    }
}

static void add_size(void *context, const struct mt_block *block) {
    assert_int_equal(block->address, 0x5000);
    *(uint64_t *)context += block->size;
}

/* The real realloc has given the address up, another thread has it, and the realloc is not in the books yet. */
static void old_address_used_again_is_another_block(void **state) {
    struct image_builder builder;
    struct mt_image *image;
    struct mt_block_gaps gaps;
    uint64_t bytes = 0;
    init(&builder);
    builder_block(&builder, 0x5000, 20, 1);
    in_flight(&builder, MT_OP_REALLOCATE, (struct builder_block){0x5000, 300, 1}, 0);
    struct mt_target *target = builder_finish(&builder);
    assert_ok(mt_image_load(target, NULL, &image));
    assert_ok(mt_blocks_visit(image, NULL, add_size, &bytes, &gaps));
    assert_int_equal(bytes, 320);
    mt_image_destroy(image);
    mt_target_destroy(target);
    builder_deinit(&builder);
}

static void other_operations_add_nothing(void **state) {
    const uint32_t operations[] = {MT_IDLE, MT_OP_ALLOCATE, MT_OP_FREE, 77};
    for (size_t i = 0; i < 4; i++) {
        struct image_builder builder;
        init(&builder);
        builder_block(&builder, 0x6000, 40, 1);
        in_flight(&builder, operations[i], (struct builder_block){0x5000, 300, 1}, 0x7000);
        check(&builder, NULL, 0);
        builder_deinit(&builder);
    }
}

/* A block that is being moved between the shadow and the table stands in both. */
static void doubled_blocks_count_once(void **state) {
    for (int locked = 0; locked < 2; locked++) {
        struct image_builder builder;
        init(&builder);
        builder.doubled = true;
        for (uint64_t i = 0; i < 2000; i++)
            builder_block(&builder, 0x100000 + 48 * i, i % 200, 1);
        if (locked)
            builder.header.shards[0].lock = 1;
        else
            builder.threads.data[0].operation = MT_OP_ALLOCATE;
        check(&builder, NULL, 0);
        builder_deinit(&builder);
    }
}

static void blocks_of_unknown_sites_are_strays(void **state) {
    struct image_builder builder;
    uint32_t site = init(&builder), gone = builder_site(&builder, 0, 0, MT_MALLOC);
    builder_block(&builder, 0x5000, 64, site);
    builder_block(&builder, 0x6000, 64, gone);
    builder_block(&builder, 0x7000, 6400, gone);
    builder.sites.data[gone].state = 0;
    struct mt_target *target = builder_finish(&builder);
    struct mt_image *image;
    struct mt_block_gaps gaps;
    struct seen seen = {0};
    assert_ok(mt_image_load(target, NULL, &image));
    assert_ok(mt_blocks_visit(image, NULL, note, &seen, &gaps));
    assert_int_equal(seen.count, 1);
    assert_int_equal(gaps.strays, 2);
    mt_hash_map_deinit(&seen.sizes);
    mt_image_destroy(image);
    mt_target_destroy(target);
    builder_deinit(&builder);
}

/* A core that lacks a page of the tables: what is there is told, and that something is not. */
static void missing_pages_are_counted(void **state) {
    struct image_builder builder;
    init(&builder);
    for (uint64_t i = 0; i < 600; i++)
        builder_block(&builder, 0x100008 + 64 * i, 40, 1);
    for (uint64_t i = 0; i < 64; i++)
        builder_block(&builder, 0x400000 + 4096 * i, 16, 1);
    struct mt_target *target = builder_finish(&builder);
    struct mt_image_header *header = (struct mt_image_header *)builder.header_bytes;
    struct mt_image *image;
    struct mt_block_gaps gaps;
    struct seen seen = {0};
    assert_ok(mt_image_load(target, NULL, &image));
    /* The first table page, and the first leaf that an entry of the radix tree leads to. */
    uint64_t *directory =
        (uint64_t *)(builder.memory_bytes + (header->shards[0].table_pages.directory - BUILDER_MEMORY));
    *(uint64_t *)(builder.memory_bytes + (directory[0] - BUILDER_MEMORY)) = 0xdead0000;
    uint64_t table = header->shards[0].shadow_root;
    for (int level = 0; level < 3; level++) {
        uint64_t *entries = (uint64_t *)(builder.memory_bytes + (table - BUILDER_MEMORY));
        while (*entries == 0)
            entries++;
        table = MT_SHADOW_LEAF(*entries);
        if (level == 2)
            *entries = 0xdeae0000;
    }
    assert_ok(mt_blocks_visit(image, NULL, note, &seen, &gaps));
    assert_int_equal(gaps.unreadable_pages, 2);
    assert_int_equal(seen.count, 664 - 85 - 4);
    mt_hash_map_deinit(&seen.sizes);
    mt_image_destroy(image);
    mt_target_destroy(target);
    builder_deinit(&builder);
}

/* Whole pages are read in bulk: a debugger's read costs microseconds. */
static void reading_is_done_in_bulk(void **state) {
    struct image_builder builder;
    init(&builder);
    for (uint64_t i = 0; i < 300000; i++)
        builder_block(&builder, 0x10000000 + 16 * i, 16, 1);
    struct mt_target *target = builder_finish(&builder);
    struct mt_image *image;
    struct mt_block_gaps gaps;
    struct seen seen = {0};
    assert_ok(mt_image_load(target, NULL, &image));
    size_t before = mt_synthetic_target_reads(target);
    assert_ok(mt_blocks_visit(image, NULL, note, &seen, &gaps));
    assert_int_equal(seen.count, 300000);
    assert_true(mt_synthetic_target_reads(target) - before < 20);
    mt_hash_map_deinit(&seen.sizes);
    mt_image_destroy(image);
    mt_target_destroy(target);
    builder_deinit(&builder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_kinds_of_blocks_are_found),
        cmocka_unit_test(realloc_in_flight_counts_its_old_block),
        cmocka_unit_test(realloc_being_settled_counts_one_block),
        cmocka_unit_test(block_on_its_way_into_the_descriptor_counts_once),
        cmocka_unit_test(old_address_used_again_is_another_block),
        cmocka_unit_test(other_operations_add_nothing),
        cmocka_unit_test(doubled_blocks_count_once),
        cmocka_unit_test(blocks_of_unknown_sites_are_strays),
        cmocka_unit_test(missing_pages_are_counted),
        cmocka_unit_test(reading_is_done_in_bulk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
