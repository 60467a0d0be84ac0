/* What the state of an interpreter holds (Include/internal/pycore_interp.h, 3.14+ pycore_interp_structs.h). */
#include "heap/roots_parts.h"

#include "python/object.h"

#define L (&python->layout)

/* An array of identifiers' strings grows with the extension modules: more than that is damage. */
#define IDENTIFIERS_MAX (1u << 20)
/* struct _Py_unicode_ids, 3.10+ */
enum { IDENTIFIERS_SIZE = 0, IDENTIFIERS_ARRAY = 8 };
enum { LATIN1_COUNT = 256 };

static void tell(const struct mt_roots_walk *walk, uint64_t where, struct mt_link link) {
    struct mt_root root = {
        .form = MT_ROOT_INTERPRETER,
        .edge = {.kind = MT_EDGE_ROOT, .counted = true, .link = link},
        .where = where,
    };
    if (mt_view_u64(walk->python->view, where, &root.edge.target) && root.edge.target != 0)
        walk->visit(walk->context, &root);
}

/* --- members --------------------------------------------------------------------------------------------------------
 */

/* Owned references, one word each. */
static const struct interpreter_member {
    uint16_t field; /* enum mt_python_field */
    const char *name;
} interpreter_members[] = {
    {MT_FIELD_PyInterpreterState__modules, "sys.modules"},
    {MT_FIELD_PyInterpreterState__imports_modules, "sys.modules"},
    {MT_FIELD_PyInterpreterState__modules_by_index, "modules by index"},
    {MT_FIELD_PyInterpreterState__imports_modules_by_index, "modules by index"},
    {MT_FIELD_PyInterpreterState__sysdict, "sys.__dict__"},
    {MT_FIELD_PyInterpreterState__builtins, "builtins.__dict__"},
    {MT_FIELD_PyInterpreterState__importlib, "importlib"},
    {MT_FIELD_PyInterpreterState__imports_importlib, "importlib"},
    {MT_FIELD_PyInterpreterState__imports_lazy_import_func, "lazy import function"},
    {MT_FIELD_PyInterpreterState__imports_lazy_imports_filter, "lazy imports' filter"},
    {MT_FIELD_PyInterpreterState__imports_lazy_importing_modules, "modules that import lazily"},
    {MT_FIELD_PyInterpreterState__imports_lazy_modules, "lazy modules"},
    {MT_FIELD_PyInterpreterState__imports_lazy_pending_submodules, "lazy submodules"},
    {MT_FIELD_PyInterpreterState__dict, "interpreter's dict"},
    {MT_FIELD_PyInterpreterState__unicode_empty_string, "empty string"},
    {MT_FIELD_PyInterpreterState__unicode_interned, "interned strings"},
    {MT_FIELD_PyInterpreterState__interpreter_trampoline, "interpreter trampoline"},
    {MT_FIELD_PyInterpreterState__cached_objects_interned_strings, "interned strings"},
    {MT_FIELD_PyInterpreterState__cached_objects_generic_type, "typing.Generic"},
    {MT_FIELD_PyInterpreterState__cached_objects_typevar_type, "typing.TypeVar"},
};
/* Of the collector's state, which lies in the interpreter's. */
static const struct interpreter_member collector_members[] = {
    {MT_FIELD__gc_runtime_state__garbage, "gc.garbage"},
    {MT_FIELD__gc_runtime_state__callbacks, "gc.callbacks"},
};

/* Calls `visit` for each range of whole words that are owned references, named by `link`. */
typedef struct mt_error *owned_words_visit(void *context, const struct mt_extent *words, struct mt_link link);

static struct mt_error *visit_members(struct mt_python *python, uint64_t base, const struct interpreter_member *members,
                                      size_t count, owned_words_visit *visit, void *context) {
    struct mt_error *error = NULL;
    for (size_t i = 0; i < count && !error; i++) {
        int64_t offset = python->layout.value[members[i].field];
        uint64_t start = base + (uint64_t)offset;
        struct mt_link link = {.form = MT_LINK_TEXT, .text = members[i].name};
        if (offset >= 0)
            error = visit(context, &(struct mt_extent){.start = start, .end = start + 8}, link);
    }
    return error;
}

