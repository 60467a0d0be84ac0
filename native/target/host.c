#define _GNU_SOURCE 1

#include "target/host.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/vector.h"
#include "target/elf_file.h"
#include "target/file.h"
#include "target/kept_blocks.h"
#include "target/proc.h"
#include "target/regions.h"
#include "target/registers.h"
#include "target/residence.h"
#include "target/traffic.h"

#define PROBE_BYTES 16u
#define POLL_INTERVAL 50000000u /* ns between two questions whether to go on */
#define FILE_MOST (256 << 20)   /* bytes of a file that is fetched */

struct file {
    const char *path; /* of the regions */
    int fd;           /* -1: it can't be had */
};

struct thread {
    uint64_t tid;
    struct mt_registers registers;
};

struct host_target {
    struct mt_target base;
    const struct mt_host *host;
    pid_t reader; /* a thread of it that has the memory */
    bool direct;  /* the process is local, and was seen to hold the same bytes as the debugger shows */
    struct mt_regions mapped;
    struct mt_error *regions_error; /* while the debugger lists them */
    bool regions_asked;
    struct mt_kept_blocks kept; /* unless `direct` */
    struct mt_traffic traffic;
    uint64_t polled; /* when the user was asked last */
    MT_VECTOR(struct thread) threads;
    bool threads_asked;
    MT_VECTOR(struct file) files; /* that were fetched */
    char *executable;
    char *core;
};

static struct host_target *host_of(struct mt_target *target) {
    return (struct host_target *)target;
}

/* --- the debugger's calls --------------------------------------------------------------------------------------------
 */

/* Whether the user wants to wait on; meanwhile says for what. */
static bool goes_on(struct host_target *host) {
    const struct mt_host *debugger = host->host;
    uint64_t now = mt_traffic_now();
    char line[128];
    if (host->base.interrupted || now - host->polled < POLL_INTERVAL)
        return !host->base.interrupted;
    host->polled = now;
    if (debugger->progress && mt_target_waiting(&host->base, line, sizeof line))
        debugger->progress(debugger->context, line);
    host->base.interrupted = debugger->interrupted && debugger->interrupted(debugger->context);
    return !host->base.interrupted;
}

/* Bytes got; 0 when the call failed. */
static size_t ask(struct host_target *host, uint64_t address, void *buffer, size_t size) {
    uint64_t got = 0, since = mt_traffic_now();
    if (!host->host->read || !goes_on(host))
        return 0;
    int32_t status = host->host->read(host->host->context, address, buffer, size, &got);
    if (status == 1)
        host->base.interrupted = true;
    if (status != 0 || got > size)
        return 0;
    mt_traffic_add(&host->traffic, got, since);
    return (size_t)got;
}

static size_t read_directly(pid_t pid, uint64_t address, void *buffer, size_t size) {
    struct iovec local = {buffer, size}, remote = {(void *)(uintptr_t)address, size};
    ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
    return got > 0 ? (size_t)got : 0;
}

static void add_region(void *cookie, uint64_t start, uint64_t end, uint32_t flags, uint64_t offset, const char *path) {
    struct host_target *host = cookie;
    struct mt_region region = {
        .start = start,
        .end = end,
        .readable = flags & 1,
        .writable = flags & 2,
        .executable = flags & 4,
        .file_offset = offset,
        .path = path && *path ? path : NULL,
        .held = end - start,
    };
    if (!host->regions_error)
        host->regions_error = mt_regions_add(&host->mapped, region, region.path ? strlen(path) : 0);
}

static struct mt_error *host_load_regions(struct mt_target *target) {
    struct host_target *host = host_of(target);
    struct mt_error *error = NULL;
    mt_regions_deinit(&host->mapped);
    if (host->direct) {
        error = mt_proc_regions(target->info.pid, host->reader, &host->mapped);
    } else if (!host->host->regions) {
        error = mt_error_create(MT_ERROR_UNSUPPORTED, "the debugger does not say what is mapped in this process");
    } else {
        int32_t status = host->host->regions(host->host->context, add_region, host);
        error = host->regions_error;
        host->regions_error = NULL;
        if (!error && status == 1)
            error = mt_error_create(MT_ERROR_INTERRUPTED, "interrupted");
        else if (!error && status)
            error = mt_error_create(MT_ERROR_UNSUPPORTED, "the debugger can't say what is mapped in this process");
        mt_regions_settle(&host->mapped);
    }
    if (error)
        return error;
    target->regions = host->mapped.data;
    target->region_count = host->mapped.length;
    return NULL;
}

