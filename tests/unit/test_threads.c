/* Line tables by hand, and threads, frames and roots of a real interpreter: as they are, and with damage. */
#define _GNU_SOURCE 1

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "heap/roots.h"
#include "layout/line_table.h"
#include "python/object.h"
#include "python/scope.h"
#include "python/threads.h"
#include "target/registers.h"
#include "target/target.h"
#include "unit.h"

#define PYTHON "/usr/bin/python3"
#define ROUNDS 60

/* --- line tables ----------------------------------------------------------------------------------------------------
 */

static void test_lnotab(void **state) {
    /* Line 10 for 6 bytes, 12 for 50, 11 from there on. */
    const uint8_t table[] = {6, 2, 50, 0xff};
    const uint32_t size = sizeof table;
    assert_int_equal(mt_line_at(MT_LINES_LNOTAB, table, size, 10, 0), 10);
    assert_int_equal(mt_line_at(MT_LINES_LNOTAB, table, size, 10, 5), 10);
    assert_int_equal(mt_line_at(MT_LINES_LNOTAB, table, size, 10, 6), 12);
    assert_int_equal(mt_line_at(MT_LINES_LNOTAB, table, size, 10, 55), 12);
    assert_int_equal(mt_line_at(MT_LINES_LNOTAB, table, size, 10, 56), 11);
    assert_int_equal(mt_line_at(MT_LINES_LNOTAB, table, size, 10, 100000), 11);
    assert_int_equal(mt_line_at(MT_LINES_LNOTAB, table, 3, 10, 100), 12); /* half a pair is none */
}

static void test_pairs(void **state) {
    /* Line 10 for 4 bytes, none for 2, 13 for 8. */
    const uint8_t table[] = {4, 0, 2, 0x80, 8, 3};
    const uint32_t size = sizeof table;
    assert_int_equal(mt_line_at(MT_LINES_PAIRS, table, size, 10, 0), 10);
    assert_int_equal(mt_line_at(MT_LINES_PAIRS, table, size, 10, 4), 0);
    assert_int_equal(mt_line_at(MT_LINES_PAIRS, table, size, 10, 6), 13);
    assert_int_equal(mt_line_at(MT_LINES_PAIRS, table, size, 10, 13), 13);
}

static void test_locations(void **state) {
    /* short form, 1 unit; one line on, 2 units; no columns, -3 lines, 1 unit; none, 1 unit; long, +70 lines, 1 unit */
    const uint8_t table[] = {0x80 | 0 << 3 | 0,
                             0x11,
                             0x80 | 11 << 3 | 1,
                             1,
                             2,
                             0x80 | 13 << 3 | 0,
                             7,
                             0x80 | 15 << 3 | 0,
                             0x80 | 14 << 3 | 0,
                             0x40 | 12,
                             2,
                             0,
                             1,
                             2};
    const uint32_t size = sizeof table;
    assert_int_equal(mt_line_at(MT_LINES_LOCATION, table, size, 10, 0), 10);
    assert_int_equal(mt_line_at(MT_LINES_LOCATION, table, size, 10, 2), 11);
    assert_int_equal(mt_line_at(MT_LINES_LOCATION, table, size, 10, 5), 11);
    assert_int_equal(mt_line_at(MT_LINES_LOCATION, table, size, 10, 6), 8);
    assert_int_equal(mt_line_at(MT_LINES_LOCATION, table, size, 10, 8), 0);
    assert_int_equal(mt_line_at(MT_LINES_LOCATION, table, size, 10, 10), 78);
    assert_int_equal(mt_line_at(MT_LINES_LOCATION, table, size, 10, 12), 10); /* behind the end */
    for (uint32_t cut = 0; cut < size; cut++)
        mt_line_at(MT_LINES_LOCATION, table, cut, 10, 10);
}

/* --- a real interpreter ----------------------------------------------------------------------------------------------
 */

static const char program[] = "import sys, threading\n"
                              "def waits(depth, word):\n"
                              "    cell = [depth, word]\n"
                              "    def inner():\n"
                              "        return cell\n"
                              "    if depth:\n"
                              "        return waits(depth - 1, word)\n"
                              "    lock.acquire()\n"
                              "def generator():\n"
                              "    inside = 1\n"
                              "    yield waits(3, 'in a generator')\n"
                              "lock = threading.Lock()\n"
                              "lock.acquire()\n"
                              "for word in 'first', 'second':\n"
                              "    threading.Thread(target=waits, args=(5, word), name=word, daemon=True).start()\n"
                              "threading.Thread(target=list, args=(generator(),), name='third', daemon=True).start()\n"
                              "import time\n"
                              "time.sleep(0.2)\n"
                              "sys.stdout.write('.')\n"
                              "sys.stdout.flush()\n"
                              "sys.stdin.read()\n";

