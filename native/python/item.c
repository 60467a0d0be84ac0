#include "python/item.h"

#include <string.h>

#include "base/strbuf.h"
#include "python/dict.h"
#include "python/object.h"

#define L (&python->layout)

/* Modules/_collectionsmodule.c: struct BLOCK {leftlink, data[64], rightlink}. */
enum { DEQUE_BLOCK_ITEMS = 64, DEQUE_DATA = 8, DEQUE_RIGHT_LINK = 8 + 8 * DEQUE_BLOCK_ITEMS };
/* Keys whose repr is longer are not compared. */
#define REPR_MAX 4096

/* --- dicts ----------------------------------------------------------------------------------------------------------
 */

struct search {
    struct mt_python *python;
    const struct mt_item_key *key;
    struct mt_strbuf repr; /* reused for every key */
    uint64_t value;
};

static bool text_equals(struct search *search) {
    const struct mt_item_key *key = search->key;
    return search->repr.length == key->length && memcmp(search->repr.data, key->text, key->length) == 0;
}

static bool key_equals(struct search *search, uint64_t object) {
    const struct mt_type *type = mt_object_type(search->python, object);
    int64_t number;
    if (!type)
        return false;
    search->repr.length = 0;
    if (search->key->is_str)
        return type->kind == MT_KIND_STR &&
               mt_str_append(search->python, object, search->key->length + 1, &search->repr) && text_equals(search);
    if (search->key->is_int)
        return type->kind == MT_KIND_INT && mt_int_value(search->python, object, &number) &&
               number == search->key->number;
    if (type->kind == MT_KIND_STR || type->kind == MT_KIND_INT)
        return false;
    mt_value_append(search->python, object, REPR_MAX, &search->repr);
    return text_equals(search);
}

static bool compare_key(void *context, uint64_t key, uint64_t value, uint64_t index) {
    struct search *search = context;
    if (!key_equals(search, key))
        return true;
    search->value = value;
    return false;
}

static enum mt_item_state find_in_dict(struct mt_python *python, uint64_t dict, const struct mt_item_key *key,
                                       uint64_t *ret, uint64_t *ret_count) {
    struct search search = {.python = python, .key = key};
    struct mt_dict header;
    *ret_count = mt_dict_read(python, dict, &header) ? header.used : 0;
    mt_dict_visit(python, dict, compare_key, &search);
    mt_strbuf_deinit(&search.repr);
    if (search.value != 0)
        *ret = search.value;
    return search.value != 0 ? MT_ITEM_FOUND : MT_ITEM_NONE;
}

/* --- sequences ------------------------------------------------------------------------------------------------------
 */

static bool read_deque_item(struct mt_python *python, uint64_t deque, uint64_t index, uint64_t *ret) {
    uint64_t block, left;
    if (!mt_view_u64(python->view, deque + (uint64_t)MT_AT(L, dequeobject, leftblock), &block) ||
        !mt_view_u64(python->view, deque + (uint64_t)MT_AT(L, dequeobject, leftindex), &left) ||
        left >= DEQUE_BLOCK_ITEMS)
        return false;
    for (index += left; index >= DEQUE_BLOCK_ITEMS; index -= DEQUE_BLOCK_ITEMS)
        if (!mt_view_u64(python->view, block + DEQUE_RIGHT_LINK, &block))
            return false;
    return mt_view_u64(python->view, block + DEQUE_DATA + 8 * index, ret);
}

static bool read_sequence_item(struct mt_python *python, uint64_t sequence, enum mt_kind kind, uint64_t index,
                               uint64_t *ret) {
    uint64_t items = sequence + (uint64_t)MT_AT(L, PyTupleObject, ob_item);
    if (kind == MT_KIND_DEQUE)
        return read_deque_item(python, sequence, index, ret);
    if (kind == MT_KIND_LIST &&
        !mt_view_u64(python->view, sequence + (uint64_t)MT_AT(L, PyListObject, ob_item), &items))
        return false;
    return mt_view_u64(python->view, items + 8 * index, ret);
}

static enum mt_item_state find_in_sequence(struct mt_python *python, uint64_t sequence, const struct mt_type *type,
                                           const struct mt_item_key *key, uint64_t *ret, uint64_t *ret_count) {
    uint64_t count = mt_object_item_count(python, sequence, type), value = 0;
    *ret_count = count;
    if (!key->is_int)
        return MT_ITEM_WRONG_KEY;
    uint64_t index = (uint64_t)key->number + (key->number < 0 ? count : 0);
    if (index >= count || !read_sequence_item(python, sequence, type->kind, index, &value) || value == 0)
        return MT_ITEM_NONE;
    *ret = value;
    return MT_ITEM_FOUND;
}

enum mt_item_state mt_item_find(struct mt_python *python, uint64_t container, const struct mt_item_key *key,
                                uint64_t *ret, uint64_t *ret_count) {
    const struct mt_type *type = mt_object_type(python, container);
    uint64_t mapping;
    switch (type ? type->kind : MT_KIND_UNKNOWN) {
    case MT_KIND_DICT:
    case MT_KIND_FROZENDICT:
    case MT_KIND_DEFAULTDICT:
    case MT_KIND_ORDERED_DICT:
        return find_in_dict(python, container, key, ret, ret_count);
    case MT_KIND_MAPPING_PROXY:
        return mt_view_u64(python->view, container + (uint64_t)MT_AT(L, mappingproxyobject, mapping), &mapping)
                   ? find_in_dict(python, mapping, key, ret, ret_count)
                   : MT_ITEM_NO_CONTAINER;
    case MT_KIND_LIST:
    case MT_KIND_TUPLE:
    case MT_KIND_DEQUE:
        return find_in_sequence(python, container, type, key, ret, ret_count);
    default:
        return MT_ITEM_NO_CONTAINER;
    }
}
