/* Command lines: commands, options, their abbreviations and what is said about wrong ones; help; completion;
 * LD_PRELOAD. */
#include <stdlib.h>
#include <string.h>

#include "commands/command.h"
#include "commands/handles.h"
#include "commands/options.h"
#include "commands/preload.h"
#include "commands/words.h"
#include "image/image.h"
#include "trace/rows.h"
#include "unit.h"

enum { ALL = MT_OPTION_BY | MT_OPTION_SINCE | MT_OPTION_LEVEL | MT_OPTION_LIMIT | MT_OPTION_JSON };

static void options_come_first(void **state) {
    struct mt_options options;
    const char *rest;
    assert_ok(mt_options_parse("", ALL, &options, &rest));
    assert_int_equal(options.given, 0);
    assert_int_equal(options.by, MT_BY_STACK);
    assert_int_equal(options.level, MT_LEVEL_OBJECTS);
    assert_ok(mt_options_parse("  --by line --limit=7   -json   a word --by file", ALL, &options, &rest));
    assert_int_equal(options.given, MT_OPTION_BY | MT_OPTION_LIMIT | MT_OPTION_JSON);
    assert_int_equal(options.by, MT_BY_LINE);
    assert_int_equal(options.limit, 7);
    assert_string_equal(rest, "a word --by file");
    assert_ok(mt_options_parse("--lev heap --lim all --js -- --by file", ALL, &options, &rest));
    assert_int_equal(options.level, MT_LEVEL_HEAP);
    assert_true(options.limit == SIZE_MAX);
    assert_string_equal(options.since, "");
    assert_string_equal(rest, "--by file");
}

static void values_may_be_shortened(void **state) {
    struct mt_options options;
    const char *rest;
    assert_ok(mt_options_parse("--by alloc - x", ALL, &options, &rest));
    assert_int_equal(options.by, MT_BY_ALLOCATOR);
    assert_string_equal(rest, "- x");
    assert_ok(mt_options_parse("--by=fi --level o", ALL, &options, &rest));
    assert_int_equal(options.by, MT_BY_FILE);
    assert_int_equal(options.level, MT_LEVEL_OBJECTS);
    assert_ok(mt_options_parse("--since loaded --by=th", ALL, &options, &rest));
    assert_string_equal(options.since, "loaded");
    assert_int_equal(options.by, MT_BY_THREAD);
}

static void values_may_be_quoted(void **state) {
    const unsigned accepted = MT_OPTION_FUNCTION | MT_OPTION_LINE | MT_OPTION_IF | MT_OPTION_JSON;
    struct mt_options options;
    const char *rest;
    assert_ok(mt_options_parse("--function '<lambda>' --json x", accepted, &options, &rest));
    assert_string_equal(options.place, "<lambda>");
    assert_string_equal(rest, "x");
    assert_ok(mt_options_parse("--line=\"my app/a.py:12\"", accepted, &options, &rest));
    assert_string_equal(options.place, "my app/a.py");
    assert_int_equal(options.line, 12);
    assert_ok(mt_options_parse("--function 'open --json", accepted, &options, &rest));
    assert_string_equal(options.place, "'open");
    assert_ok(mt_options_parse("--function 'a'b", accepted, &options, &rest));
    assert_string_equal(options.place, "'a'b");
    assert_ok(mt_options_parse("--if 'a' == 'b' --json", accepted, &options, &rest));
    assert_string_equal(options.condition, "'a' == 'b'");
    assert_error(mt_options_parse("--function ''", accepted, &options, &rest), MT_ERROR_USAGE, "needs a value");
}

