#include "heap/edges.h"

#include "heap/edges_walk.h"

#define MAX_BASES 256 /* a chain of tp_base */

typedef void decoder(const struct mt_walk *walk);

static decoder *const decoders[MT_KIND_COUNT] = {
    [MT_KIND_TYPE] = mt_walk_type,
    [MT_KIND_TUPLE] = mt_walk_tuple,
    [MT_KIND_LIST] = mt_walk_list,
    [MT_KIND_DICT] = mt_walk_dict,
    [MT_KIND_FROZENDICT] = mt_walk_dict,
    [MT_KIND_DEFAULTDICT] = mt_walk_dict,
    [MT_KIND_ORDERED_DICT] = mt_walk_ordered_dict,
    [MT_KIND_SET] = mt_walk_set,
    [MT_KIND_FROZENSET] = mt_walk_set,
    [MT_KIND_DEQUE] = mt_walk_deque,
    [MT_KIND_HAMT_BITMAP_NODE] = mt_walk_hamt_bitmap,
    [MT_KIND_HAMT_ARRAY_NODE] = mt_walk_hamt_array,
    [MT_KIND_HAMT_COLLISION_NODE] = mt_walk_hamt_collision,
    [MT_KIND_CODE] = mt_walk_code,
    [MT_KIND_FRAME] = mt_walk_frame,
    [MT_KIND_GENERATOR] = mt_walk_generator,
    [MT_KIND_COROUTINE] = mt_walk_generator,
    [MT_KIND_ASYNC_GENERATOR] = mt_walk_generator,
    [MT_KIND_MODULE] = mt_walk_module,
    [MT_KIND_STOP_ITERATION] = mt_walk_exception,
    [MT_KIND_OS_ERROR] = mt_walk_exception,
    [MT_KIND_SYSTEM_EXIT] = mt_walk_exception,
    [MT_KIND_IMPORT_ERROR] = mt_walk_exception,
    [MT_KIND_ATTRIBUTE_ERROR] = mt_walk_exception,
    [MT_KIND_NAME_ERROR] = mt_walk_exception,
    [MT_KIND_SYNTAX_ERROR] = mt_walk_exception,
    [MT_KIND_UNICODE_ERROR] = mt_walk_exception,
    [MT_KIND_UNICODE_ENCODE_ERROR] = mt_walk_exception,
    [MT_KIND_UNICODE_DECODE_ERROR] = mt_walk_exception,
    [MT_KIND_UNICODE_TRANSLATE_ERROR] = mt_walk_exception,
    [MT_KIND_EXCEPTION_GROUP] = mt_walk_exception,
    [MT_KIND_WEAKREF] = mt_walk_weakref,
    [MT_KIND_WEAKREF_REFERENCE] = mt_walk_weakref,
    [MT_KIND_WEAKPROXY] = mt_walk_weakref,
    [MT_KIND_WEAKREF_PROXY] = mt_walk_weakref,
    [MT_KIND_WEAKCALLABLEPROXY] = mt_walk_weakref,
    [MT_KIND_WEAKREF_CALLABLE_PROXY] = mt_walk_weakref,
    [MT_KIND_LRU_CACHE] = mt_walk_lru_cache,
    [MT_KIND_NUMPY_ARRAY] = mt_walk_numpy_array,
};

/* --- what decoders share ------------------------------------------------------------------------------------------ */

static const struct mt_type *decoded_type(struct mt_python *python, const struct mt_type *type) {
    for (unsigned i = 0; type && type->kind == MT_KIND_UNKNOWN && i < MAX_BASES; i++)
        type = type->base ? mt_types_get(python->types, type->base) : NULL;
    return type ? type->kind_type : NULL;
}

struct mt_walk mt_walk_begin(struct mt_python *python, uint64_t address, const struct mt_type *type,
                             mt_edge_visit *visit, void *context) {
    return (struct mt_walk){
        .python = python,
        .address = address,
        .type = type,
        .decoded = type->kind == MT_KIND_UNKNOWN ? decoded_type(python, type) : type->kind_type,
        .visit = visit,
        .context = context,
    };
}

static bool has_member(const struct mt_walk *walk, uint64_t address, const struct mt_plain_member *member) {
    uint8_t byte = 0;
    if (member->condition == 0)
        return true;
    return mt_view_u8(walk->python->view, address + (uint64_t)walk->python->layout.value[member->condition], &byte) &&
           byte != 0;
}

