#define _GNU_SOURCE 1

#include "attach/c_library.h"

#include <elf.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attach/thread_rules.h"
#include "base/cleanup.h"
#include "target/elf_file.h"
#include "target/module_symbols.h"
#include "target/proc.h"

static bool is_named(const char *path, const char *pattern) {
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash && fnmatch(pattern, slash + 1, 0) == 0;
}

bool mt_is_c_library(const char *path) {
    return is_named(path, "libc.so.6") || is_named(path, "libc-2.*.so") || is_named(path, "libpthread.so.0") ||
           is_named(path, "libpthread-2.*.so");
}

bool mt_is_loader(const char *path) {
    return is_named(path, "ld-linux*.so*") || is_named(path, "ld-2.*.so") || is_named(path, "libdl.so.2") ||
           is_named(path, "libdl-2.*.so");
}

bool mt_is_unwinder(const char *path) {
    return is_named(path, "libgcc_s.so*");
}

/* --- refusals ------------------------------------------------------------------------------------------------------
 */

static bool is_64_bit(pid_t pid) {
    char path[64];
    unsigned char identity[EI_NIDENT] = {0};
    uint16_t type_and_machine[2] = {0};
    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    MT_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && pread(fd, identity, sizeof identity, 0) == sizeof identity &&
           pread(fd, type_and_machine, sizeof type_and_machine, EI_NIDENT) == sizeof type_and_machine &&
           identity[EI_CLASS] == ELFCLASS64 && type_and_machine[1] == EM_X86_64;
}

/* A shadow stack is each thread's own. */
static bool has_shadow_stack(pid_t pid) {
    mt_pids threads = {0};
    bool found = false;
    mt_error_destroy(mt_proc_threads(pid, &threads));
    for (size_t i = 0; i < threads.length && !found; i++) {
        struct mt_thread_rules rules;
        found = mt_thread_rules_read(pid, threads.data[i], &rules) && rules.has_shadow_stack;
    }
    mt_vector_deinit(&threads);
    return found;
}

static struct mt_error *check_process(pid_t pid) {
    if (!is_64_bit(pid))
        return mt_error_create(MT_ERROR_UNSUPPORTED,
                               "process %d is no x86-64 program: the recorder can't be loaded into it", (int)pid);
    if (has_shadow_stack(pid))
        return mt_error_create(MT_ERROR_UNSUPPORTED,
                               "process %d has a shadow stack, which forbids calls from outside: start it recorded, "
                               "`memtrace run -- PROGRAM`",
                               (int)pid);
    return NULL;
}

static struct mt_error *no_c_library(const struct mt_target *target) {
    bool has_loader = false;
    for (size_t i = 0; i < target->region_count; i++) {
        const char *path = target->regions[i].path;
        /* Its loader and its libc are one file, which Debian calls libc.so; of the GNU C library that is a text. */
        if (is_named(path, "ld-musl-*") || is_named(path, "libc.musl-*") || is_named(path, "libc.so"))
            return mt_error_create(MT_ERROR_UNSUPPORTED,
                                   "process %d uses musl: the recorder needs the GNU C library, 2.28 or newer",
                                   (int)target->info.pid);
        has_loader |= is_named(path, "ld-*") || is_named(path, "ld.so*");
    }
    if (has_loader)
        return mt_error_create(MT_ERROR_UNSUPPORTED,
                               "no GNU C library is loaded in process %d: the recorder needs it (where it has just "
                               "begun, let it run on)",
                               (int)target->info.pid);
    return mt_error_create(MT_ERROR_UNSUPPORTED,
                           "process %d is a static program, which loads no libraries: it can't be recorded",
                           (int)target->info.pid);
}

/* --- places --------------------------------------------------------------------------------------------------------
 */

/* The first place of the bytes in the code of a file. */
static bool find_code(struct mt_target *target, const char *path, const void *pattern, size_t size, uint64_t *ret) {
    for (size_t i = 0; i < target->region_count; i++) {
        const struct mt_region *region = &target->regions[i];
        if (region->path != path || !region->executable || !region->readable)
            continue;
        size_t length = (size_t)(region->end - region->start);
        MT_AUTO_FREE uint8_t *bytes = malloc(length);
        size_t got = bytes ? target->ops->read(target, region->start, bytes, length) : 0;
        const uint8_t *found = got > 0 ? memmem(bytes, got, pattern, size) : NULL;
        if (found) {
            *ret = region->start + (uint64_t)(found - bytes);
            return true;
        }
    }
    return false;
}

static bool find_function(struct mt_target *target, const struct mt_region *region, const char *name, uint64_t *ret) {
    int fd = mt_target_open_file(target, region);
    struct mt_elf_file *file = fd >= 0 ? mt_elf_file_create(fd) : NULL;
    struct mt_elf_range symbol;
    uint64_t bias;
    bool found =
        file && mt_module_bias(region, file, &bias) && mt_elf_file_find_symbol(file, MT_SYMBOLS_DYNAMIC, name, &symbol);
    if (found)
        *ret = bias + symbol.address;
    mt_elf_file_destroy(file);
    return found;
}

/* Before glibc 2.34 these are in libdl, which every Python has. */
static bool find_loading(struct mt_target *target, const struct mt_region *region, struct mt_c_library *ret) {
    return find_function(target, region, "dlopen", &ret->dlopen) &&
           find_function(target, region, "dlsym", &ret->dlsym) &&
           find_function(target, region, "dlerror", &ret->dlerror);
}

struct mt_error *mt_c_library_find(struct mt_target *target, struct mt_c_library *ret) {
    static const uint8_t call_and_return[] = {0x0f, 0x05, 0xc3};                          /* syscall; ret */
    static const uint8_t signal_return[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05}; /* mov $15, %rax; syscall */
    const struct mt_region *regions;
    size_t count;
    struct mt_c_library found = {0};
    mt_module_regions modules = {0};
    struct mt_error *error = check_process(target->info.pid);
    if (!error)
        error = mt_target_regions(target, &regions, &count);
    if (error)
        return error;
    if (!mt_modules_list(regions, count, &modules))
        return &mt_error_no_memory;
    const char *path = NULL;
    for (size_t i = 0; i < modules.length; i++) {
        const struct mt_region *module = modules.data[i];
        bool is_main = is_named(module->path, "libc.so.6") || is_named(module->path, "libc-2.*.so");
        if (is_main)
            path = module->path;
        if (!found.dlerror && (is_main || is_named(module->path, "libdl*.so*")) &&
            !find_loading(target, module, &found))
            found.dlerror = 0;
    }
    mt_vector_deinit(&modules);
    if (!path)
        return no_c_library(target);
    if (!found.dlerror)
        return mt_error_create(MT_ERROR_UNSUPPORTED,
                               "dlopen was not found in process %d: its C library's files can't be read, or it has no "
                               "libdl: start it recorded, `memtrace run -- PROGRAM`",
                               (int)target->info.pid);
    if (!find_code(target, path, call_and_return, sizeof call_and_return, &found.system_call) ||
        !find_code(target, path, signal_return, sizeof signal_return, &found.signal_return))
        return mt_error_create(MT_ERROR_UNSUPPORTED,
                               "the C library of process %d is not one that memtrace can call into",
                               (int)target->info.pid);
    *ret = found;
    return NULL;
}
