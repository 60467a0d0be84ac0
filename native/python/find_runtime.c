#define _GNU_SOURCE 1

#include "python/find_runtime.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "layout/python_layout.h"
#include "target/module_symbols.h"
#include "target/regions.h"

#define SYMBOL "_PyRuntime"
#define SECTION ".PyRuntime" /* 3.10 */
/* The cookie's search: databases map files of any size for writing, but no program has that much data of its own. */
#define SEARCHED_PER_MAPPING (64u << 20)
#define PAGE 4096u
#define MAX_RUNTIME_SIZE (16u << 20)

struct search {
    struct mt_view *view;
    struct mt_watch *watch;
    const struct mt_region *regions;
    size_t count;
    const struct mt_region *replaced; /* a file that has the symbol, but is not the one that was mapped */
};

/* --- modules ------------------------------------------------------------------------------------------------------ */

/* The mapping of the file that the data at `address` is of: its own, or (bss) the one in front of it. */
static const struct mt_region *module_of(const struct search *search, uint64_t address) {
    const struct mt_region *region = mt_region_of(search->regions, search->count, address);
    if (!region)
        return NULL;
    for (; !region->path; region--)
        if (region == search->regions || region[-1].end != region->start)
            return NULL;
    return region->path[0] == '/' ? region : NULL;
}

/* False only when the build-id of the mapped file is known, and the opened one has another. */
static bool is_same_build(const struct search *search, const struct mt_region *module, struct mt_elf_file *file) {
    for (size_t i = 0; i < search->count; i++) {
        const struct mt_region *region = &search->regions[i];
        _Alignas(8) uint8_t page[PAGE];
        struct mt_build_id mapped, opened;
        if (!region->path || region->file_offset || strcmp(region->path, module->path) != 0 ||
            !mt_view_read(search->view, region->start, page, sizeof page))
            continue;
        mt_build_id_of_image(page, sizeof page, &mapped);
        mt_elf_file_build_id(file, &opened);
        return !mapped.size || (mapped.size == opened.size && memcmp(mapped.bytes, opened.bytes, mapped.size) == 0);
    }
    return true;
}

/* The file behind a mapping; NULL: not to be had. */
static struct mt_elf_file *open_module(const struct search *search, const struct mt_region *module) {
    int fd = mt_target_open_file(search->view->target, module);
    return fd < 0 ? NULL : mt_elf_file_create(fd);
}

/* The contiguous writable mappings around it, without a heap that may follow. */
static void find_data(const struct search *search, struct mt_elf_file *file, uint64_t bias,
                      struct mt_runtime *runtime) {
    const struct mt_region *first = mt_region_of(search->regions, search->count, runtime->address), *last = first;
    const struct mt_region *end = search->regions + search->count;
    struct mt_elf_range writable;
    while (first > search->regions && first[-1].end == first->start && first[-1].writable)
        first--;
    while (last + 1 < end && last[1].start == last->end && last[1].writable &&
           (!last[1].path || last[1].path[0] == '/'))
        last++;
    runtime->data_start = first->start;
    runtime->data_end = last->end;
    if (!file || !mt_elf_file_writable(file, &writable))
        return;
    uint64_t data_end = bias + writable.address + writable.size;
    if (data_end > runtime->address && data_end < runtime->data_end)
        runtime->data_end = data_end;
}

/* --- by its name -------------------------------------------------------------------------------------------------- */

static bool find_in_file(struct mt_elf_file *file, struct mt_elf_range *ret) {
    return mt_elf_file_find_symbol(file, MT_SYMBOLS_DYNAMIC, SYMBOL, ret) ||
           mt_elf_file_find_symbol(file, MT_SYMBOLS_FULL, SYMBOL, ret) || mt_elf_file_find_section(file, SECTION, ret);
}

