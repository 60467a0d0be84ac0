/* Images that lie. Whatever is in the target's memory, a command ends with an answer or with an error of one line,
 * soon, and without taking more memory than the target holds. Meant to run under the sanitizers. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "fake_debugger.h"
#include "image_builder.h"
#include "memtrace.h"
#include "unit.h"

static const char *const lines[] = {"peak --json",
                                    "live",
                                    "live --by line",
                                    "peak --by thread --limit all",
                                    "status",
                                    "born 1",
                                    "born 0x7f3000000041",
                                    "live --by function --json",
                                    "status --json",
                                    "diff --by thread first",
                                    "diff --json 1 second",
                                    "live --since second"};

static void run_all(struct mt_session *session) {
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        const struct mt_answer *answer = mt_session_run(session, lines[i]);
        const char *text = mt_answer_text(answer);
        size_t length = mt_answer_length(answer);
        assert_int_equal(length, strlen(text));
        assert_true(length > 0);
        /* An error is one line; an answer consists of lines; neither has anything that steers a terminal. */
        if (mt_answer_status(answer) != 0)
            assert_null(strchr(text, '\n'));
        else
            assert_int_equal(text[length - 1], '\n');
        for (size_t at = 0; at < length; at++)
            assert_true((unsigned char)text[at] >= ' ' || text[at] == '\n');
    }
}

static uint64_t interesting(uint64_t *random) {
    static const uint64_t values[] = {
        0,          1,           2,          0x7f,      0xff,  0xffff, 0x7fffffff, 0x80000000,
        0xffffffff, 0x100000000, UINT64_MAX, INT64_MAX, 0xfff, 4096,   1ULL << 47, (1ULL << 63) | 1};
    switch (mt_test_random(random) % 4) {
    case 0:
        return values[mt_test_random(random) % (sizeof values / sizeof values[0])];
    case 1:
        return BUILDER_MEMORY + (mt_test_random(random) % 0x40000 & ~(uint64_t)7);
    case 2:
        return BUILDER_IMAGE + mt_test_random(random) % 0x2000;
    default:
        return mt_test_random(random) >> (mt_test_random(random) % 64);
    }
}

static void damage(unsigned char *bytes, size_t size, uint64_t *random) {
    for (uint64_t count = 1 + mt_test_random(random) % 4; count > 0; count--) {
        uint64_t value = interesting(random);
        size_t width = (size_t)1 << (mt_test_random(random) % 4), at = mt_test_random(random) % (size - 8);
        memcpy(bytes + (at & ~(width - 1)), &value, width);
    }
}

/* Places in `bytes` that are not zero: damage there is more likely to matter. */
static void damage_something(unsigned char *bytes, size_t size, uint64_t *random) {
    uint64_t value = interesting(random);
    for (size_t tries = 0; tries < 2000; tries++) {
        size_t at = mt_test_random(random) % (size - 8) & ~(size_t)3;
        if (bytes[at] != 0 || tries == 1999) {
            memcpy(bytes + at, &value, mt_test_random(random) % 2 == 0 ? 4 : 8);
            return;
        }
    }
}

static void damaged_images_never_harm(void **state) {
    struct image_builder builder;
    builder_example(&builder);
    builder_mark(&builder, "first");
    builder_range(&builder, 0x7f4000000000, 0x7f4000003000, 1);
    builder_mark(&builder, "second");
    builder_block(&builder, 0x7f5000000010, 5000, builder_site(&builder, 0, 0, MT_MALLOC));
    struct mt_target *target = builder_finish(&builder);
    struct fake_debugger debugger;
    fake_debugger_init(&debugger, target);
    struct mt_session *session = mt_session_create(&debugger.host, "/nowhere");
    unsigned char *header = malloc(builder.header_size), *memory = malloc(builder.memory_size);
    assert_true(session && header && memory);
    memcpy(header, builder.header_bytes, builder.header_size);
    memcpy(memory, builder.memory_bytes, builder.memory_size);
    uint64_t random = 20;
    time_t start = time(NULL);
    for (int round = 0; round < 4000; round++) {
        /* Half of the damage is behind the words without which there is no image at all. */
        if (round % 2 == 0)
            damage(builder.header_bytes + 32, sizeof(struct mt_image_header) - 32, &random);
        if (round % 3 == 0)
            damage(builder.memory_bytes, builder.memory_size, &random);
        for (int more = 0; more < 3 && round % 2 == 1; more++)
            damage_something(builder.memory_bytes, builder.memory_size, &random);
        debugger.generation++;
        run_all(session);
        memcpy(builder.header_bytes, header, builder.header_size);
        memcpy(builder.memory_bytes, memory, builder.memory_size);
    }
    assert_true(time(NULL) - start < 200);
    debugger.generation++;
    assert_int_equal(mt_answer_status(mt_session_run(session, "live")), 0);
    free(header);
    free(memory);
    mt_session_destroy(session);
    fake_debugger_deinit(&debugger);
    mt_target_destroy(target);
    builder_deinit(&builder);
}

