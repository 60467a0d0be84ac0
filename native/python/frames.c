#include "python/threads.h"

#include <string.h>

#include "python/object.h"
#include "python/stack_ref.h"

#define L (&python->layout)

/* Of a PyFrameObject of 3.9 and 3.10, or an _PyInterpreterFrame, without the variables. */
#define FRAME_SIZE_MAX 512

/* Deeper than memory allows a program to go; what is longer is damage. */
#define FRAMES_MAX (1u << 26)

enum frame_state { FRAME_DAMAGED, FRAME_SHIM, FRAME_FOUND };

/* A copy of the fixed part of a frame. */
struct frame_bytes {
    uint8_t data[FRAME_SIZE_MAX];
};

static bool read_bytes(struct mt_python *python, uint64_t address, int64_t size, struct frame_bytes *ret) {
    return address != 0 && size > 0 && size <= FRAME_SIZE_MAX &&
           mt_view_read(python->view, address, ret->data, (size_t)size);
}

/* A word of it; 0 where this version has no such member. */
static uint64_t word_at(const struct frame_bytes *bytes, int64_t offset) {
    uint64_t word = 0;
    if (offset >= 0 && offset <= FRAME_SIZE_MAX - (int64_t)sizeof word)
        memcpy(&word, bytes->data + offset, sizeof word);
    return word;
}

static int32_t int_at(const struct frame_bytes *bytes, int64_t offset) {
    return (int32_t)(uint32_t)word_at(bytes, offset);
}

static bool is_code(struct mt_python *python, uint64_t address) {
    const struct mt_type *type = address != 0 && address % 8 == 0 ? mt_object_type(python, address) : NULL;
    return type && type->kind == MT_KIND_CODE;
}

static void read_flags(struct mt_python *python, struct mt_python_frame *frame) {
    int32_t flags = 0;
    mt_view_i32(python->view, frame->code + (uint64_t)MT_AT(L, PyCodeObject, co_flags), &flags);
    frame->has_namespace = !(flags & MT_CONSTANT(L, CO_OPTIMIZED)) && frame->locals_dict != 0;
}

/* 3.9, 3.10: a frame is an object. */
static enum frame_state read_frame_object(struct mt_python *python, uint64_t address, struct mt_python_frame *ret) {
    struct frame_bytes bytes;
    if (!read_bytes(python, address, MT_AT(L, PyFrameObject, f_localsplus), &bytes))
        return FRAME_DAMAGED;
    /* f_lasti counts bytes in 3.9 and code units of 2 bytes in 3.10; -1: not begun. */
    int32_t last = int_at(&bytes, MT_AT(L, PyFrameObject, f_lasti));
    *ret = (struct mt_python_frame){
        .address = address,
        .code = word_at(&bytes, MT_AT(L, PyFrameObject, f_code)),
        .frame_object = address,
        .globals = word_at(&bytes, MT_AT(L, PyFrameObject, f_globals)),
        .builtins = word_at(&bytes, MT_AT(L, PyFrameObject, f_builtins)),
        .locals_dict = word_at(&bytes, MT_AT(L, PyFrameObject, f_locals)),
        .previous = word_at(&bytes, MT_AT(L, PyFrameObject, f_back)),
        .instruction = last < 0 || python->minor == 9 ? last : 2 * (int64_t)last,
        .in_generator = word_at(&bytes, MT_AT(L, PyFrameObject, f_gen)) != 0,
        .code_counted = true,
    };
    return is_code(python, ret->code) ? FRAME_FOUND : FRAME_DAMAGED;
}

/* Hidden from Python: it has not reached its RESUME instruction (_PyFrame_IsIncomplete). */
static bool is_incomplete(struct mt_python *python, const struct mt_python_frame *frame) {
    int32_t first_traceable;
    return !frame->in_generator &&
           mt_view_i32(python->view, frame->code + (uint64_t)MT_AT(L, PyCodeObject, _co_firsttraceable),
                       &first_traceable) &&
           frame->instruction < 2 * (int64_t)first_traceable;
}

