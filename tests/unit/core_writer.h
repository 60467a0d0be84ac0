/* Writes core files as a test wants them, byte by byte: right ones and wrong ones. */
#ifndef MEMTRACE_TESTS_CORE_WRITER_H
#define MEMTRACE_TESTS_CORE_WRITER_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"

#define CORE_WRITER_LOADS_MAX 16

struct core_writer {
    struct mt_strbuf notes;
    struct {
        uint64_t address;
        const void *bytes;
        uint64_t held; /* bytes of it that are in the file */
        uint64_t size;
        uint32_t flags; /* PF_R ... */
    } loads[CORE_WRITER_LOADS_MAX];
    size_t load_count;
    bool extended_count; /* write the number of program headers as cores with more than 65,534 of them do */
};

struct core_file_entry {
    uint64_t start, end, page;
    const char *path;
};

void core_writer_add_load(struct core_writer *writer, uint64_t address, const void *bytes, uint64_t held, uint64_t size,
                          uint32_t flags);
void core_writer_add_note(struct core_writer *writer, const char *name, uint32_t type, const void *data, size_t size);
void core_writer_add_status(struct core_writer *writer, int pid, int signal_number);
void core_writer_add_process(struct core_writer *writer, int pid);
void core_writer_add_files(struct core_writer *writer, const struct core_file_entry *entries, size_t count);
void core_writer_add_auxiliary(struct core_writer *writer, uint64_t program_headers, uint64_t entry);
/* The whole file, malloc'ed; empties the writer. */
uint8_t *core_writer_finish(struct core_writer *writer, size_t *ret_size);

#endif
