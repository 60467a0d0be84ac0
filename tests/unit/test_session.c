/* Whole command lines, as a debugger gives them: answers, errors, row numbers, and what `record` does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_debugger.h"
#include "image_builder.h"
#include "memtrace.h"
#include "unit.h"

struct scene {
    struct image_builder builder;
    struct mt_target *target;
    struct fake_debugger debugger;
    struct mt_session *session;
};

static char directory[] = "/tmp/memtrace-test-XXXXXX";

static void open_scene(struct scene *scene) {
    scene->target = builder_finish(&scene->builder);
    fake_debugger_init(&scene->debugger, scene->target);
    scene->session = mt_session_create(&scene->debugger.host, directory);
    assert_non_null(scene->session);
}

static void open_example(struct scene *scene) {
    builder_example(&scene->builder);
    open_scene(scene);
}

/* The example, in which raise_to_power() gives up its block after the mark, and duplicate_data() gets another. */
static void example_with_marks(struct image_builder *builder) {
    builder_example(builder);
    builder_mark(builder, "loaded");
    builder_free(builder, 0x7f2020000010);
    builder_block(builder, 0x7f4000000010, 150000000,
                  builder_site(builder, builder->sites.data[4].stack, 0, MT_MALLOC));
    builder_mark(builder, "");
    builder_block(builder, 0x7f5000000010, 7, builder_site(builder, 0, 1, MT_CALLOC));
}

/* A debugger with nothing in it. */
static void open_empty(struct scene *scene) {
    *scene = (struct scene){0};
    fake_debugger_init(&scene->debugger, NULL);
    scene->session = mt_session_create(&scene->debugger.host, directory);
    assert_non_null(scene->session);
}

static void close_scene(struct scene *scene) {
    mt_session_destroy(scene->session);
    fake_debugger_deinit(&scene->debugger);
    if (scene->target)
        mt_target_destroy(scene->target);
    builder_deinit(&scene->builder);
}

static const char *answer(struct scene *scene, const char *line) {
    const struct mt_answer *result = mt_session_run(scene->session, line);
    if (mt_answer_status(result) != 0)
        print_error("%s\n", mt_answer_text(result));
    assert_int_equal(mt_answer_status(result), 0);
    assert_int_equal(mt_answer_length(result), strlen(mt_answer_text(result)));
    assert_int_equal(mt_answer_text(result)[mt_answer_length(result) - 1], '\n');
    return mt_answer_text(result);
}

static void expect_error(struct scene *scene, const char *line, const char *expected) {
    const struct mt_answer *result = mt_session_run(scene->session, line);
    assert_int_equal(mt_answer_status(result), 1);
    assert_string_equal(mt_answer_text(result), expected);
}

static void expect_part(struct scene *scene, const char *line, const char *part) {
    const char *text = answer(scene, line);
    if (!strstr(text, part))
        print_error("%s: no \"%s\" in:\n%s", line, part, text);
    assert_non_null(strstr(text, part));
}

static void peak_looks_like_this(void **state) {
    struct scene scene;
    open_example(&scene);
    scene.debugger.width = 102;
    assert_string_equal(
        answer(&scene, "peak"),
        "peak 400.0 MB at +1.43 s, 1,004 blocks; 4 blocks are 99.9 % of it. Alive now: 300.0 MB\n"
        "  #        bytes    alive now  blocks  allocated by\n"
        "  1  100,000,000  100,000,000       1  duplicate_data   holding.py:29 <- process_data:52 <- module:57\n"
        "  2  100,000,000            0       1  load_data        holding.py:25 <- process_data:49 <- module:57\n"
        "  3  100,000,000  100,000,000       1  raise_to_power   holding.py:41 <- process_data:51 <- module:57\n"
        "  4  100,000,000  100,000,000       1  subtract_scalar  holding.py:37 <- process_data:50 <- module:57\n"
        "          49,500       49,500   1,000  2 other stacks\n"
        "set by thread 4711 MainThread in duplicate_data /home/usr/code/holding.py:29\n");
    assert_string_equal(answer(&scene, "live --limit 1 --by line"),
                        "alive now: 300.0 MB in 1,003 blocks\n"
                        "  #        bytes  blocks  line\n"
                        "  5  100,000,000       1  duplicate_data  /home/usr/code/holding.py:29\n"
                        "     200,049,500   1,002  4 other lines\n");
    assert_string_equal(answer(&scene, "live --by allocator --limit all"),
                        "alive now: 300.0 MB in 1,003 blocks\n"
                        "  #        bytes  blocks  allocator\n"
                        "  6  300,000,000       3  malloc\n"
                        "  7       49,500   1,000  PyObject_Malloc\n");
    close_scene(&scene);
}

