#include <errno.h>
#include <gelf.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/hash_map.h"
#include "base/vector.h"
#include "target/core_notes.h"
#include "target/elf_file.h"
#include "target/file.h"
#include "target/module_symbols.h"
#include "target/target.h"

/* A library's headers and build-id lie in its first pages. */
#define HEADER_BYTES 4096
/* A file that was mapped into the process. */
struct mapped_file {
    bool looked_for;
    int fd; /* -1: not to be had, or it is another build */
};

struct core_target {
    struct mt_target base;
    int fd;
    uint64_t size;
    char *path;
    char *executable_given; /* by the user; NULL */
    const char *executable_mapped;
    struct mt_core_notes notes;
    struct mt_regions held;   /* what the core has the bytes of; file_offset is an offset in the core */
    struct mt_regions loads;  /* what the core describes, held or not; `held` of each counts from its start */
    struct mt_regions mapped; /* the same with the files' paths: the regions that readers see */
    MT_VECTOR(struct mapped_file) files;
    struct mt_hash_map file_of_path; /* address of a path in notes.files -> index into files */
};

static struct core_target *core_of(struct mt_target *target) {
    return (struct core_target *)target;
}

/* --- files behind the mappings ----------------------------------------------------------------------------------- */

static size_t read_held(struct core_target *core, uint64_t address, void *buffer, size_t size) {
    const struct mt_region *held = mt_region_of(core->held.data, core->held.length, address);
    if (!held)
        return 0;
    if (held->end - address < size)
        size = (size_t)(held->end - address);
    return mt_read_file(core->fd, held->file_offset + (address - held->start), buffer, size);
}

/* The build-id of the file at `path`, from the copy of its first page in the core. */
static void held_build_id(struct core_target *core, const char *path, struct mt_build_id *ret) {
    ret->size = 0;
    for (size_t i = 0; i < core->notes.files.length; i++) {
        const struct mt_region *file = &core->notes.files.data[i];
        if (file->path != path || file->file_offset)
            continue;
        _Alignas(8) uint8_t page[HEADER_BYTES];
        size_t got = read_held(core, file->start, page, sizeof(page));
        if (got > sizeof(Elf64_Ehdr))
            mt_build_id_of_image(page, got, ret);
        return;
    }
}

/* False only when both builds are known and differ. */
static bool is_same_build(struct core_target *core, const char *path, int fd) {
    struct mt_build_id held, found;
    held_build_id(core, path, &held);
    if (!held.size)
        return true;
    struct mt_elf_file *file = mt_elf_file_create(dup(fd));
    if (!file)
        return false;
    mt_elf_file_build_id(file, &found);
    mt_elf_file_destroy(file);
    return !found.size || (found.size == held.size && !memcmp(found.bytes, held.bytes, held.size));
}

static int open_same_build(struct core_target *core, const char *mapped_path, const char *path) {
    int fd = mt_open_file(path);
    if (fd >= 0 && !is_same_build(core, mapped_path, fd)) {
        close(fd);
        return -1;
    }
    return fd;
}

static int open_beside(struct core_target *core, const char *mapped_path, const char *neighbour) {
    char path[PATH_MAX];
    const char *name = strrchr(mapped_path, '/'), *end = neighbour ? strrchr(neighbour, '/') : NULL;
    if (!neighbour || !name)
        return -1;
    int directory = end ? (int)(end - neighbour) : 1;
    int length = snprintf(path, sizeof(path), "%.*s%s", directory, end ? neighbour : ".", name);
    return length < (int)sizeof(path) ? open_same_build(core, mapped_path, path) : -1;
}

/* Where it was mapped from, else beside the program that the user gave, else beside the core. */
static int find_file(struct core_target *core, const char *path) {
    if (core->executable_given && path == core->executable_mapped)
        return open_same_build(core, path, core->executable_given);
    int fd = open_same_build(core, path, path);
    if (fd < 0)
        fd = open_beside(core, path, core->executable_given);
    return fd >= 0 ? fd : open_beside(core, path, core->path);
}