/* A radix tree that leads back into itself: a walk of it would be 2^33 steps. */
static void shadow_that_bites_its_tail_ends(void **state) {
    struct image_builder builder;
    builder_example(&builder);
    struct mt_target *target = builder_finish(&builder);
    struct fake_debugger debugger;
    fake_debugger_init(&debugger, target);
    struct mt_session *session = mt_session_create(&debugger.host, "/nowhere");
    uint64_t root = builder.header.shards[0].shadow_root;
    uint64_t *entries = (uint64_t *)(builder.memory_bytes + (root - BUILDER_MEMORY));
    for (size_t i = 0; i < MT_SHADOW_ENTRIES; i++)
        entries[i] = root;
    time_t start = time(NULL);
    const struct mt_answer *answer = mt_session_run(session, "live");
    assert_int_equal(mt_answer_status(answer), 1);
    assert_non_null(strstr(mt_answer_text(answer), "damaged"));
    assert_true(time(NULL) - start < 10);
    mt_session_destroy(session);
    fake_debugger_deinit(&debugger);
    mt_target_destroy(target);
    builder_deinit(&builder);
}

/* Names from the target: control characters, bidi, broken UTF-8, very long. */
static void names_never_steer_the_terminal(void **state) {
    struct image_builder builder;
    builder_init(&builder);
    builder.header.string_chunk_shift = 16;
    char *longest = malloc(60001);
    assert_non_null(longest);
    memset(longest, '/', 60000);
    longest[60000] = '\0';
    const char *const names[] = {"\x1b]0;title\x07",
                                 "a\nb\r\tc",
                                 "\xe2\x80\xae"
                                 "dlrow",
                                 "\xff\xfe\x80",
                                 "<\xed\xb2\x80>",
                                 "",
                                 longest};
    for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        uint32_t stack = builder_stack(&builder, 0, builder_code(&builder, names[i], names[(i + 3) % 7], 1), i);
        builder_block(&builder, 0x5000 + 64 * i, 64, builder_site(&builder, stack, 0, MT_MALLOC));
    }
    strcpy(builder.threads.data[0].name, "\x1b[2J\xff");
    builder.threads.data[0].tid = 5;
    struct mt_target *target = builder_finish(&builder);
    struct fake_debugger debugger;
    fake_debugger_init(&debugger, target);
    struct mt_session *session = mt_session_create(&debugger.host, "/nowhere");
    run_all(session);
    const char *text = mt_answer_text(mt_session_run(session, "live --limit all"));
    assert_non_null(strstr(text, "\\x1b]0;title\\x07"));
    assert_non_null(strstr(text, "\\u202edlrow"));
    assert_null(strstr(text, "\xe2\x80\xae"));
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 80);
    free(longest);
    mt_session_destroy(session);
    fake_debugger_deinit(&debugger);
    mt_target_destroy(target);
    builder_deinit(&builder);
}

/* No image may make us take memory by the gigabyte: then this process could not. */
static int limit_memory(void **state) {
#if !defined(__SANITIZE_ADDRESS__)
    struct rlimit limit = {2ULL << 30, 2ULL << 30};
    return setrlimit(RLIMIT_AS, &limit);
#else
    return 0;
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_images_never_harm),
        cmocka_unit_test(shadow_that_bites_its_tail_ends),
        cmocka_unit_test(names_never_steer_the_terminal),
    };
    return cmocka_run_group_tests(tests, limit_memory, NULL);
}