static void every_line_fits(void **state) {
    static const char *const lines[] = {"peak",
                                        "live",
                                        "diff 1",
                                        "diff --by file start",
                                        "live --since loaded",
                                        "mark a-name-of-many-bytes",
                                        "peak --by file",
                                        "peak --by line --limit all",
                                        "live --by function",
                                        "peak --by thread",
                                        "status",
                                        "born 1",
                                        "help",
                                        "help peak",
                                        "help record"};
    struct scene scene;
    example_with_marks(&scene.builder);
    open_scene(&scene);
    for (int width = 60; width <= 200; width += 20) {
        scene.debugger.width = width;
        for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
            if (strncmp(lines[i], "help", 4) == 0 && width < 80)
                continue;
            for (const char *line = answer(&scene, lines[i]); *line != '\0'; line += strcspn(line, "\n") + 1)
                assert_true(strcspn(line, "\n") <= (size_t)width);
        }
    }
    close_scene(&scene);
}

static void json_looks_like_this(void **state) {
    struct scene scene;
    open_example(&scene);
    assert_string_equal(
        answer(&scene, "peak --json --limit 1"),
        "{\"schema\":1,\"command\":\"peak\","
        "\"target\":{\"kind\":\"remote\",\"pid\":4711,\"core\":null,\"python\":\"3.11.2\"},\"warnings\":[],"
        "\"peak_bytes\":400049500,\"peak_blocks\":1004,\"peak_time\":1.430000,\"rows\":[{\"bytes\":100000000,"
        "\"live_bytes\":100000000,\"blocks\":1,\"live_blocks\":1,\"stack\":["
        "{\"function\":\"duplicate_data\",\"file\":\"/home/usr/code/holding.py\",\"line\":29},"
        "{\"function\":\"process_data\",\"file\":\"/home/usr/code/holding.py\",\"line\":52},"
        "{\"function\":\"<module>\",\"file\":\"/home/usr/code/holding.py\",\"line\":57}],"
        "\"thread\":4711,\"thread_name\":\"MainThread\",\"allocator\":\"malloc\",\"generation\":0,"
        "\"blocks_sample\":[{\"address\":\"0x7f2030000010\",\"size\":100000000,\"alive\":true}]}],"
        "\"omitted\":{\"rows\":5,\"bytes\":300049500},\"threads\":["
        "{\"tid\":4711,\"name\":\"MainThread\",\"set_peak\":true,\"stack\":["
        "{\"function\":\"duplicate_data\",\"file\":\"/home/usr/code/holding.py\",\"line\":29},"
        "{\"function\":\"process_data\",\"file\":\"/home/usr/code/holding.py\",\"line\":52},"
        "{\"function\":\"<module>\",\"file\":\"/home/usr/code/holding.py\",\"line\":57}]},"
        "{\"tid\":4712,\"name\":\"Worker-1\",\"set_peak\":false,\"stack\":["
        "{\"function\":\"<module>\",\"file\":\"/home/usr/code/holding.py\",\"line\":57}]}]}\n");
    assert_string_equal(
        answer(&scene, "born --json 0x7f2030000019"),
        "{\"schema\":1,\"command\":\"born\","
        "\"target\":{\"kind\":\"remote\",\"pid\":4711,\"core\":null,\"python\":\"3.11.2\"},\"warnings\":[],"
        "\"address\":\"0x7f2030000010\",\"size\":100000000,\"offset\":9,\"thread\":4711,"
        "\"thread_name\":\"MainThread\",\"allocator\":\"malloc\",\"generation\":0,\"stack\":["
        "{\"function\":\"duplicate_data\",\"file\":\"/home/usr/code/holding.py\",\"line\":29},"
        "{\"function\":\"process_data\",\"file\":\"/home/usr/code/holding.py\",\"line\":52},"
        "{\"function\":\"<module>\",\"file\":\"/home/usr/code/holding.py\",\"line\":57}]}\n");
    /* As many rows as there are, also those that text would sum up. */
    expect_part(&scene, "live --json", "\"stack\":[],");
    expect_part(&scene, "live --by line --json", "\"key\":\"no Python frame\",");
    expect_part(&scene, "live --by file --json", "\"key\":\"/home/usr/code/holding.py\",");
    expect_part(&scene, "live --by thread --json", "\"key\":\"Worker-1\",\"thread\":4712,");
    expect_part(&scene, "live --by function --json",
                "\"key\":\"duplicate_data\",\"function\":\"duplicate_data\",\"file\":\"/home/usr/code/"
                "holding.py\",\"line\":28,");
    expect_part(&scene, "status --json", "\"recording\":true,\"state\":\"on\",\"pending\":null,\"level\":\"objects\",");
    expect_part(&scene, "status --json", "\"degraded\":[]}");
    /* Scripts use up no row numbers. */
    expect_error(&scene, "born 1",
                 "memtrace born: there is no row 1: nothing was listed at this stop (an address begins with 0x)");
    assert_int_equal(scene.debugger.variables, 0);
    close_scene(&scene);
}

