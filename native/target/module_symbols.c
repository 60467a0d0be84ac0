#include "target/module_symbols.h"

#include "base/hash_map.h"

bool mt_module_bias(const struct mt_region *region, struct mt_elf_file *file, uint64_t *ret) {
    uint64_t address;
    if (!mt_elf_file_address_of(file, region->file_offset, &address))
        return false;
    *ret = region->start - address;
    return true;
}

static bool find_in_module(const struct mt_region *region, int fd, enum mt_symbol_table table, const char *name,
                           uint64_t *ret) {
    struct mt_elf_file *file = mt_elf_file_create(fd);
    uint64_t bias;
    struct mt_elf_range symbol;
    bool found = file && mt_module_bias(region, file, &bias) && mt_elf_file_find_symbol(file, table, name, &symbol);
    if (found)
        *ret = bias + symbol.address;
    mt_elf_file_destroy(file);
    return found;
}

/* One region of each file. Code tells best where a module is loaded: a program may also read a library as data. Cores
 * that debuggers write do not say what is code, so there any region must do. */
bool mt_modules_list(const struct mt_region *regions, size_t count, mt_module_regions *modules) {
    struct mt_hash_map index_of = MT_HASH_MAP_INIT; /* by the address of the path: equal paths are one string */
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        const struct mt_region *region = &regions[i];
        if (!region->path || region->path[0] != '/')
            continue;
        bool is_new;
        uint64_t *index =
            mt_hash_map_find_or_insert(&index_of, (uint64_t)(uintptr_t)region->path, modules->length, &is_new);
        if (!index || is_new)
            ok = index && mt_vector_push(modules, region);
        else if (region->executable && !modules->data[*index]->executable)
            modules->data[*index] = region;
    }
    mt_hash_map_deinit(&index_of);
    return ok;
}

bool mt_module_symbols_find(const struct mt_region *regions, size_t count, mt_open_module *open_module, void *context,
                            const char *name, uint64_t *ret) {
    mt_module_regions modules = {0};
    bool found = false;
    if (mt_modules_list(regions, count, &modules)) {
        for (enum mt_symbol_table table = MT_SYMBOLS_DYNAMIC; table <= MT_SYMBOLS_FULL && !found; table++) {
            for (size_t i = 0; i < modules.length && !found; i++) {
                int fd = open_module(context, modules.data[i]);
                found = fd >= 0 && find_in_module(modules.data[i], fd, table, name, ret);
            }
        }
    }
    mt_vector_deinit(&modules);
    return found;
}
