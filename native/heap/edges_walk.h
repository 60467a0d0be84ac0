/* Inside of the edges: what a walk over one object's references needs, and its decoders by family. */
#ifndef MEMTRACE_HEAP_EDGES_WALK_H
#define MEMTRACE_HEAP_EDGES_WALK_H

#include <string.h>

#include "heap/edges.h"
#include "python/object.h"
#include "python/plain.h"

/* An array of references is copied from the view by so many at a time: visitors use the view themselves. */
#define MT_WALK_CHUNK 512

struct mt_walk {
    struct mt_python *python;
    uint64_t address;
    const struct mt_type *type;
    const struct mt_type *decoded; /* the nearest type, itself or one it derives from, that has a decoder; NULL: none */
    mt_edge_visit *visit;
    void *context;
};

#define MT_WALK_AT(walk, structure, member) MT_AT(&(walk)->python->layout, structure, member)

/* --- links -------------------------------------------------------------------------------------------------------- */

static inline struct mt_link mt_link_text(const char *text) {
    return (struct mt_link){.form = MT_LINK_TEXT, .text = text};
}

static inline struct mt_link mt_link_index(uint64_t number) {
    return (struct mt_link){.form = MT_LINK_INDEX, .number = number};
}

static inline struct mt_link mt_link_numbered(const char *text, uint64_t number) {
    return (struct mt_link){.form = MT_LINK_NUMBERED, .text = text, .number = number};
}

/* `name`: a str object */
static inline struct mt_link mt_link_named(const char *text, uint64_t name) {
    return (struct mt_link){.form = MT_LINK_NAMED, .text = text, .name = name};
}

/* --- visits: of what is not there (0) nothing is told ------------------------------------------------------------- */

static inline void mt_walk_edge(const struct mt_walk *walk, uint64_t target, enum mt_edge_kind kind, bool counted,
                                struct mt_link link) {
    if (target != 0) {
        struct mt_edge edge = {.target = target, .kind = kind, .counted = counted, .link = link};
        walk->visit(walk->context, &edge);
    }
}

/* A reference that the object owns. */
static inline void mt_walk_owned(const struct mt_walk *walk, uint64_t target, struct mt_link link) {
    mt_walk_edge(walk, target, MT_EDGE_EXACT, true, link);
}

/* The word at `address`; 0: unreadable. */
static inline uint64_t mt_walk_word(const struct mt_walk *walk, uint64_t address) {
    uint64_t word = 0;
    mt_view_u64(walk->python->view, address, &word);
    return word;
}

/* A word of the object; 0: unreadable, or this version has no such member. */
static inline uint64_t mt_walk_member(const struct mt_walk *walk, int64_t offset) {
    return offset < 0 ? 0 : mt_walk_word(walk, walk->address + (uint64_t)offset);
}

/* Members up to one with link NULL, of the object or of a struct elsewhere. */
void mt_walk_members(const struct mt_walk *walk, uint64_t address, const struct mt_plain_member *members);

struct mt_walk_array {
    uint64_t address;
    uint64_t count;
    struct mt_link link; /* of the first element; its number counts on */
    enum mt_edge_kind kind;
    bool counted;
};
/* An array of references; 0 in it is no element. Ends where memory can't be read. */
void mt_walk_array(const struct mt_walk *walk, const struct mt_walk_array *array);
/* An array of owned references. */
static inline void mt_walk_items(const struct mt_walk *walk, uint64_t address, uint64_t count, struct mt_link first) {
    struct mt_walk_array array = {
        .address = address, .count = count, .link = first, .kind = MT_EDGE_EXACT, .counted = true};
    mt_walk_array(walk, &array);
}

/* --- decoders: what a kind refers to besides its members (mt_kind_members) ---------------------------------------- */

/* edges_containers.c */
void mt_walk_list(const struct mt_walk *walk);
void mt_walk_tuple(const struct mt_walk *walk);
void mt_walk_set(const struct mt_walk *walk);
void mt_walk_deque(const struct mt_walk *walk);
void mt_walk_hamt_bitmap(const struct mt_walk *walk);
void mt_walk_hamt_array(const struct mt_walk *walk);
void mt_walk_hamt_collision(const struct mt_walk *walk);
/* edges_dict.c */
void mt_walk_dict(const struct mt_walk *walk);
void mt_walk_ordered_dict(const struct mt_walk *walk);
void mt_walk_attributes(const struct mt_walk *walk);
/* Keys of a table that several objects share: each of them shows them. */
void mt_walk_shared_keys(const struct mt_walk *walk, uint64_t keys);
/* edges_type.c */
void mt_walk_type(const struct mt_walk *walk);
/* edges_frame.c */
void mt_walk_code(const struct mt_walk *walk);
void mt_walk_frame(const struct mt_walk *walk);
void mt_walk_generator(const struct mt_walk *walk);
/* Slots of a frame's stack that may be stale, as guesses. */
void mt_walk_frame_guesses(const struct mt_walk *walk);
/* edges_library.c */
void mt_walk_weakref(const struct mt_walk *walk);
void mt_walk_exception(const struct mt_walk *walk);
void mt_walk_module(const struct mt_walk *walk);
void mt_walk_lru_cache(const struct mt_walk *walk);
void mt_walk_plain_storage(const struct mt_walk *walk);
/* edges_numpy.c */
void mt_walk_numpy_array(const struct mt_walk *walk);

struct mt_walk mt_walk_begin(struct mt_python *python, uint64_t address, const struct mt_type *type,
                             mt_edge_visit *visit, void *context);
/* Does a member at `offset` lie behind what the decoder knows? */
bool mt_walk_is_apart(const struct mt_walk *walk, int64_t offset);
bool mt_walk_is_struct_sequence(const struct mt_walk *walk);

#endif