static void same_image_gives_the_same_bytes(void **state) {
    struct scene scene;
    open_example(&scene);
    char *first = strdup(answer(&scene, "peak --json"));
    scene.debugger.generation++;
    assert_string_equal(answer(&scene, "peak --json"), first);
    free(first);
    close_scene(&scene);
}

static void born_tells_where(void **state) {
    struct scene scene;
    open_example(&scene);
    assert_string_equal(answer(&scene, "born 0x7f2030000010"),
                        "0x7f2030000010 is the start of a block of 100,000,000 bytes\n"
                        "born in duplicate_data usr/code/holding.py:29 <- process_data:52 <- module:57\n"
                        "by malloc in thread 4711 MainThread, generation 0\n");
    assert_string_equal(answer(&scene, "born 0x7F3000000081"),
                        "0x7f3000000081 is at byte 1 of the block of 2 bytes at 0x7f3000000080\n"
                        "born outside Python\n"
                        "by PyObject_Malloc in thread 4711 MainThread, generation 0\n");
    close_scene(&scene);
}

static void addresses_are_taken_in_many_forms(void **state) {
    struct scene scene;
    open_example(&scene);
    scene.debugger.expression = "obj->buffer + 4";
    scene.debugger.value = 0x7f2030000014;
    expect_part(&scene, "born obj->buffer + 4", "is at byte 4 of the block of 100,000,000 bytes at 0x7f2030000010");
    expect_part(&scene, "born   --   obj->buffer + 4  ", "is at byte 4");
    /* One byte behind a block, and a block of no bytes. */
    expect_error(&scene, "born 0x7f2035f5e110",
                 "memtrace born: 0x7f2035f5e110 is in no live block that was recorded: freed, allocated before "
                 "recording, or not "
                 "allocated at all");
    expect_part(&scene, "born 0x7f3000000000", "is the start of a block of 0 bytes");
    expect_error(&scene, "born nonsense",
                 "memtrace born: `nonsense` has no value here: give 0x.., a row's number, or an expression (options "
                 "come before it)");
    expect_error(&scene, "born 0xzz",
                 "memtrace born: `0xzz` is no address: 0x and at most 16 hexadecimal digits (options come before it)");
    expect_error(&scene, "born 0x12345678901234567",
                 "memtrace born: `0x12345678901234567` is no address: 0x and at most 16 hexadecimal digits (options "
                 "come before it)");
    expect_error(&scene, "born",
                 "memtrace born: which block? Give an address (0x..), a row's number, or an expression");
    expect_error(&scene, "peak 0x10", "memtrace peak: takes no argument: `0x10`");
    close_scene(&scene);
}

