#include "python/threads.h"

#include "python/object.h"
#include "python/stack_ref.h"

#define L (&python->layout)

/* No function has that many variables, or uses that much of the stack; what is more is damage. */
#define SLOTS_MAX (1 << 20)

/* The slots of a frame: variables, and behind them the evaluation stack. */
struct slots {
    uint64_t start;
    uint64_t variables;
    uint64_t stack;      /* slots that may be in use */
    bool stack_is_exact; /* they are */
};

/* An int member of a code object, 0 to SLOTS_MAX. */
static uint64_t code_count(struct mt_python *python, uint64_t code, int64_t offset) {
    int32_t count = 0;
    mt_view_i32(python->view, code + (uint64_t)offset, &count);
    return count < 0 ? 0 : count > SLOTS_MAX ? SLOTS_MAX : (uint64_t)count;
}

/* A tuple that a code object refers to, and how many items it has. */
struct names {
    uint64_t items;
    uint64_t count;
};

static struct names code_names(struct mt_python *python, uint64_t code, int64_t offset) {
    uint64_t tuple, count;
    if (!mt_view_u64(python->view, code + (uint64_t)offset, &tuple) ||
        !mt_view_u64(python->view, tuple + MT_OB_SIZE, &count) || count > SLOTS_MAX)
        return (struct names){0};
    return (struct names){.items = tuple + (uint64_t)MT_AT(L, PyTupleObject, ob_item), .count = count};
}

static uint64_t name_at(struct mt_python *python, const struct names *names, uint64_t index) {
    uint64_t name = 0;
    if (index < names->count)
        mt_view_u64(python->view, names->items + 8 * index, &name);
    return name;
}

/* --- how much of the stack is in use -------------------------------------------------------------------------------
 */

/* How many slots of the stack are in use; negative: a frame does not tell while it executes. */
static int64_t stack_depth(struct mt_python *python, uint64_t frame, const struct slots *slots) {
    uint64_t top;
    int32_t depth;
    switch (python->minor) {
    case 9: /* f_stacktop: NULL while executing */
        if (!mt_view_u64(python->view, frame + (uint64_t)MT_AT(L, PyFrameObject, f_stacktop), &top) || top == 0)
            return -1;
        break;
    case 10: /* f_stackdepth: -1 while executing */
        return mt_view_i32(python->view, frame + (uint64_t)MT_AT(L, PyFrameObject, f_stackdepth), &depth) ? depth : -1;
    case 11:
    case 12:
    case 13: /* stacktop: counted from the first variable; -1 while executing, also inside a call of C */
        if (!mt_view_i32(python->view, frame + (uint64_t)MT_AT(L, _PyInterpreterFrame, stacktop), &depth) || depth < 0)
            return -1;
        return (uint64_t)depth < slots->variables ? 0 : depth - (int64_t)slots->variables;
    default: /* stackpointer: NULL while executing, saved before whatever may run other code */
        if (!mt_view_u64(python->view, frame + (uint64_t)MT_AT(L, _PyInterpreterFrame, stackpointer), &top) || top == 0)
            return -1;
        break;
    }
    uint64_t bottom = slots->start + 8 * slots->variables;
    return top < bottom || top % 8 != 0 ? -1 : (int64_t)((top - bottom) / 8);
}

static void measure_stack(struct mt_python *python, const struct mt_python_frame *frame, struct slots *slots) {
    slots->stack = code_count(python, frame->code, MT_AT(L, PyCodeObject, co_stacksize));
    int64_t depth = stack_depth(python, frame->address, slots);
    if (depth < 0 || (uint64_t)depth > slots->stack)
        return;
    slots->stack = (uint64_t)depth;
    slots->stack_is_exact = true;
}

/* --- one slot -------------------------------------------------------------------------------------------------------
 */

struct walk {
    struct mt_python *python;
    mt_variable_visit *visit;
    void *context;
};

static bool is_cell(struct mt_python *python, uint64_t address) {
    const struct mt_type *type = mt_object_type(python, address);
    return type && type->kind == MT_KIND_CELL;
}

/* False: the visitor has seen enough. `may_be_cell`: a variable that inner functions use, or that an outer one has; its
 * slot holds a cell once the function has begun, and before that an argument. */
