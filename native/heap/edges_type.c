/* Classes: what a type object owns besides being an instance of its metaclass (Objects/typeobject.c). */
#include "heap/edges_walk.h"

#define OF_TYPE(member)                                                                                                \
    { .field = MT_FIELD_PyTypeObject__##member, .link = #member }
#define OF_HEAP_TYPE(member)                                                                                           \
    { .field = MT_FIELD_PyHeapTypeObject__##member, .link = #member }
#define OF_STATE(member)                                                                                               \
    { .field = MT_FIELD_static_builtin_state__##member, .link = #member }

static const struct mt_plain_member type_members[MT_PLAIN_MEMBERS_MAX] = {OF_TYPE(tp_bases), OF_TYPE(tp_mro),
                                                                          OF_TYPE(tp_cache)};
static const struct mt_plain_member own_tables[MT_PLAIN_MEMBERS_MAX] = {OF_TYPE(tp_dict), OF_TYPE(tp_subclasses)};
static const struct mt_plain_member state_tables[MT_PLAIN_MEMBERS_MAX] = {OF_STATE(tp_dict), OF_STATE(tp_subclasses)};
static const struct mt_plain_member heap_members[MT_PLAIN_MEMBERS_MAX] = {
    OF_HEAP_TYPE(ht_name), OF_HEAP_TYPE(ht_qualname), OF_HEAP_TYPE(ht_slots), OF_HEAP_TYPE(ht_module)};

/* 3.12+: each interpreter has its own tables of a static type. */
static void walk_states(const struct mt_walk *walk) {
    for (size_t i = 0; i < walk->python->interpreters.length; i++) {
        uint64_t state = mt_type_state(walk->python, walk->address, walk->python->interpreters.data[i]);
        if (state != 0)
            mt_walk_members(walk, state, state_tables);
    }
}

void mt_walk_type(const struct mt_walk *walk) {
    uint64_t flags = mt_walk_member(walk, MT_WALK_AT(walk, PyTypeObject, tp_flags));
    bool is_heap = flags & MT_TYPE_HEAP;
    mt_walk_members(walk, walk->address, type_members);
    if (walk->python->minor >= 12 && flags & MT_TYPE_STATIC_BUILTIN)
        walk_states(walk);
    else
        mt_walk_members(walk, walk->address, own_tables);
    /* The base of a static type is static too, and was never counted (but for `object` before 3.10). */
    mt_walk_edge(walk, mt_walk_member(walk, MT_WALK_AT(walk, PyTypeObject, tp_base)), MT_EDGE_EXACT, is_heap,
                 mt_link_text("tp_base"));
    if (!is_heap)
        return;
    mt_walk_members(walk, walk->address, heap_members);
    mt_walk_shared_keys(walk, mt_walk_member(walk, MT_WALK_AT(walk, PyHeapTypeObject, ht_cached_keys)));
}