/* --- reading ---------------------------------------------------------------------------------------------------------
 */

static void load_regions_once(struct host_target *host) {
    const struct mt_region *regions;
    size_t count;
    if (host->regions_asked)
        return;
    host->regions_asked = true;
    mt_error_destroy(mt_target_regions(&host->base, &regions, &count));
}

/* How many of the `size` bytes from `address` on can be asked for at once, or else have to be passed over: some
 * debuggers fail a whole read when one byte of it is not mapped. */
static size_t piece_at(struct host_target *host, uint64_t address, size_t size, bool *ret_readable) {
    const struct mt_region *regions = host->base.regions;
    size_t count = host->base.region_count;
    *ret_readable = true;
    if (count == 0)
        return size;
    size_t next = mt_region_at_or_above(regions, count, address);
    *ret_readable = next < count && regions[next].start <= address && regions[next].readable;
    uint64_t end = next == count                    ? UINT64_MAX
                   : regions[next].start <= address ? regions[next].end
                                                    : regions[next].start;
    return end - address < size ? (size_t)(end - address) : size;
}

/* Reads what can be read of a block; false: interrupted. */
static bool fill(struct host_target *host, uint64_t start, struct mt_kept_block *block) {
    for (size_t offset = 0; offset < MT_BLOCK;) {
        bool readable;
        size_t size = piece_at(host, start + offset, MT_BLOCK - offset, &readable);
        size_t got = readable ? ask(host, start + offset, block->bytes + offset, size) : size;
        /* What is behind a place that can't be read may be there all the same. */
        if (got == 0 && size > MT_PAGE)
            got = ask(host, start + offset, block->bytes + offset, MT_PAGE);
        if (host->base.interrupted)
            return false;
        for (size_t page = offset / MT_PAGE; readable && page < (offset + got) / MT_PAGE; page++)
            block->readable |= (uint16_t)(1u << page);
        offset = got < MT_PAGE ? (offset / MT_PAGE + 1) * MT_PAGE : (offset + got) / MT_PAGE * MT_PAGE;
    }
    return true;
}

/* NULL: interrupted, or no more is kept. */
static struct mt_kept_block *block_of(struct host_target *host, uint64_t number) {
    struct mt_kept_block *block = mt_kept_blocks_find(&host->kept, number);
    if (block && block->is_whole)
        return block;
    load_regions_once(host);
    if (!goes_on(host))
        return NULL;
    if (!block)
        block = mt_kept_blocks_add(&host->kept, number);
    if (!block || !fill(host, number << MT_BLOCK_SHIFT, block))
        return NULL;
    block->is_whole = true;
    return block;
}

static const uint8_t *host_lend(struct mt_target *target, uint64_t number, uint16_t *ret_readable) {
    struct host_target *host = host_of(target);
    const struct mt_kept_block *block = host->direct ? NULL : block_of(host, number);
    if (!block)
        return NULL;
    *ret_readable = block->readable;
    return block->bytes;
}

/* Bytes from `address` on that a block has; 0: the page can't be read as a whole. */
static size_t kept_at(const struct mt_kept_block *block, uint64_t address, size_t size) {
    size_t offset = address & (MT_BLOCK - 1), end = offset;
    while (end < MT_BLOCK && block->readable >> end / MT_PAGE & 1)
        end = (end / MT_PAGE + 1) * MT_PAGE;
    return end - offset < size ? end - offset : size;
}

