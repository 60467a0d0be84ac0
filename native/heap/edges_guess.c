/* Words in memory that nobody told us the meaning of. */
#include "heap/edges_walk.h"

#define MAX_SCAN ((uint64_t)1 << 20) /* bytes of one block */

bool mt_edges_has_guesses(const struct mt_type *type) {
    switch (type->kind) {
    case MT_KIND_UNKNOWN:
        return type->basic_size > MT_OBJECT_SIZE || type->item_size > 0;
    case MT_KIND_MODULE:
    case MT_KIND_FRAME:
    case MT_KIND_GENERATOR:
    case MT_KIND_COROUTINE:
    case MT_KIND_ASYNC_GENERATOR:
        return true;
    default:
        return false;
    }
}

/* A word that may be a reference: an address of something aligned, outside of the object. */
static bool may_be_reference(const struct mt_walk *walk, uint64_t word) {
    return word != 0 && word % sizeof word == 0 && word < MT_ADDRESS_LIMIT && word != walk->address;
}

static void guess_block(const struct mt_walk *walk, uint64_t start, uint64_t size) {
    uint64_t words[MT_WALK_CHUNK];
    if (size > MAX_SCAN)
        size = MAX_SCAN;
    for (uint64_t done = 0; done + sizeof words[0] <= size; done += sizeof words) {
        uint64_t part = size - done < sizeof words ? size - done : sizeof words;
        uint64_t count = part / sizeof words[0];
        if (!mt_view_read(walk->python->view, start + done, words, (size_t)(count * sizeof words[0])))
            return;
        for (uint64_t i = 0; i < count; i++)
            if (may_be_reference(walk, words[i]))
                mt_walk_edge(walk, words[i], MT_EDGE_GUESS, true,
                             mt_link_numbered("block", done / sizeof words[0] + i));
    }
}

/* --- bodies of C types -------------------------------------------------------------------------------------------- */

struct chunks {
    mt_chunk_size *size;
    void *context;
};

/* Is the word at `offset` told by an exact edge, or known to be none? */
static bool is_told(const struct mt_walk *walk, int64_t offset) {
    const struct mt_type *type = walk->type;
    if (offset == type->dict_offset || offset == type->weak_offset)
        return true;
    for (size_t i = 0; i < type->member_count; i++)
        if (type->members[i].offset == offset)
            return true;
    return false;
}

static void guess_word(const struct mt_walk *walk, const struct chunks *chunks, uint64_t offset) {
    uint64_t word = mt_walk_word(walk, walk->address + offset), size;
    if (!may_be_reference(walk, word))
        return;
    if (mt_object_is_plausible(walk->python, word))
        mt_walk_edge(walk, word, MT_EDGE_GUESS, true, mt_link_numbered("word", offset / sizeof word));
    else if (chunks->size && chunks->size(chunks->context, word, &size))
        guess_block(walk, word, size);
}

static void guess_body(const struct mt_walk *walk, const struct chunks *chunks) {
    const struct mt_type *type = walk->type;
    uint64_t start = walk->decoded         ? (uint64_t)walk->decoded->basic_size
                     : type->item_size > 0 ? (uint64_t)MT_VAR_OBJECT_SIZE
                                           : (uint64_t)MT_OBJECT_SIZE;
    uint64_t end = (uint64_t)type->basic_size;
    if (type->item_size > 0)
        end += mt_object_item_count(walk->python, walk->address, type) * (uint64_t)type->item_size;
    if (end > MAX_SCAN)
        end = MAX_SCAN;
    start = (start + sizeof(uint64_t) - 1) / sizeof(uint64_t) * sizeof(uint64_t);
    for (uint64_t offset = start; offset + sizeof(uint64_t) <= end; offset += sizeof(uint64_t))
        if (!is_told(walk, (int64_t)offset))
            guess_word(walk, chunks, offset);
}

/* --- modules ------------------------------------------------------------------------------------------------------ */

/* The C state of a module: its definition tells how large it is; from 3.15 on the module itself does. */
static void guess_module_state(const struct mt_walk *walk) {
    uint64_t state = mt_walk_member(walk, MT_WALK_AT(walk, PyModuleObject, md_state));
    uint64_t definition = mt_walk_member(walk, MT_WALK_AT(walk, PyModuleObject, md_def));
    uint64_t size = MT_WALK_AT(walk, PyModuleObject, md_state_size) >= 0
                        ? mt_walk_member(walk, MT_WALK_AT(walk, PyModuleObject, md_state_size))
                    : definition != 0 ? mt_walk_word(walk, definition + (uint64_t)MT_WALK_AT(walk, PyModuleDef, m_size))
                                      : 0;
    if (state != 0 && size < MT_ADDRESS_LIMIT) /* -1: a module that has none */
        guess_block(walk, state, size);
}

void mt_edges_guess(struct mt_python *python, uint64_t address, const struct mt_type *type, mt_chunk_size *chunk_size,
                    void *chunk_context, mt_edge_visit *visit, void *context) {
    struct mt_walk walk = mt_walk_begin(python, address, type, visit, context);
    struct chunks chunks = {.size = chunk_size, .context = chunk_context};
    if (!mt_edges_has_guesses(type) || mt_walk_is_struct_sequence(&walk))
        return;
    if (type->kind == MT_KIND_UNKNOWN)
        guess_body(&walk, &chunks);
    else if (type->kind == MT_KIND_MODULE)
        guess_module_state(&walk);
    else
        mt_walk_frame_guesses(&walk);
}
