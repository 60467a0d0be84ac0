/* Code, frames, and generators of all kinds, which have a frame in them. */
#include "heap/edges_walk.h"
#include "python/threads.h"

/* Include/cpython/code.h: _PyExecutorArray is {int size, int capacity, executors[]}. */
enum { EXECUTORS_SIZE = 0, EXECUTORS_ITEMS = 8 };
/* Include/internal/pycore_optimizer.h: no code has more (an oparg of ENTER_EXECUTOR tells which). */
#define EXECUTORS_MAX 256

#define CACHED(member)                                                                                                 \
    { .field = MT_FIELD__PyCoCached__##member, .link = #member }

/* What code.co_code and its like have made, 3.12+. */
static const struct mt_plain_member cached_members[MT_PLAIN_MEMBERS_MAX] = {CACHED(_co_code), CACHED(_co_varnames),
                                                                            CACHED(_co_cellvars), CACHED(_co_freevars)};

void mt_walk_code(const struct mt_walk *walk) {
    uint64_t cached = mt_walk_member(walk, MT_WALK_AT(walk, PyCodeObject, _co_cached));
    uint64_t executors = mt_walk_member(walk, MT_WALK_AT(walk, PyCodeObject, co_executors));
    int32_t count;
    if (cached != 0)
        mt_walk_members(walk, cached, cached_members);
    if (executors != 0 && mt_view_i32(walk->python->view, executors + EXECUTORS_SIZE, &count) && count > 0 &&
        count <= EXECUTORS_MAX)
        mt_walk_items(walk, executors + EXECUTORS_ITEMS, (uint64_t)count, mt_link_numbered("co_executors", 0));
}

/* --- what a frame holds ------------------------------------------------------------------------------------------- */

struct contents {
    const struct mt_walk *walk;
    bool owned;   /* by the object that is walked; else by a thread or a generator */
    bool guesses; /* tell these alone, else all others alone */
};

static bool visit_variable(void *context, const struct mt_variable *variable) {
    const struct contents *contents = context;
    if (variable->is_guess != contents->guesses)
        return true;
    struct mt_link link = variable->is_stack  ? mt_link_numbered("stack", variable->index)
                          : variable->is_cell ? mt_link_named("cell", variable->name)
                                              : mt_link_named("local", variable->name);
    mt_walk_edge(contents->walk, variable->value, variable->is_guess ? MT_EDGE_GUESS : MT_EDGE_EXACT,
                 variable->counted && contents->owned, link);
    return true;
}

static void walk_frame_code(const struct mt_walk *walk, const struct mt_python_frame *frame, bool owned) {
    bool is_new = walk->python->minor >= 13;
    mt_walk_edge(walk, frame->code, MT_EDGE_EXACT, frame->code_counted && owned,
                 mt_link_text(is_new ? "f_executable" : "f_code"));
}

/* 3.11+. Globals and builtins are borrowed from the function. */
static void walk_interpreter_frame(const struct mt_walk *walk, const struct mt_python_frame *frame, bool owned) {
    struct contents contents = {.walk = walk, .owned = owned};
    bool is_new = walk->python->minor >= 12;
    walk_frame_code(walk, frame, owned);
    mt_walk_edge(walk, frame->function, MT_EDGE_EXACT, frame->function_counted && owned,
                 mt_link_text(is_new ? "f_funcobj" : "f_func"));
    mt_walk_edge(walk, frame->locals_dict, MT_EDGE_EXACT, owned, mt_link_text("f_locals"));
    if (frame->frame_object != walk->address)
        mt_walk_edge(walk, frame->frame_object, MT_EDGE_EXACT, owned, mt_link_text("frame_obj"));
    mt_variables_visit(walk->python, frame, visit_variable, &contents);
}

/* --- frame objects ------------------------------------------------------------------------------------------------ */

/* Up to 3.10 a frame object is the frame. */
static bool read_object_frame(const struct mt_walk *walk, struct mt_python_frame *ret) {
    uint64_t frame =
        walk->python->minor <= 10 ? walk->address : mt_walk_member(walk, MT_WALK_AT(walk, PyFrameObject, f_frame));
    return frame != 0 && mt_frame_read(walk->python, frame, ret);
}

void mt_walk_frame(const struct mt_walk *walk) {
    struct mt_python_frame frame;
    struct contents contents = {.walk = walk, .owned = true};
    if (!read_object_frame(walk, &frame))
        return;
    if (walk->python->minor <= 10)
        mt_variables_visit(walk->python, &frame, visit_variable, &contents);
    else
        walk_interpreter_frame(walk, &frame, frame.in_frame_object);
}

/* --- generators --------------------------------------------------------------------------------------------------- */

/* From 3.11 on the frame lies in the generator, at the same place in generators, coroutines and asynchronous ones. */
static bool read_generator_frame(const struct mt_walk *walk, struct mt_python_frame *ret) {
    int64_t offset = MT_WALK_AT(walk, PyGenObject, gi_iframe);
    return offset >= 0 && mt_frame_read(walk->python, walk->address + (uint64_t)offset, ret);
}

static bool is_cleared(const struct mt_walk *walk) {
    return mt_generator_state(walk->python, walk->address) == MT_GENERATOR_CLEARED;
}

void mt_walk_generator(const struct mt_walk *walk) {
    struct mt_python_frame frame;
    if (!read_generator_frame(walk, &frame))
        return;
    if (!is_cleared(walk))
        walk_interpreter_frame(walk, &frame, true);
    else if (walk->python->minor >= 12) /* a generator that has ended keeps its code; 3.11 has it in gi_code */
        walk_frame_code(walk, &frame, true);
}

void mt_walk_frame_guesses(const struct mt_walk *walk) {
    struct mt_python_frame frame;
    struct contents contents = {.walk = walk, .owned = true, .guesses = true};
    bool found;
    if (walk->decoded->kind == MT_KIND_FRAME)
        found = read_object_frame(walk, &frame) && (walk->python->minor <= 10 || frame.in_frame_object);
    else
        found = read_generator_frame(walk, &frame) && !is_cleared(walk);
    if (found)
        mt_variables_visit(walk->python, &frame, visit_variable, &contents);
}