/* The file descriptor behind a region, kept for the next time; -1: not to be had. */
static int file_of(struct core_target *core, const char *path) {
    bool is_new;
    uint64_t *index =
        mt_hash_map_find_or_insert(&core->file_of_path, (uint64_t)(uintptr_t)path, core->files.length, &is_new);
    if (!index)
        return -1;
    if (is_new && !mt_vector_push(&core->files, ((struct mapped_file){.fd = -1}))) {
        *index = UINT64_MAX;
        return -1;
    }
    if (*index >= core->files.length)
        return -1;
    struct mapped_file *file = &core->files.data[*index];
    if (!file->looked_for) {
        file->looked_for = true;
        file->fd = find_file(core, path);
    }
    return file->fd;
}

/* --- reading -------------------------------------------------------------------------------------------------------
 */

static size_t core_read(struct mt_target *target, uint64_t address, void *buffer, size_t size) {
    struct core_target *core = core_of(target);
    size_t got = read_held(core, address, buffer, size);
    if (got)
        return got;
    const struct mt_region *region = mt_region_of(core->mapped.data, core->mapped.length, address);
    if (!region || !region->path || region->path[0] != '/')
        return 0;
    uint64_t end = region->end;
    size_t next = mt_region_at_or_above(core->held.data, core->held.length, address);
    if (next < core->held.length && core->held.data[next].start > address && core->held.data[next].start < end)
        end = core->held.data[next].start;
    if (end - address < size)
        size = (size_t)(end - address);
    int fd = file_of(core, region->path);
    return fd < 0 ? 0 : mt_read_file(fd, region->file_offset + (address - region->start), buffer, size);
}

static int core_open_module(void *context, const struct mt_region *region) {
    return find_file(context, region->path);
}

static int core_open_file(struct mt_target *target, const struct mt_region *region) {
    return core_open_module(target, region);
}

static bool core_find_symbol(struct mt_target *target, const char *name, uint64_t *ret) {
    struct core_target *core = core_of(target);
    return mt_module_symbols_find(core->mapped.data, core->mapped.length, core_open_module, core, name, ret);
}

static bool core_registers(struct mt_target *target, uint64_t tid, struct mt_registers *ret) {
    const struct mt_core_notes *notes = &core_of(target)->notes;
    for (size_t i = 0; i < notes->threads.length; i++) {
        if ((uint64_t)notes->threads.data[i].tid == tid) {
            *ret = notes->threads.data[i].registers;
            return true;
        }
    }
    return false;
}

static void core_destroy(struct mt_target *target) {
    struct core_target *core = core_of(target);
    for (size_t i = 0; i < core->files.length; i++)
        if (core->files.data[i].fd >= 0)
            close(core->files.data[i].fd);
    mt_vector_deinit(&core->files);
    mt_hash_map_deinit(&core->file_of_path);
    mt_regions_deinit(&core->held);
    mt_regions_deinit(&core->loads);
    mt_regions_deinit(&core->mapped);
    mt_core_notes_deinit(&core->notes);
    if (core->fd >= 0)
        close(core->fd);
    free(core->path);
    free(core->executable_given);
    free(core);
}

static const struct mt_target_ops core_ops = {
    .read = core_read,
    .find_symbol = core_find_symbol,
    .open_file = core_open_file,
    .registers = core_registers,
    .destroy = core_destroy,
};

/* --- opening -------------------------------------------------------------------------------------------------------
 */

static struct mt_error *add_load(struct core_target *core, const GElf_Phdr *segment) {
    struct mt_region region = {
        .start = segment->p_vaddr,
        .readable = segment->p_flags & PF_R,
        .writable = segment->p_flags & PF_W,
        .executable = segment->p_flags & PF_X,
    };
    if (__builtin_add_overflow(segment->p_vaddr, segment->p_memsz, &region.end))
        return NULL;
    uint64_t promised = segment->p_filesz < segment->p_memsz ? segment->p_filesz : segment->p_memsz;
    uint64_t available = segment->p_offset < core->size ? core->size - segment->p_offset : 0;
    region.held = promised < available ? promised : available;
    core->base.info.missing_bytes += promised - region.held;
    struct mt_region held = region;
    held.end = region.start + region.held;
    held.file_offset = segment->p_offset;
    struct mt_error *error = mt_regions_add(&core->held, held, 0);
    return error ? error : mt_regions_add(&core->loads, region, 0);
}

