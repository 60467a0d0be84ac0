/* Dictionaries in all their forms, and what an instance's attributes are kept in.
 *
 * Objects/dictobject.c. 3.9 to 3.10: dk_size and one entry form; 3.11+: dk_log2_size and three kinds. */
#ifndef MEMTRACE_PYTHON_DICT_H
#define MEMTRACE_PYTHON_DICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "python/python.h"
#include "python/types.h"

/* A table of keys (PyDictKeysObject), checked: counts fit the table, the table fits the address space. */
struct mt_dict_keys {
    uint64_t address;
    int64_t refcount;     /* dk_refcnt: dicts and types that share it */
    bool unicode;         /* 3.11+: entries of 16 bytes, all keys are str */
    bool split;           /* values live elsewhere */
    uint64_t entries;     /* address of the first entry */
    uint32_t entry_size;  /* 16 or 24 */
    uint64_t entry_count; /* dk_nentries: used ones, deleted among them */
    uint64_t usable;      /* dk_usable: entries that could still be added */
    uint64_t room; /* values that the array of a split dict has room for: up to 3.10 one for each place of the table,
                      3.11+ the sum of the two above */
    uint64_t total_size; /* bytes of the table as sys.getsizeof counts it */
};
bool mt_dict_keys_read(struct mt_python *python, uint64_t address, struct mt_dict_keys *ret);
/* Entry `index`: its key and (not of split tables) value; 0: empty. False: unreadable. */
bool mt_dict_keys_entry(struct mt_python *python, const struct mt_dict_keys *keys, uint64_t index, uint64_t *ret_key,
                        uint64_t *ret_value);

struct mt_dict {
    uint64_t address;
    uint64_t used;
    struct mt_dict_keys keys;
    uint64_t values; /* of a split dict: address of the array of values; 0: in the keys table */
    bool embedded;   /* 3.13+: the values lie in the instance */
};
/* Of a dict, a subclass of it or a frozendict; false: damaged, or in the middle of a change. */
bool mt_dict_read(struct mt_python *python, uint64_t address, struct mt_dict *ret);

/* 3.11 and 3.12: the block that the array of values at `values` lies in. `room`: of the table of its keys. False:
 * damaged.
 */
bool mt_dict_values_block(struct mt_python *python, uint64_t values, uint64_t room, uint64_t *ret_start,
                          uint64_t *ret_size);

/* Called for each entry with a value, in table order; `index` counts table entries. Return false to stop. */
typedef bool mt_dict_visit_entry(void *context, uint64_t key, uint64_t value, uint64_t index);
/* False: damaged, or cut short by memory that can't be read (what was readable was visited). */
bool mt_dict_visit(struct mt_python *python, uint64_t address, mt_dict_visit_entry *visit, void *context);
/* The value of a str key (ASCII); 0: not there. Linear: for questions, not for loops. */
uint64_t mt_dict_get(struct mt_python *python, uint64_t address, const char *key);

/* What instances of Python classes (and others with a __dict__) keep attributes in. */
struct mt_attributes {
    uint64_t dict;            /* a real __dict__ object; 0: none (yet) */
    uint64_t values;          /* else: address of the array of values named by `keys`; 0: none */
    uint64_t value_count;     /* how many the array has room for */
    struct mt_dict_keys keys; /* of `values` */
    bool values_are_inline;   /* 3.13+: they lie in the instance */
    uint64_t values_block;    /* 3.11, 3.12: start of the separate block they lie in; else 0 */
};
/* False: instances of this type have none, or the memory is damaged. */
bool mt_attributes_read(struct mt_python *python, uint64_t address, const struct mt_type *type,
                        struct mt_attributes *ret);
/* Called for each attribute that is set: its name (a str object) and value. Only of `values`; a dict is an object of
 * its own. */
bool mt_attributes_visit(struct mt_python *python, const struct mt_attributes *attributes, mt_dict_visit_entry *visit,
                         void *context);

#endif
