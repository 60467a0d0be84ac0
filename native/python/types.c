#include "python/types.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "python/dict.h"
#include "python/object.h"
#include "python/plain.h"
#include "python/python.h"

#define TYPE_SUBCLASS (1u << 31) /* Py_TPFLAGS_TYPE_SUBCLASS */
#define MAX_METATYPES 8          /* of one another */
#define MAX_BASES 256            /* a chain of tp_base */
#define MAX_MEMBERS 1024
#define MAX_NAME 256
#define MAX_BASIC_SIZE (1 << 28)
#define MAX_ITEM_SIZE (1 << 20)
#define MAX_STATES 4096 /* of static builtin types in one table */
#define MAX_DEPTH 4     /* naming a class reads a str, whose type must be known */
/* PyMemberDef (Include/structmember.h, Include/descrobject.h): kinds that hold an object, and a flag of 3.12+ that only
 * specifications have. */
enum { MEMBER_OBJECT = 6, MEMBER_OBJECT_EX = 16, MEMBER_RELATIVE_OFFSET = 8 };

struct kind_row {
    const char *name;
    uint16_t size; /* enum mt_python_field */
};

static const struct kind_row kind_rows[MT_KIND_COUNT] = {
#define MT_KIND_ROW(kind, type_name, structure) [MT_KIND_##kind] = {type_name, MT_FIELD_##structure##__sizeof},
    MT_KINDS(MT_KIND_ROW)
#undef MT_KIND_ROW
};

/* The members of a type object that are looked at, as they stand in memory. */
struct type_body {
    uint64_t metatype, name, dealloc, flags, base, members, cached_keys, qualified_name;
    int64_t basic_size, item_size, dict_offset, weak_offset;
};

static uint64_t word_at(const uint8_t *bytes, int64_t offset) {
    uint64_t word;
    memcpy(&word, bytes + offset, sizeof word);
    return word;
}

/* --- is it a type? ------------------------------------------------------------------------------------------------ */

/* Does a type of types stand above `metatype`? */
static bool leads_to_type(struct mt_python *python, uint64_t metatype) {
    for (unsigned i = 0; i < MAX_METATYPES; i++) {
        uint64_t flags, next;
        if (metatype == python->type_type)
            return true;
        if (metatype == 0 || metatype & 7 ||
            !mt_view_u64(python->view, metatype + (uint64_t)MT_AT(&python->layout, PyTypeObject, tp_flags), &flags) ||
            !(flags & TYPE_SUBCLASS) || !mt_view_u64(python->view, metatype + MT_OB_TYPE, &next))
            return false;
        metatype = next;
    }
    return false;
}

/* Some of CPython's own types are used without ever having been made ready. */
static bool may_be_unready(const struct mt_python *python, uint64_t address) {
    return address >= python->module_start && address < python->module_end;
}

static bool read_body(struct mt_python *python, uint64_t address, struct type_body *ret) {
    const struct mt_python_layout *layout = &python->layout;
    uint8_t bytes[512];
    size_t size = (size_t)MT_AT(layout, PyTypeObject, sizeof);
    if (address == 0 || address & 7 || size > sizeof bytes || !mt_view_read(python->view, address, bytes, size))
        return false;
    struct type_body body = {
        .metatype = word_at(bytes, MT_OB_TYPE),
        .name = word_at(bytes, MT_AT(layout, PyTypeObject, tp_name)),
        .dealloc = word_at(bytes, MT_AT(layout, PyTypeObject, tp_dealloc)),
        .flags = word_at(bytes, MT_AT(layout, PyTypeObject, tp_flags)),
        .base = word_at(bytes, MT_AT(layout, PyTypeObject, tp_base)),
        .members = word_at(bytes, MT_AT(layout, PyTypeObject, tp_members)),
        .basic_size = (int64_t)word_at(bytes, MT_AT(layout, PyTypeObject, tp_basicsize)),
        .item_size = (int64_t)word_at(bytes, MT_AT(layout, PyTypeObject, tp_itemsize)),
        .dict_offset = (int64_t)word_at(bytes, MT_AT(layout, PyTypeObject, tp_dictoffset)),
        .weak_offset = (int64_t)word_at(bytes, MT_AT(layout, PyTypeObject, tp_weaklistoffset)),
    };
    if (body.basic_size < MT_OBJECT_SIZE || body.basic_size > MAX_BASIC_SIZE || body.item_size < 0 ||
        body.item_size > MAX_ITEM_SIZE || body.name == 0 || !leads_to_type(python, body.metatype) ||
        (!(body.flags & MT_TYPE_READY) && !may_be_unready(python, address)))
        return false;
    if (body.flags & MT_TYPE_HEAP &&
        (!mt_view_u64(python->view, address + (uint64_t)MT_AT(layout, PyHeapTypeObject, ht_cached_keys),
                      &body.cached_keys) ||
         !mt_view_u64(python->view, address + (uint64_t)MT_AT(layout, PyHeapTypeObject, ht_qualname),
                      &body.qualified_name)))
        return false;
    *ret = body;
    return true;
}

