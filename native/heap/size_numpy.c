/* numpy's scalars (numpy/_core/src/multiarray/scalartypes.c.src: gentype_sizeof). */
#include <stdlib.h>
#include <string.h>

#include "heap/size_rules.h"

/* Bytes of a value, by the name of its type, which has the number of bits where it is one of a family. */
static uint64_t value_size(const char *name) {
    static const struct {
        const char *name;
        uint64_t size;
    } named[] = {
        {"bool", 1}, {"bool_", 1}, {"longlong", 8}, {"ulonglong", 8}, {"longdouble", 16}, {"clongdouble", 32},
    };
    for (size_t i = 0; i < sizeof named / sizeof named[0]; i++)
        if (strcmp(named[i].name, name) == 0)
            return named[i].size;
    const char *digits = name + strcspn(name, "0123456789");
    return strtoul(digits, NULL, 10) / 8;
}

/* Its value counts besides the body that it stands in; bytes and void have a length. */
uint64_t mt_size_of_numpy_scalar(struct mt_python *python, uint64_t address, const struct mt_type *type) {
    const struct mt_type *own = mt_size_c_type(python, type);
    uint64_t size = mt_size_of_body(python, address, type);
    const char *name = own ? strrchr(own->qualified, '.') : NULL;
    if (!name)
        return size;
    uint64_t value = value_size(name + 1);
    return size + (value ? value : mt_object_item_count(python, address, type));
}
