/* Dictionaries, and attributes that stand in the instance itself. */
#include "heap/edges_walk.h"
#include "python/dict.h"
#include "python/interned.h"

/* --- keys of several owners --------------------------------------------------------------------------------------- */

void mt_walk_shared_keys(const struct mt_walk *walk, uint64_t address) {
    struct mt_dict_keys keys;
    uint64_t key, value;
    if (address == 0 || !mt_dict_keys_read(walk->python, address, &keys))
        return;
    for (uint64_t i = 0; i < keys.entry_count && mt_dict_keys_entry(walk->python, &keys, i, &key, &value); i++) {
        struct mt_edge edge = {
            .target = key, .kind = MT_EDGE_EXACT, .counted = true, .shared = address, .link = mt_link_text("key")};
        if (key != 0)
            walk->visit(walk->context, &edge);
    }
}

/* --- entries ------------------------------------------------------------------------------------------------------ */

struct entries {
    const struct mt_walk *walk;
    bool keys_are_shared;
    enum mt_edge_kind kind;
    bool keys_are_counted, values_are_counted;
};

static bool visit_entry(void *context, uint64_t key, uint64_t value, uint64_t index) {
    const struct entries *entries = context;
    if (!entries->keys_are_shared)
        mt_walk_edge(entries->walk, key, entries->kind, entries->keys_are_counted, mt_link_text("key"));
    mt_walk_edge(entries->walk, value, entries->kind, entries->values_are_counted,
                 (struct mt_link){.form = MT_LINK_KEY, .name = key});
    return true;
}

void mt_walk_dict(const struct mt_walk *walk) {
    struct mt_dict dict;
    if (!mt_dict_read(walk->python, walk->address, &dict))
        return;
    /* The dict of interned strings does not keep them: its two references to each are taken off their counts. */
    bool is_weak = mt_interned_is_dict(walk->python, walk->address);
    struct entries entries = {
        .walk = walk,
        .keys_are_shared = dict.values != 0,
        .kind = is_weak ? MT_EDGE_WEAK : MT_EDGE_EXACT,
        .keys_are_counted = !is_weak,
        .values_are_counted = !is_weak && !dict.embedded,
    };
    mt_dict_visit(walk->python, walk->address, visit_entry, &entries);
    if (entries.keys_are_shared)
        mt_walk_shared_keys(walk, dict.keys.address);
}

/* Objects/odictobject.c: each node of the list that keeps the order owns its key once more. */
void mt_walk_ordered_dict(const struct mt_walk *walk) {
    struct mt_dict dict;
    mt_walk_dict(walk);
    if (!mt_dict_read(walk->python, walk->address, &dict))
        return;
    uint64_t node = mt_walk_member(walk, MT_WALK_AT(walk, PyODictObject, od_first));
    for (uint64_t i = 0; i < dict.used && node != 0; i++) {
        mt_walk_owned(walk, mt_walk_word(walk, node + (uint64_t)MT_WALK_AT(walk, _odictnode, key)),
                      mt_link_text("key"));
        node = mt_walk_word(walk, node + (uint64_t)MT_WALK_AT(walk, _odictnode, next));
    }
}

/* --- attributes --------------------------------------------------------------------------------------------------- */

static bool visit_attribute(void *context, uint64_t name, uint64_t value, uint64_t index) {
    mt_walk_owned(context, value, (struct mt_link){.form = MT_LINK_ATTRIBUTE, .name = name});
    return true;
}

/* 3.13+: values may lie in the instance and yet have a __dict__, which shows them. They are the instance's references
 * (PyObject_VisitManagedDict). */
static void walk_dict_of_instance(const struct mt_walk *walk, uint64_t address) {
    struct mt_dict dict;
    mt_walk_owned(walk, address, (struct mt_link){.form = MT_LINK_ATTRIBUTE, .text = "__dict__"});
    if (walk->type->flags & MT_TYPE_INLINE_VALUES && mt_dict_read(walk->python, address, &dict) && dict.embedded)
        mt_dict_visit(walk->python, address, visit_attribute, (void *)walk);
}

void mt_walk_attributes(const struct mt_walk *walk) {
    struct mt_attributes attributes;
    if (!mt_attributes_read(walk->python, walk->address, walk->type, &attributes))
        return;
    if (attributes.dict != 0)
        walk_dict_of_instance(walk, attributes.dict);
    else
        mt_attributes_visit(walk->python, &attributes, visit_attribute, (void *)walk);
}
