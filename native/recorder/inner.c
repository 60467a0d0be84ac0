#include "recorder/inner.h"

#include "recorder/loader.h"

#define MODULES 8

static struct mt_module modules[MODULES];
static unsigned module_count;

static bool is_known(uintptr_t address) {
    unsigned count = __atomic_load_n(&module_count, __ATOMIC_ACQUIRE);
    for (unsigned i = 0; i < count; i++)
        if (address >= modules[i].start && address < modules[i].end)
            return true;
    return false;
}

void mt_inner_add(const void *function) {
    struct mt_module module;
    if (function == NULL || is_known((uintptr_t)function) || !mt_loader_find_module(function, &module))
        return;
    if (module_count == MODULES) {
        mt_loader_finds_modules = false; /* too many to tell: all calls are taken for inner ones */
        return;
    }
    modules[module_count] = module;
    __atomic_store_n(&module_count, module_count + 1, __ATOMIC_RELEASE);
}

bool mt_inner_is_caller(const void *caller) {
    return !mt_loader_finds_modules || is_known((uintptr_t)caller);
}