static void row_numbers_count_on_through_a_stop(void **state) {
    struct scene scene;
    open_example(&scene);
    answer(&scene, "peak");
    assert_string_equal(scene.debugger.last_variable, "mt4");
    assert_int_equal(scene.debugger.last_value, 0x7f2010000010);
    assert_int_equal(scene.debugger.variables, 3); /* row 2 is dead */
    expect_part(&scene, "live", "\n  5  100,000,000");
    expect_part(&scene, "born #5", "born in duplicate_data");
    expect_part(&scene, "born 1", "born in duplicate_data");
    expect_error(&scene, "born 2", "memtrace born: row 2: its block was freed since the peak");
    expect_error(&scene, "born 8", "memtrace born: there is no row 8: rows 1 to 7 were listed at this stop");
    expect_part(&scene, "live --by allocator --limit all", "\n  9       49,500   1,000  PyObject_Malloc");
    expect_part(&scene, "born 9", "row 9 has 1,000 live blocks; this is the largest\n");
    scene.debugger.generation++;
    expect_error(&scene, "born 1",
                 "memtrace born: there is no row 1: nothing was listed at this stop (an address begins with 0x)");
    expect_part(&scene, "live", "\n  1  100,000,000");
    close_scene(&scene);
}

static void errors_say_what_to_do(void **state) {
    struct scene scene;
    open_empty(&scene);
    expect_error(&scene, "peak", "memtrace peak: no process: start one with `run`, attach to one, or open a core");
    expect_error(&scene, "peak --json",
                 "{\"schema\":1,\"command\":\"peak\",\"error\":{\"code\":\"no-process\",\"message\":"
                 "\"no process: start one with `run`, attach to one, or open a core\"}}");
    expect_error(&scene, "peek --json",
                 "{\"schema\":1,\"command\":null,\"error\":{\"code\":\"usage\",\"message\":"
                 "\"unknown command `peek`: did you mean `peak`?\"}}");
    expect_error(&scene, "peek", "memtrace: unknown command `peek`: did you mean `peak`?");
    expect_error(&scene, "p\x1b[31m", "memtrace: unknown command `p\\x1b[31m`: `memtrace help` lists the commands");
    expect_error(&scene, "status", "memtrace status: no process: start one with `run`, attach to one, or open a core");
    expect_part(&scene, "help", "record stop");
    expect_part(&scene, "", "record stop");
    expect_part(&scene, "help peak", "memtrace peak [OPTIONS]");
    expect_error(&scene, "help peek", "memtrace help: unknown command `peek`: did you mean `peak`?");
    scene.debugger.fails = true;
    expect_error(&scene, "peak", "memtrace peak: the debugger does not say what it is looking at");
    close_scene(&scene);

    open_example(&scene);
    scene.debugger.running = true;
    expect_error(&scene, "live", "memtrace live: the process is running: stop it first (Ctrl-C, or a breakpoint)");
    scene.debugger.running = false;
    answer(&scene, "live");
    close_scene(&scene);

    builder_example(&scene.builder);
    scene.builder.header.major = 9;
    scene.builder.header.minor = 0;
    open_scene(&scene);
    expect_error(&scene, "peak",
                 "memtrace peak: this process was recorded with image version 9.0, this memtrace reads 2.x: use the "
                 "memtrace whose "
                 "recorder was loaded");
    close_scene(&scene);

    builder_example(&scene.builder);
    scene.builder.header.state = MT_RECORDING_NEVER;
    open_scene(&scene);
    expect_error(&scene, "peak", "memtrace peak: nothing was recorded yet. Use `memtrace record`");
    expect_part(&scene, "status", "recorded: nothing yet");
    close_scene(&scene);
}

static void warnings_are_part_of_the_answer(void **state) {
    struct scene scene;
    builder_example(&scene.builder);
    scene.builder.header.state = MT_RECORDING_STOPPED;
    scene.builder.threads.data[1].operation = MT_OP_FREE;
    open_scene(&scene);
    expect_part(&scene, "peak", "note: 1 event in flight: its block may be counted or not\n");
    expect_part(&scene, "peak --json",
                "\"warnings\":[\"recording was stopped: this is how it was then\",\"1 event in flight: its block may "
                "be counted or "
                "not\"],");
    expect_part(&scene, "status --json", "\"in_flight\":1,");
    close_scene(&scene);
}

