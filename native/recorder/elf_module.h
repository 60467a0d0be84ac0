/* A loaded module by its own tables in memory: its symbols, its relocations. Nothing here takes memory or asks the
 * loader, which says by dlerror(), and so by malloc, what it does not find. */
#ifndef MEMTRACE_RECORDER_ELF_MODULE_H
#define MEMTRACE_RECORDER_ELF_MODULE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mt_elf {
    const char *name; /* as the loader has it: a path; empty for the program */
    uint64_t bias;    /* what is added to the addresses of its file */
    const Elf64_Phdr *segments;
    unsigned segment_count;
    const Elf64_Sym *symbols;
    const char *strings;
    const uint32_t *gnu_hash, *hash; /* either may be missing */
    struct mt_elf_relocations {
        const Elf64_Rela *entries;
        size_t count;
    } relocations[2]; /* of data, and of the procedure linkage table */
};

/* false: it has no symbols to look through. */
bool mt_elf_read(const char *name, uint64_t bias, const Elf64_Phdr *segments, unsigned segment_count,
                 struct mt_elf *ret);
/* The module whose file is mapped from `start` on. */
bool mt_elf_read_mapped(const void *start, const char *name, struct mt_elf *ret);

/* The first symbol of this name that the module defines, or the next after `previous` (another version of it). */
const Elf64_Sym *mt_elf_find(const struct mt_elf *module, const char *name, const Elf64_Sym *previous);
/* What a symbol stands for; 0 for NULL. */
uint64_t mt_elf_address(const struct mt_elf *module, const Elf64_Sym *symbol);

/* The segment that an address of the process lies in, or NULL. */
const Elf64_Phdr *mt_elf_segment(const struct mt_elf *module, uint64_t address);

/* Visits the loaded modules in the order of their loading, which for those of the start is the order in which names are
 * looked up; without the kernel's (vdso) and ourselves. Stops when `visit` returns false, and returns that. The loader
 * stands still meanwhile: not to be called from hooks. */
bool mt_elf_each(bool (*visit)(const struct mt_elf *module, void *context), void *context);
/* The first module that defines a symbol. */
bool mt_elf_find_definer(const char *name, struct mt_elf *ret);
/* What a symbol of a module stands for, or of the first module that defines it when `module` is NULL. NULL: it is not
 * defined. */
void *mt_elf_symbol(const struct mt_elf *module, const char *name);

#endif
