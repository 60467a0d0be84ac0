/* The commands about objects: their arguments and errors, and what they answer about a small program of the system's
 * interpreter. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "commands/handles.h"
#include "commands/object_words.h"
#include "commands/options.h"
#include "fake_debugger.h"
#include "image_builder.h"
#include "memtrace.h"
#include "output/emitter.h"
#include "output/text.h"
#include "unit.h"

#define PYTHON "/usr/bin/python3"

/* --- pieces --------------------------------------------------------------------------------------------------------
 */

static void rows_stand_for_objects(void **state) {
    struct mt_handles handles = {0};
    struct mt_handle found;
    assert_int_equal(mt_handles_add(&handles, (struct mt_handle){.kind = MT_HANDLE_OBJECT, .address = 0x7f00}), 1);
    assert_int_equal(mt_handles_add(&handles, (struct mt_handle){.kind = MT_HANDLE_OTHER}), 2);
    assert_ok(mt_handles_find(&handles, 1, &found));
    assert_true(found.address == 0x7f00 && found.kind == MT_HANDLE_OBJECT && found.live_blocks == 0);
    assert_error(mt_handles_find(&handles, 2, &found), MT_ERROR_NOT_FOUND, "row 2 stands for no object");
    mt_handles_reset(&handles);
}

static void options_of_objects(void **state) {
    enum { ALL = MT_OPTION_TYPE | MT_OPTION_THREAD | MT_OPTION_FRAME | MT_OPTION_NO_VALUES | MT_OPTION_LIMIT };
    struct mt_options options;
    const char *rest;
    assert_ok(mt_options_parse("--type app.Order --no-values --thread 2 --frame=0 0x10", ALL, &options, &rest));
    assert_string_equal(options.type, "app.Order");
    assert_true(options.thread == 2 && options.frame == 0);
    assert_true(options.given & MT_OPTION_NO_VALUES);
    assert_string_equal(rest, "0x10");
    assert_ok(mt_options_parse("", ALL, &options, &rest));
    assert_true(options.thread == SIZE_MAX && options.frame == SIZE_MAX);
    assert_error(mt_options_parse("--thread main", ALL, &options, &rest), MT_ERROR_USAGE, "--thread takes a number");
    assert_error(mt_options_parse("--frame -1", ALL, &options, &rest), MT_ERROR_USAGE, "--frame takes a number");
    char line[2 * MT_TYPE_WORD] = "--type ";
    memset(line + strlen(line), 'x', MT_TYPE_WORD);
    assert_error(mt_options_parse(line, ALL, &options, &rest), MT_ERROR_USAGE, "of at most 255 bytes");
}

static void expect_count(struct mt_explanation explanation, const char *expected) {
    struct mt_strbuf out = MT_STRBUF_INIT;
    mt_refcount_words(&explanation, &out);
    assert_string_equal(out.data, expected);
    mt_strbuf_deinit(&out);
}

static void counts_are_explained(void **state) {
    expect_count((struct mt_explanation){.refcount = 1, .exact = 1}, "refcount 1 = 1 found");
    expect_count((struct mt_explanation){.refcount = 1000, .exact = 1000}, "refcount 1,000 = 1,000 found");
    expect_count((struct mt_explanation){.refcount = 3, .exact = 2}, "refcount 3 = 2 found + 1 unknown");
    expect_count((struct mt_explanation){.refcount = 4, .exact = 2, .guessed = 1},
                 "refcount 4 = 2 found + 1 guessed + 1 unknown");
    expect_count((struct mt_explanation){.refcount = 1, .guessed = 1}, "refcount 1 = 1 guessed");
    expect_count((struct mt_explanation){.refcount = 2}, "refcount 2 = 2 unknown");
    expect_count((struct mt_explanation){.refcount = 1, .exact = 2}, "refcount 1, but 2 found");
    expect_count((struct mt_explanation){.refcount = 1ULL << 31, .immortal = true},
                 "immortal: its count means nothing");
}

