/* Types of the target, read once each: what their instances are made of, and how they are decoded. */
#ifndef MEMTRACE_PYTHON_TYPES_H
#define MEMTRACE_PYTHON_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/hash_map.h"
#include "base/vector.h"
#include "python/kinds.h"
#include "python/storage.h"

struct mt_plain; /* python/plain.h */
struct mt_python;

/* tp_flags (Include/object.h), the same in all versions that have them. */
enum {
    MT_TYPE_STATIC_BUILTIN = 1 << 1,  /* 3.12+ */
    MT_TYPE_INLINE_VALUES = 1 << 2,   /* 3.13+ */
    MT_TYPE_MANAGED_WEAKREF = 1 << 3, /* 3.12+ */
    MT_TYPE_MANAGED_DICT = 1 << 4,    /* 3.11+ */
    MT_TYPE_HEAP = 1 << 9,
    MT_TYPE_READY = 1 << 12,
    MT_TYPE_HAVE_GC = 1 << 14,
    MT_TYPE_EXCEPTION_SUBCLASS = 1 << 30,
};

#define MT_TYPE_TYPE_SUBCLASS (UINT64_C(1) << 31) /* instances are types themselves */

/* A reference of an instance that the type declares: an entry of __slots__, or a PyMemberDef of kind object. */
struct mt_member {
    const char *name;
    uint32_t offset; /* from the object */
};

struct mt_type {
    uint64_t address;
    uint32_t index;        /* in mt_types.list */
    const char *name;      /* as people write it: "dict", "collections.deque", "app.Order"; "Order" when in __main__ */
    const char *module;    /* "" for builtins */
    const char *qualified; /* "builtins.dict", "__main__.Order": type(o).__module__ + "." + __qualname__ */
    uint64_t flags;
    int64_t basic_size;
    int64_t item_size;
    int64_t dict_offset; /* tp_dictoffset as it is; -1 in 3.12+: managed */
    int64_t weak_offset;
    uint64_t base; /* tp_base; 0: none */
    uint64_t metatype;
    uint64_t cached_keys; /* ht_cached_keys: names of the values of instances; 0: none */
    uint32_t header;      /* bytes of the block in front of an instance: 0, 16 (gc) or 32 (gc and pre-header) */
    bool has_gc;
    bool is_heap;         /* not a static type: instances hold a reference to it */
    bool is_python_class; /* made by a class statement, or by type() */
    bool is_exact;        /* this very type is what `kind` decodes, not a subclass of it */
    enum mt_kind kind;    /* decoder: of the nearest base that has one; MT_KIND_OBJECT: instances of Python classes
                             that derive from `object` alone; MT_KIND_UNKNOWN: a C type that we do not know */
    const struct mt_type *kind_type; /* the (base) type that `kind` is of: its basic_size is where members of
                                subclasses begin; NULL for MT_KIND_OBJECT and MT_KIND_UNKNOWN */
    enum mt_storage storage;         /* whose __sizeof__ instances have: of the nearest base with one of its own */
    const struct mt_plain *plain;    /* of MT_KIND_PLAIN; else NULL */
    struct mt_member *members;       /* own and inherited, by offset */
    size_t member_count;
};

struct mt_types {
    struct mt_python *python;
    struct mt_hash_map index_of;      /* address -> index + 1; 0: seen, and no type */
    MT_VECTOR(struct mt_type *) list; /* never moves an element: keep pointers */
    uint64_t str_type;                /* PyUnicode_Type; 0: not seen yet */
    uint64_t class_dealloc;           /* tp_dealloc of all Python classes; 0: not known */
    unsigned depth;                   /* of types that are being read to read a type */
};

struct mt_error *mt_types_create(struct mt_python *python, struct mt_types **ret);
void mt_types_destroy(struct mt_types *types);
/* The type at an address; NULL: there is no (ready) type. Its answer is remembered. */
const struct mt_type *mt_types_get(struct mt_types *types, uint64_t address);
/* The same for words that are probably no address of a type: what is none is not remembered. */
const struct mt_type *mt_types_probe(struct mt_types *types, uint64_t address);
static inline const struct mt_type *mt_types_at(const struct mt_types *types, uint32_t index) {
    return types->list.data[index];
}
/* Are instances types? Also those of C metatypes that are of no kind: numpy's, ctypes' from 3.13 on. */
static inline bool mt_type_is_metatype(const struct mt_type *type) {
    return (type->flags & MT_TYPE_TYPE_SUBCLASS) != 0;
}
/* Is `type` the one called `name` or derived from it, by address of a base? */
bool mt_type_derives(struct mt_types *types, const struct mt_type *type, uint64_t base);
/* A user's word for a type: "Order", "app.Order", "builtins.dict", "dict". */
bool mt_type_is_called(const struct mt_type *type, const char *word);
/* From 3.12 on each interpreter keeps what a static builtin type would have itself (tp_dict, tp_subclasses) in a table,
 * at an index that its tp_subclasses has, plus 1 (Objects/typeobject.c): the address of its static_builtin_state; 0:
 * none. */
uint64_t mt_type_state(struct mt_python *python, uint64_t address, uint64_t interpreter);
/* The __dict__ of a type as an object's address (3.12+: static builtin types have it elsewhere); 0: none. */
uint64_t mt_type_dict(struct mt_types *types, const struct mt_type *type);

#endif
