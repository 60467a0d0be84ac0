/* Containers that are arrays of references: list, tuple, set, deque, the nodes of a context's map. */
#include "heap/edges_walk.h"
#include "python/dict.h"

/* Objects/setobject.c: the hash of a deleted entry, whose key is a placeholder. */
#define DELETED_HASH UINT64_MAX
/* Modules/_collectionsmodule.c: a block of a deque is {leftlink, data[BLOCKLEN], rightlink}. */
#define DEQUE_BLOCK_ITEMS 64
/* More than any type made by Objects/structseq.c has. */
#define STRUCT_SEQUENCE_MAX 1024

static uint64_t item_count(const struct mt_walk *walk) {
    uint64_t count = mt_walk_word(walk, walk->address + MT_OB_SIZE);
    return count <= MT_ADDRESS_LIMIT / sizeof count ? count : 0;
}

void mt_walk_list(const struct mt_walk *walk) {
    uint64_t count = item_count(walk);
    if (count > mt_walk_member(walk, MT_WALK_AT(walk, PyListObject, allocated)))
        return;
    mt_walk_items(walk, mt_walk_member(walk, MT_WALK_AT(walk, PyListObject, ob_item)), count, mt_link_index(0));
}

/* They have more items than their length says: `n_fields` of their type counts those that only have a name. */
static uint64_t struct_sequence_length(const struct mt_walk *walk) {
    struct mt_python *python = walk->python;
    uint64_t dict = mt_type_dict(python->types, walk->type), fields = dict ? mt_dict_get(python, dict, "n_fields") : 0;
    int64_t count;
    return fields && mt_int_value(python, fields, &count) && count >= 0 && count <= STRUCT_SEQUENCE_MAX
               ? (uint64_t)count
               : 0;
}

void mt_walk_tuple(const struct mt_walk *walk) {
    uint64_t count = item_count(walk);
    if (mt_walk_is_struct_sequence(walk)) {
        uint64_t fields = struct_sequence_length(walk);
        if (fields > count)
            count = fields;
    }
    mt_walk_items(walk, walk->address + (uint64_t)MT_WALK_AT(walk, PyTupleObject, ob_item), count, mt_link_index(0));
}

void mt_walk_set(const struct mt_walk *walk) {
    struct {
        uint64_t key, hash;
    } entries[MT_WALK_CHUNK / 2];
    const uint64_t chunk = sizeof entries / sizeof entries[0];
    uint64_t table = mt_walk_member(walk, MT_WALK_AT(walk, PySetObject, table));
    uint64_t mask = mt_walk_member(walk, MT_WALK_AT(walk, PySetObject, mask));
    if (table == 0 || mask >= MT_ADDRESS_LIMIT / sizeof entries[0])
        return;
    for (uint64_t done = 0; done <= mask; done += chunk) {
        uint64_t part = mask + 1 - done < chunk ? mask + 1 - done : chunk;
        if (!mt_view_read(walk->python->view, table + done * sizeof entries[0], entries,
                          (size_t)part * sizeof entries[0]))
            return;
        for (uint64_t i = 0; i < part; i++)
            if (entries[i].hash != DELETED_HASH)
                mt_walk_owned(walk, entries[i].key, mt_link_text("element"));
    }
}

void mt_walk_deque(const struct mt_walk *walk) {
    uint64_t count = item_count(walk);
    uint64_t block = mt_walk_member(walk, MT_WALK_AT(walk, dequeobject, leftblock));
    uint64_t index = mt_walk_member(walk, MT_WALK_AT(walk, dequeobject, leftindex));
    for (uint64_t done = 0; done < count && block != 0 && index < DEQUE_BLOCK_ITEMS; index = 0) {
        uint64_t part = count - done < DEQUE_BLOCK_ITEMS - index ? count - done : DEQUE_BLOCK_ITEMS - index;
        uint64_t data = block + (uint64_t)MT_WALK_AT(walk, deque_block, data);
        mt_walk_items(walk, data + index * sizeof(uint64_t), part, mt_link_index(done));
        done += part;
        block = mt_walk_word(walk, block + (uint64_t)MT_WALK_AT(walk, deque_block, rightlink));
    }
}

/* Python/hamt.c: keys and values in turns; a key of NULL says that a node follows. */
void mt_walk_hamt_bitmap(const struct mt_walk *walk) {
    mt_walk_items(walk, walk->address + (uint64_t)MT_WALK_AT(walk, PyHamtNode_Bitmap, b_array), item_count(walk),
                  mt_link_numbered("b_array", 0));
}

void mt_walk_hamt_array(const struct mt_walk *walk) {
    int64_t start = MT_WALK_AT(walk, PyHamtNode_Array, a_array), end = MT_WALK_AT(walk, PyHamtNode_Array, a_count);
    mt_walk_items(walk, walk->address + (uint64_t)start, (uint64_t)(end - start) / sizeof(uint64_t),
                  mt_link_numbered("a_array", 0));
}

void mt_walk_hamt_collision(const struct mt_walk *walk) {
    mt_walk_items(walk, walk->address + (uint64_t)MT_WALK_AT(walk, PyHamtNode_Collision, c_array), item_count(walk),
                  mt_link_numbered("c_array", 0));
}
