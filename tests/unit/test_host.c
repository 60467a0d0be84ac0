#include "target/host.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "child.h"
#include "synthetic_target.h"
#include "unit.h"

/* A debugger over a made-up memory. */
struct fake {
    struct mt_host host;
    struct mt_host_description description;
    struct mt_target *memory;
    size_t reads;
    size_t bytes_asked;
    int32_t read_status;
    bool all_or_nothing; /* as gdb reads */
    bool lies;           /* shows other bytes than there are */
    bool hides_regions;
};

static int32_t describe(void *context, struct mt_host_description *ret) {
    *ret = ((struct fake *)context)->description;
    return 0;
}

static int32_t fake_read(void *context, uint64_t address, void *buffer, uint64_t size, uint64_t *ret_got) {
    struct fake *fake = context;
    fake->reads++;
    fake->bytes_asked += size;
    assert_int_equal(*ret_got, 0);
    if (fake->read_status)
        return fake->read_status;
    size_t got = fake->memory->ops->read(fake->memory, address, buffer, size);
    if (fake->all_or_nothing && got < size)
        return -1;
    if (fake->lies && got)
        ((uint8_t *)buffer)[0] ^= 1;
    *ret_got = got;
    return 0;
}

static int32_t fake_regions(void *context, void (*emit)(void *, uint64_t, uint64_t, uint32_t, uint64_t, const char *),
                            void *cookie) {
    struct fake *fake = context;
    const struct mt_region *regions;
    size_t count;
    if (fake->hides_regions)
        return -1;
    assert_ok(mt_target_regions(fake->memory, &regions, &count));
    for (size_t i = count; i-- > 0;) /* a debugger promises no order */
        emit(cookie, regions[i].start, regions[i].end, 1u | (regions[i].writable ? 2u : 0), 0, regions[i].path);
    return 0;
}

static void fake_init(struct fake *fake) {
    *fake = (struct fake){
        .host = {.context = fake, .describe = describe, .read = fake_read, .regions = fake_regions},
        .description = {.kind = MT_HOST_REMOTE, .pid = 1, .executable = "/bin/x"},
        .memory = mt_synthetic_target_create(),
    };
}

static void small_reads_are_served_from_big_ones(void **state) {
    struct fake fake;
    fake_init(&fake);
    enum { SIZE = 1 << 20 };
    uint8_t *bytes = mt_synthetic_target_add(fake.memory, 0x10000000, NULL, SIZE, MT_SYNTHETIC_READ, "/lib/a");
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)(i * 31 >> 3);
    struct mt_target *target;
    assert_ok(mt_target_open_host(&fake.host, &target));
    for (size_t i = 0; i < SIZE; i += 8) {
        uint64_t word, expected;
        memcpy(&expected, bytes + i, 8);
        assert_ok(mt_target_read_u64(target, 0x10000000 + i, &word));
        assert_int_equal(word, expected);
    }
    assert_int_equal(fake.reads, SIZE / (64 << 10));
    assert_int_equal(fake.bytes_asked, SIZE);
    assert_string_equal(target->info.executable, "/bin/x");
    mt_target_destroy(target);
    mt_target_destroy(fake.memory);
}

/* Random reads over regions with odd ends and holes between them, from a debugger that fails what it can't read whole.
 */
static void reads_agree_at_every_edge(void **state) {
    for (int variant = 0; variant < 4; variant++) {
        struct fake fake;
        fake_init(&fake);
        fake.all_or_nothing = variant & 1;
        fake.hides_regions = variant & 2;
        uint64_t random = 3;
        for (int i = 0; i < 40; i++) {
            size_t size = 4096 * (1 + mt_test_random(&random) % 40);
            uint8_t *bytes = mt_synthetic_target_add(fake.memory, 0x20000 + (uint64_t)i * 0x30000, NULL, size,
                                                     MT_SYNTHETIC_READ | MT_SYNTHETIC_WRITE, NULL);
            for (size_t at = 0; at < size; at++)
                bytes[at] = (uint8_t)mt_test_random(&random);
        }
        mt_synthetic_target_add(fake.memory, 0xfffffffffffff000ULL, NULL, 0xfff, MT_SYNTHETIC_READ, NULL);
        struct mt_target *target;
        assert_ok(mt_target_open_host(&fake.host, &target));
        for (int i = 0; i < 3000; i++) {
            uint64_t address = mt_test_random(&random) % 0x800000;
            size_t size = mt_test_random(&random) % (i % 3 ? 64 : 100000);
            static uint8_t expected[100000], got[100000];
            struct mt_error *one = mt_target_read(fake.memory, address, expected, size);
            struct mt_error *other = mt_target_read(target, address, got, size);
            assert_int_equal(!one, !other);
            if (!one)
                assert_memory_equal(expected, got, size);
            else
                assert_int_equal(one->address, other->address);
            mt_error_destroy(one);
            mt_error_destroy(other);
        }
        uint64_t word;
        assert_ok(mt_target_read_u64(target, 0xfffffffffffffff0ULL, &word));
        mt_target_destroy(target);
        mt_target_destroy(fake.memory);
    }
}

