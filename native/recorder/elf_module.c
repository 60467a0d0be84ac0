#include "recorder/elf_module.h"

#include <link.h>
#include <string.h>
#include <sys/auxv.h>

extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden"))); /* our own, by the linker */

/* The loader has relocated most of these in place. */
static const void *at(uint64_t bias, uint64_t address) {
    return (const void *)(address < bias ? bias + address : address);
}

bool mt_elf_read(const char *name, uint64_t bias, const Elf64_Phdr *segments, unsigned segment_count,
                 struct mt_elf *ret) {
    const Elf64_Dyn *entry = NULL;
    *ret = (struct mt_elf){.name = name, .bias = bias, .segments = segments, .segment_count = segment_count};
    for (unsigned i = 0; i < segment_count; i++)
        if (segments[i].p_type == PT_DYNAMIC)
            entry = (const Elf64_Dyn *)(bias + segments[i].p_vaddr);
    for (; entry != NULL && entry->d_tag != DT_NULL; entry++) {
        const void *pointer = at(bias, entry->d_un.d_ptr);
        switch (entry->d_tag) {
        case DT_SYMTAB:
            ret->symbols = pointer;
            break;
        case DT_STRTAB:
            ret->strings = pointer;
            break;
        case DT_GNU_HASH:
            ret->gnu_hash = pointer;
            break;
        case DT_HASH:
            ret->hash = pointer;
            break;
        case DT_RELA:
            ret->relocations[0].entries = pointer;
            break;
        case DT_RELASZ:
            ret->relocations[0].count = entry->d_un.d_val / sizeof(Elf64_Rela);
            break;
        case DT_JMPREL:
            ret->relocations[1].entries = pointer;
            break;
        case DT_PLTRELSZ:
            ret->relocations[1].count = entry->d_un.d_val / sizeof(Elf64_Rela);
            break;
        default:
            break;
        }
    }
    return ret->symbols != NULL && ret->strings != NULL;
}

bool mt_elf_read_mapped(const void *start, const char *name, struct mt_elf *ret) {
    const Elf64_Ehdr *elf = start;
    const Elf64_Phdr *segments = (const Elf64_Phdr *)((const char *)start + elf->e_phoff);
    return mt_elf_read(name, elf->e_type == ET_EXEC ? 0 : (uint64_t)start, segments, elf->e_phnum, ret);
}

static uint32_t gnu_hash_of(const char *name) {
    uint32_t hash = 5381;
    for (; *name != '\0'; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash;
}

static uint32_t hash_of(const char *name) {
    uint32_t hash = 0;
    for (; *name != '\0'; name++) {
        hash = (hash << 4) + (unsigned char)*name;
        hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
    }
    return hash;
}

static bool is_definition(const struct mt_elf *module, uint32_t index, const char *name) {
    const Elf64_Sym *symbol = &module->symbols[index];
    return symbol->st_shndx != SHN_UNDEF && strcmp(module->strings + symbol->st_name, name) == 0;
}

static const Elf64_Sym *find_by_gnu_hash(const struct mt_elf *module, const char *name, const Elf64_Sym *previous) {
    const uint32_t *table = module->gnu_hash;
    uint32_t buckets = table[0], first = table[1], bloom_words = table[2], hash = gnu_hash_of(name);
    const uint32_t *bucket = table + 4 + 2 * bloom_words, *chain = bucket + buckets;
    uint32_t index = buckets != 0 ? bucket[hash % buckets] : 0;
    for (; index >= first && index != 0; index++) {
        uint32_t entry = chain[index - first];
        if ((entry | 1) == (hash | 1) && is_definition(module, index, name) &&
            (previous == NULL || &module->symbols[index] > previous))
            return &module->symbols[index];
        if (entry & 1)
            break;
    }
    return NULL;
}

static const Elf64_Sym *find_by_hash(const struct mt_elf *module, const char *name, const Elf64_Sym *previous) {
    const uint32_t *table = module->hash;
    uint32_t buckets = table[0];
    const uint32_t *chain = table + 2 + buckets;
    bool is_next = previous == NULL;
    for (uint32_t index = buckets != 0 ? table[2 + hash_of(name) % buckets] : 0; index != 0; index = chain[index]) {
        if (is_next && is_definition(module, index, name))
            return &module->symbols[index];
        is_next = is_next || &module->symbols[index] == previous;
    }
    return NULL;
}

const Elf64_Sym *mt_elf_find(const struct mt_elf *module, const char *name, const Elf64_Sym *previous) {
    if (module->gnu_hash != NULL)
        return find_by_gnu_hash(module, name, previous);
    return module->hash != NULL ? find_by_hash(module, name, previous) : NULL;
}

uint64_t mt_elf_address(const struct mt_elf *module, const Elf64_Sym *symbol) {
    if (symbol == NULL)
        return 0;
    uint64_t address = module->bias + symbol->st_value;
    return ELF64_ST_TYPE(symbol->st_info) == STT_GNU_IFUNC ? ((uint64_t(*)(void))address)() : address;
}

const Elf64_Phdr *mt_elf_segment(const struct mt_elf *module, uint64_t address) {
    for (unsigned i = 0; i < module->segment_count; i++) {
        const Elf64_Phdr *segment = &module->segments[i];
        if (segment->p_type == PT_LOAD && address - module->bias - segment->p_vaddr < segment->p_memsz)
            return segment;
    }
    return NULL;
}

struct visit {
    bool (*function)(const struct mt_elf *module, void *context);
    void *context;
};

static int visit_module(struct dl_phdr_info *info, size_t size, void *context) {
    const struct visit *visit = context;
    struct mt_elf module;
    if (!mt_elf_read(info->dlpi_name, info->dlpi_addr, info->dlpi_phdr, info->dlpi_phnum, &module))
        return 0;
    uint64_t vdso = getauxval(AT_SYSINFO_EHDR);
    if (info->dlpi_addr == (uint64_t)&__ehdr_start || (vdso != 0 && mt_elf_segment(&module, vdso) != NULL))
        return 0;
    return visit->function(&module, visit->context) ? 0 : 1;
}

bool mt_elf_each(bool (*visit)(const struct mt_elf *module, void *context), void *context) {
    return dl_iterate_phdr(visit_module, &(struct visit){visit, context}) == 0;
}

struct definer {
    const char *name;
    struct mt_elf module;
};

static bool is_no_definer(const struct mt_elf *module, void *context) {
    struct definer *definer = context;
    if (mt_elf_find(module, definer->name, NULL) == NULL)
        return true;
    definer->module = *module;
    return false;
}

bool mt_elf_find_definer(const char *name, struct mt_elf *ret) {
    struct definer definer = {.name = name};
    if (mt_elf_each(is_no_definer, &definer))
        return false;
    *ret = definer.module;
    return true;
}

void *mt_elf_symbol(const struct mt_elf *module, const char *name) {
    struct mt_elf definer;
    if (module == NULL && mt_elf_find_definer(name, &definer))
        module = &definer;
    return module != NULL ? (void *)mt_elf_address(module, mt_elf_find(module, name, NULL)) : NULL;
}