static size_t host_read(struct mt_target *target, uint64_t address, void *buffer, size_t size) {
    struct host_target *host = host_of(target);
    if (host->direct) {
        size_t got = read_directly(host->reader, address, buffer, size);
        /* "Nothing is mapped there" is an answer; any other failure means that this way is closed. */
        if (got || errno == EFAULT)
            return got;
        host->direct = false;
    }
    const struct mt_kept_block *block = block_of(host, address >> MT_BLOCK_SHIFT);
    size_t part = block ? kept_at(block, address, size) : 0;
    if (part > 0) {
        memcpy(buffer, block->bytes + (address & (MT_BLOCK - 1)), part);
        return part;
    }
    bool readable;
    part = piece_at(host, address, size, &readable);
    return readable ? ask(host, address, buffer, part) : 0;
}

/* What was kept of the bytes that were written is read anew. */
static void forget(struct host_target *host, uint64_t address, uint64_t size) {
    for (uint64_t at = address; at - address < size; at = (at | (MT_BLOCK - 1)) + 1) {
        struct mt_kept_block *block = mt_kept_blocks_find(&host->kept, at >> MT_BLOCK_SHIFT);
        if (block && !fill(host, at & ~(uint64_t)(MT_BLOCK - 1), block))
            block->is_whole = false;
    }
}

static size_t host_write(struct mt_target *target, uint64_t address, const void *buffer, size_t size) {
    struct host_target *host = host_of(target);
    uint64_t put = 0;
    int32_t status = host->host->write ? host->host->write(host->host->context, address, buffer, size, &put) : -1;
    if (status != 0 || put > size)
        return 0;
    forget(host, address, put);
    return (size_t)put;
}

/* --- a slow link -----------------------------------------------------------------------------------------------------
 */

static bool host_search(struct mt_target *target, uint64_t start, uint64_t size, uint64_t word, uint64_t *ret) {
    struct host_target *host = host_of(target);
    const struct mt_host *debugger = host->host;
    uint64_t found = 0;
    if (target->info.kind != MT_TARGET_REMOTE || !debugger->search || !goes_on(host))
        return false;
    int32_t status = debugger->search(debugger->context, start, size, &word, sizeof word, &found);
    if (status == 1)
        target->interrupted = true;
    if (status != 0 || (found != 0 && (found < start || found - start >= size)))
        return false;
    *ret = found;
    return true;
}

static void host_expect_heap(struct mt_target *target) {
    struct host_target *host = host_of(target);
    uint64_t bytes = 0, kept = (uint64_t)host->kept.blocks.length * MT_BLOCK;
    if (host->direct)
        return;
    load_regions_once(host);
    for (size_t i = 0; i < target->region_count; i++)
        if (target->regions[i].readable && target->regions[i].writable)
            bytes += target->regions[i].end - target->regions[i].start;
    mt_traffic_expect(&host->traffic, bytes > kept ? bytes - kept : 0);
}

static bool host_waiting(struct mt_target *target, char *line, size_t size) {
    const char *from = target->info.kind == MT_TARGET_REMOTE ? "the remote stub" : "the debugger";
    return mt_traffic_line(&host_of(target)->traffic, from, line, size);
}

/* --- symbols, files, registers ---------------------------------------------------------------------------------------
 */

static bool host_find_symbol(struct mt_target *target, const char *name, uint64_t *ret) {
    struct host_target *host = host_of(target);
    uint64_t address = 0;
    if (!host->host->find_symbol || host->host->find_symbol(host->host->context, name, &address) || !address)
        return false;
    *ret = address;
    return true;
}

/* Has `fd` the build-id that the first page of the mapped file shows? */
static bool is_same_build(struct host_target *host, const struct mt_region *region, int fd) {
    const struct mt_target *target = &host->base;
    struct mt_build_id mapped = {0}, opened = {0};
    int own = dup(fd);
    struct mt_elf_file *file = own >= 0 ? mt_elf_file_create(own) : NULL;
    for (size_t i = 0; file && i < target->region_count; i++) {
        const struct mt_region *first = &target->regions[i];
        _Alignas(8) uint8_t page[MT_PAGE];
        if (first->file_offset != 0 || !first->path || strcmp(first->path, region->path) != 0)
            continue;
        struct mt_error *error = mt_target_read(&host->base, first->start, page, sizeof page);
        if (!error)
            mt_build_id_of_image(page, sizeof page, &mapped);
        mt_error_destroy(error);
        break;
    }
    if (file)
        mt_elf_file_build_id(file, &opened);
    mt_elf_file_destroy(file);
    return mapped.size > 0 && mapped.size == opened.size && memcmp(mapped.bytes, opened.bytes, mapped.size) == 0;
}