static bool visit_slot(const struct walk *walk, uint64_t slot, bool may_be_cell, struct mt_variable *variable) {
    uint64_t word;
    if (!mt_view_u64(walk->python->view, slot, &word))
        return true;
    struct mt_stack_ref ref = mt_stack_ref_of(walk->python, word);
    if (ref.object == 0)
        return true;
    variable->value = ref.object;
    variable->counted = ref.counted;
    variable->is_cell = may_be_cell && is_cell(walk->python, ref.object);
    return walk->visit(walk->context, variable);
}

static void visit_stack(const struct walk *walk, const struct slots *slots) {
    for (uint64_t i = 0; i < slots->stack; i++) {
        struct mt_variable variable = {.index = (uint32_t)i, .is_stack = true, .is_guess = !slots->stack_is_exact};
        if (!visit_slot(walk, slots->start + 8 * (slots->variables + i), false, &variable))
            return;
    }
}

/* --- the two forms of frames ----------------------------------------------------------------------------------------
 */

/* 3.9, 3.10: locals, cells, free variables, each with names of their own. */
static void visit_frame_object(const struct walk *walk, const struct mt_python_frame *frame) {
    struct mt_python *python = walk->python;
    uint64_t locals = code_count(python, frame->code, MT_AT(L, PyCodeObject, co_nlocals));
    struct names names[] = {
        code_names(python, frame->code, MT_AT(L, PyCodeObject, co_varnames)),
        code_names(python, frame->code, MT_AT(L, PyCodeObject, co_cellvars)),
        code_names(python, frame->code, MT_AT(L, PyCodeObject, co_freevars)),
    };
    const uint64_t counts[] = {locals, names[1].count, names[2].count};
    struct slots slots = {.start = frame->address + (uint64_t)MT_AT(L, PyFrameObject, f_localsplus)};
    for (size_t kind = 0; kind < sizeof counts / sizeof counts[0]; kind++) {
        for (uint64_t i = 0; i < counts[kind]; i++) {
            struct mt_variable variable = {.index = (uint32_t)(slots.variables + i),
                                           .name = name_at(python, &names[kind], i)};
            if (!visit_slot(walk, slots.start + 8 * (slots.variables + i), kind > 0, &variable))
                return;
        }
        slots.variables += counts[kind];
    }
    measure_stack(python, frame, &slots);
    visit_stack(walk, &slots);
}

/* 3.11+: one run of slots, with names and kinds side by side. */
static void visit_interpreter_frame(const struct walk *walk, const struct mt_python_frame *frame) {
    struct mt_python *python = walk->python;
    struct slots slots = {
        .start = frame->address + (uint64_t)MT_AT(L, _PyInterpreterFrame, localsplus),
        .variables = code_count(python, frame->code, MT_AT(L, PyCodeObject, co_nlocalsplus)),
    };
    struct names names = code_names(python, frame->code, MT_AT(L, PyCodeObject, co_localsplusnames));
    uint64_t kinds = 0;
    mt_view_u64(python->view, frame->code + (uint64_t)MT_AT(L, PyCodeObject, co_localspluskinds), &kinds);
    kinds += (uint64_t)MT_AT(L, PyBytesObject, ob_sval);
    const int64_t cells = MT_CONSTANT(L, CO_FAST_CELL) | MT_CONSTANT(L, CO_FAST_FREE);
    for (uint64_t i = 0; i < slots.variables; i++) {
        struct mt_variable variable = {.index = (uint32_t)i, .name = name_at(python, &names, i)};
        uint8_t kind = 0;
        mt_view_u8(python->view, kinds + i, &kind);
        if (!visit_slot(walk, slots.start + 8 * i, kind & cells, &variable))
            return;
    }
    measure_stack(python, frame, &slots);
    visit_stack(walk, &slots);
}

void mt_variables_visit(struct mt_python *python, const struct mt_python_frame *frame, mt_variable_visit *visit,
                        void *context) {
    struct walk walk = {.python = python, .visit = visit, .context = context};
    if (python->minor <= 10)
        visit_frame_object(&walk, frame);
    else
        visit_interpreter_frame(&walk, frame);
}

uint64_t mt_cell_contents(struct mt_python *python, uint64_t cell) {
    uint64_t contents = 0;
    mt_view_u64(python->view, cell + (uint64_t)MT_AT(L, PyCellObject, ob_ref), &contents);
    return contents;
}