static void wrong_options_are_named(void **state) {
    const struct {
        const char *line;
        const char *part;
    } cases[] = {
        {"--jsn", "unknown option `--jsn`: did you mean `--json`?"},
        {"--frobnicate", "unknown option `--frobnicate`"},
        {"--l 3", "option `--l` is ambiguous: --level or --limit"},
        {"--by", "--by needs a value"},
        {"--by ", "--by needs a value"},
        {"--by=", "--by needs a value"},
        {"--by colour", "--by takes one of stack, line, function, file, thread, allocator, not `colour`"},
        {"--by f", "--by `f` is ambiguous: function or file"},
        {"--json=yes", "--json takes no value"},
        {"--since", "--since needs a value: --since MARK"},
        {"--since a-name-of-just-too-many-bytes-32", "--since takes a mark's number or name, and no name is that long"},
        {"--limit many", "--limit takes a number of rows, or `all`, not `many`"},
        {"--limit -3", "--limit takes a number of rows"},
        {"--limit 3x", "--limit takes a number of rows"},
        {"--limit 99999999999999999999999", "--limit takes a number of rows"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mt_options options;
        const char *rest;
        assert_error(mt_options_parse(cases[i].line, ALL, &options, &rest), MT_ERROR_USAGE, cases[i].part);
        assert_false(options.given & MT_OPTION_JSON);
    }
    struct mt_options options;
    const char *rest;
    assert_error(mt_options_parse("--level heap", MT_OPTION_JSON, &options, &rest), MT_ERROR_USAGE,
                 "unknown option `--level`");
    /* A script gets its error as JSON wherever it asked for it. */
    assert_error(mt_options_parse("--frobnicate --json", ALL, &options, &rest), MT_ERROR_USAGE, "frobnicate");
    assert_true(options.given & MT_OPTION_JSON);
}

static void expect_command(const char *line, const char *name, const char *rest_expected) {
    const struct mt_command *command;
    const char *rest;
    assert_ok(mt_command_find(line, &command, &rest));
    assert_string_equal(command->name, name);
    assert_string_equal(rest, rest_expected);
}

static void commands_may_be_shortened(void **state) {
    expect_command("peak --json", "peak", "--json");
    expect_command("  pe  --by line", "peak", "--by line");
    expect_command("rec", "record", "");
    expect_command("record --level heap", "record", "--level heap");
    expect_command("record stop --json", "record stop", "--json");
    expect_command("rec st", "record stop", "");
    expect_command("record stopped", "record", "stopped");
    expect_command("born stop", "born", "stop");
    expect_command("st", "status", "");
    expect_command("m loaded", "mark", "loaded");
    expect_command("d --by line 1 2", "diff", "--by line 1 2");
    const struct mt_command *command;
    const char *rest;
    assert_error(mt_command_find("peek 1", &command, &rest), MT_ERROR_USAGE,
                 "unknown command `peek`: did you mean `peak`?");
    assert_error(mt_command_find("statsu", &command, &rest), MT_ERROR_USAGE, "did you mean `status`?");
    assert_error(mt_command_find("xyzzy", &command, &rest), MT_ERROR_USAGE, "`memtrace help` lists the commands");
    assert_error(mt_command_find("record_stop", &command, &rest), MT_ERROR_USAGE, "unknown command");
}

static void help_fits_78_columns(void **state) {
    assert_true(mt_command_count() > 0);
    for (size_t i = 0; i < mt_command_count(); i++) {
        const char *help = mt_command_help(i), *summary = mt_command_summary(i);
        assert_non_null(strstr(help, mt_command_name(i)));
        assert_int_equal(summary[strlen(summary) - 1], '.');
        for (const char *line = help; *line != '\0'; line += strcspn(line, "\n") + 1)
            assert_true(strcspn(line, "\n") <= 78);
        assert_int_equal(help[strlen(help) - 1], '\n');
    }
    assert_null(mt_command_name(99));
    assert_null(mt_command_summary(99));
    assert_null(mt_command_help(99));
    assert_non_null(strstr(mt_command_help(4), "--by WHAT"));
}

static void expect_completion(const char *line, const char *expected) {
    struct mt_strbuf out = MT_STRBUF_INIT;
    mt_command_complete(NULL, line, &out);
    assert_string_equal(out.data ? out.data : "", expected);
    mt_strbuf_deinit(&out);
}

static void words_are_completed(void **state) {
    struct mt_strbuf all = MT_STRBUF_INIT;
    for (size_t i = 0; i < mt_command_count(); i++)
        if (!strchr(mt_command_name(i), ' '))
            mt_strbuf_printf(&all, "%s\n", mt_command_name(i));
    expect_completion("", all.data);
    expect_completion("help ", all.data);
    mt_strbuf_deinit(&all);
    expect_completion("  p", "peak\npath\n");
    expect_completion("x", "");
    expect_completion("record ", "stop\n");
    expect_completion("record s", "stop\n");
    expect_completion("record --", "--level\n--force\n--json\n");
    expect_completion("record stop --", "--force\n--json\n");
    expect_completion("peak ", "");
    expect_completion("peak --", "--by\n--limit\n--json\n");
    expect_completion("peak --l", "--limit\n");
    expect_completion("peak --by ", "stack\nline\nfunction\nfile\nthread\nallocator\n");
    expect_completion("peak --by f", "function\nfile\n");
    expect_completion("peak --by line --", "--by\n--limit\n--json\n");
    expect_completion("peak --limit ", "all\n");
    expect_completion("record --level ", "objects\nheap\n");
    expect_completion("help pe", "peak\n");
    expect_completion("live --s", "--since\n");
    expect_completion("live --since ", "start\n");
    expect_completion("diff --by f", "function\nfile\n");
    expect_completion("mark --", "--json\n");
    expect_completion("born 0x", "");
    expect_completion("nonsense --", "");
}

static void expect_preload(const char *value, const char *with, const char *without_again) {
    char *result = mt_preload_with(value, "/m/rec.so");
    assert_string_equal(result, with);
    assert_true(mt_preload_contains(result, "/m/rec.so"));
    char *again = mt_preload_without(result, "/m/rec.so");
    assert_string_equal(again, without_again);
    free(again);
    free(result);
}

static void preload_is_put_before_and_taken_out(void **state) {
    expect_preload(NULL, "/m/rec.so", "");
    expect_preload("", "/m/rec.so", "");
    expect_preload("/a.so", "/m/rec.so:/a.so", "/a.so");
    expect_preload("/a.so /b.so::", "/m/rec.so:/a.so /b.so::", "/a.so /b.so::");
    assert_false(mt_preload_contains(NULL, "/m/rec.so"));
    assert_false(mt_preload_contains("/m/rec.so.old:/x/m/rec.so", "/m/rec.so"));
    assert_true(mt_preload_contains("/a.so /m/rec.so", "/m/rec.so"));
    char *rest = mt_preload_without("/a.so:/m/rec.so", "/m/rec.so");
    assert_string_equal(rest, "/a.so");
    free(rest);
    rest = mt_preload_without("/a.so:/m/rec.so:/b.so", "/m/rec.so");
    assert_string_equal(rest, "/a.so:/b.so");
    free(rest);
}

static void row_numbers_are_told_from_addresses(void **state) {
    size_t number;
    assert_true(mt_handles_is_number("17", &number));
    assert_int_equal(number, 17);
    assert_true(mt_handles_is_number("#3", &number));
    assert_int_equal(number, 3);
    assert_false(mt_handles_is_number("0x17", &number));
    assert_false(mt_handles_is_number("017", &number));
    assert_false(mt_handles_is_number("17a", &number));
    assert_false(mt_handles_is_number("", &number));
    assert_false(mt_handles_is_number("#", &number));
    assert_false(mt_handles_is_number("-1", &number));
    assert_true(mt_handles_is_number("99999999999999999999999999", &number));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_come_first),
        cmocka_unit_test(values_may_be_shortened),
        cmocka_unit_test(values_may_be_quoted),
        cmocka_unit_test(wrong_options_are_named),
        cmocka_unit_test(commands_may_be_shortened),
        cmocka_unit_test(help_fits_78_columns),
        cmocka_unit_test(words_are_completed),
        cmocka_unit_test(preload_is_put_before_and_taken_out),
        cmocka_unit_test(row_numbers_are_told_from_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
