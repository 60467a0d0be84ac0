#define _GNU_SOURCE 1

#include "target/core_writer.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "base/vector.h"
#include "target/proc.h"
#include "target/registers.h"

#define PAGE 4096u
#define PIECE (1u << 20)

/* A line of /proc/PID/smaps and what follows it. */
struct mapping {
    uint64_t start, end, offset;
    bool readable, writable, executable, is_shared, is_file, is_left_out;
    uint64_t own_bytes; /* anonymous: written to, in a private map of a file */
    char *path;         /* "": none */
};

struct core_file {
    struct mt_target *target;
    struct mt_watch *watch;
    int fd;
    MT_VECTOR(struct mapping) mappings;
    struct mt_strbuf notes;
    bool no_memory;
    uint64_t held;
};

/* --- what there is ------------------------------------------------------------------------------------------------
 */

static FILE *open_proc(pid_t pid, const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return fopen(path, "re");
}

static bool read_mappings(struct core_file *core) {
    FILE *file = open_proc(core->target->info.pid, "smaps");
    MT_AUTO_FREE char *line = NULL;
    size_t capacity = 0;
    if (!file)
        return false;
    while (getline(&line, &capacity, file) > 0) {
        struct mapping mapping = {0};
        char permissions[5];
        unsigned long inode;
        uint64_t kilobytes;
        int path = 0;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %lu %n", &mapping.start, &mapping.end,
                   permissions, &mapping.offset, &inode, &path) == 5) {
            mapping.readable = permissions[0] == 'r';
            mapping.writable = permissions[1] == 'w';
            mapping.executable = permissions[2] == 'x';
            mapping.is_shared = permissions[3] == 's';
            line[strcspn(line, "\n")] = '\0';
            mapping.path = strdup(line + path);
            /* Shared anonymous memory looks like a deleted file. */
            mapping.is_file = inode != 0 && strncmp(line + path, "/dev/zero", 9) != 0 &&
                              strncmp(line + path, "/memfd:", 7) != 0 && strncmp(line + path, "/SYSV", 5) != 0;
            mapping.is_left_out = !strcmp(line + path, "[vvar]") || !strcmp(line + path, "[vsyscall]") ||
                                  !strcmp(line + path, "[vvar_vclock]");
            if (!mapping.path || !mt_vector_push(&core->mappings, mapping)) {
                free(mapping.path);
                core->no_memory = true;
            }
        } else if (core->mappings.length > 0) {
            struct mapping *last = &core->mappings.data[core->mappings.length - 1];
            if (sscanf(line, "Anonymous: %" SCNu64, &kilobytes) == 1)
                last->own_bytes = kilobytes * 1024;
            else if (strncmp(line, "VmFlags:", 8) == 0 && (strstr(line, " dd") || strstr(line, " io")))
                last->is_left_out = true; /* MADV_DONTDUMP, devices */
        }
    }
    fclose(file);
    return core->mappings.length > 0;
}

static uint64_t bytes_held(const struct mapping *mapping) {
    if (!mapping->readable || mapping->is_left_out)
        return 0;
    if (!mapping->is_file || (!mapping->is_shared && (mapping->writable || mapping->own_bytes > 0)))
        return mapping->end - mapping->start;
    return mapping->offset == 0 && !mapping->is_shared ? PAGE : 0;
}

/* --- notes --------------------------------------------------------------------------------------------------------
 */

static void add_note(struct core_file *core, uint32_t type, const void *data, size_t size) {
    static const char zeros[4];
    Elf64_Nhdr header = {sizeof "CORE", (Elf64_Word)size, type};
    mt_strbuf_append_bytes(&core->notes, (const char *)&header, sizeof header);
    mt_strbuf_append_bytes(&core->notes, "CORE\0\0\0", 8);
    mt_strbuf_append_bytes(&core->notes, data, size);
    mt_strbuf_append_bytes(&core->notes, zeros, -size & 3);
}

static void add_process(struct core_file *core) {
    pid_t pid = core->target->info.pid;
    struct elf_prpsinfo info = {.pr_sname = 'R', .pr_pid = pid};
    FILE *file = open_proc(pid, "comm");
    if (file && fgets(info.pr_fname, sizeof info.pr_fname, file))
        info.pr_fname[strcspn(info.pr_fname, "\n")] = '\0';
    if (file)
        fclose(file);
    file = open_proc(pid, "cmdline");
    size_t got = file ? fread(info.pr_psargs, 1, sizeof info.pr_psargs - 1, file) : 0;
    for (size_t i = 0; i + 1 < got; i++)
        if (info.pr_psargs[i] == '\0')
            info.pr_psargs[i] = ' ';
    if (file)
        fclose(file);
    add_note(core, NT_PRPSINFO, &info, sizeof info);
}

