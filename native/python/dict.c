#include "python/dict.h"

#include <string.h>

#include "python/object.h"

/* Objects/dictobject.c: dk_kind. */
enum { KIND_GENERAL = 0, KIND_UNICODE = 1, KIND_SPLIT = 2 };
/* The table of an empty dict has one place and 8 bytes of indices. */
enum { MAX_LOG2_SIZE = 40, MAX_INDEX_FACTOR_LOG2 = 3 };
#define MAX_KEYS_HEADER 40
/* Include/internal/pycore_dict.h: MANAGED_DICT_OFFSET; 3.11 has the array's address in the word before (and 3.12+ weak
 * references there). */
enum { MANAGED_DICT = -24, MANAGED_VALUES_3_11 = -32, VALUES_TAG_3_12 = 1 };
/* 3.11, 3.12: the byte before the array of values is the size of what stands in front of it in its block: the order in
 * which the attributes were set, a byte each, and two more bytes. */
enum { VALUES_PREFIX_SIZE = -1, VALUES_PREFIX_EXTRA = 2 };
/* Entries are copied from the view by so much at a time: visitors use the view themselves. */
#define CHUNK 6144

static uint64_t word_at(const uint8_t *bytes, int64_t offset) {
    uint64_t word;
    memcpy(&word, bytes + offset, sizeof word);
    return word;
}

/* --- tables ------------------------------------------------------------------------------------------------------- */

/* Up to 3.10: DK_IXSIZE, bytes of one index. */
static uint64_t index_width(uint64_t size) {
    return size <= 0xff ? 1 : size <= 0xffff ? 2 : size <= 0xffffffff ? 4 : 8;
}

/* Sizes from dk_size; false: no table has them. */
static bool old_sizes(const struct mt_python_layout *layout, const uint8_t *header, uint64_t *ret_size,
                      uint64_t *ret_index_bytes) {
    uint64_t size = word_at(header, MT_AT(layout, PyDictKeysObject, dk_size));
    if (size == 0 || size > (uint64_t)1 << MAX_LOG2_SIZE || (size & (size - 1)) != 0)
        return false;
    *ret_size = size;
    *ret_index_bytes = size * index_width(size);
    return true;
}

static bool new_sizes(const struct mt_python_layout *layout, const uint8_t *header, uint64_t *ret_size,
                      uint64_t *ret_index_bytes) {
    uint8_t log2_size = header[MT_AT(layout, PyDictKeysObject, dk_log2_size)];
    uint8_t log2_bytes = header[MT_AT(layout, PyDictKeysObject, dk_log2_index_bytes)];
    if (log2_size > MAX_LOG2_SIZE || log2_bytes < log2_size || log2_bytes > log2_size + MAX_INDEX_FACTOR_LOG2)
        return false;
    *ret_size = (uint64_t)1 << log2_size;
    *ret_index_bytes = (uint64_t)1 << log2_bytes;
    return true;
}

/* All that stands in the header; false: no table is like that. */
static bool decode_keys(const struct mt_python *python, uint64_t address, const uint8_t *header,
                        struct mt_dict_keys *ret) {
    const struct mt_python_layout *layout = &python->layout;
    bool is_new = MT_HAS(layout, PyDictKeysObject, dk_kind);
    uint8_t kind = is_new ? header[MT_AT(layout, PyDictKeysObject, dk_kind)] : KIND_GENERAL;
    uint64_t size, index_bytes;
    if (kind > KIND_SPLIT || !(is_new ? new_sizes : old_sizes)(layout, header, &size, &index_bytes))
        return false;
    struct mt_dict_keys keys = {
        .address = address,
        .refcount = (int64_t)word_at(header, MT_AT(layout, PyDictKeysObject, dk_refcnt)),
        .unicode = kind != KIND_GENERAL,
        .split = kind == KIND_SPLIT,
        .entries = address + MT_OFFSET(python, PyDictKeysObject, dk_indices) + index_bytes,
        .entry_size = (uint32_t)(kind == KIND_GENERAL ? MT_AT(layout, PyDictKeyEntry, sizeof)
                                                      : MT_AT(layout, PyDictUnicodeEntry, sizeof)),
        .entry_count = word_at(header, MT_AT(layout, PyDictKeysObject, dk_nentries)),
        .usable = word_at(header, MT_AT(layout, PyDictKeysObject, dk_usable)),
    };
    uint64_t places = (size << 1) / 3; /* USABLE_FRACTION */
    keys.room = is_new ? keys.entry_count + keys.usable : places;
    keys.total_size = keys.entries - address + places * keys.entry_size;
    if (keys.entry_count > places || keys.usable > places - keys.entry_count ||
        address >= MT_ADDRESS_LIMIT - keys.total_size)
        return false;
    *ret = keys;
    return true;
}

