#define _GNU_SOURCE 1

#include "python/debug_file.h"

#include <elfutils/libdwelf.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "target/elf_file.h"
#include "target/file.h"

#define CHUNK 65536
#define BUILD_ID_FOLDER "/usr/lib/debug/.build-id"
#define FOLDER "/usr/lib/debug"

/* What a separate file must agree with: the build-id, or where there is none the checksum in .gnu_debuglink. */
struct identity {
    const uint8_t *build_id;
    size_t build_id_size;
    const char *link; /* NULL: none */
    GElf_Word checksum;
};

/* The CRC-32 of zlib, bit by bit: this happens once. */
static uint32_t checksum_of(int fd) {
    uint8_t bytes[CHUNK];
    uint32_t crc = UINT32_MAX;
    size_t got;
    for (uint64_t at = 0; (got = mt_read_file(fd, at, bytes, sizeof bytes)) > 0; at += got) {
        for (size_t i = 0; i < got; i++) {
            crc ^= bytes[i];
            for (unsigned bit = 0; bit < 8; bit++)
                crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
        }
    }
    return ~crc;
}

static bool belongs_to(int fd, Elf *elf, const struct identity *identity) {
    const void *found;
    ssize_t size = dwelf_elf_gnu_build_id(elf, &found);
    if (size > 0 && identity->build_id_size)
        return (size_t)size == identity->build_id_size &&
               memcmp(found, identity->build_id, identity->build_id_size) == 0;
    return identity->link && checksum_of(fd) == identity->checksum;
}

/* Takes over `fd`. `identity` NULL: it is the file itself. */
static bool open_dwarf(int fd, const struct identity *identity, struct mt_debug_file *ret) {
    /* Not mapped: a file that shrinks under a mapping would kill the debugger that we live in. */
    Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    bool ok = elf && elf_kind(elf) == ELF_K_ELF && (!identity || belongs_to(fd, elf, identity));
    Dwarf *dwarf = ok ? dwarf_begin_elf(elf, DWARF_C_READ, NULL) : NULL;
    Dwarf_CU *unit = NULL;
    if (!dwarf || dwarf_get_units(dwarf, NULL, &unit, NULL, NULL, NULL, NULL) != 0) {
        dwarf_end(dwarf);
        elf_end(elf);
        close(fd);
        return false;
    }
    *ret = (struct mt_debug_file){fd, elf, dwarf};
    return true;
}

__attribute__((format(printf, 3, 4))) static bool open_separate(const struct identity *identity,
                                                                struct mt_debug_file *ret, const char *format, ...) {
    char path[PATH_MAX];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(path, sizeof path, format, arguments);
    va_end(arguments);
    int fd = length > 0 && (size_t)length < sizeof path ? mt_open_file(path) : -1;
    return fd >= 0 && open_dwarf(fd, identity, ret);
}

static bool open_by_build_id(const struct identity *identity, const char *root, struct mt_debug_file *ret) {
    char name[2 * MT_BUILD_ID_MAX + 1];
    if (identity->build_id_size < 2 || identity->build_id_size > MT_BUILD_ID_MAX)
        return false;
    for (size_t i = 0; i < identity->build_id_size; i++)
        snprintf(name + 2 * i, 3, "%02x", identity->build_id[i]);
    return open_separate(identity, ret, "%s" BUILD_ID_FOLDER "/%.2s/%s.debug", root, name, name + 2);
}

static bool open_by_link(const struct identity *identity, const char *path, const char *root,
                         struct mt_debug_file *ret) {
    const char *end = strrchr(path, '/');
    if (!identity->link || strchr(identity->link, '/') || !end)
        return false;
    int folder = (int)(end - path);
    return open_separate(identity, ret, "%s%.*s/%s", root, folder, path, identity->link) ||
           open_separate(identity, ret, "%s%.*s/.debug/%s", root, folder, path, identity->link) ||
           open_separate(identity, ret, "%s" FOLDER "%.*s/%s", root, folder, path, identity->link);
}

static bool open_elsewhere(int fd, const char *path, const char *root, struct mt_debug_file *ret) {
    Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    if (!elf || elf_kind(elf) != ELF_K_ELF) {
        elf_end(elf);
        return false;
    }
    struct identity identity = {0};
    const void *build_id;
    ssize_t size = dwelf_elf_gnu_build_id(elf, &build_id);
    if (size > 0) {
        identity.build_id = build_id;
        identity.build_id_size = (size_t)size;
    }
    identity.link = dwelf_elf_gnu_debuglink(elf, &identity.checksum);
    /* A container's own files first, then those of this machine. */
    bool found = open_by_build_id(&identity, root, ret) || (*root && open_by_build_id(&identity, "", ret)) ||
                 open_by_link(&identity, path, root, ret) || (*root && open_by_link(&identity, path, "", ret));
    elf_end(elf);
    return found;
}

bool mt_debug_file_open(int fd, const char *path, const char *root, struct mt_debug_file *ret) {
    elf_version(EV_CURRENT);
    int own = dup(fd);
    return (own >= 0 && open_dwarf(own, NULL, ret)) || open_elsewhere(fd, path, root, ret);
}

void mt_debug_file_close(struct mt_debug_file *file) {
    dwarf_end(file->dwarf);
    elf_end(file->elf);
    close(file->fd);
}