static void status_names_what_is_degraded(void **state) {
    struct scene scene;
    builder_example(&scene.builder);
    scene.builder.header.python_state = MT_PYTHON_REFUSED;
    strcpy(scene.builder.header.python_problem, "the frame's code is no code object");
    scene.builder.header.dropped[MT_DROP_SIGNAL] = 3;
    scene.builder.header.dropped[MT_DROP_KINDS - 1] = 4;
    scene.builder.header.python_rewrapped = 2;
    open_scene(&scene);
    expect_part(&scene, "status", "Python stacks  the frame's code is no code object");
    expect_part(&scene, "status", "7 dropped");
    expect_part(&scene, "status", "Python replaced its allocators 2 times, they were wrapped again");
    expect_part(&scene, "status --json", "\"dropped\":7,");
    expect_part(&scene, "status --json",
                "{\"what\":\"Python stacks\",\"why\":\"the frame's code is no code object\",\"supply\":\"an unmodified "
                "CPython\"}");
    close_scene(&scene);
}

static void ignore_progress(void *context, const char *line) {}

static void hints_are_for_people_and_come_once(void **state) {
    struct scene scene;
    open_example(&scene);
    assert_null(strstr(answer(&scene, "peak"), "try:"));
    close_scene(&scene);

    builder_example(&scene.builder);
    scene.target = builder_finish(&scene.builder);
    fake_debugger_init(&scene.debugger, scene.target);
    scene.debugger.host.progress = ignore_progress;
    scene.session = mt_session_create(&scene.debugger.host, directory);
    expect_part(&scene, "peak", "try: memtrace live");
    assert_null(strstr(answer(&scene, "peak"), "try:"));
    expect_part(&scene, "live", "try: memtrace peak");
    assert_null(strstr(answer(&scene, "live --json"), "try:"));
    close_scene(&scene);
}

static void record_before_run_prepares_the_environment(void **state) {
    struct scene scene;
    open_empty(&scene);
    char with[192], recorder[128];
    snprintf(recorder, sizeof recorder, "%s/libmemtrace-recorder.so", directory);
    expect_error(&scene, "record stop", "memtrace record stop: nothing to stop: `memtrace record` was not used");
    /* Nothing set before: nothing is left. */
    assert_string_equal(answer(&scene, "record"),
                        "the next `run` records from its first instruction on, level objects\n");
    assert_string_equal(scene.debugger.preload, recorder);
    assert_string_equal(scene.debugger.level, "objects");
    assert_string_equal(answer(&scene, "status"), "no process; the next `run` records\n");
    expect_part(&scene, "record --level heap", "level heap");
    assert_string_equal(scene.debugger.preload, recorder);
    assert_string_equal(scene.debugger.level, "heap");
    answer(&scene, "record stop");
    assert_null(scene.debugger.preload);
    assert_null(scene.debugger.level);
    /* The user's own values come back. */
    scene.debugger.preload = strdup("/usr/lib/libother.so");
    scene.debugger.level = strdup("mine");
    expect_part(&scene, "record --json", "\"action\":\"armed\",\"level\":\"objects\"");
    snprintf(with, sizeof with, "%s:/usr/lib/libother.so", recorder);
    assert_string_equal(scene.debugger.preload, with);
    answer(&scene, "record stop");
    assert_string_equal(scene.debugger.preload, "/usr/lib/libother.so");
    assert_string_equal(scene.debugger.level, "mine");
    /* An empty value is not the same as none. */
    scene.debugger.preload[0] = '\0';
    answer(&scene, "record");
    answer(&scene, "record stop");
    assert_string_equal(scene.debugger.preload, "");
    assert_int_equal(unlink(recorder), 0);
    const struct mt_answer *result = mt_session_run(scene.session, "record");
    assert_int_equal(mt_answer_status(result), 1);
    assert_non_null(strstr(mt_answer_text(result), "is not there: build it with `make`"));
    close_scene(&scene);
}