static struct mt_error *add_threads(struct core_file *core) {
    mt_pids tids = {0};
    struct mt_error *error = mt_proc_threads(core->target->info.pid, &tids);
    for (size_t i = 0; i < tids.length && !error; i++) {
        struct elf_prstatus status = {.pr_pid = tids.data[i]};
        struct mt_registers registers;
        if (!mt_target_registers(core->target, (uint64_t)tids.data[i], &registers))
            continue;
        if (registers.count * sizeof registers.words[0] == sizeof status.pr_reg)
            memcpy(&status.pr_reg, registers.words, sizeof status.pr_reg);
        add_note(core, NT_PRSTATUS, &status, sizeof status);
        if (i == 0)
            add_process(core);
    }
    mt_vector_deinit(&tids);
    return error;
}

static void add_auxiliary(struct core_file *core) {
    char data[4096];
    FILE *file = open_proc(core->target->info.pid, "auxv");
    size_t got = file ? fread(data, 1, sizeof data, file) : 0;
    if (file)
        fclose(file);
    add_note(core, NT_AUXV, data, got);
}

static void add_files(struct core_file *core) {
    struct mt_strbuf out = MT_STRBUF_INIT;
    uint64_t head[2] = {0, PAGE};
    for (size_t i = 0; i < core->mappings.length; i++)
        head[0] += core->mappings.data[i].is_file;
    mt_strbuf_append_bytes(&out, (const char *)head, sizeof head);
    for (size_t i = 0; i < core->mappings.length; i++) {
        const struct mapping *mapping = &core->mappings.data[i];
        uint64_t entry[3] = {mapping->start, mapping->end, mapping->offset / PAGE};
        if (mapping->is_file)
            mt_strbuf_append_bytes(&out, (const char *)entry, sizeof entry);
    }
    for (size_t i = 0; i < core->mappings.length; i++)
        if (core->mappings.data[i].is_file)
            mt_strbuf_append_bytes(&out, core->mappings.data[i].path, strlen(core->mappings.data[i].path) + 1);
    if (out.failed)
        core->no_memory = true;
    else
        add_note(core, NT_FILE, out.data, out.length);
    mt_strbuf_deinit(&out);
}

/* --- the file -----------------------------------------------------------------------------------------------------
 */

static bool put(int fd, const void *data, size_t size, uint64_t offset) {
    for (const char *at = data; size > 0;) {
        ssize_t done = pwrite(fd, at, size, (off_t)offset);
        if (done < 0 && errno != EINTR)
            return false;
        at += done > 0 ? done : 0;
        size -= (size_t)(done > 0 ? done : 0);
        offset += (uint64_t)(done > 0 ? done : 0);
    }
    return true;
}

static bool is_zero(const char *page) {
    static const char zeros[PAGE];
    return memcmp(page, zeros, PAGE) == 0;
}

/* Pages of zeros are left to be holes; what can't be read as well. */
static struct mt_error *copy_memory(struct core_file *core, const struct mapping *mapping, uint64_t size, char *piece,
                                    uint64_t offset) {
    for (uint64_t done = 0; done < size; done += PIECE) {
        struct mt_error *error = mt_watch_poll(core->watch, "writing the core");
        if (error)
            return error;
        size_t wanted = size - done < PIECE ? (size_t)(size - done) : PIECE;
        memset(piece, 0, wanted);
        for (size_t got, at = 0; at < wanted; at += got) {
            got = core->target->ops->read(core->target, mapping->start + done + at, piece + at, wanted - at);
            if (got == 0)
                got = PAGE - at % PAGE;
        }
        for (size_t first = 0, end; first < wanted; first = end) {
            end = first + PAGE;
            bool hole = is_zero(piece + first);
            while (end < wanted && is_zero(piece + end) == hole)
                end += PAGE;
            if (!hole && !put(core->fd, piece + first, end - first, offset + done + first))
                return mt_error_system(errno, "can't write the core");
        }
    }
    return NULL;
}