/* A target that passes reads on, and spoils some of the bytes when told to. */
struct spoiler {
    struct mt_target base;
    struct mt_target *real;
    uint64_t seed; /* 0: spoils nothing */
};

static size_t spoiled_read(struct mt_target *target, uint64_t address, void *buffer, size_t size) {
    struct spoiler *spoiler = (struct spoiler *)target;
    size_t got = spoiler->real->ops->read(spoiler->real, address, buffer, size);
    uint8_t *bytes = buffer;
    if (spoiler->seed == 0)
        return got;
    /* Some 4 words in each 64 KiB: other pointers, small numbers, noise. */
    for (size_t i = 0; i + 8 <= got; i += 8) {
        uint64_t random = mt_test_random(&spoiler->seed), word;
        if (random % 2048 != 0 || got < 4096)
            continue;
        if (random >> 20 & 1)
            memcpy(&word, bytes + (random >> 24) % (got / 8) * 8, sizeof word);
        else
            word = random >> 21 & 1 ? random >> 32 & 0xffff : random;
        memcpy(bytes + i, &word, sizeof word);
    }
    return got;
}

static struct mt_error *spoiled_regions(struct mt_target *target) {
    struct spoiler *spoiler = (struct spoiler *)target;
    const struct mt_region *regions;
    struct mt_error *error = mt_target_regions(spoiler->real, &regions, &target->region_count);
    target->regions = spoiler->real->regions;
    return error;
}

static bool spoiled_symbol(struct mt_target *target, const char *name, uint64_t *ret) {
    struct mt_target *real = ((struct spoiler *)target)->real;
    return real->ops->find_symbol(real, name, ret);
}

static bool spoiled_registers(struct mt_target *target, uint64_t tid, struct mt_registers *ret) {
    return mt_target_registers(((struct spoiler *)target)->real, tid, ret);
}

static void spoiled_destroy(struct mt_target *target) {
    mt_target_destroy(((struct spoiler *)target)->real);
}

static const struct mt_target_ops spoiled_ops = {
    .read = spoiled_read,
    .load_regions = spoiled_regions,
    .find_symbol = spoiled_symbol,
    .registers = spoiled_registers,
    .destroy = spoiled_destroy,
};

struct interpreter {
    pid_t pid;
    int input;
    struct spoiler spoiler;
    struct mt_python *python;
};

static pid_t start(int *ret_input) {
    int input[2], output[2];
    char byte;
    assert_int_equal(pipe(input) | pipe(output), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(input[0], 0);
        dup2(output[1], 1);
        close(input[1]);
        close(output[0]);
        execl(PYTHON, PYTHON, "-I", "-c", program, NULL);
        _exit(127);
    }
    close(input[0]);
    close(output[1]);
    assert_int_equal(read(output[0], &byte, 1), 1);
    close(output[0]);
    mt_test_wait_for_state(pid, pid, "S");
    *ret_input = input[1];
    return pid;
}

static int set_up(void **state) {
    static struct interpreter interpreter;
    if (access(PYTHON, X_OK) != 0)
        return 0;
    interpreter.pid = start(&interpreter.input);
    interpreter.spoiler.base.ops = &spoiled_ops;
    assert_ok(mt_target_open_live(interpreter.pid, true, &interpreter.spoiler.real));
    interpreter.spoiler.base.info = interpreter.spoiler.real->info;
    assert_ok(mt_python_open(&interpreter.spoiler.base, NULL, &interpreter.python));
    *state = &interpreter;
    return 0;
}

static int tear_down(void **state) {
    struct interpreter *interpreter = *state;
    if (!interpreter)
        return 0;
    mt_python_destroy(interpreter->python);
    mt_target_destroy(&interpreter->spoiler.base);
    close(interpreter->input);
    mt_test_child_end(interpreter->pid);
    return 0;
}

static struct interpreter *need(void **state) {
    if (!*state)
        skip();
    return *state;
}

struct count {
    struct mt_python *python;
    uint64_t frames, variables, roots, named;
};

static bool count_variable(void *context, const struct mt_variable *variable) {
    struct count *count = context;
    count->variables++;
    return true;
}

