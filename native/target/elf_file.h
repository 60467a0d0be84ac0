/* An ELF file behind a mapping: its build-id, its segments, its symbols. Hostile files are read, not trusted. */
#ifndef MEMTRACE_ELF_FILE_H
#define MEMTRACE_ELF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mt_elf_file;

#define MT_BUILD_ID_MAX 64

struct mt_build_id {
    size_t size; /* 0: none */
    uint8_t bytes[MT_BUILD_ID_MAX];
};

/* Takes over `fd` (closed also on failure). NULL when it is no 64-bit ELF program or library, or memory is out. */
struct mt_elf_file *mt_elf_file_create(int fd);
void mt_elf_file_destroy(struct mt_elf_file *file);
void mt_elf_file_build_id(struct mt_elf_file *file, struct mt_build_id *ret);
/* The build-id of the ELF file whose first `size` bytes these are. */
void mt_build_id_of_image(void *bytes, size_t size, struct mt_build_id *ret);
/* The link-time address of the page-aligned file offset that a mapping starts at; false: no segment has it. */
bool mt_elf_file_address_of(struct mt_elf_file *file, uint64_t offset, uint64_t *ret);

/* Link-time addresses. */
struct mt_elf_range {
    uint64_t address;
    uint64_t size;
};

/* From the first to the last byte that is writable once it is loaded; false: nothing is. */
bool mt_elf_file_writable(struct mt_elf_file *file, struct mt_elf_range *ret);

enum mt_symbol_table { MT_SYMBOLS_DYNAMIC, MT_SYMBOLS_FULL };

/* A defined data or function symbol. */
bool mt_elf_file_find_symbol(struct mt_elf_file *file, enum mt_symbol_table table, const char *name,
                             struct mt_elf_range *ret);
/* A section that is loaded; false: no section has the name, or the file has lost its section headers. */
bool mt_elf_file_find_section(struct mt_elf_file *file, const char *name, struct mt_elf_range *ret);

#endif
