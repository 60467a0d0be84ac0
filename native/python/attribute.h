/* An attribute of an object by its name, as reading memory alone can tell it: no code of the process runs, so
 * properties and other descriptors have no value here. */
#ifndef MEMTRACE_PYTHON_ATTRIBUTE_H
#define MEMTRACE_PYTHON_ATTRIBUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "python/python.h"

enum mt_attribute_state {
    MT_ATTRIBUTE_NONE, /* there is none of that name */
    MT_ATTRIBUTE_FOUND,
    MT_ATTRIBUTE_DESCRIPTOR, /* the class has a descriptor of that name, which would have to be called */
};

/* What the object itself has: values, __dict__, slots, members that its C type declares. 0: nothing of that name. */
uint64_t mt_attribute_own(struct mt_python *python, uint64_t object, const char *name);
/* Looks on in the classes along the MRO (of an object that is a class: in its own first): plain values, functions. What
 * was found is in *ret: of a descriptor the descriptor itself. */
enum mt_attribute_state mt_attribute_find(struct mt_python *python, uint64_t object, const char *name, uint64_t *ret);

#endif
