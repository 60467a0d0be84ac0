/* What memory is made of: which pages are in memory, claims of pages, and the parts and keepers of a small program. */
#define _GNU_SOURCE 1

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "child.h"
#include "fake_debugger.h"
#include "heap/memory_ledger.h"
#include "memtrace.h"
#include "synthetic_target.h"
#include "target/residence.h"
#include "unit.h"

#define PYTHON "/usr/bin/python3"
#define PAGE MT_RESIDENCE_PAGE

/* --- which pages are in memory --------------------------------------------------------------------------------------
 */

static void what_a_target_holds_counts(void **state) {
    struct mt_target *target = mt_synthetic_target_create();
    struct mt_residence residence;
    enum { ALL = MT_SYNTHETIC_READ | MT_SYNTHETIC_WRITE };
    mt_synthetic_target_add(target, 0x10000, NULL, 4 * PAGE, ALL, NULL);
    mt_synthetic_target_add(target, 0x20000, NULL, 2 * PAGE, MT_SYNTHETIC_READ, "/lib/data");
    mt_synthetic_target_add(target, 0x30000, NULL, 8 * PAGE, 0, NULL);
    mt_synthetic_target_add(target, 0x40000, NULL, 8 * PAGE, MT_SYNTHETIC_READ, NULL);
    assert_ok(mt_residence_load(target, &residence));
    assert_false(residence.is_known);
    assert_int_equal(residence.regions.length, 2); /* not the reservations */
    assert_true(mt_residence_in(&residence, 0, UINT64_MAX) == 6.0 * PAGE);
    assert_true(mt_residence_in(&residence, 0x10100, 0x10200) == 0x100);
    assert_true(mt_residence_in(&residence, 0x13f00, 0x20100) == 0x200);
    assert_true(mt_residence_in(&residence, 0x14000, 0x20000) == 0);
    mt_residence_deinit(&residence);
    mt_target_destroy(target);
}

static void pages_count_one_by_one(void **state) {
    uint64_t pages[2] = {UINT64_C(1) << 63 | 5, 1}; /* 0, 2, 63, 64 */
    struct mt_residence_region region = {.start = 0x100000, .end = 0x100000 + 100 * PAGE, .pages = pages, .share = 1};
    assert_true(mt_residence_of(&region, 0, UINT64_MAX) == 4.0 * PAGE);
    assert_true(mt_residence_of(&region, 0x100000 + PAGE / 2, 0x100000 + 2 * PAGE + 16) == PAGE / 2 + 16.0);
    assert_true(mt_residence_of(&region, 0x100000 + PAGE, 0x100000 + 2 * PAGE) == 0);
    assert_true(mt_residence_of(&region, 0x100000 + 60 * PAGE, 0x100000 + 70 * PAGE) == 2.0 * PAGE);
    region.share = 0.5;
    assert_true(mt_residence_of(&region, 0x100000, 0x100000 + 100) == 50);
}

#define MAPPED_PAGES 64
#define TOUCHED_PAGES 24

struct touched {
    char *memory;
};

/* Every other page of the first ones is written to, one of the others only read. */
static int touch(void *argument) {
    char *memory = ((struct touched *)argument)->memory;
    for (int i = 0; i < TOUCHED_PAGES; i++)
        memory[2 * i * PAGE] = 1;
    volatile char read = memory[(MAPPED_PAGES - 1) * PAGE];
    (void)read;
    mt_test_child_ready();
    pause();
    return 0;
}

