/* Words that may be references: nobody told us what they mean. */
#include "heap/roots_parts.h"

#include <stdlib.h>
#include <string.h>

#include "python/object.h"
#include "target/registers.h"
#include "target/regions.h"

#define L (&python->layout)

/* Words of a hostile or strange stack that are looked at; a thread's stack is 8 MiB where nobody chose otherwise. */
#define STACK_MAX (16u << 20)
/* A thread's descriptor (struct pthread), behind which nothing of its stack lies. */
#define PTHREAD_SIZE 4096
/* Words below are no addresses of anything. */
#define LOWEST_ADDRESS 65536
#define ADDRESS_BITS 47
/* Words between two looks at the clock. */
#define POLL_EVERY 4096

struct guess_walk {
    const struct mt_roots_walk *walk;
    mt_roots_known known; /* by start */
    struct mt_extent own; /* what points in there is passed over */
    struct mt_root root;  /* what all words of the range at hand have in common */
};

static void guess_word(const struct guess_walk *guess, uint64_t where, uint64_t word) {
    if (word % 8 != 0 || word < LOWEST_ADDRESS || word >> ADDRESS_BITS != 0 ||
        (word >= guess->own.start && word < guess->own.end))
        return;
    struct mt_root root = guess->root;
    root.where = where;
    root.edge.target = word;
    guess->walk->visit(guess->walk->context, &root);
}

/* C code keeps a str alive for its text: documentation that was added at run time, names. Such a pointer leads to where
 * the text of an ASCII str begins, right behind its head. */
static void guess_text(const struct guess_walk *guess, uint64_t where, uint64_t word) {
    struct mt_python *python = guess->walk->python;
    uint64_t head = (uint64_t)MT_AT(L, PyASCIIObject, sizeof), type;
    if (word < LOWEST_ADDRESS || word >> ADDRESS_BITS != 0 || (word - head) % 16 != 0 ||
        (word >= guess->own.start && word < guess->own.end) ||
        !mt_view_u64(python->view, word - head + MT_OB_TYPE, &type) || type != python->types->str_type)
        return;
    struct mt_root root = guess->root;
    root.where = where;
    root.edge.target = word - head;
    root.edge.link.text = "text in static data";
    guess->walk->visit(guess->walk->context, &root);
}

