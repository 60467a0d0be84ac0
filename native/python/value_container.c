/* Containers with their first elements. */
#include "python/dict.h"
#include "python/object.h"
#include "python/value_parts.h"

/* Of an answer's line; a table of a set may be sparse, and then looking for elements ends, too. */
enum { MAX_ELEMENTS = 256, MAX_SET_PLACES = 1 << 16 };
/* The last element may be so long, whatever room there is left. */
enum { LEAST_LIMIT = 16 };
enum { POINTER = 8 };
static const char more[] = "...";

/* One container on its way out: every element asks first whether there is room. */
struct listing {
    struct mt_python *python;
    struct mt_strbuf *out;
    mt_value_append_element *append_element;
    size_t end; /* length of `out` at which to stop */
    uint64_t shown;
};

/* Before the next element; false: no room, and that is said. */
static bool begin_element(struct listing *listing) {
    if (listing->shown > 0)
        mt_strbuf_append(listing->out, ", ");
    if (listing->shown >= MAX_ELEMENTS || listing->out->length >= listing->end || listing->out->failed) {
        mt_strbuf_append(listing->out, more);
        return false;
    }
    listing->shown++;
    return true;
}

static void append_element(struct listing *listing, uint64_t element) {
    size_t left = listing->end > listing->out->length ? listing->end - listing->out->length : 0;
    listing->append_element(listing->python, element, left > LEAST_LIMIT ? left : LEAST_LIMIT, listing->out);
}

static void append_unreadable(struct listing *listing) {
    if (begin_element(listing))
        mt_strbuf_append(listing->out, MT_VALUE_UNREADABLE);
}

static void append_items(struct listing *listing, uint64_t items, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        uint64_t item;
        if (!mt_view_u64(listing->python->view, items + i * POINTER, &item)) {
            append_unreadable(listing);
            return;
        }
        if (!begin_element(listing))
            return;
        append_element(listing, item);
    }
}

static bool append_entry(void *context, uint64_t key, uint64_t value, uint64_t index) {
    struct listing *listing = context;
    if (!begin_element(listing))
        return false;
    append_element(listing, key);
    mt_strbuf_append(listing->out, ": ");
    append_element(listing, value);
    return true;
}

static void append_dict(struct listing *listing, uint64_t address) {
    if (!mt_dict_visit(listing->python, address, append_entry, listing))
        append_unreadable(listing);
}

/* Places of a deleted element have the hash -1. */
static void append_set(struct listing *listing, uint64_t address) {
    struct mt_python *python = listing->python;
    uint64_t used = 0, mask = 0, table = 0;
    mt_view_u64(python->view, address + MT_OFFSET(python, PySetObject, used), &used);
    mt_view_u64(python->view, address + MT_OFFSET(python, PySetObject, mask), &mask);
    mt_view_u64(python->view, address + MT_OFFSET(python, PySetObject, table), &table);
    for (uint64_t i = 0; i <= mask && listing->shown < used; i++) {
        uint64_t place = table + i * MT_OFFSET(python, setentry, sizeof), key, hash;
        if (i >= MAX_SET_PLACES || !mt_view_u64(python->view, place + MT_OFFSET(python, setentry, key), &key) ||
            !mt_view_u64(python->view, place + MT_OFFSET(python, setentry, hash), &hash)) {
            append_unreadable(listing);
            return;
        }
        if (key == 0 || hash == UINT64_MAX)
            continue;
        if (!begin_element(listing))
            return;
        append_element(listing, key);
    }
}

/* Blocks are left after MAX_ELEMENTS elements at the latest, each of them has some. */
static void append_deque(struct listing *listing, uint64_t address, uint64_t count) {
    struct mt_python *python = listing->python;
    uint64_t data = MT_OFFSET(python, deque_block, data);
    uint64_t room = (MT_OFFSET(python, deque_block, rightlink) - data) / POINTER, block = 0, index = room, item;
    mt_view_u64(python->view, address + MT_OFFSET(python, dequeobject, leftblock), &block);
    mt_view_u64(python->view, address + MT_OFFSET(python, dequeobject, leftindex), &index);
    for (uint64_t i = 0; i < count; i++, index++) {
        bool is_next = index >= room;
        if ((is_next && !mt_view_u64(python->view, block + MT_OFFSET(python, deque_block, rightlink), &block)) ||
            !mt_view_u64(python->view, block + data + (is_next ? 0 : index) * POINTER, &item)) {
            append_unreadable(listing);
            return;
        }
        index = is_next ? 0 : index;
        if (!begin_element(listing))
            return;
        append_element(listing, item);
    }
}

