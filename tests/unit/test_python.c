/* The opening of CPython: versions and states made up, and a real process whose layout is wrong by one word. */
#define _GNU_SOURCE 1

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "python/debug_offsets.h"
#include "python/prove.h"
#include "python/python.h"
#include "python/version.h"
#include "synthetic_target.h"
#include "unit.h"

#define RUNTIME 0x7f0000010000ULL
#define RUNTIME_BYTES (1u << 20)
#define VERSION_3_11_2 0x030b02f0u
#define VERSION_3_12_1 0x030c01f0u
#define VERSION_3_13_5 0x030d05f0u

/* --- layouts ------------------------------------------------------------------------------------------------------ */

static struct mt_python_layout layout, other;

static void layout_of_a_measured_release(void **state) {
    assert_true(mt_python_layout_choose(VERSION_3_11_2, 0, &layout));
    assert_int_equal(layout.measured, VERSION_3_11_2);
    assert_int_equal(MT_AT(&layout, _PyRuntimeState, sizeof), 166688);
    assert_int_equal(MT_AT(&layout, PyASCIIObject, sizeof), 48);
    assert_int_equal(MT_CONSTANT(&layout, FRAME_CLEARED), 4);
    assert_false(MT_HAS(&layout, PyDictValues, embedded));
}

static void layout_of_an_unknown_release_is_the_nearest_one(void **state) {
    uint32_t releases[64];
    assert_true(mt_python_layout_choose(0x030b63f0, 0, &layout));
    assert_int_equal(layout.measured >> 16, 0x030b);
    assert_int_not_equal(layout.measured, layout.version);
    size_t count = mt_python_layout_nearest(VERSION_3_12_1, releases, 64);
    assert_true(count > 10);
    assert_int_equal(releases[0], VERSION_3_12_1);
    assert_int_equal(releases[1], 0x030c00f0);
    assert_int_equal(releases[2], 0x030c02f0);
    /* An alpha is earlier than all that was measured. */
    assert_int_equal(mt_python_layout_nearest(0x030b00a3, releases, 1), 1);
    assert_int_equal(releases[0], 0x030b00f0);
    assert_false(mt_python_layout_choose(0x030800f0, 0, &layout));
    assert_false(mt_python_layout_choose(0x031000f0, 0, &layout));
    assert_int_equal(mt_python_layout_nearest(0x031000f0, releases, 64), 0);
}

/* The debug build was measured at 3.12.14: what it moves there is moved as far in 3.12.1. */
static void variants_move_what_they_move_elsewhere(void **state) {
    int64_t moved[2];
    uint32_t versions[] = {VERSION_3_12_1, 0x030c0ef0};
    for (size_t i = 0; i < 2; i++) {
        assert_true(mt_python_layout_choose(versions[i], 0, &layout));
        assert_true(mt_python_layout_choose(versions[i], MT_PYTHON_DEBUG, &other));
        moved[i] = MT_AT(&other, PyInterpreterState, dict_state) - MT_AT(&layout, PyInterpreterState, dict_state);
        assert_int_equal(MT_AT(&other, PyInterpreterState, gc), MT_AT(&layout, PyInterpreterState, gc));
    }
    assert_int_equal(moved[0], 16);
    assert_int_equal(moved[1], 16);
}

static void fields_have_names(void **state) {
    assert_string_equal(mt_python_field_name(MT_FIELD_PyDictObject__ma_keys), "PyDictObject.ma_keys");
    assert_string_equal(mt_python_field_name(MT_FIELD_mmap_object__sizeof), "sizeof(mmap_object)");
    assert_string_equal(mt_python_field_name(MT_FIELD_mmap_object__size), "mmap_object.size");
    assert_string_equal(mt_python_field_name(MT_FIELD__gc_runtime_state__generations_stride),
                        "_gc_runtime_state.generations[]");
    assert_string_equal(mt_python_field_name(MT_FIELD_constant__FRAME_CLEARED), "FRAME_CLEARED");
}

/* --- versions ----------------------------------------------------------------------------------------------------- */

/* A process that has nothing but the state of the runtime, as a word or text says. */
struct made_up {
    struct mt_target *target;
    uint8_t *runtime;
};

