#include "python/scope.h"

#include "python/dict.h"
#include "python/object.h"

#define L (&python->layout)

/* --- variables ------------------------------------------------------------------------------------------------------
 */

struct variables {
    struct mt_python *python;
    mt_scope_visit *visit;
    void *context;
    bool stopped;
};

static bool visit_variable(void *context, const struct mt_variable *variable) {
    struct variables *variables = context;
    if (variable->is_stack || variable->name == 0)
        return true;
    uint64_t value = variable->is_cell ? mt_cell_contents(variables->python, variable->value) : variable->value;
    variables->stopped = value != 0 && !variables->visit(variables->context, variable->name, value);
    return !variables->stopped;
}

static bool visit_entry(void *context, uint64_t key, uint64_t value, uint64_t index) {
    struct variables *variables = context;
    return variables->visit(variables->context, key, value);
}

void mt_scope_visit_variables(struct mt_python *python, const struct mt_python_frame *frame, mt_scope_visit *visit,
                              void *context) {
    struct variables variables = {.python = python, .visit = visit, .context = context};
    mt_variables_visit(python, frame, visit_variable, &variables);
    if (frame->has_namespace && !variables.stopped)
        mt_dict_visit(python, frame->locals_dict, visit_entry, &variables);
}

struct search {
    struct mt_python *python;
    const char *name;
    enum mt_scope_state state;
    uint64_t value;
};

static bool compare_variable(void *context, const struct mt_variable *variable) {
    struct search *search = context;
    if (variable->is_stack || variable->name == 0 || !mt_str_equals(search->python, variable->name, search->name))
        return true;
    search->value = variable->is_cell ? mt_cell_contents(search->python, variable->value) : variable->value;
    search->state = search->value != 0 ? MT_SCOPE_FOUND : MT_SCOPE_UNSET;
    return search->state != MT_SCOPE_FOUND;
}

enum mt_scope_state mt_scope_variable(struct mt_python *python, const struct mt_python_frame *frame, const char *name,
                                      uint64_t *ret) {
    struct search search = {.python = python, .name = name, .state = MT_SCOPE_NONE};
    mt_variables_visit(python, frame, compare_variable, &search);
    if (search.state == MT_SCOPE_NONE && frame->has_namespace) {
        search.value = mt_dict_get(python, frame->locals_dict, name);
        search.state = search.value != 0 ? MT_SCOPE_FOUND : MT_SCOPE_NONE;
    }
    if (search.state == MT_SCOPE_FOUND)
        *ret = search.value;
    return search.state;
}

/* --- what is around --------------------------------------------------------------------------------------------------
 */

static uint64_t interpreter_dict(struct mt_python *python, uint64_t interpreter, int64_t offset) {
    uint64_t dict = 0;
    if (offset >= 0)
        mt_view_u64(python->view, interpreter + (uint64_t)offset, &dict);
    return dict;
}

uint64_t mt_scope_module(struct mt_python *python, uint64_t interpreter, const char *name) {
    int64_t modules_at = MT_HAS(L, PyInterpreterState, modules) ? MT_AT(L, PyInterpreterState, modules)
                                                                : MT_AT(L, PyInterpreterState, imports_modules);
    uint64_t modules = interpreter_dict(python, interpreter, modules_at);
    return modules ? mt_dict_get(python, modules, name) : 0;
}

enum mt_scope_state mt_scope_find(struct mt_python *python, uint64_t interpreter, const struct mt_python_frame *frame,
                                  const char *name, uint64_t *ret) {
    enum mt_scope_state state = frame ? mt_scope_variable(python, frame, name, ret) : MT_SCOPE_NONE;
    if (state != MT_SCOPE_NONE)
        return state;
    uint64_t builtins = interpreter_dict(python, interpreter, MT_AT(L, PyInterpreterState, builtins));
    uint64_t value = frame && frame->globals ? mt_dict_get(python, frame->globals, name) : 0;
    if (value == 0 && (frame ? frame->builtins : builtins) != 0)
        value = mt_dict_get(python, frame ? frame->builtins : builtins, name);
    if (value == 0)
        value = mt_scope_module(python, interpreter, name);
    if (value == 0)
        return MT_SCOPE_NONE;
    *ret = value;
    return MT_SCOPE_FOUND;
}