bool mt_dict_keys_read(struct mt_python *python, uint64_t address, struct mt_dict_keys *ret) {
    uint8_t header[MAX_KEYS_HEADER];
    size_t size = (size_t)MT_AT(&python->layout, PyDictKeysObject, dk_indices);
    return size <= sizeof header && address % sizeof(uint64_t) == 0 && address < MT_ADDRESS_LIMIT &&
           mt_view_read(python->view, address, header, size) && decode_keys(python, address, header, ret);
}

static int64_t key_offset(const struct mt_python *python, const struct mt_dict_keys *keys) {
    return keys->unicode ? MT_AT(&python->layout, PyDictUnicodeEntry, me_key)
                         : MT_AT(&python->layout, PyDictKeyEntry, me_key);
}

static int64_t value_offset(const struct mt_python *python, const struct mt_dict_keys *keys) {
    return keys->unicode ? MT_AT(&python->layout, PyDictUnicodeEntry, me_value)
                         : MT_AT(&python->layout, PyDictKeyEntry, me_value);
}

bool mt_dict_keys_entry(struct mt_python *python, const struct mt_dict_keys *keys, uint64_t index, uint64_t *ret_key,
                        uint64_t *ret_value) {
    uint8_t entry[24];
    if (index >= keys->entry_count || keys->entry_size > sizeof entry ||
        !mt_view_read(python->view, keys->entries + index * keys->entry_size, entry, keys->entry_size))
        return false;
    *ret_key = word_at(entry, key_offset(python, keys));
    *ret_value = word_at(entry, value_offset(python, keys));
    return true;
}

/* --- dicts -------------------------------------------------------------------------------------------------------- */

/* Where the array of a split dict begins, and how many values it has room for. */
static bool read_values(struct mt_python *python, uint64_t address, struct mt_dict *dict) {
    const struct mt_python_layout *layout = &python->layout;
    dict->values = address;
    if (!MT_HAS(layout, PyDictValues, capacity))
        return address % sizeof(uint64_t) == 0;
    uint8_t capacity, embedded;
    dict->values = address + MT_OFFSET(python, PyDictValues, values);
    if (address % sizeof(uint64_t) != 0 ||
        !mt_view_u8(python->view, address + MT_OFFSET(python, PyDictValues, capacity), &capacity) ||
        !mt_view_u8(python->view, address + MT_OFFSET(python, PyDictValues, embedded), &embedded))
        return false;
    dict->embedded = embedded != 0;
    /* The shared table may have grown since. */
    if (dict->keys.entry_count > capacity)
        dict->keys.entry_count = capacity;
    return true;
}

bool mt_dict_values_block(struct mt_python *python, uint64_t values, uint64_t room, uint64_t *ret_start,
                          uint64_t *ret_size) {
    uint8_t prefix;
    if (values % sizeof values != 0 || !mt_view_u8(python->view, values + (uint64_t)VALUES_PREFIX_SIZE, &prefix) ||
        prefix < VALUES_PREFIX_EXTRA)
        return false;
    /* A byte for each value stands there, rounded up to whole words; a table makes arrays shorter as time goes by. */
    uint64_t most = (uint64_t)prefix - VALUES_PREFIX_EXTRA;
    uint64_t least = most < sizeof values ? 0 : most - (sizeof values - 1);
    uint64_t count = room < least ? least : room < most ? room : most;
    *ret_start = values - prefix;
    *ret_size = prefix + count * sizeof values;
    return true;
}

bool mt_dict_read(struct mt_python *python, uint64_t address, struct mt_dict *ret) {
    uint8_t body[MT_OBJECT_SIZE + 4 * sizeof(uint64_t)];
    size_t size = (size_t)MT_AT(&python->layout, PyDictObject, sizeof);
    if (size > sizeof body || !mt_view_read(python->view, address, body, size))
        return false;
    struct mt_dict dict = {.address = address, .used = word_at(body, MT_AT(&python->layout, PyDictObject, ma_used))};
    uint64_t values = word_at(body, MT_AT(&python->layout, PyDictObject, ma_values));
    if (!mt_dict_keys_read(python, word_at(body, MT_AT(&python->layout, PyDictObject, ma_keys)), &dict.keys) ||
        dict.used > dict.keys.entry_count || (values != 0 && !read_values(python, values, &dict)))
        return false;
    *ret = dict;
    return true;
}