/* The whole of it from a module's file; false: it is not there. */
static bool take_from_file(struct search *search, const struct mt_region *module, struct mt_runtime *ret) {
    struct mt_elf_file *file = open_module(search, module);
    struct mt_elf_range range;
    uint64_t bias;
    bool found = file && mt_module_bias(module, file, &bias) && find_in_file(file, &range) &&
                 mt_region_of(search->regions, search->count, bias + range.address);
    if (found && !is_same_build(search, module, file)) {
        search->replaced = module;
        found = false;
    }
    if (found) {
        *ret = (struct mt_runtime){.address = bias + range.address, .size = range.size, .module = module};
        find_data(search, file, bias, ret);
    }
    mt_elf_file_destroy(file);
    return found;
}

/* 3.13+: does it begin as a state does, and does what follows make sense? */
static bool is_runtime(const struct search *search, const struct mt_region *region, uint64_t address,
                       struct mt_runtime *ret) {
    struct {
        char cookie[MT_RUNTIME_COOKIE_SIZE];
        uint64_t version, free_threaded, size;
    } head;
    if (address % sizeof(uint64_t) != 0 || !mt_view_read(search->view, address, &head, sizeof head) ||
        head.version >> 24 != 3 || head.free_threaded > 1 || head.size < sizeof head || head.size > MAX_RUNTIME_SIZE ||
        head.size > region->end - address)
        return false;
    *ret = (struct mt_runtime){.address = address, .size = head.size, .module = module_of(search, address)};
    find_data(search, NULL, 0, ret);
    return true;
}

/* A debugger may know symbols of files that we can't open. */
static bool find_by_symbol(struct search *search, struct mt_runtime *ret) {
    uint64_t address;
    struct mt_error *error = mt_target_find_symbol(search->view->target, SYMBOL, &address);
    if (error) {
        mt_error_destroy(error);
        return false;
    }
    const struct mt_region *module = module_of(search, address);
    if (module && take_from_file(search, module, ret))
        return true;
    const struct mt_region *region = mt_region_of(search->regions, search->count, address);
    if (search->replaced || !region)
        return false;
    if (!is_runtime(search, region, address, ret)) {
        *ret = (struct mt_runtime){.address = address, .module = module};
        find_data(search, NULL, 0, ret);
    }
    return true;
}

/* Programs that hide the symbol. */
static struct mt_error *find_by_section(struct search *search, struct mt_runtime *ret, bool *ret_found) {
    mt_module_regions modules = {0};
    struct mt_error *error = NULL;
    if (!mt_modules_list(search->regions, search->count, &modules))
        error = &mt_error_no_memory;
    for (size_t i = 0; i < modules.length && !error && !*ret_found; i++) {
        *ret_found = take_from_file(search, modules.data[i], ret);
        error = mt_watch_poll(search->watch, "looking for CPython");
    }
    mt_vector_deinit(&modules);
    return error;
}

/* --- by its first words ------------------------------------------------------------------------------------------- */

/* The words occur in code too, which is why only writable memory is searched. */
static struct mt_error *search_region(const struct search *search, const struct mt_region *region,
                                      struct mt_runtime *ret, bool *ret_found) {
    uint64_t size =
        region->end - region->start < SEARCHED_PER_MAPPING ? region->end - region->start : SEARCHED_PER_MAPPING;
    for (uint64_t at = region->start; at < region->start + size; at += PAGE) {
        struct mt_error *error = mt_watch_poll(search->watch, "looking for CPython");
        if (error)
            return error;
        const uint8_t *page = mt_view_at(search->view, at, PAGE);
        for (size_t i = 0; page && i < PAGE; i += sizeof(uint64_t)) {
            if (memcmp(page + i, MT_RUNTIME_COOKIE, MT_RUNTIME_COOKIE_SIZE) != 0)
                continue;
            if (is_runtime(search, region, at + i, ret)) {
                *ret_found = true;
                return NULL;
            }
            page = mt_view_at(search->view, at, PAGE);
            if (!page)
                break;
        }
    }
    return NULL;
}

