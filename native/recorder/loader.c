#include "recorder/loader.h"

#include <stddef.h>

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
    find_object = (int (*)(void *, struct found_object *))dlsym(RTLD_DEFAULT, "_dl_find_object");
    mt_loader_finds_modules = find_object != NULL;
}

bool mt_loader_find_module(const void *address, struct mt_module *ret) {
    struct found_object found = {0};
    if (find_object == NULL || find_object((void *)(uintptr_t)address, &found) != 0)
        return false;
    *ret = (struct mt_module){(uintptr_t)found.start, (uintptr_t)found.end, found.map};
    return true;
}