static void the_kernel_tells_of_a_process(void **state) {
    struct touched touched = {
        mmap(NULL, MAPPED_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)};
    assert_true(touched.memory != MAP_FAILED);
    madvise(touched.memory, MAPPED_PAGES * PAGE, MADV_NOHUGEPAGE);
    pid_t child = mt_test_child_start(touch, &touched);
    struct mt_residence residence;
    uint64_t start = (uintptr_t)touched.memory;
    assert_ok(mt_residence_of_process(child, child, &residence));
    assert_true(residence.is_known);
    assert_true(mt_residence_in(&residence, start, start + MAPPED_PAGES * PAGE) == 1.0 * TOUCHED_PAGES * PAGE);
    const struct mt_residence_region *region = &residence.regions.data[mt_residence_at_or_above(&residence, start)];
    if (region->pages) { /* the kernel told each */
        assert_true(mt_residence_in(&residence, start, start + PAGE) == PAGE);
        assert_true(mt_residence_in(&residence, start + PAGE, start + 2 * PAGE) == 0);
    }
    mt_residence_deinit(&residence);
    mt_test_child_end(child);
    munmap(touched.memory, MAPPED_PAGES * PAGE);
    assert_error(mt_residence_of_process(child, child, &residence), MT_ERROR_NO_PROCESS, "no process");
}

/* --- claims ---------------------------------------------------------------------------------------------------------
 */

static void claims_go_by_page(void **state) {
    struct mt_residence_region all = {.start = MT_LEDGER_SEGMENT, .end = 4 * MT_LEDGER_SEGMENT, .share = 1};
    struct mt_residence residence = {.regions = {.data = &all, .length = 1}};
    struct mt_ledger ledger;
    mt_ledger_init(&ledger, &residence);
    /* Across a page's end, and across a segment's. */
    mt_ledger_claim(&ledger, MT_LEDGER_OBJECTS, MT_LEDGER_SEGMENT + PAGE - 100, MT_LEDGER_SEGMENT + PAGE + 50);
    mt_ledger_claim(&ledger, MT_LEDGER_NATIVE, 2 * MT_LEDGER_SEGMENT - 10, 2 * MT_LEDGER_SEGMENT + 20);
    /* More than a page has. */
    mt_ledger_claim(&ledger, MT_LEDGER_OBJECTS, MT_LEDGER_SEGMENT + PAGE, MT_LEDGER_SEGMENT + 2 * PAGE);
    /* Where nothing is in memory. */
    mt_ledger_claim(&ledger, MT_LEDGER_OBJECTS, 0, PAGE);
    const struct mt_ledger_segment *first = mt_ledger_find(&ledger, MT_LEDGER_SEGMENT);
    const struct mt_ledger_segment *second = mt_ledger_find(&ledger, 2 * MT_LEDGER_SEGMENT + 7);
    assert_non_null(first);
    assert_non_null(second);
    assert_int_equal(first->claimed[MT_LEDGER_OBJECTS][0], 100);
    assert_int_equal(first->claimed[MT_LEDGER_OBJECTS][1], PAGE);
    assert_int_equal(first->claimed[MT_LEDGER_NATIVE][MT_LEDGER_PAGES - 1], 10);
    assert_int_equal(second->claimed[MT_LEDGER_NATIVE][0], 20);
    assert_null(mt_ledger_find(&ledger, 0));
    assert_null(mt_ledger_find(&ledger, 3 * MT_LEDGER_SEGMENT));
    assert_false(ledger.failed);
    mt_ledger_deinit(&ledger);
}

static void owned_blocks_are_found(void **state) {
    struct mt_residence_region all = {.start = 0, .end = 4 * MT_LEDGER_SEGMENT, .share = 1};
    struct mt_residence residence = {.regions = {.data = &all, .length = 1}};
    struct mt_ledger ledger;
    mt_ledger_init(&ledger, &residence);
    uint64_t seed = 7;
    for (int round = 0; round < 2000; round++) {
        uint64_t at = mt_test_random(&seed) % (3 * MT_LEDGER_SEGMENT) & ~(uint64_t)(MT_LEDGER_GRANULE - 1);
        uint64_t before = mt_test_random(&seed) % 3000, behind = mt_test_random(&seed) % 3000 + 1;
        mt_ledger_own(&ledger, at + mt_test_random(&seed) % MT_LEDGER_GRANULE);
        uint64_t start = at > before ? at - before : 0;
        assert_true(mt_ledger_is_owned(&ledger, start, at + behind));
        assert_true(mt_ledger_is_owned(&ledger, at, at + 1));
        mt_ledger_segment(&ledger, at)->owned[(at % MT_LEDGER_SEGMENT) / MT_LEDGER_GRANULE / 64] = 0;
        assert_false(mt_ledger_is_owned(&ledger, start, at + behind));
    }
    mt_ledger_deinit(&ledger);
}