/* 3.11+ */
static enum frame_state read_interpreter_frame(struct mt_python *python, uint64_t address,
                                               struct mt_python_frame *ret) {
    struct frame_bytes bytes;
    if (!read_bytes(python, address, MT_AT(L, _PyInterpreterFrame, localsplus), &bytes))
        return FRAME_DAMAGED;
    uint8_t owner = bytes.data[MT_AT(L, _PyInterpreterFrame, owner)];
    uint64_t previous = word_at(&bytes, MT_AT(L, _PyInterpreterFrame, previous));
    *ret = (struct mt_python_frame){.address = address, .previous = previous};
    /* Owned by the C stack or the interpreter: it stands for an entry from C, and most of its members mean nothing. */
    if (owner > MT_CONSTANT(L, FRAME_OWNED_BY_FRAME_OBJECT))
        return FRAME_SHIM;
    int64_t code_at = MT_HAS(L, _PyInterpreterFrame, f_executable) ? MT_AT(L, _PyInterpreterFrame, f_executable)
                                                                   : MT_AT(L, _PyInterpreterFrame, f_code);
    int64_t function_at = MT_HAS(L, _PyInterpreterFrame, f_funcobj) ? MT_AT(L, _PyInterpreterFrame, f_funcobj)
                                                                    : MT_AT(L, _PyInterpreterFrame, f_func);
    int64_t instruction_at = MT_HAS(L, _PyInterpreterFrame, instr_ptr) ? MT_AT(L, _PyInterpreterFrame, instr_ptr)
                                                                       : MT_AT(L, _PyInterpreterFrame, prev_instr);
    struct mt_stack_ref code = mt_stack_ref_of(python, word_at(&bytes, code_at));
    struct mt_stack_ref function = mt_stack_ref_of(python, word_at(&bytes, function_at));
    ret->code = code.object;
    ret->code_counted = code.counted;
    ret->function = function.object;
    ret->function_counted = function.counted;
    ret->frame_object = word_at(&bytes, MT_AT(L, _PyInterpreterFrame, frame_obj));
    ret->globals = word_at(&bytes, MT_AT(L, _PyInterpreterFrame, f_globals));
    ret->builtins = word_at(&bytes, MT_AT(L, _PyInterpreterFrame, f_builtins));
    ret->locals_dict = word_at(&bytes, MT_AT(L, _PyInterpreterFrame, f_locals));
    ret->instruction =
        (int64_t)(word_at(&bytes, instruction_at) - (ret->code + (uint64_t)MT_AT(L, PyCodeObject, co_code_adaptive)));
    ret->in_generator = owner == MT_CONSTANT(L, FRAME_OWNED_BY_GENERATOR);
    ret->in_frame_object = owner == MT_CONSTANT(L, FRAME_OWNED_BY_FRAME_OBJECT);
    if (!is_code(python, ret->code))
        return FRAME_DAMAGED;
    ret->incomplete = is_incomplete(python, ret);
    return FRAME_FOUND;
}

static enum frame_state read_frame(struct mt_python *python, uint64_t address, struct mt_python_frame *ret) {
    enum frame_state state =
        python->minor <= 10 ? read_frame_object(python, address, ret) : read_interpreter_frame(python, address, ret);
    if (state == FRAME_FOUND)
        read_flags(python, ret);
    return state;
}

bool mt_frame_read(struct mt_python *python, uint64_t address, struct mt_python_frame *ret) {
    struct mt_python_frame frame;
    if (read_frame(python, address, &frame) != FRAME_FOUND)
        return false;
    *ret = frame;
    return true;
}

static uint64_t innermost_frame(struct mt_python *python, const struct mt_python_thread *thread) {
    uint64_t frame = 0, cframe;
    if (MT_HAS(L, PyThreadState, current_frame))
        mt_view_u64(python->view, thread->address + (uint64_t)MT_AT(L, PyThreadState, current_frame), &frame);
    else if (python->minor <= 10)
        mt_view_u64(python->view, thread->address + (uint64_t)MT_AT(L, PyThreadState, frame), &frame);
    else if (mt_view_u64(python->view, thread->address + (uint64_t)MT_AT(L, PyThreadState, cframe), &cframe))
        mt_view_u64(python->view, cframe + (uint64_t)MT_AT(L, _PyCFrame, current_frame), &frame);
    return frame;
}

enum mt_generator_state mt_generator_state(struct mt_python *python, uint64_t generator) {
    int64_t completed = MT_CONSTANT(L, FRAME_COMPLETED);
    uint8_t byte;
    if (!MT_HAS(L, PyGenObject, gi_frame_state) ||
        !mt_view_u8(python->view, generator + (uint64_t)MT_AT(L, PyGenObject, gi_frame_state), &byte))
        return MT_GENERATOR_GOES_ON;
    int8_t state = (int8_t)byte;
    if (state == MT_CONSTANT(L, FRAME_CLEARED))
        return MT_GENERATOR_CLEARED;
    return completed > 0 && state >= completed ? MT_GENERATOR_COMPLETED : MT_GENERATOR_GOES_ON;
}

void mt_frames_visit(struct mt_python *python, const struct mt_python_thread *thread, mt_frame_visit *visit,
                     void *context) {
    uint32_t number = 0;
    /* A damaged chain may be a ring: a frame behind, which is moved up at every power of two steps, meets us then. */
    uint64_t behind = 0, steps = 0, next_move = 1;
    for (uint64_t address = innermost_frame(python, thread); address != 0 && address != behind && steps < FRAMES_MAX;) {
        struct mt_python_frame frame = {0};
        enum frame_state state = read_frame(python, address, &frame);
        if (state == FRAME_DAMAGED && frame.address == 0)
            return;
        if (state == FRAME_FOUND && !visit(context, &frame, number))
            return;
        number += state == FRAME_FOUND && !frame.incomplete;
        if (++steps == next_move) {
            behind = address;
            next_move *= 2;
        }
        address = frame.previous;
    }
}