static void record_writes_requests_into_the_image(void **state) {
    struct scene scene;
    builder_example(&scene.builder);
    scene.builder.header.state = MT_RECORDING_STOPPED;
    open_scene(&scene);
    const struct mt_image_header *header = (const struct mt_image_header *)scene.builder.header_bytes;
    assert_string_equal(answer(&scene, "record --level heap"), "recording begins at the next allocation, level heap\n");
    assert_int_equal(header->request, MT_REQUEST_START);
    assert_int_equal(header->request_argument, MT_LEVEL_HEAP);
    assert_string_equal(answer(&scene, "record"), "already recording, level heap\n");
    expect_error(&scene, "record --level objects",
                 "memtrace record: already recording at level heap: `memtrace record stop` first");
    assert_string_equal(answer(&scene, "record stop"), "recording will not begin\n");
    assert_int_equal(header->request, MT_REQUEST_NONE);
    expect_error(&scene, "record stop", "memtrace record stop: nothing is being recorded");
    close_scene(&scene);

    open_example(&scene);
    header = (const struct mt_image_header *)scene.builder.header_bytes;
    assert_string_equal(answer(&scene, "record stop"),
                        "recording ends at the next allocation; what was recorded stays readable\n");
    assert_int_equal(header->request, MT_REQUEST_STOP);
    expect_error(&scene, "record stop", "memtrace record stop: nothing is being recorded");
    expect_part(&scene, "status", "recording ends at the next allocation\n");
    assert_string_equal(answer(&scene, "record"), "recording goes on, level objects\n");
    assert_int_equal(header->request, MT_REQUEST_NONE);
    close_scene(&scene);
}

static void differences_look_like_this(void **state) {
    struct scene scene;
    example_with_marks(&scene.builder);
    open_scene(&scene);
    assert_string_equal(answer(&scene, "diff loaded"),
                        "since mark 1 `loaded` at +1.00 s: +50.0 MB, +1 block\n"
                        "  #         bytes  blocks  allocated by\n"
                        "  1  +150,000,000      +1  duplicate_data  holding.py:29 <- 2 more\n"
                        "  2  -100,000,000      -1  raise_to_power  holding.py:41 <- 2 more\n"
                        "               +7      +1  1 other stack\n");
    assert_string_equal(answer(&scene, "diff --by allocator 2"), "since mark 2 at +2.00 s: +7 bytes, +1 block\n"
                                                                 "  #  bytes  blocks  allocator\n"
                                                                 "  3     +7      +1  calloc\n");
    expect_part(
        &scene, "diff --limit 1 --json 2 loaded",
        "\"warnings\":[],\"from\":{\"generation\":2,\"name\":null,\"time\":2.000000,\"pending\":false},"
        "\"to\":{\"generation\":1,\"name\":\"loaded\",\"time\":1.000000,\"pending\":false},"
        "\"bytes_delta\":-50000000,\"blocks_delta\":0,"
        "\"rows\":[{\"bytes_delta\":-150000000,\"blocks_delta\":-1,\"stack\":[{\"function\":\"duplicate_data\",");
    expect_part(&scene, "diff --limit 1 2 loaded --json", "\"omitted\":{\"rows\":1,\"bytes\":100000000}}\n");
    expect_part(&scene, "diff start --json",
                "\"from\":{\"generation\":0,\"name\":null,\"time\":0.000000,\"pending\":false},\"to\":null,");
    expect_part(&scene, "born 1", "0x7f4000000010 is the start of a block of 150,000,000 bytes\n");
    expect_error(&scene, "born 2", "memtrace born: row 2: no block that was born there in between is alive");
    assert_string_equal(answer(&scene, "diff now now"), "since now: no change\n");
    assert_string_equal(answer(&scene, "live --since loaded --by line"),
                        "alive now, born since mark 1 `loaded`: 150.0 MB in 2 blocks\n"
                        "  #        bytes  blocks  line\n"
                        "  4  150,000,000       1  duplicate_data  /home/usr/code/holding.py:29\n"
                        "               7       1  1 other line\n");
    expect_part(&scene, "live --since 2 --json",
                "\"since\":{\"generation\":2,\"name\":null,\"time\":2.000000,\"pending\":false},"
                "\"live_bytes\":7,\"live_blocks\":1,\"rows\":[{\"bytes\":7,");
    expect_part(&scene, "status",
                "\nmark  name    set       alive then  blocks\n"
                "   1  loaded  +1.00 s  300,049,500   1,003\n"
                "   2          +2.00 s  350,049,500   1,003\n");
    expect_error(
        &scene, "diff",
        "memtrace diff: since when? Give a mark's number or name, or `start` (`memtrace status` lists the marks)");
    expect_error(&scene, "diff 1 2 3", "memtrace diff: takes one mark or two (options come before them): `3`");
    expect_error(&scene, "diff 3", "memtrace diff: there is no mark `3`: there are 1 loaded, 2");
    expect_error(&scene, "live --since x", "memtrace live: there is no mark `x`: there are 1 loaded, 2");
    close_scene(&scene);

    /* What is wrong with the marks is no matter to the rest. */
    example_with_marks(&scene.builder);
    scene.builder.marks[1].record.generation = 2;
    open_scene(&scene);
    expect_part(&scene, "status", "marks     the recorder's image is damaged: a mark lies in the place of another");
    expect_part(&scene, "status", "recorded: level objects, ");
    expect_error(&scene, "diff 1",
                 "memtrace diff: the recorder's image is damaged: a mark lies in the place of another");
    expect_part(&scene, "live", "alive now: ");
    close_scene(&scene);
}

