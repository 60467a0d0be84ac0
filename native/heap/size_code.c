/* Code and what runs it: Objects/codeobject.c, Objects/frameobject.c, Objects/genobject.c. */
#include "heap/blocks_walk.h"
#include "python/stack_ref.h"

enum { POINTER = 8 };

#define AT(structure, member) MT_OFFSET(python, structure, member)

static uint64_t count_at(struct mt_python *python, uint64_t address, uint64_t offset) {
    int32_t count = 0;
    mt_view_i32(python->view, address + offset, &count);
    return count > 0 ? (uint64_t)count : 0;
}

static uint64_t length_of(struct mt_python *python, uint64_t object) {
    uint64_t length = object ? mt_size_word(python, object, MT_OB_SIZE) : 0;
    return length < MT_ADDRESS_LIMIT / POINTER ? length : 0;
}

/* From 3.11 on the instructions are the items, and the whole is rounded up. */
uint64_t mt_size_of_code(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    uint64_t body = mt_size_of_body(python, address, type);
    return (body + POINTER - 1) / POINTER * POINTER +
           mt_size_of_blocks(python, address, type, mt_walk_counted_code_blocks);
}

/* 3.11+: _PyInterpreterFrame with the variables and the stack that its code asks for. */
static uint64_t size_of_inner_frame(struct mt_python *python, uint64_t code) {
    uint64_t start = AT(_PyInterpreterFrame, localsplus);
    if (MT_HAS(&python->layout, PyCodeObject, co_framesize)) {
        uint64_t all = count_at(python, code, AT(PyCodeObject, co_framesize)) * POINTER;
        return all > start ? all : start;
    }
    return start + (count_at(python, code, AT(PyCodeObject, co_nlocalsplus)) +
                    count_at(python, code, AT(PyCodeObject, co_stacksize))) *
                       POINTER;
}

static uint64_t code_of_inner_frame(struct mt_python *python, uint64_t frame) {
    if (MT_HAS(&python->layout, _PyInterpreterFrame, f_code))
        return mt_size_word(python, frame, AT(_PyInterpreterFrame, f_code));
    return mt_stack_ref_of(python, mt_size_word(python, frame, AT(_PyInterpreterFrame, f_executable))).object;
}

static uint64_t size_of_old_frame(struct mt_python *python, uint64_t address) {
    uint64_t code = mt_size_word(python, address, AT(PyFrameObject, f_code));
    uint64_t slots = count_at(python, code, AT(PyCodeObject, co_stacksize)) +
                     count_at(python, code, AT(PyCodeObject, co_nlocals)) +
                     length_of(python, mt_size_word(python, code, AT(PyCodeObject, co_cellvars))) +
                     length_of(python, mt_size_word(python, code, AT(PyCodeObject, co_freevars)));
    /* The struct has room for one. */
    return AT(PyFrameObject, sizeof) + slots * POINTER - POINTER;
}

uint64_t mt_size_of_frame(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    if (MT_HAS(&python->layout, PyFrameObject, f_code))
        return size_of_old_frame(python, address);
    uint64_t frame = mt_size_word(python, address, AT(PyFrameObject, f_frame));
    return AT(PyFrameObject, _f_frame_data) + size_of_inner_frame(python, code_of_inner_frame(python, frame));
}

uint64_t mt_size_of_generator(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    if (!MT_HAS(&python->layout, PyGenObject, gi_iframe))
        return mt_size_of_body(python, address, type);
    uint64_t frame = address + AT(PyGenObject, gi_iframe);
    uint64_t code = MT_HAS(&python->layout, PyGenObject, gi_code)
                        ? mt_size_word(python, address, AT(PyGenObject, gi_code))
                        : code_of_inner_frame(python, frame);
    return AT(PyGenObject, gi_iframe) + size_of_inner_frame(python, code);
}