void mt_walk_members(const struct mt_walk *walk, uint64_t address, const struct mt_plain_member *members) {
    const int64_t *offsets = walk->python->layout.value;
    for (size_t i = 0; i < MT_PLAIN_MEMBERS_MAX && members[i].link; i++) {
        int64_t offset = members[i].field ? offsets[members[i].field] : members[i].offset;
        if (offset < 0 || !has_member(walk, address, &members[i]))
            continue;
        if (members[i].inner != 0)
            offset += offsets[members[i].inner];
        mt_walk_owned(walk, mt_walk_word(walk, address + (uint64_t)offset), mt_link_text(members[i].link));
    }
}

void mt_walk_array(const struct mt_walk *walk, const struct mt_walk_array *array) {
    uint64_t words[MT_WALK_CHUNK];
    struct mt_link link = array->link;
    for (uint64_t done = 0; done < array->count;) {
        uint64_t part = array->count - done < MT_WALK_CHUNK ? array->count - done : MT_WALK_CHUNK;
        uint64_t start = array->address + done * sizeof words[0];
        if (!mt_view_read(walk->python->view, start, words, (size_t)part * sizeof words[0])) {
            /* As far as it is readable. */
            part = 1;
            if (!mt_view_u64(walk->python->view, start, words))
                return;
        }
        for (uint64_t i = 0; i < part; i++, link.number++)
            mt_walk_edge(walk, words[i], array->kind, array->counted, link);
        done += part;
    }
}

/* --- one object --------------------------------------------------------------------------------------------------- */

static void walk_kind(const struct mt_walk *walk) {
    const struct mt_plain *plain = walk->decoded->plain;
    enum mt_kind kind = walk->decoded->kind;
    mt_walk_members(walk, walk->address, plain ? plain->members : mt_kind_members(kind));
    if (plain)
        mt_walk_plain_storage(walk);
    if (decoders[kind])
        decoders[kind](walk);
}

bool mt_walk_is_apart(const struct mt_walk *walk, int64_t offset) {
    const struct mt_type *decoded = walk->decoded;
    return !decoded || offset < 0 || offset >= decoded->basic_size;
}

/* Has it a __dict__ (or values instead) that its decoder does not know as one of its members? */
static bool has_attributes(const struct mt_walk *walk) {
    const struct mt_type *type = walk->type;
    if (type->dict_offset == 0)
        return type->flags & MT_TYPE_MANAGED_DICT;
    return mt_walk_is_apart(walk, type->dict_offset);
}

/* The nearest type, `type` itself or one it derives from, that C made. */
static const struct mt_type *c_type(struct mt_python *python, const struct mt_type *type) {
    for (unsigned i = 0; type && type->is_python_class && i < MAX_BASES; i++)
        type = type->base ? mt_types_get(python->types, type->base) : NULL;
    return type;
}

/* Modules/_sqlite/connection.c: a connection has the exception classes of its module as members, and borrows them. */
static bool is_borrowed(const struct mt_type *type, const char *name) {
    const char *last = strrchr(name, 'E');
    return strcmp(type->qualified, "sqlite3.Connection") == 0 &&
           (strcmp(name, "Warning") == 0 || (last && strcmp(last, "Error") == 0));
}

/* time.struct_time and the like (Objects/structseq.c): their members are their items. */
bool mt_walk_is_struct_sequence(const struct mt_walk *walk) {
    return walk->decoded && walk->decoded->kind == MT_KIND_TUPLE && walk->type != walk->decoded &&
           !walk->type->is_python_class;
}

/* __slots__, and members that a C type declares. Several may be names of one. */
static void walk_slots(const struct mt_walk *walk) {
    const struct mt_type *type = walk->type, *declared = c_type(walk->python, type);
    int64_t before = 0;
    for (size_t i = 0; i < type->member_count; i++) {
        const struct mt_member *member = &type->members[i];
        int64_t offset = member->offset;
        if (offset == before || offset == type->dict_offset || offset == type->weak_offset ||
            !mt_walk_is_apart(walk, offset))
            continue;
        bool is_slot = !declared || offset >= declared->basic_size;
        mt_walk_edge(walk, mt_walk_member(walk, offset), MT_EDGE_EXACT, is_slot || !is_borrowed(declared, member->name),
                     (struct mt_link){.form = is_slot ? MT_LINK_ATTRIBUTE : MT_LINK_TEXT, .text = member->name});
        before = offset;
    }
}

void mt_edges_visit(struct mt_python *python, uint64_t address, const struct mt_type *type, mt_edge_visit *visit,
                    void *context) {
    struct mt_walk walk = mt_walk_begin(python, address, type, visit, context);
    if (walk.decoded)
        walk_kind(&walk);
    if (has_attributes(&walk))
        mt_walk_attributes(&walk);
    if (type->member_count > 0 && !mt_walk_is_struct_sequence(&walk))
        walk_slots(&walk);
    if (type->is_heap)
        mt_walk_owned(&walk, type->address, mt_link_text("ob_type"));
}