static void mark_writes_its_name_and_a_request(void **state) {
    struct scene scene;
    open_example(&scene);
    const struct mt_image_header *header = (const struct mt_image_header *)scene.builder.header_bytes;
    expect_error(&scene, "mark a b", "memtrace mark: a mark's name is one word, not `a b`");
    expect_error(&scene, "mark 12", "memtrace mark: a mark's name is no number: marks have numbers of their own");
    expect_error(&scene, "mark start", "memtrace mark: `start` is there without a mark: give another name");
    expect_error(&scene, "mark a-name-of-just-too-many-bytes-32", "memtrace mark: a mark's name has at most 31 bytes");
    assert_int_equal(header->request, MT_REQUEST_NONE);
    assert_string_equal(answer(&scene, "mark one"), "mark 1 `one`: 300.0 MB in 1,003 blocks are alive\n");
    assert_int_equal(header->request, MT_REQUEST_MARK);
    assert_int_equal(header->request_argument, 1);
    assert_string_equal(header->request_name, "one");
    /* Still at the same stop. */
    assert_string_equal(answer(&scene, "diff one"), "since mark 1 `one`: no change\n");
    assert_string_equal(answer(&scene, "live --since 1"), "alive now, born since mark 1 `one`: 0 bytes in 0 blocks\n");
    expect_part(&scene, "status", "\nmark  name  set   alive then  blocks\n   1  one   now  300,049,500   1,003\n");
    expect_part(&scene, "status --json", "\"pending\":\"mark\",");
    expect_part(&scene, "status --json",
                "\"marks\":[{\"generation\":1,\"live_bytes\":300049500,\"live_blocks\":1003,\"name\":\"one\","
                "\"pending\":true}]");
    expect_part(&scene, "mark --json", "\"warnings\":[],\"action\":\"none\",\"generation\":1,\"name\":\"one\",");
    assert_string_equal(
        answer(&scene, "mark two"),
        "mark 1 `two` (set before at this very moment, as `one`): 300.0 MB in 1,003\n    blocks are alive\n");
    assert_string_equal(header->request_name, "two");
    /* An end of recording does not lose it, nor does taking that back. */
    answer(&scene, "record stop");
    assert_int_equal(header->request, MT_REQUEST_STOP);
    assert_int_equal(header->request_argument, 1);
    assert_string_equal(answer(&scene, "diff two"), "since mark 1 `two`: no change\n");
    expect_error(&scene, "mark",
                 "memtrace mark: recording was stopped: nothing will be born after a mark (`memtrace "
                 "record` begins anew)");
    answer(&scene, "record");
    assert_int_equal(header->request, MT_REQUEST_MARK);
    assert_int_equal(header->request_argument, 1);
    close_scene(&scene);

    static const struct {
        uint32_t state, request;
        const char *error;
    } cases[] = {
        {MT_RECORDING_STOPPED, MT_REQUEST_NONE,
         "memtrace mark: recording was stopped: nothing will be born after a mark (`memtrace record` begins anew)"},
        {MT_RECORDING_STOPPED, MT_REQUEST_START,
         "memtrace mark: recording begins at the next allocation: this moment is `start`, without a mark"},
        {MT_RECORDING_NEVER, MT_REQUEST_NONE, "memtrace mark: nothing was recorded yet. Use `memtrace record`"},
        {MT_RECORDING_DORMANT, MT_REQUEST_NONE,
         "memtrace mark: nothing was recorded: the recorder is loaded, but was told to leave this program alone"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        builder_example(&scene.builder);
        scene.builder.header.state = cases[i].state;
        scene.builder.header.request = cases[i].request;
        open_scene(&scene);
        expect_error(&scene, "mark", cases[i].error);
        close_scene(&scene);
    }
    open_empty(&scene);
    expect_error(&scene, "mark", "memtrace mark: no process: start one with `run`, attach to one, or open a core");
    close_scene(&scene);
}

static void interruption_ends_a_command(void **state) {
    struct scene scene;
    open_example(&scene);
    scene.debugger.interrupted = true;
    expect_error(&scene, "live", "memtrace live: interrupted");
    expect_error(
        &scene, "peak --json",
        "{\"schema\":1,\"command\":\"peak\",\"error\":{\"code\":\"interrupted\",\"message\":\"interrupted\"}}");
    scene.debugger.interrupted = false;
    expect_part(&scene, "live", "in 1,003 blocks");
    close_scene(&scene);
}

static void completion_is_words(void **state) {
    struct scene scene;
    open_empty(&scene);
    assert_string_equal(mt_complete(scene.session, "pe"), "peak\n");
    assert_string_equal(mt_complete(scene.session, "born 0x"), "");
    close_scene(&scene);
}

static void openings_that_fail_tell_why(void **state) {
    struct mt_session *session;
    const struct mt_answer *result = mt_session_open_core(NULL, "/nonexistent/core", NULL, &session);
    assert_int_equal(mt_answer_status(result), 0);
    result = mt_session_run(session, "peak");
    assert_int_equal(mt_answer_status(result), 1);
    assert_non_null(strstr(mt_answer_text(result), "memtrace peak: "));
    assert_non_null(strstr(mt_answer_text(result), "/nonexistent/core"));
    result = mt_session_run(session, "record");
    assert_string_equal(mt_answer_text(result),
                        "memtrace record: a core is what a process left behind: only a process can be recorded");
    mt_session_destroy(session);
    result = mt_session_open_pid(NULL, 0x7ffffff0, &session);
    assert_int_equal(mt_answer_status(result), 0);
    result = mt_session_run(session, "peak --json");
    assert_int_equal(mt_answer_status(result), 1);
    assert_non_null(
        strstr(mt_answer_text(result), "{\"schema\":1,\"command\":\"peak\",\"error\":{\"code\":\"no-process\","));
    mt_session_destroy(session);
}

static int set_up(void **state) {
    char path[64];
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/libmemtrace-recorder.so", directory);
    FILE *file = fopen(path, "w");
    return file ? fclose(file) : -1;
}

static int tear_down(void **state) {
    char path[64];
    snprintf(path, sizeof path, "%s/libmemtrace-recorder.so", directory);
    unlink(path);
    return rmdir(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peak_looks_like_this),
        cmocka_unit_test(every_line_fits),
        cmocka_unit_test(json_looks_like_this),
        cmocka_unit_test(same_image_gives_the_same_bytes),
        cmocka_unit_test(born_tells_where),
        cmocka_unit_test(addresses_are_taken_in_many_forms),
        cmocka_unit_test(row_numbers_count_on_through_a_stop),
        cmocka_unit_test(errors_say_what_to_do),
        cmocka_unit_test(warnings_are_part_of_the_answer),
        cmocka_unit_test(status_names_what_is_degraded),
        cmocka_unit_test(hints_are_for_people_and_come_once),
        cmocka_unit_test(record_before_run_prepares_the_environment),
        cmocka_unit_test(record_writes_requests_into_the_image),
        cmocka_unit_test(differences_look_like_this),
        cmocka_unit_test(mark_writes_its_name_and_a_request),
        cmocka_unit_test(interruption_ends_a_command),
        cmocka_unit_test(completion_is_words),
        cmocka_unit_test(openings_that_fail_tell_why),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