/* --- walks -------------------------------------------------------------------------------------------------------- */

/* A walk over an array in the target by pieces. */
struct chunks {
    uint64_t next; /* address */
    uint64_t left; /* elements */
    uint32_t element_size;
    uint8_t *bytes; /* CHUNK of them */
};

/* The next elements, at least one; 0: no more, or unreadable. */
static size_t next_chunk(struct mt_view *view, struct chunks *chunks) {
    size_t count = CHUNK / chunks->element_size;
    if (count > chunks->left)
        count = (size_t)chunks->left;
    if (count > 0 && !mt_view_read(view, chunks->next, chunks->bytes, count * chunks->element_size)) {
        /* As far as it is readable. */
        for (size_t whole = count, i = count = 0; i < whole; i++, count++)
            if (!mt_view_read(view, chunks->next + i * chunks->element_size, chunks->bytes + i * chunks->element_size,
                              chunks->element_size))
                break;
    }
    chunks->next += count * chunks->element_size;
    chunks->left -= count;
    return count;
}

static bool visit_combined(struct mt_python *python, const struct mt_dict_keys *keys, mt_dict_visit_entry *visit,
                           void *context) {
    uint8_t bytes[CHUNK];
    struct chunks chunks = {
        .next = keys->entries, .left = keys->entry_count, .element_size = keys->entry_size, .bytes = bytes};
    int64_t key_at = key_offset(python, keys), value_at = value_offset(python, keys);
    uint64_t index = 0;
    for (size_t count; (count = next_chunk(python->view, &chunks)) > 0;) {
        for (size_t i = 0; i < count; i++, index++) {
            const uint8_t *entry = bytes + i * keys->entry_size;
            uint64_t value = word_at(entry, value_at);
            if (value != 0 && !visit(context, word_at(entry, key_at), value, index))
                return true;
        }
    }
    return chunks.left == 0;
}

/* Entries of a shared table with the values of one dict or instance. Such tables are short: SHARED_KEYS_MAX_SIZE, and
 * before 3.11 rarely longer. */
static bool visit_split(struct mt_python *python, const struct mt_dict_keys *keys, uint64_t values, uint64_t count,
                        mt_dict_visit_entry *visit, void *context) {
    uint8_t bytes[CHUNK];
    struct chunks chunks = {.next = values, .left = count, .element_size = sizeof(uint64_t), .bytes = bytes};
    uint64_t index = 0;
    bool complete = true;
    for (size_t got; (got = next_chunk(python->view, &chunks)) > 0;) {
        for (size_t i = 0; i < got; i++, index++) {
            uint64_t key, unused, value = word_at(bytes, (int64_t)(i * sizeof value));
            if (value == 0)
                continue;
            if (!mt_dict_keys_entry(python, keys, index, &key, &unused))
                complete = false;
            else if (!visit(context, key, value, index))
                return true;
        }
    }
    return complete && chunks.left == 0;
}

bool mt_dict_visit(struct mt_python *python, uint64_t address, mt_dict_visit_entry *visit, void *context) {
    struct mt_dict dict;
    if (!mt_dict_read(python, address, &dict))
        return false;
    if (dict.values == 0)
        return visit_combined(python, &dict.keys, visit, context);
    return visit_split(python, &dict.keys, dict.values, dict.keys.entry_count, visit, context);
}

struct search {
    struct mt_python *python;
    const char *key;
    uint64_t found;
};

static bool compare_key(void *context, uint64_t key, uint64_t value, uint64_t index) {
    struct search *search = context;
    if (!mt_str_equals(search->python, key, search->key))
        return true;
    search->found = value;
    return false;
}

uint64_t mt_dict_get(struct mt_python *python, uint64_t address, const char *key) {
    struct search search = {.python = python, .key = key};
    mt_dict_visit(python, address, compare_key, &search);
    return search.found;
}

/* --- attributes --------------------------------------------------------------------------------------------------- */