static struct mt_error *visit_array(uint64_t start, int64_t count, const char *name, owned_words_visit *visit,
                                    void *context) {
    struct mt_extent words = {.start = start, .end = start + 8 * (uint64_t)count};
    return visit(context, &words, (struct mt_link){.form = MT_LINK_NUMBERED, .text = name});
}

/* Where the type cache of an interpreter lies: 3.9 has one for all, in its static data; it counts as the main one's. */
static bool find_type_cache(struct mt_python *python, uint64_t interpreter, struct mt_extent *ret) {
    bool is_main = interpreter == python->interpreters.data[python->interpreters.length - 1];
    if (python->minor == 9)
        return is_main && mt_type_cache_find(python, python->module_start, python->module_end, ret);
    uint64_t size = (uint64_t)MT_AT(L, PyInterpreterState, sizeof);
    return mt_type_cache_find(python, interpreter, interpreter + size, ret);
}

/* The members of struct ast_state have no offsets in the layouts; but all are owned references, and they lie between
 * the state of exceptions, whose are owned as well, and that of types. */
static bool find_ast_state(struct mt_python *python, uint64_t interpreter, const struct mt_extent *type_cache,
                           struct mt_extent *ret) {
    if (!MT_HAS(L, PyInterpreterState, exc_state))
        return false;
    ret->start = interpreter + (uint64_t)MT_AT(L, PyInterpreterState, exc_state);
    ret->end = MT_HAS(L, PyInterpreterState, types) ? interpreter + (uint64_t)MT_AT(L, PyInterpreterState, types)
                                                    : type_cache->start;
    return ret->start < ret->end;
}

/* All of an interpreter but the identifiers and the type cache. */
static struct mt_error *visit_owned_words(struct mt_python *python, uint64_t interpreter,
                                          const struct mt_extent *type_cache, owned_words_visit *visit, void *context) {
    struct mt_extent ast_state;
    struct mt_error *error = visit_members(python, interpreter, interpreter_members,
                                           sizeof interpreter_members / sizeof interpreter_members[0], visit, context);
    if (!error)
        error = visit_members(python, interpreter + (uint64_t)MT_AT(L, PyInterpreterState, gc), collector_members,
                              sizeof collector_members / sizeof collector_members[0], visit, context);
    if (!error && MT_HAS(L, PyInterpreterState, small_ints))
        error = visit_array(interpreter + (uint64_t)MT_AT(L, PyInterpreterState, small_ints),
                            MT_CONSTANT(L, _PY_NSMALLNEGINTS) + MT_CONSTANT(L, _PY_NSMALLPOSINTS), "small ints", visit,
                            context);
    if (!error && MT_HAS(L, PyInterpreterState, unicode_latin1))
        error = visit_array(interpreter + (uint64_t)MT_AT(L, PyInterpreterState, unicode_latin1), LATIN1_COUNT,
                            "characters", visit, context);
    if (!error && find_ast_state(python, interpreter, type_cache, &ast_state))
        error =
            visit_array(ast_state.start, (int64_t)((ast_state.end - ast_state.start) / 8), "ast state", visit, context);
    return error;
}

/* --- telling --------------------------------------------------------------------------------------------------------
 */

static struct mt_error *tell_owned_words(void *context, const struct mt_extent *words, struct mt_link link) {
    const struct mt_roots_walk *walk = context;
    for (uint64_t where = words->start; where < words->end; where += 8, link.number++)
        tell(walk, where, link);
    return mt_watch_poll(walk->watch, "reading interpreters");
}

static void tell_type_cache(void *context, uint64_t where, uint64_t name) {
    tell(context, where, (struct mt_link){.form = MT_LINK_TEXT, .text = "type cache"});
}