static struct mt_error *find_by_cookie(const struct search *search, struct mt_runtime *ret, bool *ret_found) {
    bool paths = false;
    for (size_t i = 0; i < search->count; i++)
        paths |= search->regions[i].path != NULL;
    struct mt_error *error = NULL;
    for (size_t i = 0; i < search->count && !error && !*ret_found; i++) {
        const struct mt_region *region = &search->regions[i];
        /* It is initialised data, hence mapped from a file; unless the target does not know of files. */
        bool is_data = !paths || (region->path && region->path[0] == '/');
        if (region->readable && region->writable && is_data)
            error = search_region(search, region, ret, ret_found);
    }
    return error;
}

/* --- nowhere ------------------------------------------------------------------------------------------------------ */

/* "libpython3.11.so.1.0", "python3.11": a program or library of CPython's by its name. */
struct named_python {
    const char *path;
    unsigned major, minor;
    bool is_library;
};

static bool parse_name(const char *path, struct named_python *ret) {
    const char *name = path ? strrchr(path, '/') : NULL;
    struct named_python python = {.path = path};
    if (!name)
        return false;
    python.is_library = sscanf(name, "/libpython%u.%u", &python.major, &python.minor) == 2;
    if (!python.is_library && sscanf(name, "/python%u.%u", &python.major, &python.minor) != 2)
        return false;
    *ret = python;
    return true;
}

/* Where there is a library, the state is there. */
static bool find_name(const struct search *search, struct named_python *ret) {
    struct named_python python;
    bool found = false;
    for (size_t i = 0; i < search->count; i++) {
        if (!parse_name(search->regions[i].path, &python) || (found && !python.is_library))
            continue;
        *ret = python;
        found = true;
    }
    return found;
}

static struct mt_error *explain(const struct search *search) {
    const struct mt_target *target = search->view->target;
    struct named_python python = {0};
    char words[512];
    mt_target_describe(target, words, sizeof words);
    if (search->replaced)
        return mt_error_create(MT_ERROR_NOT_FOUND,
                               "CPython is in %s, but %s is not the file any more that is in memory (updated?): its "
                               "state can't be found without the old one",
                               words, search->replaced->path);
    if (!find_name(search, &python))
        return mt_error_create(MT_ERROR_NOT_FOUND, "no CPython in %s", words);
    if (python.major != 3 || python.minor < MT_PYTHON_FIRST_MINOR || python.minor > MT_PYTHON_LAST_MINOR)
        return mt_error_create(MT_ERROR_UNSUPPORTED, "CPython %u.%u in %s is not read: 3.%d to 3.%d are", python.major,
                               python.minor, words, MT_PYTHON_FIRST_MINOR, MT_PYTHON_LAST_MINOR);
    const char *help = target->info.kind != MT_TARGET_CORE ? "load its symbols in the debugger"
                       : python.is_library                 ? "lay that very file beside the core"
                                                           : "give that very file as --exe FILE";
    return mt_error_create(MT_ERROR_NOT_FOUND,
                           "CPython %u.%u is in %s, but its state can't be found without the file %s: %s", python.major,
                           python.minor, words, python.path, help);
}

struct mt_error *mt_runtime_find(struct mt_view *view, struct mt_watch *watch, struct mt_runtime *ret) {
    struct search search = {.view = view, .watch = watch};
    struct mt_runtime runtime;
    struct mt_error *error = mt_target_regions(view->target, &search.regions, &search.count);
    if (error)
        return error;
    bool found = find_by_symbol(&search, &runtime);
    if (!found)
        error = find_by_section(&search, &runtime, &found);
    if (!found && !error)
        error = find_by_cookie(&search, &runtime, &found);
    if (error)
        return error;
    if (!found)
        return explain(&search);
    *ret = runtime;
    return NULL;
}