/* A nameless copy of a file of the machine that the process runs on. */
static int fetch(struct host_target *host, const char *path) {
    const struct mt_host *debugger = host->host;
    struct stat status;
    int fd = debugger->fetch_file && goes_on(host) ? mt_open_nameless_file() : -1;
    if (fd < 0)
        return -1;
    int32_t outcome = debugger->fetch_file(debugger->context, path, fd);
    if (outcome == 1)
        host->base.interrupted = true;
    if (outcome == 0 && fstat(fd, &status) == 0 && status.st_size > 0 && status.st_size <= FILE_MOST)
        return fd;
    close(fd);
    return -1;
}

/* The file of this machine only when it is proven to be the same: a remote process's files are not ours. */
static int open_remote_file(struct host_target *host, const struct mt_region *region) {
    char path[PATH_MAX];
    int fd = mt_open_file(region->path);
    if (fd >= 0 && is_same_build(host, region, fd))
        return fd;
    if (fd >= 0)
        close(fd);
    /* The process may see other files than the stub does. */
    int length = snprintf(path, sizeof(path), "/proc/%d/root%s", (int)host->base.info.pid, region->path);
    fd = length < (int)sizeof(path) ? fetch(host, path) : -1;
    return fd >= 0 ? fd : fetch(host, region->path);
}

/* Each file comes once. */
static int open_fetched(struct host_target *host, const struct mt_region *region) {
    for (size_t i = 0; i < host->files.length; i++)
        if (strcmp(host->files.data[i].path, region->path) == 0)
            return host->files.data[i].fd < 0 ? -1 : dup(host->files.data[i].fd);
    struct file file = {region->path, open_remote_file(host, region)};
    if (host->base.interrupted || !mt_vector_push(&host->files, file))
        return file.fd;
    return file.fd < 0 ? -1 : dup(file.fd);
}

static int host_open_file(struct mt_target *target, const struct mt_region *region) {
    struct host_target *host = host_of(target);
    if (target->info.kind == MT_TARGET_CORE)
        return mt_open_file(region->path);
    if (!host->direct)
        return open_fetched(host, region);
    char path[PATH_MAX];
    int length = snprintf(path, sizeof(path), "/proc/%d/root%s", (int)target->info.pid, region->path);
    int fd = length < (int)sizeof(path) ? mt_open_file(path) : -1;
    return fd >= 0 ? fd : mt_open_file(region->path);
}

static void add_thread(void *cookie, uint64_t tid, uint32_t selected, const uint64_t registers[MT_HOST_REGISTERS]) {
    struct host_target *host = cookie;
    struct thread thread = {.tid = tid};
    if (!registers || tid == 0)
        return;
    mt_registers_of_words(registers, &thread.registers);
    if (!mt_vector_push(&host->threads, thread))
        return; /* its stack is then looked at as a whole, as where the debugger does not know */
}

static bool host_registers(struct mt_target *target, uint64_t tid, struct mt_registers *ret) {
    struct host_target *host = host_of(target);
    if (!host->threads_asked && host->host->threads && host->host->threads(host->host->context, add_thread, host) == 1)
        target->interrupted = true;
    host->threads_asked = true;
    for (size_t i = 0; i < host->threads.length; i++) {
        if (host->threads.data[i].tid != tid)
            continue;
        *ret = host->threads.data[i].registers;
        return true;
    }
    return host->direct && mt_registers_of_task(target->info.pid, (pid_t)tid, ret);
}

static struct mt_error *host_load_residence(struct mt_target *target, struct mt_residence *ret) {
    const struct host_target *host = host_of(target);
    return host->direct ? mt_residence_of_process(target->info.pid, host->reader, ret)
                        : mt_residence_of_held(target, ret);
}

