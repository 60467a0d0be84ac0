#include "python/storage.h"

#include <string.h>

static const struct {
    const char *name;
    uint16_t size; /* enum mt_python_field */
} rows[MT_STORAGE_COUNT] = {
#define MT_STORAGE_ROW(storage, type_name, structure)                                                                  \
    [MT_STORAGE_##storage] = {type_name, MT_FIELD_##structure##__sizeof},
    MT_STORAGES(MT_STORAGE_ROW)
#undef MT_STORAGE_ROW
};

enum mt_storage mt_storage_find(const struct mt_python_layout *layout, const char *name, int64_t basic_size) {
    for (int storage = MT_STORAGE_NONE + 1; storage < MT_STORAGE_COUNT; storage++)
        if (strcmp(rows[storage].name, name) == 0 && basic_size >= layout->value[rows[storage].size])
            return (enum mt_storage)storage;
    return MT_STORAGE_NONE;
}