/* The first known range that ends behind `address`. */
static size_t first_known(const struct guess_walk *guess, uint64_t address) {
    size_t low = 0, high = guess->known.length;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (guess->known.data[middle].end > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static struct mt_error *guess_words(struct guess_walk *guess, uint64_t start, uint64_t end) {
    struct mt_view *view = guess->walk->python->view;
    uint64_t where = (start + 7) & ~(uint64_t)7, steps = 0;
    for (size_t next = first_known(guess, where); where < end && end - where >= 8; where += 8) {
        const mt_roots_known *known = &guess->known;
        uint64_t word;
        for (; next < known->length && known->data[next].end <= where; next++)
            ;
        if (next < known->length && known->data[next].start <= where) {
            where = known->data[next].end - 8;
            continue;
        }
        if (steps++ % POLL_EVERY == 0) {
            struct mt_error *error = mt_watch_poll(guess->walk->watch, "guessing what C code holds");
            if (error)
                return error;
        }
        if (mt_view_u64(view, where, &word) && !mt_roots_known_text(guess->walk->python, where, word))
            guess_word(guess, where, word);
        if (guess->root.form == MT_ROOT_DATA && mt_view_u64(view, where, &word))
            guess_text(guess, where, word);
    }
    return NULL;
}

static void begin(struct guess_walk *guess, enum mt_root_form form, const char *name) {
    guess->root = (struct mt_root){
        .form = form,
        .edge = {.kind = MT_EDGE_GUESS, .counted = true, .link = {.form = MT_LINK_TEXT, .text = name}},
    };
}

/* --- what is known --------------------------------------------------------------------------------------------------
 */

static int by_start(const void *left, const void *right) {
    const struct mt_extent *a = left, *b = right;
    return a->start < b->start ? -1 : a->start > b->start;
}

/* Sorts the ranges, and makes one of those that overlap. */
static void settle(mt_roots_known *known) {
    size_t kept = 0;
    if (known->length > 0)
        qsort(known->data, known->length, sizeof *known->data, by_start);
    for (size_t i = 0; i < known->length; i++) {
        struct mt_extent *last = kept > 0 ? &known->data[kept - 1] : NULL;
        if (last && known->data[i].start <= last->end)
            last->end = known->data[i].end > last->end ? known->data[i].end : last->end;
        else
            known->data[kept++] = known->data[i];
    }
    known->length = kept;
}

/* Static types are objects; what they refer to is exact. */
static struct mt_error *know_static_types(struct mt_python *python, mt_roots_known *known) {
    uint64_t size = (uint64_t)MT_AT(L, PyTypeObject, sizeof);
    for (size_t i = 0; i < python->types->list.length; i++) {
        const struct mt_type *type = python->types->list.data[i];
        struct mt_extent extent = {.start = type->address, .end = type->address + size};
        if (!type->is_heap && !mt_vector_push(known, extent))
            return &mt_error_no_memory;
    }
    return NULL;
}

/* --- interpreters and the runtime -----------------------------------------------------------------------------------
 */

static struct mt_error *guess_interpreters(struct guess_walk *guess) {
    struct mt_python *python = guess->walk->python;
    struct mt_error *error = NULL;
    begin(guess, MT_ROOT_INTERPRETER, "interpreter state");
    for (size_t i = 0; i < python->interpreters.length && !error; i++) {
        uint64_t interpreter = python->interpreters.data[i];
        struct mt_extent words = {.start = interpreter,
                                  .end = interpreter + (uint64_t)MT_AT(L, PyInterpreterState, sizeof)};
        error = guess_words(guess, words.start, words.end);
        if (!error && !mt_vector_push(&guess->known, words))
            error = &mt_error_no_memory;
        settle(&guess->known);
    }
    begin(guess, MT_ROOT_RUNTIME, "_PyRuntime");
    struct mt_extent runtime = {.start = python->runtime, .end = python->runtime + python->runtime_size};
    if (!error)
        error = guess_words(guess, runtime.start, runtime.end);
    if (!error && !mt_vector_push(&guess->known, runtime))
        error = &mt_error_no_memory;
    settle(&guess->known);
    return error;
}

/* --- libraries ------------------------------------------------------------------------------------------------------
 */

static struct mt_error *guess_module_data(void *context, const struct mt_module_data *data) {
    struct guess_walk *guess = context;
    begin(guess, MT_ROOT_DATA, "static data");
    guess->root.module = data->path;
    /* Pointers that the linker set are no counted references. */
    guess->own = data->segment;
    struct mt_error *error = guess_words(guess, data->mapped.start, data->mapped.end);
    guess->own = (struct mt_extent){0};
    return error;
}

/* --- C stacks -------------------------------------------------------------------------------------------------------
 */

/* The mapping that an address lies in; NULL: none that is writable, or the heap, where no stack is. */
static const struct mt_region *stack_region(struct mt_python *python, uint64_t address) {
    const struct mt_region *regions;
    size_t count;
    struct mt_error *error = mt_target_regions(python->view->target, &regions, &count);
    if (error) {
        mt_error_destroy(error);
        return NULL;
    }
    const struct mt_region *region = mt_region_of(regions, count, address);
    bool is_heap = region && region->path && strcmp(region->path, "[heap]") == 0;
    return region && region->writable && !is_heap ? region : NULL;
}

/* From the stack pointer to the end of the mapping. When the pointer is unknown, the whole stack of a thread that is
 * not the first: its descriptor lies at the stack's end. */
static bool find_stack(struct mt_python *python, const struct mt_python_thread *thread, uint64_t stack_pointer,
                       struct mt_extent *ret) {
    const struct mt_region *region = stack_region(python, stack_pointer ? stack_pointer : thread->pthread);
    if (!region)
        return false;
    uint64_t descriptor_end = thread->pthread + PTHREAD_SIZE;
    *ret = (struct mt_extent){.start = stack_pointer ? stack_pointer : region->start, .end = region->end};
    if (thread->pthread >= ret->start && descriptor_end < ret->end)
        ret->end = descriptor_end;
    if (ret->end - ret->start > STACK_MAX) {
        if (stack_pointer)
            ret->end = ret->start + STACK_MAX;
        else
            ret->start = ret->end - STACK_MAX;
    }
    return true;
}

static struct mt_error *guess_stack(struct guess_walk *guess, const struct mt_python_thread *thread) {
    struct mt_python *python = guess->walk->python;
    struct mt_registers registers = {0};
    struct mt_extent stack;
    begin(guess, MT_ROOT_STACK, "register");
    guess->root.thread = thread->number;
    if (mt_target_registers(python->view->target, thread->tid, &registers))
        for (size_t i = 0; i < registers.count; i++)
            guess_word(guess, 0, registers.words[i]);
    guess->root.edge.link.text = "C stack";
    return find_stack(python, thread, registers.stack_pointer, &stack) ? guess_words(guess, stack.start, stack.end)
                                                                       : NULL;
}

/* --- all ------------------------------------------------------------------------------------------------------------
 */

static struct mt_error *guess_static(struct guess_walk *guess) {
    struct mt_python *python = guess->walk->python;
    struct mt_error *error = mt_roots_known_words(python, &guess->known);
    if (!error)
        error = know_static_types(python, &guess->known);
    if (error)
        return error;
    settle(&guess->known);
    error = guess_interpreters(guess);
    return error ? error : mt_module_data_walk(python, guess_module_data, guess);
}

static struct mt_error *guess_stacks(struct guess_walk *guess, const struct mt_threads *threads) {
    struct mt_error *error = NULL;
    for (size_t i = 0; i < threads->list.length && !error; i++)
        error = mt_roots_visit_frames(guess->walk, &threads->list.data[i], true);
    for (size_t i = 0; i < threads->list.length && !error; i++)
        error = guess_stack(guess, &threads->list.data[i]);
    return error;
}

struct mt_error *mt_roots_guess(struct mt_python *python, enum mt_roots_place place, struct mt_watch *watch,
                                mt_root_visit *visit, void *context) {
    struct mt_roots_walk walk = {.python = python, .watch = watch, .visit = visit, .context = context};
    struct guess_walk guess = {.walk = &walk};
    struct mt_threads threads = {0};
    struct mt_error *error = NULL;
    if (place == MT_ROOTS_STATIC)
        error = guess_static(&guess);
    else
        error = mt_threads_read(python, watch, &threads);
    if (!error && place == MT_ROOTS_STACKS)
        error = guess_stacks(&guess, &threads);
    mt_threads_deinit(&threads);
    mt_vector_deinit(&guess.known);
    return error;
}
