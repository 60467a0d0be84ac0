#include "target/module_symbols.h"

#include <string.h>

#include "base/hash_map.h"
#include "target/elf_file.h"

static bool find_in_module(const struct mt_region *region, int fd, enum mt_symbol_table table, const char *name,
                           uint64_t *ret) {
    struct mt_elf_file *file = mt_elf_file_create(fd);
    uint64_t region_address, symbol_address;
    bool found = file && mt_elf_file_address_of(file, region->file_offset, &region_address) &&
                 mt_elf_file_find_symbol(file, table, name, &symbol_address);
    if (found)
        *ret = region->start - region_address + symbol_address;
    mt_elf_file_destroy(file);
    return found;
}

bool mt_module_symbols_find(const struct mt_region *regions, size_t count, mt_open_module *open_module, void *context,
                            const char *name, uint64_t *ret) {
    bool found = false;
    for (enum mt_symbol_table table = MT_SYMBOLS_DYNAMIC; table <= MT_SYMBOLS_FULL && !found; table++) {
        struct mt_hash_map seen = MT_HASH_MAP_INIT; /* by the address of the path: equal paths are one string */
        for (size_t i = 0; i < count && !found; i++) {
            const struct mt_region *region = &regions[i];
            /* A loaded module has code; a library that a program merely reads as data has not. */
            if (!region->executable || !region->path || region->path[0] != '/')
                continue;
            bool is_new = true;
            mt_hash_map_find_or_insert(&seen, (uint64_t)(uintptr_t)region->path, 1, &is_new);
            int fd = is_new ? open_module(context, region) : -1;
            found = fd >= 0 && find_in_module(region, fd, table, name, ret);
        }
        mt_hash_map_deinit(&seen);
    }
    return found;
}
