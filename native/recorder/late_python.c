#include "recorder/late_python.h"

#include <stddef.h>
#include <stdint.h>

#include "recorder/elf_module.h"
#include "recorder/header.h"
#include "recorder/loader.h"
#include "recorder/pymem.h"
#include "recorder/python.h"
#include "recorder/python_stops.h"

#define MODULES 64

bool mt_late_python_wanted;

static struct mt_module without_python[MODULES];
static unsigned module_count;

void mt_late_python_init(void) {
    mt_late_python_wanted = mt_loader_finds_modules;
}

void mt_late_python_look(const void *caller) {
    uintptr_t address = (uintptr_t)caller;
    unsigned count = __atomic_load_n(&module_count, __ATOMIC_ACQUIRE);
    for (unsigned i = 0; i < count && i < MODULES; i++)
        if (address >= without_python[i].start && address < without_python[i].end)
            return;
    struct mt_module found;
    if (!mt_loader_find_module(caller, &found))
        return;
    struct mt_elf module;
    if (!mt_elf_read_mapped((const void *)found.start, found.map->l_name, &module) ||
        mt_elf_symbol(&module, "PyMem_SetAllocator") == NULL) {
        unsigned place = __atomic_fetch_add(&module_count, 1, __ATOMIC_ACQ_REL);
        if (place < MODULES)
            without_python[place] = found;
        else
            mt_late_python_wanted = false; /* more modules than are worth a look at every call */
        return;
    }
    if (!__atomic_exchange_n(&mt_late_python_wanted, false, __ATOMIC_ACQ_REL))
        return;
    void *handle = dlopen(found.map->l_name, RTLD_NOLOAD | RTLD_NOW); /* it is to stay */
    if (handle == NULL || !mt_python_find(&module))
        return;
    mt_python_stops_find(&module);
    if (mt_pymem_find(&module) && memtrace_image.level == MT_LEVEL_OBJECTS)
        mt_pymem_wrap();
}