static struct mt_error *check_header(struct core_target *core, Elf *elf) {
    GElf_Ehdr header;
    if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header))
        return mt_error_create(MT_ERROR_FORMAT, "%s is not a core file: not ELF (if it is compressed, unpack it first)",
                               core->path);
    if (gelf_getclass(elf) != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != EM_X86_64)
        return mt_error_create(
            MT_ERROR_FORMAT, "%s is of another kind of machine (ELF machine %u, %s): only x86-64 can be read",
            core->path, (unsigned)header.e_machine, gelf_getclass(elf) == ELFCLASS64 ? "64 bit" : "32 bit");
    if (header.e_type != ET_CORE)
        return mt_error_create(MT_ERROR_FORMAT, "%s is not a core file: it is a program or library (give it as --exe)",
                               core->path);
    return NULL;
}

static struct mt_error *read_segments(struct core_target *core, Elf *elf) {
    size_t count;
    if (elf_getphdrnum(elf, &count) || !count)
        return mt_error_create(MT_ERROR_FORMAT, "%s holds no memory: its program headers are missing or cut short",
                               core->path);
    struct mt_error *error = NULL;
    for (size_t i = 0; i < count && !error; i++) {
        GElf_Phdr segment;
        if (!gelf_getphdr(elf, (int)i, &segment))
            return mt_error_create(MT_ERROR_FORMAT, "%s is cut short: %zu of its %zu program headers are there",
                                   core->path, i, count);
        if (segment.p_type == PT_LOAD)
            error = add_load(core, &segment);
        else if (segment.p_type == PT_NOTE)
            error = mt_core_notes_read(&core->notes, core->fd, segment.p_offset, segment.p_filesz);
    }
    return error;
}

static struct mt_error *add_piece(struct core_target *core, const struct mt_region *load, uint64_t start, uint64_t end,
                                  const struct mt_region *file) {
    struct mt_region piece = load ? *load : *file;
    piece.start = start;
    piece.end = end;
    piece.held = 0;
    if (load && load->start + load->held > start)
        piece.held = (load->start + load->held < end ? load->start + load->held : end) - start;
    piece.path = NULL;
    piece.file_offset = 0;
    if (file)
        piece.file_offset = file->file_offset + (start - file->start);
    struct mt_error *error = mt_regions_add(&core->mapped, piece, 0);
    /* The path stays the note's own string, whose address stands for the file. */
    if (!error && file && start < end)
        core->mapped.data[core->mapped.length - 1].path = file->path;
    return error;
}

/* Lays the list of files over the list of segments: debuggers join neighbours and leave files out, the kernel does not.
 */
static struct mt_error *join_files(struct core_target *core) {
    const struct mt_region *files = core->notes.files.data, *loads = core->loads.data;
    size_t file_count = core->notes.files.length, load_count = core->loads.length;
    struct mt_error *error = NULL;
    for (size_t i = 0, f = 0; i < load_count && !error; i++) {
        for (uint64_t at = loads[i].start; at < loads[i].end && !error;) {
            while (f < file_count && files[f].end <= at)
                f++;
            bool inside = f < file_count && files[f].start <= at;
            uint64_t end = loads[i].end;
            if (f < file_count && (inside ? files[f].end : files[f].start) < end)
                end = inside ? files[f].end : files[f].start;
            error = add_piece(core, &loads[i], at, end, inside ? &files[f] : NULL);
            at = end;
        }
    }
    for (size_t f = 0, i = 0; f < file_count && !error; f++) {
        for (uint64_t at = files[f].start; at < files[f].end && !error;) {
            while (i < load_count && loads[i].end <= at)
                i++;
            bool described = i < load_count && loads[i].start <= at;
            uint64_t end = files[f].end;
            if (i < load_count && (described ? loads[i].end : loads[i].start) < end)
                end = described ? loads[i].end : loads[i].start;
            if (!described)
                error = add_piece(core, NULL, at, end, &files[f]);
            at = end;
        }
    }
    mt_regions_settle(&core->mapped);
    return error;
}