static void fill_header(Elf64_Ehdr *ret, size_t segments, uint64_t section_offset) {
    *ret = (Elf64_Ehdr){.e_type = ET_CORE,
                        .e_machine = EM_X86_64,
                        .e_version = EV_CURRENT,
                        .e_phoff = sizeof *ret,
                        .e_ehsize = sizeof *ret,
                        .e_phentsize = sizeof(Elf64_Phdr),
                        .e_phnum = (Elf64_Half)(segments < PN_XNUM ? segments : PN_XNUM)};
    memcpy(ret->e_ident, ELFMAG, SELFMAG);
    ret->e_ident[EI_CLASS] = ELFCLASS64;
    ret->e_ident[EI_DATA] = ELFDATA2LSB;
    ret->e_ident[EI_VERSION] = EV_CURRENT;
    if (segments >= PN_XNUM) { /* the true number stands in the one section */
        ret->e_shoff = section_offset;
        ret->e_shentsize = sizeof(Elf64_Shdr);
        ret->e_shnum = 1;
    }
}

static uint64_t round_up(uint64_t value) {
    return (value + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

static struct mt_error *write_file(struct core_file *core) {
    size_t count = core->mappings.length, segments = count + 1;
    uint64_t headers = sizeof(Elf64_Ehdr), notes = headers + segments * sizeof(Elf64_Phdr) + sizeof(Elf64_Shdr);
    uint64_t offset = round_up(notes + core->notes.length);
    MT_AUTO_FREE Elf64_Phdr *table = calloc(segments, sizeof *table);
    MT_AUTO_FREE char *piece = malloc(PIECE);
    if (!table || !piece)
        return &mt_error_no_memory;
    Elf64_Ehdr header;
    fill_header(&header, segments, notes - sizeof(Elf64_Shdr));
    table[0] = (Elf64_Phdr){.p_type = PT_NOTE, .p_offset = notes, .p_filesz = core->notes.length, .p_align = 4};
    for (size_t i = 0; i < count; i++) {
        const struct mapping *mapping = &core->mappings.data[i];
        uint64_t size = bytes_held(mapping);
        table[i + 1] = (Elf64_Phdr){
            .p_type = PT_LOAD,
            .p_flags =
                (mapping->readable ? PF_R : 0u) | (mapping->writable ? PF_W : 0u) | (mapping->executable ? PF_X : 0u),
            .p_offset = offset,
            .p_vaddr = mapping->start,
            .p_filesz = size,
            .p_memsz = mapping->end - mapping->start,
            .p_align = PAGE,
        };
        struct mt_error *error = copy_memory(core, mapping, size, piece, offset);
        if (error)
            return error;
        offset += size;
        core->held += size;
    }
    Elf64_Shdr section = {.sh_info = (Elf64_Word)segments};
    if (ftruncate(core->fd, (off_t)offset) || !put(core->fd, &header, sizeof header, 0) ||
        !put(core->fd, table, segments * sizeof *table, headers) ||
        !put(core->fd, &section, sizeof section, notes - sizeof section) ||
        !put(core->fd, core->notes.data, core->notes.length, notes))
        return mt_error_system(errno, "can't write the core");
    return NULL;
}

static struct mt_error *collect(struct core_file *core) {
    if (!read_mappings(core))
        return mt_proc_permission_error(core->target->info.pid);
    struct mt_error *error = add_threads(core);
    if (error)
        return error;
    add_auxiliary(core);
    add_files(core);
    return core->no_memory || core->notes.failed ? &mt_error_no_memory : NULL;
}

struct mt_error *mt_core_write(struct mt_target *target, const char *path, struct mt_watch *watch,
                               uint64_t *ret_bytes) {
    if (target->info.kind != MT_TARGET_LIVE || target->info.pid <= 0)
        return mt_error_create(MT_ERROR_UNSUPPORTED, "only of a process of this machine a core can be written");
    struct core_file core = {.target = target, .watch = watch};
    struct mt_error *error = collect(&core);
    core.fd = error ? -1 : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600);
    if (!error && core.fd < 0)
        error = mt_error_system(errno, "can't write %s", path);
    if (!error)
        error = write_file(&core);
    if (core.fd >= 0 && close(core.fd) && !error)
        error = mt_error_system(errno, "can't write %s", path);
    struct stat status;
    if (core.fd >= 0 && error && stat(path, &status) == 0 && S_ISREG(status.st_mode))
        unlink(path);
    for (size_t i = 0; i < core.mappings.length; i++)
        free(core.mappings.data[i].path);
    mt_vector_deinit(&core.mappings);
    mt_strbuf_deinit(&core.notes);
    if (!error)
        *ret_bytes = core.held;
    return error;
}
