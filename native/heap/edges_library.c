/* Exceptions, weak references, modules, and what types of the standard library keep outside of their members. */
#include "heap/edges_walk.h"
#include "python/dict.h"

/* Modules/_elementtree.c: the lowest bit of text and tail says that a list of strings is still to be joined. */
#define ELEMENT_TREE_JOIN ((uint64_t)1)

void mt_walk_exception(const struct mt_walk *walk) {
    mt_walk_members(walk, walk->address, mt_kind_members(MT_KIND_EXCEPTION));
}

/* wr_object is None, and not counted either, when the object is dead. */
void mt_walk_weakref(const struct mt_walk *walk) {
    uint64_t object = mt_walk_member(walk, MT_WALK_AT(walk, PyWeakReference, wr_object));
    if (object != walk->python->none)
        mt_walk_edge(walk, object, MT_EDGE_WEAK, false, mt_link_text("wr_object"));
}

/* The definition is a static object of the extension that nobody counts. */
void mt_walk_module(const struct mt_walk *walk) {
    mt_walk_edge(walk, mt_walk_member(walk, MT_WALK_AT(walk, PyModuleObject, md_def)), MT_EDGE_EXACT, false,
                 mt_link_text("md_def"));
}

/* Modules/_functoolsmodule.c: the ring of a bounded cache begins in the wrapper itself and owns a reference to each of
 * its elements, as the dict does. What the elements own the wrapper shows too, as the collector does. */
void mt_walk_lru_cache(const struct mt_walk *walk) {
    struct mt_dict cache;
    uint64_t cache_address = mt_walk_member(walk, MT_WALK_AT(walk, lru_cache_object, cache));
    if (!mt_dict_read(walk->python, cache_address, &cache))
        return;
    uint64_t element = mt_walk_member(walk, MT_WALK_AT(walk, lru_cache_object, root_next));
    for (uint64_t i = 0; i < cache.used && element != 0 && element != walk->address; i++) {
        mt_walk_owned(walk, element, mt_link_text("root"));
        mt_walk_edge(walk, mt_walk_word(walk, element + (uint64_t)MT_WALK_AT(walk, lru_list_elem, key)), MT_EDGE_EXACT,
                     false, mt_link_text("cache key"));
        mt_walk_edge(walk, mt_walk_word(walk, element + (uint64_t)MT_WALK_AT(walk, lru_list_elem, result)),
                     MT_EDGE_EXACT, false, mt_link_text("cache value"));
        element = mt_walk_word(walk, element + (uint64_t)MT_WALK_AT(walk, lru_list_elem, next));
    }
}

/* --- storage of plain types --------------------------------------------------------------------------------------- */

static void walk_element_tree(const struct mt_walk *walk) {
    uint64_t text = mt_walk_member(walk, MT_WALK_AT(walk, ElementObject, text));
    uint64_t tail = mt_walk_member(walk, MT_WALK_AT(walk, ElementObject, tail));
    uint64_t extra = mt_walk_member(walk, MT_WALK_AT(walk, ElementObject, extra));
    mt_walk_owned(walk, text & ~ELEMENT_TREE_JOIN, mt_link_text("text"));
    mt_walk_owned(walk, tail & ~ELEMENT_TREE_JOIN, mt_link_text("tail"));
    if (extra == 0)
        return;
    mt_walk_owned(walk, mt_walk_word(walk, extra + (uint64_t)MT_WALK_AT(walk, ElementObjectExtra, attrib)),
                  mt_link_text("attrib"));
    uint64_t count = mt_walk_word(walk, extra + (uint64_t)MT_WALK_AT(walk, ElementObjectExtra, length));
    uint64_t room = mt_walk_word(walk, extra + (uint64_t)MT_WALK_AT(walk, ElementObjectExtra, allocated));
    uint64_t children = mt_walk_word(walk, extra + (uint64_t)MT_WALK_AT(walk, ElementObjectExtra, children));
    if (count <= room && room <= MT_ADDRESS_LIMIT / sizeof room)
        mt_walk_items(walk, children, count, mt_link_numbered("children", 0));
}

/* Only the values that were read already are there. */
static void walk_tee_values(const struct mt_walk *walk) {
    int64_t start = MT_WALK_AT(walk, teedataobject, values), end = MT_WALK_AT(walk, teedataobject, sizeof);
    int32_t count;
    if (mt_view_i32(walk->python->view, walk->address + (uint64_t)MT_WALK_AT(walk, teedataobject, numread), &count) &&
        count > 0 && count <= (end - start) / (int64_t)sizeof(uint64_t))
        mt_walk_items(walk, walk->address + (uint64_t)start, (uint64_t)count, mt_link_numbered("values", 0));
}

static void walk_queue_ring(const struct mt_walk *walk) {
    uint64_t items = mt_walk_member(walk, MT_WALK_AT(walk, simplequeueobject, buf_items));
    uint64_t room = mt_walk_member(walk, MT_WALK_AT(walk, simplequeueobject, buf_items_cap));
    uint64_t first = mt_walk_member(walk, MT_WALK_AT(walk, simplequeueobject, buf_get_idx));
    uint64_t count = mt_walk_member(walk, MT_WALK_AT(walk, simplequeueobject, buf_num_items));
    if (items == 0 || room > MT_ADDRESS_LIMIT / sizeof room || first >= room || count > room)
        return;
    uint64_t before_end = count < room - first ? count : room - first;
    mt_walk_items(walk, items + first * sizeof room, before_end, mt_link_index(0));
    mt_walk_items(walk, items, count - before_end, mt_link_index(before_end));
}

/* From 3.15 on a tuple of the arguments; before a block that borrows them, without which the names of keywords are not
 * set either. */
static void walk_method_caller(const struct mt_walk *walk) {
    uint64_t arguments = mt_walk_member(walk, MT_WALK_AT(walk, methodcallerobject, vectorcall_args));
    uint64_t names = mt_walk_member(walk, MT_WALK_AT(walk, methodcallerobject, vectorcall_kwnames));
    if (walk->python->minor >= 15)
        mt_walk_owned(walk, arguments, mt_link_text("vectorcall_args"));
    if (arguments != 0)
        mt_walk_owned(walk, names, mt_link_text("vectorcall_kwnames"));
}

void mt_walk_plain_storage(const struct mt_walk *walk) {
    switch (walk->decoded->plain->storage) {
    case MT_PLAIN_NO_STORAGE:
        break;
    case MT_PLAIN_ELEMENT_TREE:
        walk_element_tree(walk);
        break;
    case MT_PLAIN_TEE_VALUES:
        walk_tee_values(walk);
        break;
    case MT_PLAIN_QUEUE_RING:
        walk_queue_ring(walk);
        break;
    case MT_PLAIN_METHOD_CALLER:
        walk_method_caller(walk);
        break;
    }
}