static struct made_up make_up(void) {
    struct made_up made = {.target = mt_synthetic_target_create()};
    made.runtime = mt_synthetic_target_add(made.target, RUNTIME, NULL, RUNTIME_BYTES,
                                           MT_SYNTHETIC_READ | MT_SYNTHETIC_WRITE, "/usr/bin/python3.99");
    return made;
}

static struct mt_error *open_made_up(struct made_up *made) {
    struct mt_python *python = NULL;
    struct mt_error *error = mt_python_open(made->target, NULL, &python);
    assert_non_null(error);
    assert_null(python);
    mt_target_destroy(made->target);
    return error;
}

static void write_own_words(struct made_up *made, size_t at, uint64_t version, uint64_t free_threaded, uint64_t size) {
    uint64_t words[] = {version, free_threaded, size};
    memcpy(made->runtime + at, "xdebugpy", 8);
    memcpy(made->runtime + at + 8, words, sizeof words);
}

static void other_programs_are_refused(void **state) {
    struct mt_target *target = mt_synthetic_target_create();
    struct mt_python *python = NULL;
    mt_synthetic_target_add(target, 0x1000, NULL, 4096, MT_SYNTHETIC_READ | MT_SYNTHETIC_WRITE, "/usr/bin/cat");
    assert_error(mt_python_open(target, NULL, &python), MT_ERROR_NOT_FOUND, "no CPython in the target");
    mt_target_destroy(target);
}