/* --- names -------------------------------------------------------------------------------------------------------- */

static char *copy_name(struct mt_python *python, uint64_t address) {
    char name[MAX_NAME];
    return mt_view_string(python->view, address, name, sizeof name) ? strdup(name) : NULL;
}

/* The text of a str object; NULL: it is none. */
static char *copy_str(struct mt_python *python, uint64_t address) {
    struct mt_strbuf text = MT_STRBUF_INIT;
    char *copy = mt_str_append(python, address, MAX_NAME, &text) ? mt_strbuf_steal(&text) : NULL;
    mt_strbuf_deinit(&text);
    return copy;
}

static char *join(const char *module, const char *name) {
    struct mt_strbuf text = MT_STRBUF_INIT;
    mt_strbuf_printf(&text, "%s.%s", module, name);
    char *joined = mt_strbuf_steal(&text);
    mt_strbuf_deinit(&text);
    return joined;
}

/* tp_name is "module.name" of C types and the bare name of classes, which say their module in their __dict__. */
static bool name_type(struct mt_types *types, struct mt_type *type, const struct type_body *body) {
    struct mt_python *python = types->python;
    char *full = copy_name(python, body->name), *module = NULL, *name = NULL;
    if (type->is_heap) {
        uint64_t dict = mt_type_dict(types, type), value = dict ? mt_dict_get(python, dict, "__module__") : 0;
        module = value ? copy_str(python, value) : NULL;
        name = copy_str(python, body->qualified_name);
    }
    char *dot = full ? strrchr(full, '.') : NULL;
    if (!module)
        module = dot ? strndup(full, (size_t)(dot - full)) : strdup("builtins");
    if (!name)
        name = strdup(dot ? dot + 1 : full ? full : "?");
    free(full);
    char *qualified = module && name ? join(module, name) : NULL;
    bool bare = qualified && (strcmp(module, "builtins") == 0 || strcmp(module, "__main__") == 0);
    type->module = module;
    type->qualified = qualified;
    type->name = bare ? qualified + strlen(module) + 1 : qualified;
    free(name);
    return qualified != NULL;
}

/* --- members ------------------------------------------------------------------------------------------------------ */

static bool append_member(struct mt_type *type, size_t *capacity, const char *name, uint32_t offset) {
    struct mt_member *members = mt_vector_grown(type->members, capacity, sizeof *members, type->member_count + 1);
    char *copy = strdup(name);
    if (members)
        type->members = members;
    if (!members || !copy) {
        free(copy);
        return false;
    }
    members[type->member_count++] = (struct mt_member){.name = copy, .offset = offset};
    return true;
}

