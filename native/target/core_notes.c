#include "target/core_notes.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>

#include "base/cleanup.h"
#include "target/file.h"

/* The list of mapped files is the only long note that we read: 65,530 mappings with long paths are some 20 MB. */
#define NOTE_SIZE_MAX (256u << 20)
#define NOTE_COUNT_MAX (1u << 22)

/* How far the reading has come. Kernel and debuggers write the same notes, in different order: that tells them apart.
 */
struct progress {
    unsigned notes;
    bool status_first;
    bool by_kernel;
    bool has_signal;
};

void mt_core_notes_deinit(struct mt_core_notes *notes) {
    mt_regions_deinit(&notes->files);
    mt_vector_deinit(&notes->threads);
}

/* NT_FILE: count, page size, count x (start, end, offset in pages), then count paths. */
static struct mt_error *read_files(struct mt_core_notes *notes, const char *data, size_t size) {
    uint64_t head[2], entry[3];
    if (size < sizeof(head))
        return NULL;
    memcpy(head, data, sizeof(head));
    if (head[0] > (size - sizeof(head)) / (sizeof(entry) + 1))
        return NULL;
    const char *path = data + sizeof(head) + head[0] * sizeof(entry), *end = data + size;
    for (uint64_t i = 0; i < head[0] && path < end; i++) {
        memcpy(entry, data + sizeof(head) + i * sizeof(entry), sizeof(entry));
        size_t length = strnlen(path, (size_t)(end - path));
        struct mt_region region = {.start = entry[0], .end = entry[1], .readable = true, .path = path};
        if (!__builtin_mul_overflow(entry[2], head[1], &region.file_offset) && length) {
            struct mt_error *error = mt_regions_add(&notes->files, region, length);
            if (error)
                return error;
        }
        path += length + 1;
    }
    return NULL;
}

static void read_auxiliary(struct mt_core_notes *notes, const char *data, size_t size) {
    for (size_t at = 0; at + sizeof(Elf64_auxv_t) <= size; at += sizeof(Elf64_auxv_t)) {
        Elf64_auxv_t entry;
        memcpy(&entry, data + at, sizeof(entry));
        if (entry.a_type == AT_PHDR)
            notes->program_headers = entry.a_un.a_val;
        else if (entry.a_type == AT_ENTRY)
            notes->entry = entry.a_un.a_val;
    }
}

static void read_status(struct mt_core_notes *notes, struct progress *progress, const char *data, size_t size) {
    struct elf_prstatus status;
    if (size < offsetof(struct elf_prstatus, pr_reg))
        return;
    memset(&status, 0, sizeof(status));
    memcpy(&status, data, size < sizeof(status) ? size : sizeof(status));
    if (!notes->pid)
        notes->pid = status.pr_pid;
    if (!progress->has_signal && status.pr_cursig > 0 && status.pr_cursig < 128)
        notes->signal = status.pr_cursig;
    struct mt_core_thread thread;
    if (mt_registers_of_status(data, size, &thread.tid, &thread.registers))
        mt_vector_push(&notes->threads, thread); /* without memory for it, its registers stay unknown */
    progress->has_signal = true;                 /* the first thread's: it is the one that died */
}

static void read_process(struct mt_core_notes *notes, const char *data, size_t size) {
    struct elf_prpsinfo process;
    if (size < sizeof(process))
        return;
    memcpy(&process, data, sizeof(process));
    if (process.pr_pid > 0)
        notes->pid = process.pr_pid;
}

static bool is_wanted(uint32_t type) {
    return type == NT_PRSTATUS || type == NT_PRPSINFO || type == NT_AUXV || type == NT_FILE || type == NT_SIGINFO;
}

static struct mt_error *read_note(struct mt_core_notes *notes, struct progress *progress, uint32_t type,
                                  const char *data, size_t size) {
    /* The kernel begins with the dead thread's status and the process; gdb with the process. */
    if (++progress->notes == 1)
        progress->status_first = type == NT_PRSTATUS;
    else if (progress->notes == 2)
        progress->by_kernel = progress->status_first && type == NT_PRPSINFO;
    switch (type) {
    case NT_PRSTATUS:
        read_status(notes, progress, data, size);
        break;
    case NT_PRPSINFO:
        read_process(notes, data, size);
        break;
    case NT_AUXV:
        read_auxiliary(notes, data, size);
        break;
    case NT_SIGINFO:
        if (size >= sizeof(int) && !notes->signal)
            memcpy(&notes->signal, data, sizeof(int));
        break;
    case NT_FILE:
        return read_files(notes, data, size);
    default:
        break;
    }
    return NULL;
}

static uint64_t padded(uint64_t size) {
    return (size + 3) & ~3ULL;
}

struct mt_error *mt_core_notes_read(struct mt_core_notes *notes, int fd, uint64_t offset, uint64_t size) {
    struct progress progress = {0};
    int signal_before = notes->signal;
    Elf64_Nhdr header;
    for (unsigned i = 0; i < NOTE_COUNT_MAX && size >= sizeof(header); i++) {
        if (mt_read_file(fd, offset, &header, sizeof(header)) != sizeof(header))
            break;
        uint64_t name_size = padded(header.n_namesz), data_size = padded(header.n_descsz);
        uint64_t whole = sizeof(header) + name_size + data_size;
        char name[8] = "";
        mt_read_file(fd, offset + sizeof(header), name, header.n_namesz < 7 ? header.n_namesz : 7);
        /* The last note may lack its padding. */
        if (sizeof(header) + name_size + header.n_descsz > size)
            break;
        if (!strcmp(name, "CORE") && is_wanted(header.n_type) && header.n_descsz <= NOTE_SIZE_MAX) {
            MT_AUTO_FREE char *data = malloc((size_t)header.n_descsz + 1);
            if (!data)
                return &mt_error_no_memory;
            if (mt_read_file(fd, offset + sizeof(header) + name_size, data, header.n_descsz) != header.n_descsz)
                break;
            struct mt_error *error = read_note(notes, &progress, header.n_type, data, header.n_descsz);
            if (error)
                return error;
        }
        if (whole >= size)
            break;
        offset += whole;
        size -= whole;
    }
    if (!progress.by_kernel || notes->signal < 0 || notes->signal >= 128)
        notes->signal = signal_before;
    return NULL;
}