static void builds_that_are_not_read_are_refused_by_name(void **state) {
    static const struct {
        uint64_t version, free_threaded;
        const char *words;
    } cases[] = {
        {0x030d05f0, 1, "CPython 3.13.5 in the target is a free-threaded build"},
        {0x030e00c3, 1, "CPython 3.14.0rc3 in the target is a free-threaded build"},
        {0x031000a1, 0, "CPython 3.16.0a1 in the target is not read: 3.9 to 3.15 are"},
        {0x032a07f0, 1, "CPython 3.42.7 in the target is not read"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct made_up made = make_up();
        write_own_words(&made, 0x2340, cases[i].version, cases[i].free_threaded, 0x40000);
        assert_error(open_made_up(&made), MT_ERROR_UNSUPPORTED, cases[i].words);
    }
}

/* The words that it begins with occur elsewhere too: what follows must make sense. */
static void words_that_begin_no_state_are_passed_over(void **state) {
    struct made_up made = make_up();
    write_own_words(&made, 0x40, 0x020d05f0, 0, 0x40000);
    write_own_words(&made, 0x80, 0x030d05f0, 2, 0x40000);
    write_own_words(&made, 0xc0, 0x030d05f0, 0, 16);
    write_own_words(&made, 0x100, 0x030d05f0, 0, 2 * RUNTIME_BYTES);
    write_own_words(&made, 0x144, 0x030d05f0, 0, 0x40000); /* not aligned */
    memcpy(made.runtime + RUNTIME_BYTES - 8, "xdebugpy", 8);
    assert_error(open_made_up(&made), MT_ERROR_UNSUPPORTED, "CPython 3.99 in the target is not read");
}

static void state_before_the_beginning_is_refused(void **state) {
    struct made_up made = make_up();
    write_own_words(&made, 0, VERSION_3_13_5, 0, 283376);
    assert_error(open_made_up(&made), MT_ERROR_UNSUPPORTED, "CPython 3.13.5 in the target has not begun yet");
}

static void damaged_state_is_refused(void **state) {
    struct made_up made = make_up();
    mt_synthetic_target_add_symbol(made.target, "_PyRuntime", RUNTIME);
    mt_python_layout_choose(VERSION_3_11_2, 0, &layout);
    /* A list of interpreters that runs in a circle. */
    uint64_t head = RUNTIME + 0x1000, one = 1;
    memcpy(made.runtime + 0x60000, "3.11.2 (main, ", 14);
    memcpy(made.runtime + MT_AT(&layout, _PyRuntimeState, interpreters_head), &head, 8);
    memcpy(made.runtime + MT_AT(&layout, _PyRuntimeState, initialized), &one, 4);
    memcpy(made.runtime + 0x1000 + MT_AT(&layout, PyInterpreterState, next), &head, 8);
    uint64_t runtime = RUNTIME;
    memcpy(made.runtime + 0x1000 + MT_AT(&layout, PyInterpreterState, runtime), &runtime, 8);
    assert_error(open_made_up(&made), MT_ERROR_FORMAT, "fits the target: the list of interpreters does not end");
}

/* The text that Py_GetVersion() made; NULL: none is found. */
static void check_text(const char *text, const char *expected) {
    struct made_up made = make_up();
    struct mt_view *view;
    uint32_t version = 0;
    char found[32];
    struct mt_runtime runtime = {.address = RUNTIME, .data_start = RUNTIME, .data_end = RUNTIME + RUNTIME_BYTES};
    /* Over the end of a page and of a block of the view. */
    memcpy(made.runtime + 0xfffe - (text[0] != '3'), text, strlen(text));
    assert_ok(mt_view_create(made.target, &view));
    struct mt_error *error = mt_python_read_version(view, &runtime, &version);
    if (expected) {
        assert_ok(error);
        mt_python_version_text(version, found, sizeof found);
        assert_string_equal(found, expected);
    } else {
        assert_error(error, MT_ERROR_UNSUPPORTED, "CPython");
    }
    mt_view_destroy(view);
    mt_target_destroy(made.target);
}

static void version_is_read_from_the_text(void **state) {
    check_text("3.11.2 (main, Mar 13 2023)", "3.11.2");
    check_text("3.9.2+ (default", "3.9.2");
    check_text("3.10.0rc2 (main", "3.10.0rc2");
    check_text("3.12.0a7+ (heads", "3.12.0a7");
    check_text("3.11.0b5 (", "3.11.0b5");
    check_text("3.8.18 (default", NULL);
    check_text("3.16.0 (main", NULL);
    check_text("13.11.2 (main", NULL);
    check_text(".3.11.2 (main", NULL);
    check_text("3.11.2, (main", NULL);
    check_text("3.11.2(main", NULL);
    check_text("3.11.999 (main", NULL);
    check_text("3.11.99999999999999999999999 (main", NULL);
    check_text("3.11.2rc (main", NULL);
    check_text("3.11 (main", NULL);
}

/* --- the process's own offsets ------------------------------------------------------------------------------------ */

/* A process of 3.13.5 that says 0 of all offsets but one. */
static struct mt_error *apply_own(enum mt_python_field own, uint64_t value, struct mt_debug_offsets *ret) {
    struct made_up made = make_up();
    struct mt_view *view;
    mt_python_layout_choose(VERSION_3_13_5, 0, &other);
    memcpy(made.runtime + other.value[own], &value, sizeof value);
    assert_ok(mt_view_create(made.target, &view));
    struct mt_error *error = mt_debug_offsets_apply(view, RUNTIME, &other, ret);
    mt_view_destroy(view);
    mt_target_destroy(made.target);
    return error;
}

static void own_offsets_win(void **state) {
    struct mt_debug_offsets own = {0};
    assert_ok(apply_own(MT_FIELD__Py_DebugOffsets__interpreter_state_gc, 7777, &own));
    assert_int_equal(MT_AT(&other, PyInterpreterState, gc), 7777);
    assert_true(own.compared > 60);
    assert_true(own.corrected > own.compared / 2);
}

/* Readers of objects have room for what the tables have; the state of the interpreter may be larger. */
static void own_offsets_that_can_not_be_are_refused(void **state) {
    struct mt_debug_offsets own = {0};
    assert_error(apply_own(MT_FIELD__Py_DebugOffsets__dict_object_ma_keys, 1 << 20, &own), MT_ERROR_FORMAT,
                 "PyDictObject.ma_keys can't be");
    assert_error(apply_own(MT_FIELD__Py_DebugOffsets__unicode_object_asciiobject_size, 4096, &own), MT_ERROR_FORMAT,
                 "sizeof(PyASCIIObject) can't be");
    assert_error(apply_own(MT_FIELD__Py_DebugOffsets__interpreter_state_gc, UINT64_MAX - 7, &own), MT_ERROR_FORMAT,
                 "PyInterpreterState.gc can't be");
}

/* --- a real process ----------------------------------------------------------------------------------------------- */

#define INTERPRETER "/usr/bin/python3"
#define PROGRAM "import os; os.write(1, b'!'); os.read(0, 1)"

struct child {
    pid_t pid;
    int input; /* it ends when this is closed */
};

static void run_interpreter(const int input[2], const int output[2]) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(input[0], 0);
    dup2(output[1], 1);
    execl(INTERPRETER, INTERPRETER, "-c", PROGRAM, (char *)NULL);
    _exit(127);
}

