#include "recorder/late_python.h"

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

static uint32_t gnu_hash(const char *name) {
    uint32_t hash = 5381;
    for (; *name != '\0'; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash;
}

/* Whether the module itself defines the symbol, read from its own tables: dlsym() takes only handles that dlopen()
 * gave. */
static bool defines(const struct link_map *module, const char *name) {
    const Elf64_Sym *symbols = NULL;
    const char *strings = NULL;
    const uint32_t *table = NULL;
    for (const Elf64_Dyn *entry = module->l_ld; entry != NULL && entry->d_tag != DT_NULL; entry++) {
        /* The loader has relocated these in place, but for modules that it did not load itself (the vdso). */
        if (entry->d_tag == DT_SYMTAB)
            symbols = (const Elf64_Sym *)entry->d_un.d_ptr;
        else if (entry->d_tag == DT_STRTAB)
            strings = (const char *)entry->d_un.d_ptr;
        else if (entry->d_tag == DT_GNU_HASH)
            table = (const uint32_t *)entry->d_un.d_ptr;
    }
    if (symbols == NULL || strings == NULL || table == NULL || (uint64_t)table < module->l_addr)
        return false;
    uint32_t buckets = table[0], first = table[1], bloom_words = table[2], hash = gnu_hash(name);
    const uint32_t *bucket = table + 4 + 2 * bloom_words, *chain = bucket + buckets;
    uint32_t symbol = buckets != 0 ? bucket[hash % buckets] : 0;
    for (; symbol >= first && symbol != 0; symbol++) {
        uint32_t entry = chain[symbol - first];
        if ((entry | 1) == (hash | 1) && strcmp(strings + symbols[symbol].st_name, name) == 0)
            return symbols[symbol].st_shndx != SHN_UNDEF;
        if (entry & 1)
            break;
    }
    return false;
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
    if (!defines(found.map, "PyMem_SetAllocator")) {
        unsigned place = __atomic_fetch_add(&module_count, 1, __ATOMIC_ACQ_REL);
        if (place < MODULES)
            without_python[place] = found;
        else
            mt_late_python_wanted = false; /* more modules than are worth a look at every call */
        return;
    }
    if (!__atomic_exchange_n(&mt_late_python_wanted, false, __ATOMIC_ACQ_REL))
        return;
    void *handle = dlopen(found.map->l_name, RTLD_NOLOAD | RTLD_NOW);
    if (handle == NULL || !mt_python_find(handle))
        return;
    mt_python_stops_find(handle);
    if (mt_pymem_find(handle) && memtrace_image.level == MT_LEVEL_OBJECTS)
        mt_pymem_wrap();
}
