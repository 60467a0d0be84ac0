#include "target/elf_file.h"

#include <elfutils/libdwelf.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE_MASK 0xfffULL

struct mt_elf_file {
    int fd;
    Elf *elf;
};

struct mt_elf_file *mt_elf_file_create(int fd) {
    elf_version(EV_CURRENT);
    struct mt_elf_file *file = calloc(1, sizeof(*file));
    /* Not mapped: a file that shrinks under a mapping would kill the debugger that we live in. */
    Elf *elf = file ? elf_begin(fd, ELF_C_READ, NULL) : NULL;
    GElf_Ehdr header;
    if (!elf || elf_kind(elf) != ELF_K_ELF || gelf_getclass(elf) != ELFCLASS64 || !gelf_getehdr(elf, &header) ||
        (header.e_type != ET_EXEC && header.e_type != ET_DYN)) {
        elf_end(elf);
        free(file);
        close(fd);
        return NULL;
    }
    *file = (struct mt_elf_file){fd, elf};
    return file;
}

void mt_elf_file_destroy(struct mt_elf_file *file) {
    if (!file)
        return;
    elf_end(file->elf);
    close(file->fd);
    free(file);
}

static void build_id_of(Elf *elf, struct mt_build_id *ret) {
    const void *bytes;
    ssize_t size = elf ? dwelf_elf_gnu_build_id(elf, &bytes) : 0;
    ret->size = size > 0 && size <= MT_BUILD_ID_MAX ? (size_t)size : 0;
    if (ret->size)
        memcpy(ret->bytes, bytes, ret->size);
}

void mt_elf_file_build_id(struct mt_elf_file *file, struct mt_build_id *ret) {
    build_id_of(file->elf, ret);
}

void mt_build_id_of_image(void *bytes, size_t size, struct mt_build_id *ret) {
    elf_version(EV_CURRENT);
    Elf *elf = elf_memory(bytes, size);
    build_id_of(elf, ret);
    elf_end(elf);
}

bool mt_elf_file_address_of(struct mt_elf_file *file, uint64_t offset, uint64_t *ret) {
    size_t count;
    if (elf_getphdrnum(file->elf, &count))
        return false;
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr segment;
        if (!gelf_getphdr(file->elf, (int)i, &segment) || segment.p_type != PT_LOAD)
            continue;
        uint64_t start = segment.p_offset & ~PAGE_MASK;
        if (offset >= start && offset - start < segment.p_filesz + (segment.p_offset - start)) {
            *ret = (segment.p_vaddr & ~PAGE_MASK) + (offset - start);
            return true;
        }
    }
    return false;
}

bool mt_elf_file_writable(struct mt_elf_file *file, struct mt_elf_range *ret) {
    size_t count;
    uint64_t start = UINT64_MAX, end = 0;
    if (elf_getphdrnum(file->elf, &count))
        return false;
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr segment;
        if (!gelf_getphdr(file->elf, (int)i, &segment) || segment.p_type != PT_LOAD || !(segment.p_flags & PF_W) ||
            segment.p_memsz > UINT64_MAX - segment.p_vaddr)
            continue;
        start = segment.p_vaddr < start ? segment.p_vaddr : start;
        end = segment.p_vaddr + segment.p_memsz > end ? segment.p_vaddr + segment.p_memsz : end;
    }
    if (start >= end)
        return false;
    *ret = (struct mt_elf_range){start, end - start};
    return true;
}

static bool find_in_section(Elf *elf, Elf_Scn *section, const GElf_Shdr *header, const char *name,
                            struct mt_elf_range *ret) {
    Elf_Data *data = elf_getdata(section, NULL);
    if (!data || !header->sh_entsize)
        return false;
    size_t count = data->d_size / sizeof(Elf64_Sym);
    for (size_t i = 0; i < count; i++) {
        GElf_Sym symbol;
        if (!gelf_getsym(data, (int)i, &symbol) || symbol.st_shndx == SHN_UNDEF)
            continue;
        unsigned type = GELF_ST_TYPE(symbol.st_info);
        if (type != STT_OBJECT && type != STT_FUNC && type != STT_NOTYPE)
            continue;
        const char *found = elf_strptr(elf, header->sh_link, symbol.st_name);
        if (found && !strcmp(found, name)) {
            *ret = (struct mt_elf_range){symbol.st_value, symbol.st_size};
            return true;
        }
    }
    return false;
}

bool mt_elf_file_find_symbol(struct mt_elf_file *file, enum mt_symbol_table table, const char *name,
                             struct mt_elf_range *ret) {
    Elf_Scn *section = NULL;
    while ((section = elf_nextscn(file->elf, section))) {
        GElf_Shdr header;
        if (gelf_getshdr(section, &header) &&
            header.sh_type == (table == MT_SYMBOLS_DYNAMIC ? SHT_DYNSYM : SHT_SYMTAB) &&
            find_in_section(file->elf, section, &header, name, ret))
            return true;
    }
    return false;
}

bool mt_elf_file_find_section(struct mt_elf_file *file, const char *name, struct mt_elf_range *ret) {
    Elf_Scn *section = NULL;
    size_t names;
    if (elf_getshdrstrndx(file->elf, &names))
        return false;
    while ((section = elf_nextscn(file->elf, section))) {
        GElf_Shdr header;
        const char *found = gelf_getshdr(section, &header) ? elf_strptr(file->elf, names, header.sh_name) : NULL;
        if (found && header.sh_flags & SHF_ALLOC && !strcmp(found, name)) {
            *ret = (struct mt_elf_range){header.sh_addr, header.sh_size};
            return true;
        }
    }
    return false;
}