static void long_text_is_cut(void **state) {
    static const struct {
        const char *text;
        size_t width;
        const char *expected;
    } cases[] = {
        {"abcdef", 0, "abcdef"},
        {"abcdef", 6, "abcdef"},
        {"abcdef", 5, "abc.."},
        {"abcdef", 2, ".."},
        {"\xe6\x97\xa5\xe6\x9c\xac\xe6\x97\xa5", 6, "\xe6\x97\xa5\xe6\x9c\xac\xe6\x97\xa5"},
        {"\xe6\x97\xa5\xe6\x9c\xac\xe6\x97\xa5", 5, "\xe6\x97\xa5.."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mt_strbuf out = MT_STRBUF_INIT;
        mt_text_cut(&out, cases[i].text, cases[i].width);
        assert_string_equal(out.data, cases[i].expected);
        mt_strbuf_deinit(&out);
    }
}

static void values_give_way_in_tables(void **state) {
    static const struct mt_column columns[] = {
        {MT_COLUMN_HANDLE, "#", NULL},
        {MT_COLUMN_VALUE, "link", "link"},
        {MT_COLUMN_VALUE, "value", "value"},
        {MT_COLUMN_NUMBER, "bytes", "bytes"},
    };
    struct mt_emitter emitter;
    mt_emitter_init(&emitter, false, 40);
    mt_emit_table_begin(&emitter, "rows", columns, 4);
    mt_emit_row_begin(&emitter, MT_ROW_BOTH);
    mt_emit_cell_number(&emitter, 1);
    mt_emit_cell_text(&emitter, ".name");
    mt_emit_cell_text(&emitter, "'a value of many more columns than there are'");
    mt_emit_cell_number(&emitter, 1234);
    mt_emit_row_end(&emitter);
    mt_emit_table_end(&emitter);
    assert_string_equal(emitter.body.data, "  #  link   value                  bytes\n"
                                           "  1  .name  'a value of many mo..  1,234\n");
    mt_emitter_deinit(&emitter);
    /* What stands behind a value stays. */
    mt_emitter_init(&emitter, false, 40);
    mt_emit_table_begin(&emitter, "rows", columns + 1, 1);
    for (size_t i = 0; i < 3; i++) {
        static const char *const tails[] = {"file.py:12", NULL, "a place that takes more than half of the line:12"};
        mt_emit_row_begin(&emitter, MT_ROW_BOTH);
        mt_emit_cell_value(&emitter, "a name that is too long for its line", tails[i]);
        mt_emit_row_end(&emitter);
    }
    mt_emit_table_end(&emitter);
    assert_string_equal(emitter.body.data, "link\n"
                                           "a name that is too long fo..  file.py:12\n"
                                           "a name that is too long for its line\n"
                                           "a name that is too..  a place that tak..\n");
    mt_emitter_deinit(&emitter);
}

/* --- without a Python ----------------------------------------------------------------------------------------------
 */

static void expect_error(struct mt_session *session, const char *line, const char *expected) {
    const struct mt_answer *answer = mt_session_run(session, line);
    assert_int_equal(mt_answer_status(answer), 1);
    assert_string_equal(mt_answer_text(answer), expected);
}

static void wrong_arguments_are_named(void **state) {
    struct fake_debugger debugger;
    fake_debugger_init(&debugger, NULL);
    struct mt_session *session = mt_session_create(&debugger.host, "/nowhere");
    expect_error(session, "types", "memtrace types: no process: start one with `run`, attach to one, or open a core");
    expect_error(session, "instances",
                 "memtrace instances: of which type? Give its name (`memtrace types` lists them)");
    expect_error(session, "who-holds --type A 0x10",
                 "memtrace who-holds: takes an address or --type, not both: `0x10`");
    expect_error(session, "types x", "memtrace types: takes no argument: `x`");
    mt_session_destroy(session);
    fake_debugger_deinit(&debugger);
}

/* --- a small program -----------------------------------------------------------------------------------------------
 */

static const char program[] = "import functools\n"
                              "class Order: pass\n"
                              "class Bus:\n"
                              "    def __init__(self): self.subscribers = [Order() for i in range(30)]\n"
                              "class Held: pass\n"
                              "class Sick:\n"
                              "    @functools.lru_cache(maxsize=None)\n"
                              "    def cured(self, n): return n\n"
                              "def fill(n):\n"
                              "    sick = Sick()\n"
                              "    for i in range(n): sick.cured(i)\n"
                              "BUS = Bus()\n"
                              "def work(argument):\n"
                              "    table = {'key': [argument, None]}\n"
                              "    local = Held()\n"
                              "    fill(25)\n"
                              "    print('ready', flush=True)\n"
                              "    input()\n"
                              "work('text')\n";

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

struct scene {
    struct pipes pipes;
    pid_t pid;
    struct mt_session *session;
};

static int32_t wide(void *context) {
    return 200;
}

static void open_scene(struct scene *scene) {
    char byte;
    static const struct mt_host host = {.width = wide};
    if (access(PYTHON, X_OK) != 0)
        skip();
    assert_int_equal(pipe(scene->pipes.input), 0);
    assert_int_equal(pipe(scene->pipes.output), 0);
    scene->pid = mt_test_child_start(run_python, &scene->pipes);
    /* "ready", or the end. */
    assert_int_equal(read(scene->pipes.output[0], &byte, 1), 1);
    mt_test_wait_for_state(scene->pid, scene->pid, "S");
    assert_int_equal(mt_answer_status(mt_session_open_pid(&host, scene->pid, &scene->session)), 0);
}

static void close_scene(struct scene *scene) {
    mt_session_destroy(scene->session);
    mt_test_child_end(scene->pid);
    for (size_t i = 0; i < 2; i++) {
        close(scene->pipes.input[i]);
        close(scene->pipes.output[i]);
    }
}

static const char *answer(struct scene *scene, const char *line) {
    const struct mt_answer *result = mt_session_run(scene->session, line);
    if (mt_answer_status(result) != 0)
        print_error("%s: %s\n", line, mt_answer_text(result));
    assert_int_equal(mt_answer_status(result), 0);
    return mt_answer_text(result);
}

static void expect_part(struct scene *scene, const char *line, const char *part) {
    const char *text = answer(scene, line);
    if (!strstr(text, part))
        print_error("%s: no \"%s\" in:\n%s", line, part, text);
    assert_non_null(strstr(text, part));
}

static void expect_failure(struct scene *scene, const char *line, const char *part) {
    const struct mt_answer *result = mt_session_run(scene->session, line);
    assert_int_equal(mt_answer_status(result), 1);
    if (!strstr(mt_answer_text(result), part))
        print_error("%s: no \"%s\" in: %s\n", line, part, mt_answer_text(result));
    assert_non_null(strstr(mt_answer_text(result), part));
}

static void holders_have_names(struct scene *scene) {
    expect_part(scene, "who-holds py:local", "refcount 1 = 1 found\n");
    expect_part(scene, "who-holds py:local", "local `local` of work()  <string>:18, thread 1, frame ");
    expect_part(scene, "who-holds py:local", "it lives until work() returns or `local` is bound anew\n");
    expect_part(scene, "who-holds py:table.key", "local `table['key']` of work()  <string>:18, thread 1, frame ");
    expect_part(scene, "who-holds --no-values py:table.key", "local `table[...]` of work()");
    expect_part(scene, "who-holds py:BUS", "  global `BUS` of module __main__\n");
    expect_part(scene, "who-holds py:BUS.subscribers[3]", "  __main__.BUS.subscribers[3]\n");
    expect_part(scene, "who-holds --type Order", "30 Orders, ");
    expect_part(scene, "who-holds --type Order", "  __main__.BUS.subscribers[*]         30\n");
    expect_part(scene, "who-holds --type Order --json", "\"unheld\":0,\"rows\":[{\"address\":\"0x");
    expect_part(scene, "who-holds --type Sick", "args[0] of a key in the cache of Sick.cured  <string>:7  ");
    expect_part(scene, "who-holds --limit 1 py:Held", "class Held at 0x");
    expect_part(scene, "who-holds --json py:local",
                "\"type\":\"frame\",\"link\":\"local local\",\"kind\":\"root\",\"counted\":true,");
    expect_part(scene, "who-holds --json py:local",
                "\"function\":\"work\",\"file\":\"<string>\",\"line\":18,"
                "\"variable\":\"local\",\"thread\":1,\"frame\":");
    expect_part(scene, "who-holds --json py:BUS",
                "\"link\":\"['BUS']\",\"kind\":\"exact\",\"counted\":true,"
                "\"name\":\"global `BUS` of module __main__\",\"owner\":{\"address\":");
}

static void objects_are_described(struct scene *scene) {
    expect_part(scene, "types", "type\n");
    expect_part(scene, "types --json", "\"type\":\"Order\",\"qualified\":\"__main__.Order\",\"types\":1}");
    expect_part(scene, "types --limit 1", " other types\n");
    expect_part(scene, "instances Order", "     10 others");
    expect_part(scene, "instances __main__.Bus --json", "\"count\":1,\"own_bytes\":");
    expect_part(scene, "object py:table", "dict of 1 at 0x");
    expect_part(scene, "object py:table.key", "list of 2 at 0x");
    expect_part(scene, "object py:table.key", ", refcount 1 = 1 found, watched by the collector\n");
    expect_part(scene, "object py:table.key", " bytes = 56 header + 2 x 8 pointers, without what it refers to\n");
    expect_part(scene, "object py:argument", "'text'");
    assert_null(strstr(answer(scene, "object --no-values py:argument"), "'text'"));
    expect_part(scene, "object --json py:argument", "\"repr\":\"'text'\",\"own_bytes\":53");
    expect_part(scene, "holds py:table", "['key']");
    expect_part(scene, "holds --json py:table", "\"link\":\"['key']\",\"type\":\"list\",\"repr\":");
    expect_part(scene, "holds --limit 1 py:BUS.subscribers", " 29 others");
    expect_part(scene, "holds --limit 1 --json py:BUS.subscribers", "\"omitted\":{\"rows\":29,\"bytes\":");
}

static void errors_say_what_is_there(struct scene *scene) {
    expect_failure(scene, "object", "which object? Give an address");
    expect_failure(scene, "object 0x10", "0x10 is in no live object: nothing is mapped there");
    expect_failure(scene, "object 1", "there is no row 1: nothing was listed at this stop");
    expect_failure(scene, "instances Ordre", "did you mean `Order`?");
    expect_failure(scene, "who-holds --type Zxqwv", "no live object's type is called `Zxqwv`");
    expect_failure(scene, "object --json 0x10", "\"error\":{\"code\":\"not-found\",");
}

static void a_program_is_told(void **state) {
    struct scene scene;
    open_scene(&scene);
    holders_have_names(&scene);
    objects_are_described(&scene);
    errors_say_what_is_there(&scene);
    close_scene(&scene);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_stand_for_objects),    cmocka_unit_test(options_of_objects),
        cmocka_unit_test(counts_are_explained),      cmocka_unit_test(long_text_is_cut),
        cmocka_unit_test(values_give_way_in_tables), cmocka_unit_test(wrong_arguments_are_named),
        cmocka_unit_test(a_program_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