static void host_destroy(struct mt_target *target) {
    struct host_target *host = host_of(target);
    mt_kept_blocks_deinit(&host->kept);
    mt_vector_deinit(&host->threads);
    for (size_t i = 0; i < host->files.length; i++)
        if (host->files.data[i].fd >= 0)
            close(host->files.data[i].fd);
    mt_vector_deinit(&host->files);
    mt_regions_deinit(&host->mapped);
    free(host->executable);
    free(host->core);
    free(host);
}

static const struct mt_target_ops host_ops = {
    .read = host_read,
    .lend = host_lend,
    .write = host_write,
    .load_regions = host_load_regions,
    .find_symbol = host_find_symbol,
    .open_file = host_open_file,
    .registers = host_registers,
    .load_residence = host_load_residence,
    .search = host_search,
    .expect_heap = host_expect_heap,
    .waiting = host_waiting,
    .destroy = host_destroy,
};

/* --- opening ---------------------------------------------------------------------------------------------------------
 */

/* A pid proves nothing: look whether the process of that number really is the one that the debugger shows. */
static bool same_bytes(struct host_target *host) {
    struct mt_regions mapped = MT_REGIONS_INIT;
    host->reader = mt_proc_living_thread(host->base.info.pid);
    struct mt_error *error = mt_proc_regions(host->base.info.pid, host->reader, &mapped);
    bool same = false;
    /* The highest private data is the main stack, which lies elsewhere in every process, and ends with its environment.
     */
    for (size_t i = mapped.length; !error && i-- > 0;) {
        uint8_t direct[PROBE_BYTES], shown[PROBE_BYTES];
        if (!mapped.data[i].readable || !mapped.data[i].writable)
            continue;
        uint64_t address = mapped.data[i].end - 4 * PROBE_BYTES;
        same = read_directly(host->reader, address, direct, PROBE_BYTES) == PROBE_BYTES &&
               ask(host, address, shown, PROBE_BYTES) == PROBE_BYTES && !memcmp(direct, shown, PROBE_BYTES);
        break;
    }
    mt_error_destroy(error);
    mt_regions_deinit(&mapped);
    return same;
}

static enum mt_target_kind kind_of(int32_t kind) {
    switch (kind) {
    case MT_HOST_LIVE:
        return MT_TARGET_LIVE;
    case MT_HOST_CORE:
        return MT_TARGET_CORE;
    case MT_HOST_REMOTE:
        return MT_TARGET_REMOTE;
    default:
        return MT_TARGET_NONE;
    }
}

struct mt_error *mt_target_open_host(const struct mt_host *host, struct mt_target **ret) {
    struct mt_host_description description = {0};
    if (host->describe(host->context, &description))
        return mt_error_create(MT_ERROR_SYSTEM, "the debugger can't say what it debugs");
    enum mt_target_kind kind = kind_of(description.kind);
    if (kind == MT_TARGET_NONE)
        return mt_error_create(MT_ERROR_NO_PROCESS, "no process: run the program, attach to it, or open a core file");
    if (description.running)
        return mt_error_create(MT_ERROR_RUNNING, "the process is running: stop it first (Ctrl-C)");
    struct host_target *target = calloc(1, sizeof(*target));
    if (!target)
        return &mt_error_no_memory;
    target->base.ops = &host_ops;
    mt_kept_blocks_init(&target->kept);
    target->host = host;
    target->executable = description.executable ? strdup(description.executable) : NULL;
    target->core = description.core ? strdup(description.core) : NULL;
    target->base.info = (struct mt_target_info){
        .kind = kind,
        .pid = description.pid,
        .core = target->core,
        .executable = target->executable,
    };
    if ((description.executable && !target->executable) || (description.core && !target->core)) {
        host_destroy(&target->base);
        return &mt_error_no_memory;
    }
    if (kind == MT_TARGET_LIVE && description.local && description.pid > 0)
        target->direct = same_bytes(target);
    if (target->base.interrupted) {
        host_destroy(&target->base);
        return mt_error_create(MT_ERROR_INTERRUPTED, "interrupted");
    }
    *ret = &target->base;
    return NULL;
}
