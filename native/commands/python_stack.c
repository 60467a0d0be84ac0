#include "commands/python_stack.h"

#include <string.h>

#include "python/threads.h"

#define FRAMES_MAX 1000 /* that are kept of one stack */

struct walk {
    struct mt_python *python;
    struct mt_python_stack *stack;
    bool failed;
};

static const char *keep(struct walk *walk, const char *text) {
    uint32_t number;
    if (mt_string_table_add(&walk->stack->strings, text, strlen(text), &number))
        return mt_string_table_get(&walk->stack->strings, number);
    walk->failed = true;
    return "";
}

static bool visit(void *context, const struct mt_python_frame *frame, uint32_t number) {
    struct walk *walk = context;
    struct mt_frame_place place;
    if (frame->incomplete)
        return true;
    if (!mt_frame_place(walk->python, frame, &place))
        place = (struct mt_frame_place){.function = "?", .file = "?"};
    struct mt_frame shown = {.function = keep(walk, place.function),
                             .file = keep(walk, place.file),
                             .line = place.line > 0 ? (uint32_t)place.line : 0};
    walk->failed |= !mt_vector_push(&walk->stack->frames, shown);
    return !walk->failed && walk->stack->frames.length < FRAMES_MAX;
}

static const struct mt_python_thread *choose(const struct mt_threads *threads, uint64_t tid) {
    const struct mt_python_thread *holder = NULL;
    for (size_t i = 0; i < threads->list.length; i++) {
        const struct mt_python_thread *thread = &threads->list.data[i];
        if (tid != 0 && thread->tid == tid)
            return thread;
        if (thread->has_gil && !holder)
            holder = thread;
    }
    return holder;
}

struct mt_error *mt_python_stack_read(struct mt_python *python, uint64_t tid, struct mt_watch *watch,
                                      struct mt_python_stack *ret) {
    struct mt_threads threads = {0};
    struct walk walk = {.python = python, .stack = ret};
    struct mt_error *error = mt_threads_read(python, watch, &threads);
    const struct mt_python_thread *thread = error ? NULL : choose(&threads, tid);
    if (thread)
        mt_frames_visit(python, thread, visit, &walk);
    mt_threads_deinit(&threads);
    return error ? error : walk.failed ? &mt_error_no_memory : NULL;
}

void mt_python_stack_deinit(struct mt_python_stack *stack) {
    mt_vector_deinit(&stack->frames);
    mt_string_table_deinit(&stack->strings);
}