static struct mt_error *find_executable(struct core_target *core) {
    const struct mt_regions *files = &core->notes.files;
    uint64_t inside = core->notes.program_headers ? core->notes.program_headers : core->notes.entry;
    const struct mt_region *region = mt_region_of(files->data, files->length, inside);
    if (!region)
        region = mt_region_of(files->data, files->length, core->notes.entry);
    core->executable_mapped = region ? region->path : NULL;
    /* What the process ran, wherever a copy of it lies now. */
    core->base.info.executable = core->executable_mapped ? core->executable_mapped : core->executable_given;
    if (!core->executable_given)
        return NULL;
    int fd = mt_open_file(core->executable_given);
    if (fd < 0)
        return mt_error_system(errno, "can't open %s", core->executable_given);
    bool same = !core->executable_mapped || is_same_build(core, core->executable_mapped, fd);
    struct mt_elf_file *file = mt_elf_file_create(fd);
    mt_elf_file_destroy(file);
    if (!file)
        return mt_error_create(MT_ERROR_FORMAT, "%s is not a 64-bit ELF program", core->executable_given);
    if (!same)
        return mt_error_create(MT_ERROR_FORMAT, "%s is not the program of %s: another build of %s made that core",
                               core->executable_given, core->path, core->executable_mapped);
    return NULL;
}

static struct mt_error *open_core(struct core_target *core) {
    core->fd = mt_open_file(core->path);
    struct stat status;
    if (core->fd < 0 || fstat(core->fd, &status))
        return errno == EINVAL
                   ? mt_error_create(MT_ERROR_FORMAT, "%s is not a core file: not a regular file", core->path)
                   : mt_error_system(errno, "can't open %s", core->path);
    core->size = (uint64_t)status.st_size;
    if (!core->size)
        return mt_error_create(MT_ERROR_FORMAT, "%s is empty (was there room on the disk?)", core->path);
    elf_version(EV_CURRENT);
    Elf *elf = elf_begin(core->fd, ELF_C_READ, NULL);
    struct mt_error *error = check_header(core, elf);
    if (!error)
        error = read_segments(core, elf);
    elf_end(elf);
    if (error)
        return error;
    mt_regions_settle(&core->held);
    mt_regions_settle(&core->loads);
    mt_regions_settle(&core->notes.files);
    if (!core->loads.length)
        return mt_error_create(MT_ERROR_FORMAT, "%s holds no memory: it describes no mappings", core->path);
    error = join_files(core);
    if (error)
        return error;
    core->base.regions = core->mapped.data;
    core->base.region_count = core->mapped.length;
    core->base.regions_loaded = true;
    core->base.info.pid = core->notes.pid;
    core->base.info.signal = core->notes.signal;
    return find_executable(core);
}

struct mt_error *mt_target_open_core(const char *path, const char *executable, struct mt_target **ret) {
    struct core_target *core = calloc(1, sizeof(*core));
    if (!core)
        return &mt_error_no_memory;
    core->fd = -1;
    core->base.ops = &core_ops;
    core->path = strdup(path);
    core->executable_given = executable ? strdup(executable) : NULL;
    core->base.info = (struct mt_target_info){.kind = MT_TARGET_CORE, .core = core->path};
    struct mt_error *error =
        !core->path || (executable && !core->executable_given) ? &mt_error_no_memory : open_core(core);
    if (error) {
        core_destroy(&core->base);
        return error;
    }
    *ret = &core->base;
    return NULL;
}
