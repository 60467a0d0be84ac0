#include "recorder/loader.h"

#include <stddef.h>

#include "recorder/elf_module.h"

/* struct dl_find_object of glibc's <dlfcn.h>, 2.35 */
struct found_object {
    uint64_t flags;
    void *start, *end;
    struct link_map *map;
    void *eh_frame;
    uint64_t reserved[7];
};

bool mt_loader_finds_modules;
static int (*find_object)(void *address, struct found_object *ret);

void mt_loader_init(void) {
    find_object = (int (*)(void *, struct found_object *))mt_elf_symbol(NULL, "_dl_find_object");
    mt_loader_finds_modules = find_object != NULL;
}

bool mt_loader_find_module(const void *address, struct mt_module *ret) {
    struct found_object found = {0};
    if (find_object == NULL || find_object((void *)(uintptr_t)address, &found) != 0)
        return false;
    *ret = (struct mt_module){(uintptr_t)found.start, (uintptr_t)found.end, found.map};
    return true;
}

extern Elf64_Dyn own_dynamic[] __asm__("_DYNAMIC") __attribute__((visibility("hidden")));

bool mt_loader_is_of_start(void) {
    for (const struct link_map *map = _r_debug.r_map; map != NULL; map = map->l_next) {
        if (map->l_ld == own_dynamic)
            return true;
        if (map->l_addr == _r_debug.r_ldbase)
            return false;
    }
    return false;
}

/* The loader has no function that takes its lock for others. But it holds it while it resolves an indirect function
 * for dlsym(). */
static void (*volatile locked_task)(void *context); /* volatile: the compiler does not see the loader's call */
static void *volatile locked_context;

static void nothing(void) {}

__attribute__((used)) static void (*resolve_indirectly(void))(void) {
    void (*task)(void *) = locked_task;
    locked_task = NULL;
    if (task != NULL)
        task(locked_context);
    return nothing;
}

__attribute__((visibility("default"), ifunc("resolve_indirectly"))) void memtrace_under_loader_lock(void);

bool mt_loader_do_locked(void (*task)(void *context), void *context) {
    locked_context = context;
    locked_task = task;
    (void)dlsym(RTLD_DEFAULT, "memtrace_under_loader_lock");
    bool is_done = locked_task == NULL;
    locked_task = NULL;
    return is_done;
}