/* --- the command ----------------------------------------------------------------------------------------------------
 */

static const char program[] = "import functools, os\n"
                              "@functools.lru_cache(maxsize=None)\n"
                              "def text(number):\n"
                              "    return str(number) * 100\n"
                              "for number in range(60000): text(number)\n"
                              "os.write(1, b'!')\n"
                              "os.read(0, 1)\n";

struct pipes {
    int input[2], output[2];
};

static int run_python(void *argument) {
    struct pipes *pipes = argument;
    dup2(pipes->input[0], STDIN_FILENO);
    dup2(pipes->output[1], STDOUT_FILENO);
    mt_test_child_ready();
    execl(PYTHON, PYTHON, "-I", "-c", program, (char *)NULL);
    return 127;
}

static void expect_part(struct mt_session *session, const char *line, const char *part) {
    const struct mt_answer *answer = mt_session_run(session, line);
    if (mt_answer_status(answer) != 0 || !strstr(mt_answer_text(answer), part))
        print_error("%s: no \"%s\" in:\n%s", line, part, mt_answer_text(answer));
    assert_int_equal(mt_answer_status(answer), 0);
    assert_non_null(strstr(mt_answer_text(answer), part));
}

static int32_t narrow(void *context) {
    return 80;
}

static void a_cache_is_the_biggest_keeper(void **state) {
    static const struct mt_host host = {.width = narrow};
    struct pipes pipes;
    struct mt_session *session;
    char byte;
    if (access(PYTHON, X_OK) != 0)
        skip();
    assert_int_equal(pipe(pipes.input), 0);
    assert_int_equal(pipe(pipes.output), 0);
    pid_t pid = mt_test_child_start(run_python, &pipes);
    assert_int_equal(read(pipes.output[0], &byte, 1), 1);
    mt_test_wait_for_state(pid, pid, "S");
    assert_int_equal(mt_answer_status(mt_session_open_pid(&host, pid, &session)), 0);
    expect_part(session, "summary", " MB resident, 1 thread\n");
    expect_part(session, "summary", "biggest keeper: #1 cache of text  <string>:2, ");
    expect_part(session, "", "verdict: held. One cache keeps ");
    expect_part(session, "summary --json",
                "\"keeper\":{\"kind\":\"cache\",\"name\":\"cache of text\",\"place\":\"<string>:2\"");
    expect_part(session, "--json", "\"command\":\"summary\"");
    mt_session_destroy(session);
    mt_test_child_end(pid);
    for (size_t i = 0; i < 2; i++) {
        close(pipes.input[i]);
        close(pipes.output[i]);
    }
}

static void without_a_process_it_is_the_help(void **state) {
    struct fake_debugger debugger;
    fake_debugger_init(&debugger, NULL);
    struct mt_session *session = mt_session_create(&debugger.host, ".");
    assert_non_null(session);
    expect_part(session, "", "summary");
    expect_part(session, "", "who-holds");
    const struct mt_answer *answer = mt_session_run(session, "summary");
    assert_int_equal(mt_answer_status(answer), 1);
    assert_non_null(strstr(mt_answer_text(answer), "no process"));
    mt_session_destroy(session);
    fake_debugger_deinit(&debugger);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_target_holds_counts),       cmocka_unit_test(pages_count_one_by_one),
        cmocka_unit_test(the_kernel_tells_of_a_process),    cmocka_unit_test(claims_go_by_page),
        cmocka_unit_test(owned_blocks_are_found),           cmocka_unit_test(a_cache_is_the_biggest_keeper),
        cmocka_unit_test(without_a_process_it_is_the_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
