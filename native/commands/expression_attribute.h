/* What `x.name` gives in Python, as far as it can be foreseen without running code: when it is the very object that a
 * reference of x leads to. */
#ifndef MEMTRACE_COMMANDS_EXPRESSION_ATTRIBUTE_H
#define MEMTRACE_COMMANDS_EXPRESSION_ATTRIBUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "heap/edges.h"
#include "python/python.h"
#include "python/types.h"

/* Are attributes of instances looked up as object.__getattribute__ does? */
bool mt_looks_up_plainly(struct mt_python *python, const struct mt_type *type);
/* Does `x.name` give what x's own __dict__ has? No class of x says otherwise. */
bool mt_attribute_is_own(struct mt_python *python, const struct mt_type *type, const char *name);
/* Does `cls.name` give the object `value` itself, which the __dict__ of the class has? `metatype`: of the class. */
bool mt_class_attribute_is_plain(struct mt_python *python, const struct mt_type *metatype, uint64_t value);
/* Does `x.name` give `value`, which is in a slot of x, or in a member that its C type shows? */
bool mt_member_is(struct mt_python *python, uint64_t object, const struct mt_type *type, const char *name,
                  uint64_t value);
/* The attribute by which Python shows a C field of this name; NULL: there is none, or a class hides it. */
const char *mt_field_attribute(struct mt_python *python, const struct mt_type *type, const char *field);
/* The attribute that is the frame of a generator of this kind; NULL: it is none. */
const char *mt_frame_attribute(enum mt_kind kind);

#endif
