#include "commands/birth.h"

#include "base/cleanup.h"
#include "base/vector.h"
#include "heap/size.h"

#define MOST_BLOCKS 8   /* of an object that are looked for: its own, and the first of its buffers */
#define DEBUG_HEADER 16 /* bytes that CPython's debugging allocators put in front of a block */

struct search {
    const uint64_t *addresses;
    size_t count;
    struct mt_birth *births;
};

/* The smallest block around an address: a mapping may hold blocks that were recorded on their own. */
static void compare_block(void *context, const struct mt_block *block) {
    struct search *search = context;
    uint64_t size = block->size > 0 ? block->size : 1;
    for (size_t i = 0; i < search->count; i++) {
        struct mt_birth *birth = &search->births[i];
        if (search->addresses[i] - block->address >= size)
            continue;
        if (!birth->found || block->size < birth->block.size)
            *birth = (struct mt_birth){true, *block};
    }
}

struct mt_error *mt_birth_find(struct mt_call *call, const struct mt_image *image, const uint64_t *addresses,
                               size_t count, struct mt_birth *ret, struct mt_block_gaps *ret_gaps) {
    struct search search = {addresses, count, ret};
    for (size_t i = 0; i < count; i++)
        ret[i] = (struct mt_birth){0};
    return mt_blocks_visit(image, &call->watch, compare_block, &search, ret_gaps);
}

struct mt_error *mt_birth_emit_stack(struct mt_call *call, const struct mt_image *image, const struct mt_site *site) {
    struct mt_emitter *emitter = &call->emitter;
    struct mt_frame_list list = {0};
    size_t count;
    bool ok = mt_image_stack(image, site->stack, &list, &count);
    if (ok && count > 0)
        mt_emit_place(emitter, "born in", list.frames, count);
    else if (ok)
        mt_emit_line(emitter, "born outside Python");
    if (ok)
        mt_emit_stack(emitter, "stack", list.frames, count);
    mt_frame_list_deinit(&list);
    return ok ? NULL : &mt_error_no_memory;
}

struct mt_error *mt_birth_recording(struct mt_call *call, struct mt_image **ret) {
    struct mt_image *image = NULL;
    struct mt_error *error = mt_call_recording(call, &image);
    if (error && error->code != MT_ERROR_NO_MEMORY && error->code != MT_ERROR_INTERRUPTED) {
        /* A damaged image keeps nobody from asking about objects; `status` tells. */
        mt_error_destroy(error);
        error = NULL;
        image = NULL;
    }
    if (!error)
        *ret = image;
    return error;
}

struct starts {
    MT_VECTOR(uint64_t) list;
    bool failed;
};

static void take_block(void *context, const struct mt_owned_block *block) {
    struct starts *starts = context;
    if (!block->shared && starts->list.length < MOST_BLOCKS && !mt_vector_push(&starts->list, block->address))
        starts->failed = true;
}

/* A debugging allocator has a header in front of the block; but what lies in the middle of a recorded block (an arena,
 * a free list's chunk) was not born with it. */
static bool begins_with(const struct mt_birth *birth, uint64_t start) {
    return birth->found && start - birth->block.address <= DEBUG_HEADER;
}

/* The object's own block, else the largest of the others: small ones may come from a cache of a library's own, which
 * was filled by somebody else. NULL: none was recorded. */
static const struct mt_birth *choose(const struct mt_birth *births, const struct starts *starts) {
    const struct mt_birth *chosen = NULL;
    for (size_t i = 0; i < starts->list.length; i++) {
        if (!begins_with(&births[i], starts->list.data[i]))
            continue;
        if (i == 0)
            return &births[i];
        if (!chosen || births[i].block.size > chosen->block.size)
            chosen = &births[i];
    }
    return chosen;
}

static struct mt_error *emit_chosen(struct mt_call *call, const struct mt_image *image, const struct starts *starts) {
    size_t count = starts->list.length;
    MT_AUTO_FREE struct mt_birth *births = calloc(count + 1, sizeof *births);
    struct mt_block_gaps gaps;
    if (!births || starts->failed)
        return &mt_error_no_memory;
    struct mt_error *error = mt_birth_find(call, image, starts->list.data, count, births, &gaps);
    if (error)
        return error;
    const struct mt_birth *chosen = choose(births, starts);
    return chosen ? mt_birth_emit_stack(call, image, &image->sites[chosen->block.site]) : NULL;
}

struct mt_error *mt_birth_emit_object(struct mt_call *call, struct mt_python *python, uint64_t address,
                                      const struct mt_type *type) {
    struct mt_image *image;
    struct mt_error *error = mt_birth_recording(call, &image);
    if (error || !image)
        return error;
    struct starts starts = {0};
    mt_object_blocks(python, address, type, take_block, &starts);
    error = emit_chosen(call, image, &starts);
    mt_vector_deinit(&starts.list);
    return error;
}