static int by_offset(const void *left, const void *right) {
    const struct mt_member *a = left, *b = right;
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static bool collect_members(struct mt_python *python, struct mt_type *type, const struct mt_type *base,
                            uint64_t members) {
    const struct mt_python_layout *layout = &python->layout;
    size_t capacity = 0, stride = (size_t)MT_AT(layout, PyMemberDef, sizeof);
    for (size_t i = 0; base && i < base->member_count; i++)
        if (!append_member(type, &capacity, base->members[i].name, base->members[i].offset))
            return false;
    size_t inherited = type->member_count;
    for (size_t i = 0; members != 0 && i < MAX_MEMBERS; i++) {
        uint8_t bytes[64];
        char name[MAX_NAME];
        if (stride > sizeof bytes || !mt_view_read(python->view, members + i * stride, bytes, stride))
            break;
        int32_t kind, flags;
        uint64_t text = word_at(bytes, MT_AT(layout, PyMemberDef, name));
        int64_t offset = (int64_t)word_at(bytes, MT_AT(layout, PyMemberDef, offset));
        memcpy(&kind, bytes + MT_AT(layout, PyMemberDef, type), sizeof kind);
        memcpy(&flags, bytes + MT_AT(layout, PyMemberDef, flags), sizeof flags);
        if (text == 0)
            break;
        bool is_known = false;
        for (size_t k = 0; k < inherited; k++)
            is_known |= type->members[k].offset == (uint64_t)offset;
        if ((kind != MEMBER_OBJECT && kind != MEMBER_OBJECT_EX) || flags & MEMBER_RELATIVE_OFFSET || is_known ||
            offset < MT_OBJECT_SIZE || offset & 7 || offset > type->basic_size - 8 ||
            !mt_view_string(python->view, text, name, sizeof name))
            continue;
        if (!append_member(type, &capacity, name, (uint32_t)offset))
            return false;
    }
    if (type->member_count > 1)
        qsort(type->members, type->member_count, sizeof *type->members, by_offset);
    return true;
}

/* --- kinds -------------------------------------------------------------------------------------------------------- */

/* The decoder of a C type by its name; MT_KIND_UNKNOWN: it has none. */
static enum mt_kind own_kind(const struct mt_python *python, const struct mt_type *type, const char *name,
                             const struct mt_plain **ret_plain) {
    if (type->address == python->object_type)
        return MT_KIND_OBJECT;
    /* The struct of a type with items ends with an array of one item, which tp_basicsize does not count. */
    int64_t size = type->basic_size + (type->item_size > 0 ? 8 : 0);
    for (int kind = MT_KIND_PLAIN + 1; kind < MT_KIND_COUNT; kind++)
        if (strcmp(kind_rows[kind].name, name) == 0 && size >= python->layout.value[kind_rows[kind].size])
            return (enum mt_kind)kind;
    *ret_plain = mt_plain_find(&python->layout, name, type->basic_size);
    return *ret_plain ? MT_KIND_PLAIN : MT_KIND_UNKNOWN;
}

static void choose_kind(struct mt_types *types, struct mt_type *type, const struct mt_type *base,
                        const struct type_body *body) {
    char name[MAX_NAME];
    enum mt_storage storage = MT_STORAGE_NONE;
    if (!type->is_python_class && mt_view_string(types->python->view, body->name, name, sizeof name)) {
        storage = mt_storage_find(&types->python->layout, name, type->basic_size);
        type->kind = own_kind(types->python, type, name, &type->plain);
        type->is_exact = type->kind != MT_KIND_UNKNOWN;
        type->kind_type = type->kind > MT_KIND_OBJECT ? type : NULL;
    }
    type->storage = storage == MT_STORAGE_NONE && base ? base->storage : storage;
    /* A C type that adds no members of its own, as exceptions do, is decoded as its base is. */
    bool inherits = type->is_python_class || (type->kind == MT_KIND_UNKNOWN && base && base->kind > MT_KIND_OBJECT &&
                                              type->basic_size == base->basic_size);
    if (inherits && base) {
        type->kind = base->kind;
        type->kind_type = base->kind_type;
        type->plain = base->plain;
    }
}

/* --- the list ------------------------------------------------------------------------------------------------------
 */

static void destroy_type(struct mt_type *type) {
    for (size_t i = 0; type && i < type->member_count; i++)
        free((char *)type->members[i].name);
    if (type) {
        free(type->members);
        free((char *)type->module);
        free((char *)type->qualified);
    }
    free(type);
}

/* `base`: already in the list, or NULL. */
static struct mt_type *make_type(struct mt_types *types, uint64_t address, const struct type_body *body,
                                 const struct mt_type *base) {
    struct mt_type *type = calloc(1, sizeof *type);
    if (!type)
        return NULL;
    unsigned minor = types->python->minor;
    uint64_t managed =
        minor >= 12 ? MT_TYPE_MANAGED_DICT | MT_TYPE_MANAGED_WEAKREF : (minor == 11 ? MT_TYPE_MANAGED_DICT : 0);
    *type = (struct mt_type){
        .address = address,
        .flags = body->flags,
        .basic_size = body->basic_size,
        .item_size = body->item_size,
        .dict_offset = body->dict_offset,
        .weak_offset = body->weak_offset,
        .base = body->base,
        .metatype = body->metatype,
        .cached_keys = body->cached_keys,
        .has_gc = body->flags & MT_TYPE_HAVE_GC,
        .is_heap = body->flags & MT_TYPE_HEAP,
        .is_python_class = body->flags & MT_TYPE_HEAP && body->dealloc == types->class_dealloc,
        .header = (body->flags & MT_TYPE_HAVE_GC ? 16u : 0u) + (body->flags & managed ? 16u : 0u),
    };
    choose_kind(types, type, base, body);
    if (!name_type(types, type, body) || !collect_members(types->python, type, base, body->members)) {
        destroy_type(type);
        return NULL;
    }
    return type;
}

static const struct mt_type *known(const struct mt_types *types, uint64_t address, bool *ret_seen) {
    const uint64_t *index = mt_hash_map_find(&types->index_of, address);
    *ret_seen = index != NULL;
    return index && *index ? types->list.data[*index - 1] : NULL;
}

static const struct mt_type *remember(struct mt_types *types, uint64_t address, struct mt_type *type) {
    bool is_new;
    uint64_t *index = mt_hash_map_find_or_insert(&types->index_of, address, 0, &is_new);
    if (!index || !type)
        return NULL;
    type->index = (uint32_t)types->list.length;
    if (!mt_vector_push(&types->list, type)) {
        destroy_type(type);
        return NULL;
    }
    *index = types->list.length;
    if (type->kind == MT_KIND_STR && type->is_exact)
        types->str_type = address;
    return type;
}

static const struct mt_type *read_type(struct mt_types *types, uint64_t address) {
    bool seen;
    /* Bases first, from the outermost unknown one on: what a type is depends on them. */
    uint64_t chain[MAX_BASES];
    struct type_body body;
    size_t length = 0;
    const struct mt_type *base = NULL;
    for (uint64_t at = address; at != 0 && length < MAX_BASES; at = body.base) {
        base = known(types, at, &seen);
        if (seen || !read_body(types->python, at, &body))
            break;
        chain[length++] = at;
    }
    if (length == 0)
        return remember(types, address, NULL);
    while (length > 0) {
        uint64_t at = chain[--length];
        if (!read_body(types->python, at, &body))
            return remember(types, address, NULL);
        base = known(types, at, &seen); /* naming another type may have brought it in meanwhile */
        if (!seen) {
            const struct mt_type *above = body.base ? known(types, body.base, &seen) : NULL;
            base = remember(types, at, make_type(types, at, &body, above));
        }
    }
    return base;
}

const struct mt_type *mt_types_get(struct mt_types *types, uint64_t address) {
    bool seen;
    const struct mt_type *type = known(types, address, &seen);
    if (seen || types->depth >= MAX_DEPTH)
        return type;
    types->depth++;
    type = read_type(types, address);
    types->depth--;
    return type;
}

const struct mt_type *mt_types_probe(struct mt_types *types, uint64_t address) {
    bool seen;
    struct type_body body;
    const struct mt_type *type = known(types, address, &seen);
    return seen || !read_body(types->python, address, &body) ? type : mt_types_get(types, address);
}

/* The destructor that all Python classes have: that of the class of any module's __spec__. */
static uint64_t find_class_dealloc(struct mt_python *python) {
    const struct mt_python_layout *layout = &python->layout;
    uint64_t interpreter = python->interpreters.data[python->interpreters.length - 1], builtins, type, dealloc;
    if (!mt_view_u64(python->view, interpreter + (uint64_t)MT_AT(layout, PyInterpreterState, builtins), &builtins))
        return 0;
    uint64_t spec = mt_dict_get(python, builtins, "__spec__");
    bool ok = spec != 0 && mt_view_u64(python->view, spec + MT_OB_TYPE, &type) &&
              mt_view_u64(python->view, type + (uint64_t)MT_AT(layout, PyTypeObject, tp_dealloc), &dealloc);
    return ok ? dealloc : 0;
}

struct mt_error *mt_types_create(struct mt_python *python, struct mt_types **ret) {
    struct mt_types *types = calloc(1, sizeof *types);
    if (!types)
        return &mt_error_no_memory;
    types->python = python;
    python->types = types;
    types->class_dealloc = find_class_dealloc(python);
    *ret = types;
    return NULL;
}

void mt_types_destroy(struct mt_types *types) {
    if (!types)
        return;
    for (size_t i = 0; i < types->list.length; i++)
        destroy_type(types->list.data[i]);
    mt_vector_deinit(&types->list);
    mt_hash_map_deinit(&types->index_of);
    free(types);
}

/* --- questions ------------------------------------------------------------------------------------------------------
 */

bool mt_type_derives(struct mt_types *types, const struct mt_type *type, uint64_t base) {
    for (unsigned i = 0; type && i < MAX_BASES; i++) {
        if (type->address == base)
            return true;
        type = type->base ? mt_types_get(types, type->base) : NULL;
    }
    return false;
}

bool mt_type_is_called(const struct mt_type *type, const char *word) {
    size_t module = strlen(type->module);
    const char *bare = type->qualified + module + 1, *last = strrchr(bare, '.');
    return strcmp(type->qualified, word) == 0 || strcmp(bare, word) == 0 || (last && strcmp(last + 1, word) == 0);
}

uint64_t mt_type_state(struct mt_python *python, uint64_t address, uint64_t interpreter) {
    const struct mt_python_layout *layout = &python->layout;
    const int64_t tables[] = {
        python->minor == 12 ? MT_AT(layout, PyInterpreterState, types_builtins)
                            : MT_AT(layout, PyInterpreterState, types_builtins_initialized),
        python->minor == 12 ? -1 : MT_AT(layout, PyInterpreterState, types_for_extensions_initialized),
    };
    int64_t stride = MT_AT(layout, static_builtin_state, sizeof);
    uint64_t index, type;
    if (!mt_view_u64(python->view, address + (uint64_t)MT_AT(layout, PyTypeObject, tp_subclasses), &index) ||
        index == 0 || index > MAX_STATES || stride <= 0)
        return 0;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        uint64_t state = interpreter + (uint64_t)tables[i] + (index - 1) * (uint64_t)stride;
        if (tables[i] >= 0 &&
            mt_view_u64(python->view, state + (uint64_t)MT_AT(layout, static_builtin_state, type), &type) &&
            type == address)
            return state;
    }
    return 0;
}

uint64_t mt_type_dict(struct mt_types *types, const struct mt_type *type) {
    struct mt_python *python = types->python;
    uint64_t dict = 0;
    if (python->minor >= 12 && type->flags & MT_TYPE_STATIC_BUILTIN) {
        uint64_t main_interpreter = python->interpreters.data[python->interpreters.length - 1];
        uint64_t state = mt_type_state(python, type->address, main_interpreter);
        if (state != 0)
            mt_view_u64(python->view, state + (uint64_t)MT_AT(&python->layout, static_builtin_state, tp_dict), &dict);
        return dict;
    }
    mt_view_u64(python->view, type->address + (uint64_t)MT_AT(&python->layout, PyTypeObject, tp_dict), &dict);
    return dict;
}