/* What stands around the elements. */
struct brackets {
    const char *open;
    const char *close;
    const char *empty;
};

static struct brackets brackets_of(const struct mt_type *type) {
    switch (type->kind) {
    case MT_KIND_LIST:
        return (struct brackets){"[", "]", "[]"};
    case MT_KIND_TUPLE:
        return (struct brackets){"(", ")", "()"};
    case MT_KIND_SET:
        return (struct brackets){"{", "}", "set()"};
    case MT_KIND_FROZENSET:
        return (struct brackets){"frozenset({", "})", "frozenset()"};
    case MT_KIND_FROZENDICT:
        return (struct brackets){"frozendict({", "})", "frozendict()"};
    case MT_KIND_DEQUE:
        return (struct brackets){"deque([", "])", "deque([])"};
    case MT_KIND_DEFAULTDICT:
        return (struct brackets){"defaultdict({", "})", "defaultdict({})"};
    case MT_KIND_ORDERED_DICT:
        return (struct brackets){"OrderedDict({", "})", "OrderedDict()"};
    default:
        return (struct brackets){"{", "}", "{}"};
    }
}

bool mt_value_is_container(const struct mt_type *type) {
    switch (type->kind) {
    case MT_KIND_LIST:
    case MT_KIND_TUPLE:
    case MT_KIND_SET:
    case MT_KIND_FROZENSET:
    case MT_KIND_DICT:
    case MT_KIND_FROZENDICT:
    case MT_KIND_DEFAULTDICT:
    case MT_KIND_ORDERED_DICT:
    case MT_KIND_DEQUE:
        return true;
    default:
        return false;
    }
}

static uint64_t count_of(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    uint64_t count = 0;
    switch (type->kind) {
    case MT_KIND_LIST:
    case MT_KIND_TUPLE:
    case MT_KIND_DEQUE:
        return mt_object_item_count(python, address, type);
    case MT_KIND_SET:
    case MT_KIND_FROZENSET:
        mt_view_u64(python->view, address + MT_OFFSET(python, PySetObject, used), &count);
        return count;
    default:
        mt_view_u64(python->view, address + MT_OFFSET(python, PyDictObject, ma_used), &count);
        return count;
    }
}

static void append_elements(struct listing *listing, uint64_t address, const struct mt_type *type, uint64_t count) {
    struct mt_python *python = listing->python;
    uint64_t items;
    switch (type->kind) {
    case MT_KIND_LIST:
        if (mt_view_u64(python->view, address + MT_OFFSET(python, PyListObject, ob_item), &items))
            append_items(listing, items, count);
        break;
    case MT_KIND_TUPLE:
        append_items(listing, address + MT_OFFSET(python, PyTupleObject, ob_item), count);
        if (count == 1)
            mt_strbuf_append_char(listing->out, ',');
        break;
    case MT_KIND_DEQUE:
        append_deque(listing, address, count);
        break;
    case MT_KIND_SET:
    case MT_KIND_FROZENSET:
        append_set(listing, address);
        break;
    default:
        append_dict(listing, address);
    }
}

void mt_value_append_container(struct mt_python *python, uint64_t address, const struct mt_type *type, size_t limit,
                               mt_value_append_element *element, struct mt_strbuf *out) {
    struct brackets brackets = brackets_of(type);
    uint64_t count = count_of(python, address, type);
    if (count == 0) {
        mt_strbuf_append(out, brackets.empty);
        return;
    }
    struct listing listing = {.python = python, .out = out, .append_element = element, .end = out->length + limit};
    mt_strbuf_append(out, brackets.open);
    append_elements(&listing, address, type, count);
    mt_strbuf_append(out, brackets.close);
}

void mt_value_append_closed_container(struct mt_python *python, uint64_t address, const struct mt_type *type,
                                      struct mt_strbuf *out) {
    struct brackets brackets = brackets_of(type);
    if (count_of(python, address, type) == 0)
        mt_strbuf_append(out, brackets.empty);
    else
        mt_strbuf_printf(out, "%s%s%s", brackets.open, more, brackets.close);
}
