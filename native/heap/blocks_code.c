/* Blocks of code objects: what the interpreter adds to them as they run (Objects/codeobject.c,
 * Python/instrumentation.c). */
#include "heap/blocks_walk.h"

enum { POINTER = 8, CODE_UNIT = 2 };
#define AT(structure, member) MT_OFFSET(walk->python, structure, member)
#define HAS(structure, member) MT_HAS(&walk->python->layout, structure, member)

static uint64_t length_of(const struct mt_block_walk *walk, uint64_t object) {
    return object ? mt_size_word(walk->python, object, MT_OB_SIZE) : 0;
}

/* Up to 3.10: where arguments are cells, and caches for what instructions look up. */
static void walk_caches(const struct mt_block_walk *walk) {
    uint64_t cells = length_of(walk, mt_walk_member(walk, AT(PyCodeObject, co_cellvars)));
    uint64_t units = length_of(walk, mt_walk_member(walk, AT(PyCodeObject, co_code))) / CODE_UNIT;
    uint8_t caches = 0;
    mt_view_u8(walk->python->view, walk->address + AT(PyCodeObject, co_opcache_size), &caches);
    mt_walk_block(walk, mt_walk_member(walk, AT(PyCodeObject, co_cell2arg)), mt_size_times(cells, POINTER), "cells");
    mt_walk_block(walk, mt_walk_member(walk, AT(PyCodeObject, co_opcache_map)), mt_size_times(units, 1), "table");
    mt_walk_block(walk, mt_walk_member(walk, AT(PyCodeObject, co_opcache)), caches * AT(_PyOpcache, sizeof), "caches");
}

void mt_walk_counted_code_blocks(const struct mt_block_walk *walk) {
    enum { EXTRA_HEAD = 8, EXTRA_WORD = 8 }; /* _PyCodeObjectExtra: a count, then a word for each user of it */
    uint64_t extra = mt_walk_member(walk, AT(PyCodeObject, co_extra));
    uint64_t words = extra ? mt_size_word(walk->python, extra, 0) : 0;
    mt_walk_block(walk, extra, EXTRA_HEAD + mt_size_times(words, EXTRA_WORD), "extra");
    if (HAS(PyCodeObject, co_opcache))
        walk_caches(walk);
}

/* Up to 3.10: the last frame of this code, kept for its next call. */
static void walk_kept_frame(const struct mt_block_walk *walk) {
    uint64_t frame = mt_walk_member(walk, AT(PyCodeObject, co_zombieframe));
    if (frame)
        mt_walk_block(walk, frame - MT_GC_HEAD_SIZE, MT_GC_HEAD_SIZE + mt_size_of_frame(walk->python, frame, NULL),
                      "frame");
}

/* 3.12+: tools of sys.monitoring. The sizes of the tables, a byte or so for each instruction, are not looked at. */
static void walk_monitoring(const struct mt_block_walk *walk) {
    uint64_t data = mt_walk_member(walk, AT(PyCodeObject, _co_monitoring));
    if (data == 0)
        return;
    const uint64_t tables[] = {
        AT(_PyCode_Monitoring, tools),
        AT(_PyCode_Monitoring, lines),
        AT(_PyCode_Monitoring, line_tools),
        AT(_PyCode_Monitoring, per_instruction_opcodes),
        AT(_PyCode_Monitoring, per_instruction_tools),
    };
    mt_walk_block(walk, data, AT(_PyCode_Monitoring, sizeof), "monitoring");
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        mt_walk_block(walk, mt_size_word(walk->python, data, tables[i]), 0, "monitoring");
}

/* 3.13+: _PyExecutorArray, two counts and the pointers. */
static void walk_executors(const struct mt_block_walk *walk) {
    enum { CAPACITY = 4, FIRST = 8 };
    uint64_t executors = mt_walk_member(walk, AT(PyCodeObject, co_executors));
    uint32_t capacity = 0;
    if (executors)
        mt_view_u32(walk->python->view, executors + CAPACITY, &capacity);
    mt_walk_block(walk, executors, FIRST + mt_size_times(capacity, POINTER), "executors");
}

void mt_walk_other_code_blocks(const struct mt_block_walk *walk) {
    if (HAS(PyCodeObject, co_zombieframe))
        walk_kept_frame(walk);
    if (HAS(PyCodeObject, _co_linearray))
        mt_walk_block(walk, mt_walk_member(walk, AT(PyCodeObject, _co_linearray)), 0, "lines");
    if (HAS(PyCodeObject, _co_cached))
        mt_walk_block(walk, mt_walk_member(walk, AT(PyCodeObject, _co_cached)), AT(_PyCoCached, sizeof), "cached");
    if (HAS(PyCodeObject, _co_monitoring))
        walk_monitoring(walk);
    if (HAS(PyCodeObject, co_executors))
        walk_executors(walk);
}