/* The names of the values that instances of a type keep in arrays. */
static bool read_cached_keys(struct mt_python *python, const struct mt_type *type, struct mt_attributes *attributes) {
    if (type->cached_keys == 0 || !mt_dict_keys_read(python, type->cached_keys, &attributes->keys))
        return false;
    attributes->value_count = attributes->keys.room;
    return true;
}

/* 3.11, 3.12: an array in a block of its own. */
static bool read_separate_values(struct mt_python *python, uint64_t values, const struct mt_type *type,
                                 struct mt_attributes *attributes) {
    uint64_t start, size;
    if (values == 0)
        return true;
    if (!read_cached_keys(python, type, attributes) ||
        !mt_dict_values_block(python, values, attributes->value_count, &start, &size))
        return false;
    attributes->value_count = (start + size - values) / sizeof values;
    attributes->values = values;
    attributes->values_block = start;
    return true;
}

/* 3.13+: in the instance, right behind its body, until its __dict__ has to be different. */
static bool read_inline_values(struct mt_python *python, uint64_t address, const struct mt_type *type,
                               struct mt_attributes *attributes) {
    uint64_t block = address + (uint64_t)type->basic_size;
    uint8_t valid, capacity;
    if (!mt_view_u8(python->view, block + MT_OFFSET(python, PyDictValues, valid), &valid) ||
        !mt_view_u8(python->view, block + MT_OFFSET(python, PyDictValues, capacity), &capacity))
        return false;
    if (!valid)
        return true;
    if (!read_cached_keys(python, type, attributes))
        return false;
    attributes->value_count = capacity;
    attributes->values = block + MT_OFFSET(python, PyDictValues, values);
    attributes->values_are_inline = true;
    return true;
}

static bool read_managed(struct mt_python *python, uint64_t address, const struct mt_type *type,
                         struct mt_attributes *attributes) {
    uint64_t word, values = 0;
    if (!mt_view_u64(python->view, address + (uint64_t)MANAGED_DICT, &word))
        return false;
    if (python->minor == 12 && word & VALUES_TAG_3_12) {
        values = word + VALUES_TAG_3_12;
        word = 0;
    } else if (python->minor == 11 && word == 0 &&
               !mt_view_u64(python->view, address + (uint64_t)MANAGED_VALUES_3_11, &values)) {
        return false;
    }
    attributes->dict = word;
    if (word == 0 && python->minor >= 13 && type->flags & MT_TYPE_INLINE_VALUES)
        return read_inline_values(python, address, type, attributes);
    return read_separate_values(python, values, type, attributes);
}

/* A word in the instance; a negative tp_dictoffset counts from its end, which depends on its length. */
static bool read_dict_word(struct mt_python *python, uint64_t address, const struct mt_type *type,
                           struct mt_attributes *attributes) {
    int64_t offset = type->dict_offset;
    if (offset < 0) {
        uint64_t size =
            (uint64_t)type->basic_size + mt_object_item_count(python, address, type) * (uint64_t)type->item_size;
        offset += (int64_t)((size + sizeof(uint64_t) - 1) / sizeof(uint64_t) * sizeof(uint64_t));
    }
    uint64_t word;
    if (offset < MT_OBJECT_SIZE || !mt_view_u64(python->view, address + (uint64_t)offset, &word))
        return false;
    attributes->dict = word;
    return true;
}

bool mt_attributes_read(struct mt_python *python, uint64_t address, const struct mt_type *type,
                        struct mt_attributes *ret) {
    struct mt_attributes attributes = {0};
    if (mt_type_is_metatype(type)) {
        const struct mt_type *itself = mt_types_get(python->types, address);
        if (!itself)
            return false;
        attributes.dict = mt_type_dict(python->types, itself);
    } else if (python->minor >= 11 && type->flags & MT_TYPE_MANAGED_DICT) {
        if (!read_managed(python, address, type, &attributes))
            return false;
    } else if (type->dict_offset == 0 || !read_dict_word(python, address, type, &attributes)) {
        return false;
    }
    *ret = attributes;
    return true;
}

bool mt_attributes_visit(struct mt_python *python, const struct mt_attributes *attributes, mt_dict_visit_entry *visit,
                         void *context) {
    uint64_t count = attributes->keys.entry_count;
    if (count > attributes->value_count)
        count = attributes->value_count;
    return attributes->values == 0 || visit_split(python, &attributes->keys, attributes->values, count, visit, context);
}