/* 3.10+: the strings of _Py_Identifier. */
static void tell_identifiers(const struct mt_roots_walk *walk, uint64_t interpreter) {
    struct mt_python *python = walk->python;
    uint64_t size, array;
    if (!MT_HAS(L, PyInterpreterState, unicode_ids))
        return;
    uint64_t identifiers = interpreter + (uint64_t)MT_AT(L, PyInterpreterState, unicode_ids);
    if (!mt_view_u64(python->view, identifiers + IDENTIFIERS_SIZE, &size) ||
        !mt_view_u64(python->view, identifiers + IDENTIFIERS_ARRAY, &array) || array == 0)
        return;
    for (uint64_t i = 0; i < size && i < IDENTIFIERS_MAX; i++)
        tell(walk, array + 8 * i, (struct mt_link){.form = MT_LINK_TEXT, .text = "identifier"});
}

struct mt_error *mt_roots_visit_interpreters(const struct mt_roots_walk *walk) {
    struct mt_python *python = walk->python;
    struct mt_error *error = NULL;
    for (size_t i = 0; i < python->interpreters.length && !error; i++) {
        uint64_t interpreter = python->interpreters.data[i];
        struct mt_extent type_cache = {0};
        if (find_type_cache(python, interpreter, &type_cache))
            mt_type_cache_names(python, &type_cache, tell_type_cache, (void *)walk);
        tell_identifiers(walk, interpreter);
        error = visit_owned_words(python, interpreter, &type_cache, tell_owned_words, (void *)walk);
    }
    return error;
}

/* --- what must not be guessed at ------------------------------------------------------------------------------------
 */

static struct mt_error *know(mt_roots_known *known, uint64_t start, uint64_t end) {
    struct mt_extent extent = {.start = start, .end = end};
    return start >= end || mt_vector_push(known, extent) ? NULL : &mt_error_no_memory;
}

static struct mt_error *know_owned_words(void *context, const struct mt_extent *words, struct mt_link link) {
    return know(context, words->start, words->end);
}

/* The range from one member to another; nothing when this version has not both. */
static struct mt_error *know_between(mt_roots_known *known, uint64_t base, int64_t first, int64_t end) {
    return first < 0 || end < 0 ? NULL : know(known, base + (uint64_t)first, base + (uint64_t)end);
}

static struct mt_error *know_interpreter(struct mt_python *python, uint64_t interpreter, mt_roots_known *known) {
    struct mt_extent type_cache = {0};
    struct mt_error *error = NULL;
    uint64_t gc = interpreter + (uint64_t)MT_AT(L, PyInterpreterState, gc);
    if (find_type_cache(python, interpreter, &type_cache))
        error = know(known, type_cache.start, type_cache.end);
    if (!error)
        error = visit_owned_words(python, interpreter, &type_cache, know_owned_words, known);
    if (!error)
        error = know(known, gc, gc + (uint64_t)MT_AT(L, _gc_runtime_state, sizeof));
    /* The cache of functions by version borrows (3.13+). */
    if (!error)
        error = know_between(known, interpreter, MT_AT(L, PyInterpreterState, func_state),
                             MT_AT(L, PyInterpreterState, code_state));
    /* Objects and a thread state that lie in the interpreter. */
    if (!error)
        error = know_between(known, interpreter, MT_AT(L, PyInterpreterState, static_objects),
                             MT_AT(L, PyInterpreterState, sizeof));
    if (!error)
        error = know_between(known, interpreter, MT_AT(L, PyInterpreterState, _initial_thread),
                             MT_AT(L, PyInterpreterState, sizeof));
    return error;
}

struct mt_error *mt_roots_known_words(struct mt_python *python, mt_roots_known *known) {
    struct mt_error *error = NULL;
    for (size_t i = 0; i < python->interpreters.length && !error; i++)
        error = know_interpreter(python, python->interpreters.data[i], known);
    /* Objects that lie in the runtime, in front of the main interpreter. */
    int64_t objects = MT_HAS(L, _PyRuntimeState, static_objects) ? MT_AT(L, _PyRuntimeState, static_objects)
                                                                 : MT_AT(L, _PyRuntimeState, global_objects);
    if (!error)
        error = know_between(known, python->runtime, objects, MT_AT(L, _PyRuntimeState, _main_interpreter));
    return error;
}