static void ctrl_c_is_told_from_a_fault(void **state) {
    struct fake fake;
    fake_init(&fake);
    mt_synthetic_target_add(fake.memory, 0x1000, NULL, 4096, MT_SYNTHETIC_READ, NULL);
    struct mt_target *target;
    uint64_t word;
    assert_ok(mt_target_open_host(&fake.host, &target));
    fake.read_status = 1;
    assert_error(mt_target_read_u64(target, 0x1000, &word), MT_ERROR_INTERRUPTED, "interrupted");
    /* Nothing is read until somebody says that the next piece of work has begun. */
    fake.read_status = 0;
    assert_error(mt_target_read_u64(target, 0x1000, &word), MT_ERROR_INTERRUPTED, "interrupted");
    target->interrupted = false;
    fake.read_status = -1;
    assert_error(mt_target_read_u64(target, 0x1000, &word), MT_ERROR_FAULT, "0x1000");
    mt_target_destroy(target);
    mt_target_destroy(fake.memory);
}

static void refuses_what_is_no_stopped_process(void **state) {
    struct fake fake;
    fake_init(&fake);
    struct mt_target *target = NULL;
    fake.description.running = 1;
    assert_error(mt_target_open_host(&fake.host, &target), MT_ERROR_RUNNING, "stop it first");
    fake.description = (struct mt_host_description){.kind = MT_HOST_NONE};
    assert_error(mt_target_open_host(&fake.host, &target), MT_ERROR_NO_PROCESS, "no process");
    assert_null(target);
    mt_target_destroy(fake.memory);
}

static int wait_for_ever(void *argument) {
    mt_test_child_ready();
    while (pause())
        ;
    return 0;
}

/* A local process with a page of its own, also shown by the fake debugger; and the bytes of its stack, as the debugger
 * sees them. */
static void local_process_is_read_directly_when_it_is_the_same(void **state) {
    uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(page, MAP_FAILED);
    memset(page, 'd', 4096);
    pid_t pid = mt_test_child_start(wait_for_ever, NULL);
    memset(page, 'p', 4096); /* the debugger shows this; the child has the other */
    struct mt_target *live;
    assert_ok(mt_target_open_live(pid, false, &live));
    for (int lies = 0; lies < 2; lies++) {
        struct fake fake;
        fake_init(&fake);
        fake.lies = lies;
        fake.description = (struct mt_host_description){.kind = MT_HOST_LIVE, .pid = pid, .local = 1};
        mt_target_destroy(fake.memory);
        fake.memory = live;
        struct mt_target *target;
        uint8_t byte;
        assert_ok(mt_target_open_host(&fake.host, &target));
        size_t reads = fake.reads;
        assert_int_equal(reads, 1); /* the comparison */
        assert_ok(mt_target_read(target, (uint64_t)(uintptr_t)page + 100, &byte, 1));
        assert_int_equal(byte, 'd');
        assert_int_equal(fake.reads > reads, lies);
        uint64_t word;
        assert_error(mt_target_read_u64(target, 8, &word), MT_ERROR_FAULT, "0x8");
        mt_target_destroy(target);
    }
    mt_target_destroy(live);
    mt_test_child_end(pid);
    munmap(page, 4096);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_reads_are_served_from_big_ones),
        cmocka_unit_test(reads_agree_at_every_edge),
        cmocka_unit_test(ctrl_c_is_told_from_a_fault),
        cmocka_unit_test(refuses_what_is_no_stopped_process),
        cmocka_unit_test(local_process_is_read_directly_when_it_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
