#include "python/python.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "python/debug_information.h"
#include "python/debug_offsets.h"
#include "python/find_runtime.h"
#include "python/prove.h"
#include "python/types.h"
#include "python/version.h"
#include "target/module_symbols.h"

#define L (&python->layout)
/* Releases of one minor version that are tried for one that was not measured.
 */
#define MAX_RELEASES 64
#define MAX_TARGET 512

/* What is being opened. */
struct opening {
    struct mt_python *python;
    struct mt_watch *watch;
    struct mt_runtime runtime;
    uint32_t version;
    struct mt_error *failure; /* of the layout that came nearest; NULL: none was tried */
    bool failure_has_size;    /* that layout has _PyRuntime's size */
};

/* --- a candidate
 * --------------------------------------------------------------------------------------------------
 */

/* The first failure is kept, unless a later candidate has at least the right
 * size. */
static void note_failure(struct opening *opening, struct mt_error *failure, bool has_size) {
    if (opening->failure && (opening->failure_has_size || !has_size)) {
        mt_error_destroy(failure);
        return;
    }
    mt_error_destroy(opening->failure);
    opening->failure = failure;
    opening->failure_has_size = has_size;
}

/* Is python->layout this process's? Errors are those that end the search;
 * `*ret_proven` tells the rest. */
static struct mt_error *try_layout(struct opening *opening, bool *ret_proven) {
    struct mt_python *python = opening->python;
    uint64_t size = (uint64_t)MT_AT(L, _PyRuntimeState, sizeof);
    L->version = opening->version;
    if (opening->runtime.size != 0 && opening->runtime.size != size) {
        note_failure(opening,
                     mt_error_create(MT_ERROR_FORMAT, "_PyRuntime has %llu bytes, not %llu",
                                     (unsigned long long)opening->runtime.size, (unsigned long long)size),
                     false);
        return NULL;
    }
    struct mt_debug_offsets own = {0};
    struct mt_error *error = mt_debug_offsets_apply(python->view, python->runtime, L, &own);
    if (!error)
        error = mt_python_prove(python, opening->watch);
    if (error && error->code == MT_ERROR_FORMAT) {
        note_failure(opening, error, true);
        return NULL;
    }
    python->corrected = own.corrected;
    python->corrected_first = own.corrected_first;
    *ret_proven = !error;
    return error;
}

/* --- the built-in tables
 * ------------------------------------------------------------------------------------------
 */

static struct mt_error *try_release(struct opening *opening, uint32_t release, bool *ret_proven) {
    static const unsigned variants[] = {0, MT_PYTHON_JIT, MT_PYTHON_DEBUG, MT_PYTHON_DEBUG | MT_PYTHON_JIT};
    struct mt_error *error = NULL;
    for (size_t i = 0; i < sizeof variants / sizeof variants[0] && !error && !*ret_proven; i++)
        if (mt_python_layout_choose(release, variants[i], &opening->python->layout))
            error = try_layout(opening, ret_proven);
    return error;
}

static struct mt_error *try_tables(struct opening *opening, bool *ret_proven) {
    uint32_t releases[MAX_RELEASES];
    size_t count = mt_python_layout_nearest(opening->version, releases, MAX_RELEASES);
    if (count > 0 && releases[0] == opening->version)
        count = 1;
    struct mt_error *error = NULL;
    for (size_t i = 0; i < count && !error && !*ret_proven; i++)
        error = try_release(opening, releases[i], ret_proven);
    if (*ret_proven) {
        opening->python->source = MT_LAYOUT_TABLE;
        /* Without a size, a variant that moves only what no proof looks at can't be
         * told from another. */
        opening->python->unverified =
            opening->python->layout.measured != opening->version || opening->runtime.size == 0;
    }
    return error;
}

/* --- debug information
 * --------------------------------------------------------------------------------------------
 */

/* Where the paths of the target's files begin on this machine. */
static void root_of(const struct mt_target *target, char *buffer, size_t size) {
    buffer[0] = '\0';
    if (target->info.kind == MT_TARGET_LIVE && target->info.pid > 0)
        snprintf(buffer, size, "/proc/%d/root", (int)target->info.pid);
}

static struct mt_error *read_module(struct opening *opening, const struct mt_region *module,
                                    struct mt_debug_information *information) {
    struct mt_target *target = opening->python->view->target;
    char root[64];
    MT_AUTO_CLOSE int fd = mt_target_open_file(target, module);
    if (fd < 0)
        return NULL;
    root_of(target, root, sizeof root);
    struct mt_error *error =
        mt_debug_information_read(fd, module->path, root, &opening->python->layout, opening->watch, information);
    if (error && error->code == MT_ERROR_NOT_FOUND) {
        mt_error_destroy(error);
        return NULL;
    }
    return error;
}

/* Structures that live in modules of the standard library are described there.
 */
static struct mt_error *read_extensions(struct opening *opening, struct mt_debug_information *information) {
    const struct mt_region *regions;
    size_t count;
    mt_module_regions modules = {0};
    struct mt_error *error = mt_target_regions(opening->python->view->target, &regions, &count);
    if (!error && !mt_modules_list(regions, count, &modules))
        error = &mt_error_no_memory;
    for (size_t i = 0; i < modules.length && !error; i++)
        if (strstr(modules.data[i]->path, "/lib-dynload/"))
            error = read_module(opening, modules.data[i], information);
    mt_vector_deinit(&modules);
    return error;
}