/* False: there is no interpreter. */
static bool start_interpreter(struct child *ret) {
    int input[2], output[2];
    char ready;
    if (access(INTERPRETER, X_OK))
        return false;
    assert_int_equal(pipe2(input, O_CLOEXEC) | pipe2(output, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0)
        run_interpreter(input, output);
    close(input[0]);
    close(output[1]);
    assert_int_equal(read(output[0], &ready, 1), 1);
    close(output[0]);
    *ret = (struct child){pid, input[1]};
    return true;
}

static void end_interpreter(struct child *child) {
    close(child->input);
    waitpid(child->pid, NULL, 0);
}

/* Fields that the proofs cover in every version that has them: a word more or less is refused. */
static const uint16_t covered[] = {
    MT_FIELD_PyASCIIObject__length,
    MT_FIELD_PyASCIIObject__state,
    MT_FIELD_PyASCIIObject__sizeof,
    MT_FIELD_PyBytesObject__ob_sval,
    MT_FIELD_PyCodeObject__co_code_adaptive,
    MT_FIELD_PyCodeObject__co_filename,
    MT_FIELD_PyCodeObject__co_framesize,
    MT_FIELD_PyCodeObject__co_linetable,
    MT_FIELD_PyCodeObject__co_lnotab,
    MT_FIELD_PyCodeObject__co_localspluskinds,
    MT_FIELD_PyCodeObject__co_localsplusnames,
    MT_FIELD_PyCodeObject__co_name,
    MT_FIELD_PyCodeObject__co_qualname,
    MT_FIELD_PyDictKeysObject__dk_indices,
    MT_FIELD_PyDictKeysObject__dk_kind,
    MT_FIELD_PyDictKeysObject__dk_log2_index_bytes,
    MT_FIELD_PyDictKeysObject__dk_log2_size,
    MT_FIELD_PyDictKeysObject__dk_nentries,
    MT_FIELD_PyDictKeysObject__dk_size,
    MT_FIELD_PyDictKeysObject__dk_usable,
    MT_FIELD_PyDictObject__ma_keys,
    MT_FIELD_PyDictObject__sizeof,
    MT_FIELD_PyDictUnicodeEntry__me_key,
    MT_FIELD_PyDictUnicodeEntry__me_value,
    MT_FIELD_PyFloatObject__sizeof,
    MT_FIELD_PyFunctionObject__func_code,
    MT_FIELD_PyFunctionObject__func_dict,
    MT_FIELD_PyFunctionObject__func_globals,
    MT_FIELD_PyFunctionObject__func_kwdefaults,
    MT_FIELD_PyFunctionObject__func_name,
    MT_FIELD_PyFunctionObject__func_qualname,
    MT_FIELD_PyFunctionObject__func_weakreflist,
    MT_FIELD_PyFunctionObject__sizeof,
    MT_FIELD_PyGC_Head___gc_next,
    MT_FIELD_PyGC_Head___gc_prev,
    MT_FIELD_PyGC_Head__sizeof,
    MT_FIELD_PyHeapTypeObject__sizeof,
    MT_FIELD_PyInterpreterState__builtins,
    MT_FIELD_PyInterpreterState__gc,
    MT_FIELD_PyInterpreterState__imports_modules,
    MT_FIELD_PyInterpreterState__modules,
    MT_FIELD_PyInterpreterState__runtime,
    MT_FIELD_PyInterpreterState__sysdict,
    MT_FIELD_PyInterpreterState__tstate_head,
    MT_FIELD_PyListObject__sizeof,
    MT_FIELD_PyLongObject__long_value_lv_tag,
    MT_FIELD_PyLongObject__long_value_ob_digit,
    MT_FIELD_PyLongObject__ob_digit,
    MT_FIELD_PyModuleObject__md_dict,
    MT_FIELD_PyModuleObject__md_weaklist,
    MT_FIELD_PyModuleObject__sizeof,
    MT_FIELD_PyObject__ob_type,
    MT_FIELD_PySetObject__sizeof,
    MT_FIELD_PyThreadState__frame,
    MT_FIELD_PyThreadState__interp,
    MT_FIELD_PyThreadState__native_thread_id,
    MT_FIELD_PyThreadState__thread_id,
    MT_FIELD_PyTupleObject__ob_item,
    MT_FIELD_PyTypeObject__tp_base,
    MT_FIELD_PyTypeObject__tp_bases,
    MT_FIELD_PyTypeObject__tp_basicsize,
    MT_FIELD_PyTypeObject__tp_dict,
    MT_FIELD_PyTypeObject__tp_dictoffset,
    MT_FIELD_PyTypeObject__tp_flags,
    MT_FIELD_PyTypeObject__tp_mro,
    MT_FIELD_PyTypeObject__tp_weaklistoffset,
    MT_FIELD_PyUnicodeObject__sizeof,
    MT_FIELD_PyVarObject__ob_size,
    MT_FIELD__PyInterpreterFrame__f_executable,
    MT_FIELD__PyRuntimeState___main_interpreter,
    MT_FIELD__gc_runtime_state__generation0,
    MT_FIELD__gc_runtime_state__generations,
    MT_FIELD__gc_runtime_state__generations_stride,
    MT_FIELD__gc_runtime_state__permanent_generation,
};

/* The size of a field's structure; INT64_MAX: it has none. */
static int64_t room_of(const struct mt_python_layout *of, uint16_t field) {
    const char *name = mt_python_field_name(field);
    char size[128];
    snprintf(size, sizeof size, "sizeof(%.*s)", (int)strcspn(name, "."), name);
    for (unsigned i = 0; i < MT_FIELD_COUNT; i++)
        if (strcmp(mt_python_field_name(i), size) == 0)
            return of->value[i];
    return INT64_MAX;
}

/* Is it refused where the field is a word further, or a word nearer? Not beyond the end of its structure: no layout
 * that anybody proves has that. */
static void check_shifts(struct mt_python *python, uint16_t field) {
    const struct mt_python_layout right = python->layout;
    for (int64_t by = -8; by <= 8; by += 16) {
        int64_t shifted = right.value[field] + by;
        if (shifted < 0 || shifted + 8 > room_of(&right, field))
            continue;
        python->layout.value[field] = shifted;
        struct mt_error *error = mt_python_prove(python, NULL);
        if (!error)
            fail_msg("%s is proven %d bytes away", mt_python_field_name(field), (int)by);
        assert_int_equal(error->code, MT_ERROR_FORMAT);
        mt_error_destroy(error);
        python->layout = right;
    }
}

static void wrong_offsets_are_refused(void **state) {
    struct child child = {0};
    struct mt_target *target;
    struct mt_python *python;
    if (!start_interpreter(&child))
        skip();
    assert_ok(mt_target_open_live(child.pid, true, &target));
    assert_ok(mt_python_open(target, NULL, &python));
    for (size_t i = 0; i < sizeof covered / sizeof covered[0]; i++)
        if (python->layout.value[covered[i]] >= 0)
            check_shifts(python, covered[i]);
    assert_ok(mt_python_prove(python, NULL));
    assert_int_not_equal(python->none, 0);
    assert_false(python->collecting);
    assert_int_equal(python->interpreters.length, 1);
    mt_python_destroy(python);
    mt_target_destroy(target);
    end_interpreter(&child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout_of_a_measured_release),
        cmocka_unit_test(layout_of_an_unknown_release_is_the_nearest_one),
        cmocka_unit_test(variants_move_what_they_move_elsewhere),
        cmocka_unit_test(fields_have_names),
        cmocka_unit_test(other_programs_are_refused),
        cmocka_unit_test(builds_that_are_not_read_are_refused_by_name),
        cmocka_unit_test(words_that_begin_no_state_are_passed_over),
        cmocka_unit_test(state_before_the_beginning_is_refused),
        cmocka_unit_test(damaged_state_is_refused),
        cmocka_unit_test(version_is_read_from_the_text),
        cmocka_unit_test(own_offsets_win),
        cmocka_unit_test(own_offsets_that_can_not_be_are_refused),
        cmocka_unit_test(wrong_offsets_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
