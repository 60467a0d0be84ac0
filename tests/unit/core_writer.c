#include "core_writer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>

#include "unit.h"

#define PAGE 4096

void core_writer_add_load(struct core_writer *writer, uint64_t address, const void *bytes, uint64_t held, uint64_t size,
                          uint32_t flags) {
    assert_true(writer->load_count < CORE_WRITER_LOADS_MAX);
    size_t i = writer->load_count++;
    writer->loads[i].address = address;
    writer->loads[i].bytes = bytes;
    writer->loads[i].held = held;
    writer->loads[i].size = size;
    writer->loads[i].flags = flags;
}

static void pad(struct mt_strbuf *buffer, size_t alignment) {
    while (buffer->length % alignment)
        mt_strbuf_append_char(buffer, '\0');
}

void core_writer_add_note(struct core_writer *writer, const char *name, uint32_t type, const void *data, size_t size) {
    Elf64_Nhdr header = {(uint32_t)strlen(name) + 1, (uint32_t)size, type};
    mt_strbuf_append_bytes(&writer->notes, &header, sizeof(header));
    mt_strbuf_append_bytes(&writer->notes, name, header.n_namesz);
    pad(&writer->notes, 4);
    mt_strbuf_append_bytes(&writer->notes, data, size);
    pad(&writer->notes, 4);
}

void core_writer_add_status(struct core_writer *writer, int pid, int signal_number) {
    struct elf_prstatus status = {.pr_pid = pid, .pr_cursig = (short)signal_number};
    core_writer_add_note(writer, "CORE", NT_PRSTATUS, &status, sizeof(status));
}

void core_writer_add_process(struct core_writer *writer, int pid) {
    struct elf_prpsinfo process = {.pr_pid = pid};
    core_writer_add_note(writer, "CORE", NT_PRPSINFO, &process, sizeof(process));
}

void core_writer_add_files(struct core_writer *writer, const struct core_file_entry *entries, size_t count) {
    struct mt_strbuf data = MT_STRBUF_INIT;
    uint64_t head[2] = {count, PAGE};
    mt_strbuf_append_bytes(&data, head, sizeof(head));
    for (size_t i = 0; i < count; i++)
        mt_strbuf_append_bytes(&data, &entries[i], 3 * sizeof(uint64_t));
    for (size_t i = 0; i < count; i++)
        mt_strbuf_append_bytes(&data, entries[i].path, strlen(entries[i].path) + 1);
    core_writer_add_note(writer, "CORE", NT_FILE, data.data, data.length);
    mt_strbuf_deinit(&data);
}

void core_writer_add_auxiliary(struct core_writer *writer, uint64_t program_headers, uint64_t entry) {
    Elf64_auxv_t vector[] = {{.a_type = AT_PHDR, .a_un.a_val = program_headers},
                             {.a_type = AT_ENTRY, .a_un.a_val = entry},
                             {.a_type = AT_NULL}};
    core_writer_add_note(writer, "CORE", NT_AUXV, vector, sizeof(vector));
}

uint8_t *core_writer_finish(struct core_writer *writer, size_t *ret_size) {
    struct mt_strbuf file = MT_STRBUF_INIT;
    size_t count = writer->load_count + 1;
    Elf64_Ehdr header = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_CORE,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_ehsize = sizeof(header),
        .e_phoff = sizeof(header),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = writer->extended_count ? PN_XNUM : (uint16_t)count,
        .e_shoff = writer->extended_count ? sizeof(header) + count * sizeof(Elf64_Phdr) : 0,
        .e_shentsize = writer->extended_count ? sizeof(Elf64_Shdr) : 0,
        .e_shnum = writer->extended_count,
    };
    Elf64_Shdr section = {.sh_size = 1, .sh_info = (uint32_t)count};
    size_t offset = sizeof(header) + count * sizeof(Elf64_Phdr) + sizeof(section);
    Elf64_Phdr notes = {.p_type = PT_NOTE, .p_offset = offset, .p_filesz = writer->notes.length};
    offset = (offset + writer->notes.length + PAGE - 1) / PAGE * PAGE;
    mt_strbuf_append_bytes(&file, &header, sizeof(header));
    mt_strbuf_append_bytes(&file, &notes, sizeof(notes));
    for (size_t i = 0; i < writer->load_count; i++) {
        Elf64_Phdr load = {
            .p_type = PT_LOAD,
            .p_flags = writer->loads[i].flags,
            .p_offset = offset,
            .p_vaddr = writer->loads[i].address,
            .p_filesz = writer->loads[i].held,
            .p_memsz = writer->loads[i].size,
            .p_align = PAGE,
        };
        mt_strbuf_append_bytes(&file, &load, sizeof(load));
        offset += writer->loads[i].held;
    }
    mt_strbuf_append_bytes(&file, &section, sizeof(section));
    mt_strbuf_append_bytes(&file, writer->notes.data, writer->notes.length);
    pad(&file, PAGE);
    for (size_t i = 0; i < writer->load_count; i++)
        mt_strbuf_append_bytes(&file, writer->loads[i].bytes, writer->loads[i].held);
    mt_strbuf_deinit(&writer->notes);
    *writer = (struct core_writer){0};
    *ret_size = file.length;
    char *bytes = mt_strbuf_steal(&file);
    assert_non_null(bytes);
    return (uint8_t *)bytes;
}