/* The nearest table, with all that debug information says put in its place. */
static struct mt_error *try_debug_information(struct opening *opening, bool *ret_proven) {
    struct mt_python *python = opening->python;
    if (!opening->runtime.module || !mt_python_layout_choose(opening->version, 0, L))
        return NULL;
    MT_AUTO_FREE struct mt_debug_information *information = calloc(1, sizeof *information);
    if (!information)
        return &mt_error_no_memory;
    struct mt_error *error = read_module(opening, opening->runtime.module, information);
    if (!error && information->known_count > 0)
        error = read_extensions(opening, information);
    if (error || information->known_count == 0)
        return error;
    for (size_t i = 0; i < MT_FIELD_COUNT; i++)
        if (information->known[i])
            L->value[i] = information->value[i];
    error = try_layout(opening, ret_proven);
    if (*ret_proven)
        python->source = MT_LAYOUT_DEBUG_INFORMATION;
    return error;
}

/* --- refusals
 * -----------------------------------------------------------------------------------------------------
 */

static bool runtime_flag(struct mt_python *python, int64_t offset) {
    uint32_t value;
    return offset >= 0 && mt_view_u32(python->view, python->runtime + (uint64_t)offset, &value) && value != 0;
}

/* Why no layout fits: the process is no state to be read in, or none is its. */
static struct mt_error *refuse(struct opening *opening) {
    struct mt_python *python = opening->python;
    char target[MAX_TARGET];
    const char *failure = opening->failure ? opening->failure->message : "no layout of it is known";
    mt_target_describe(python->view->target, target, sizeof target);
    mt_python_layout_choose(opening->version, 0, L);
    if (!runtime_flag(python, MT_AT(L, _PyRuntimeState, interpreters_head)))
        return mt_error_create(MT_ERROR_UNSUPPORTED, "CPython %s in %s has not begun yet, or has ended",
                               python->version_text, target);
    if (runtime_flag(python, MT_AT(L, _PyRuntimeState, _finalizing)))
        return mt_error_create(MT_ERROR_UNSUPPORTED,
                               "CPython %s in %s is ending: it destroys its "
                               "objects and can't be read any more (%s)",
                               python->version_text, target, failure);
    if (!runtime_flag(python, MT_AT(L, _PyRuntimeState, initialized)))
        return mt_error_create(MT_ERROR_UNSUPPORTED, "CPython %s in %s has not begun yet: let it run a little (%s)",
                               python->version_text, target, failure);
    return mt_error_create(MT_ERROR_FORMAT,
                           "no known layout of CPython %s fits %s: %s. Debug "
                           "symbols of that build would help",
                           python->version_text, target, failure);
}

/* --- opening
 * ------------------------------------------------------------------------------------------------------
 */

static struct mt_error *choose_layout(struct opening *opening) {
    bool proven = false, is_known = mt_python_version_is_final(opening->version);
    uint32_t nearest;
    if (mt_python_layout_nearest(opening->version, &nearest, 1) && nearest == opening->version)
        is_known = true;
    /* Alphas and betas differ from all that was measured: what they say of
     * themselves comes first. */
    struct mt_error *error = is_known ? NULL : try_debug_information(opening, &proven);
    if (!error && !proven)
        error = try_tables(opening, &proven);
    if (!error && !proven && is_known)
        error = try_debug_information(opening, &proven);
    return error || proven ? error : refuse(opening);
}

static struct mt_error *find_python(struct opening *opening) {
    struct mt_python *python = opening->python;
    struct mt_error *error = mt_runtime_find(python->view, opening->watch, &opening->runtime);
    if (!error)
        error = mt_python_read_version(python->view, &opening->runtime, &opening->version);
    if (error)
        return error;
    python->runtime = opening->runtime.address;
    python->module_start = opening->runtime.data_start;
    python->module_end = opening->runtime.data_end;
    python->minor = opening->version >> 16 & 0xff;
    mt_python_version_text(opening->version, python->version_text, sizeof python->version_text);
    return NULL;
}

struct mt_error *mt_python_open(struct mt_target *target, struct mt_watch *watch, struct mt_python **ret) {
    struct mt_python *python = calloc(1, sizeof(*python));
    if (!python)
        return &mt_error_no_memory;
    struct opening opening = {.python = python, .watch = watch};
    struct mt_error *error = mt_view_create(target, &python->view);
    if (!error)
        error = find_python(&opening);
    if (!error)
        error = choose_layout(&opening);
    mt_error_destroy(opening.failure);
    if (!error) {
        python->runtime_size = (uint64_t)MT_AT(L, _PyRuntimeState, sizeof);
        error = mt_types_create(python, &python->types);
    }
    if (error) {
        mt_python_destroy(python);
        return error;
    }
    *ret = python;
    return NULL;
}

void mt_python_destroy(struct mt_python *python) {
    if (!python)
        return;
    mt_types_destroy(python->types);
    mt_view_destroy(python->view);
    mt_vector_deinit(&python->interpreters);
    free(python);
}

void mt_python_describe_layout(const struct mt_python *python, char *buffer, size_t size) {
    char release[32], correction[128] = "";
    mt_python_version_text(L->measured, release, sizeof release);
    if (python->corrected)
        snprintf(correction, sizeof correction, ", with %zu of the process's own offsets (%s)", python->corrected,
                 mt_python_field_name(python->corrected_first));
    if (python->source == MT_LAYOUT_DEBUG_INFORMATION)
        snprintf(buffer, size, "debug information%s", correction);
    else
        snprintf(buffer, size, "the %slayout of %s%s%s%s%s", python->unverified ? "" : "built-in ", release,
                 L->variant & MT_PYTHON_DEBUG ? ", debug build" : "", L->variant & MT_PYTHON_JIT ? ", JIT" : "",
                 python->unverified ? ", unverified" : "", correction);
}