static bool count_name(void *context, uint64_t name, uint64_t value) {
    struct count *count = context;
    count->named += mt_str_equals(count->python, name, "cell");
    return true;
}

static bool count_frame(void *context, const struct mt_python_frame *frame, uint32_t number) {
    struct count *count = context;
    struct mt_frame_place place;
    count->frames++;
    mt_frame_place(count->python, frame, &place);
    mt_variables_visit(count->python, frame, count_variable, count);
    mt_scope_visit_variables(count->python, frame, count_name, count);
    return true;
}

static void count_root(void *context, const struct mt_root *root) {
    ((struct count *)context)->roots++;
}

static struct count count_all(struct mt_python *python) {
    struct count count = {.python = python};
    struct mt_threads threads;
    assert_ok(mt_threads_read(python, NULL, &threads));
    for (size_t i = 0; i < threads.list.length; i++)
        mt_frames_visit(python, &threads.list.data[i], count_frame, &count);
    mt_threads_deinit(&threads);
    assert_ok(mt_roots_visit(python, NULL, count_root, &count));
    assert_ok(mt_roots_guess(python, MT_ROOTS_STATIC, NULL, count_root, &count));
    assert_ok(mt_roots_guess(python, MT_ROOTS_STACKS, NULL, count_root, &count));
    return count;
}

static void test_threads_and_frames(void **state) {
    struct interpreter *interpreter = need(state);
    struct mt_threads threads;
    struct mt_registers registers;
    assert_ok(mt_threads_read(interpreter->python, NULL, &threads));
    static const char *const names[] = {"MainThread", "first", "second", "third"};
    assert_int_equal(threads.list.length, 4);
    for (size_t i = 0; i < 4; i++) {
        const struct mt_python_thread *thread = &threads.list.data[i];
        assert_string_equal(thread->name, names[i]);
        assert_int_equal(thread->number, i + 1);
        assert_false(thread->has_gil);
        assert_true(mt_target_registers(&interpreter->spoiler.base, thread->tid, &registers));
        assert_true(registers.stack_pointer != 0 && registers.count > 0);
    }
    assert_int_equal(threads.list.data[0].tid, interpreter->pid);
    mt_threads_deinit(&threads);
    struct count count = count_all(interpreter->python);
    assert_int_equal(count.named, 6 + 6 + 4);
    assert_true(count.roots > 1000);
}

/* Whatever memory says: everything ends, and nothing is read that is not there (the sanitizers see that). */
static void test_damaged_memory(void **state) {
    struct interpreter *interpreter = need(state);
    struct mt_python *python = interpreter->python;
    struct mt_view *whole = python->view;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        interpreter->spoiler.seed = round * 0x9e3779b97f4a7c15ULL;
        assert_ok(mt_view_create(&interpreter->spoiler.base, &python->view));
        count_all(python);
        mt_view_destroy(python->view);
    }
    interpreter->spoiler.seed = 0;
    python->view = whole;
}

/* A chain of frames that is a ring: found out, not followed for ever. */
static void test_ring_of_frames(void **state) {
    struct interpreter *interpreter = need(state);
    struct mt_python *python = interpreter->python;
    struct mt_threads threads;
    assert_ok(mt_threads_read(python, NULL, &threads));
    struct mt_python_thread thread = threads.list.data[1];
    mt_threads_deinit(&threads);
    struct mt_python_layout layout = python->layout;
    /* Each frame's own first words lead back to frames: `previous` read at the frame root of the thread gives the same
     * frame again and again. */
    int64_t *previous =
        &python->layout
             .value[python->minor <= 10 ? MT_FIELD_PyFrameObject__f_back : MT_FIELD__PyInterpreterFrame__previous];
    struct count count = {.python = python};
    for (*previous = 0; *previous < 72; *previous += 8)
        mt_frames_visit(python, &thread, count_frame, &count);
    python->layout = layout;
    assert_true(count.frames >= 9);
}

int main(void) {
    const struct CMUnitTest tables[] = {
        cmocka_unit_test(test_lnotab),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_locations),
    };
    const struct CMUnitTest processes[] = {
        cmocka_unit_test(test_threads_and_frames),
        cmocka_unit_test(test_damaged_memory),
        cmocka_unit_test(test_ring_of_frames),
    };
    return cmocka_run_group_tests(tables, NULL, NULL) + cmocka_run_group_tests(processes, set_up, tear_down);
}
