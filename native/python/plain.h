/* Types of CPython and its standard library whose references are all members at fixed offsets: one table says which.
 *
 * What a type's traverse function visits, and what it owns besides (names, strings), counts; borrowed pointers do not
 * stand here. Members that a version lacks are left out of its walk, types of other sizes are not taken for ours. */
#ifndef MEMTRACE_PYTHON_PLAIN_H
#define MEMTRACE_PYTHON_PLAIN_H

#include <stddef.h>
#include <stdint.h>

#include "layout/python_layout.h"
#include "python/kinds.h"

#define MT_PLAIN_MEMBERS_MAX 20

struct mt_plain_member {
    uint16_t field;     /* enum mt_python_field; not in this version: the member is skipped; 0: see `offset` */
    uint16_t offset;    /* of a member of a struct that the layout tables do not have */
    const char *link;   /* the C field's name, or the better known one: "func" */
    uint16_t inner;     /* the field of a struct that `field` is, which is added to it; 0: none */
    uint16_t condition; /* a byte that says, by not being 0, that the object has the member at all; 0: it always has */
};

/* What a plain type owns that no member at a fixed offset refers to. */
enum mt_plain_storage {
    MT_PLAIN_NO_STORAGE,
    MT_PLAIN_ELEMENT_TREE,  /* tagged text and tail; attributes and children in a block (Modules/_elementtree.c) */
    MT_PLAIN_TEE_VALUES,    /* a part of an array (Modules/itertoolsmodule.c) */
    MT_PLAIN_QUEUE_RING,    /* a ring buffer, 3.13+ (Modules/_queuemodule.c) */
    MT_PLAIN_METHOD_CALLER, /* what the first call makes, 3.13+ (Modules/_operator.c) */
};

struct mt_plain {
    const char *name;    /* tp_name */
    uint16_t size;       /* enum mt_python_field of the struct's size: tp_basicsize must be it; 0: see `basic_size` */
    uint16_t basic_size; /* of a struct that the layout tables do not have */
    enum mt_plain_storage storage;
    struct mt_plain_member members[MT_PLAIN_MEMBERS_MAX]; /* ends with link NULL */
};

/* NULL: no such type. `basic_size`: tp_basicsize. */
const struct mt_plain *mt_plain_find(const struct mt_python_layout *layout, const char *name, int64_t basic_size);

/* The members of a kind's C struct that are counted references, up to one with link NULL. Of many kinds this is all
 * they refer to; of exceptions it is what a kind adds to MT_KIND_EXCEPTION. */
const struct mt_plain_member *mt_kind_members(enum mt_kind kind);

#endif
