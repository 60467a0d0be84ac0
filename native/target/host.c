#define _GNU_SOURCE 1

#include "target/host.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "target/file.h"
#include "target/proc.h"
#include "target/regions.h"
#include "target/registers.h"
#include "target/residence.h"

/* The size that every debugger reads fastest; per-word calls are a thousand times slower. */
#define CHUNK_BYTES (64u << 10)
#define CHUNK_COUNT 64u
#define PAGE_BYTES 4096u
#define PROBE_BYTES 16u

/* `size` bytes from `start` on, all in one aligned chunk of address space. size 0: empty. */
struct chunk {
    uint64_t start;
    uint32_t size;
    uint8_t *bytes;
};

struct host_target {
    struct mt_target base;
    const struct mt_host *host;
    pid_t reader; /* a thread of it that has the memory */
    bool direct;  /* the process is local, and was seen to hold the same bytes as the debugger shows */
    struct mt_regions mapped;
    struct mt_error *regions_error; /* while the debugger lists them */
    bool regions_asked;
    struct chunk chunks[CHUNK_COUNT];
    char *executable;
    char *core;
};

static struct host_target *host_of(struct mt_target *target) {
    return (struct host_target *)target;
}

/* --- the debugger's calls --------------------------------------------------------------------------------------------
 */

/* Bytes got; 0 when the call failed. */
static size_t ask(struct host_target *host, uint64_t address, void *buffer, size_t size) {
    uint64_t got = 0;
    int32_t status = host->host->read ? host->host->read(host->host->context, address, buffer, size, &got) : -1;
    if (status == 1)
        host->base.interrupted = true;
    return status == 0 && got <= size ? (size_t)got : 0;
}

static size_t read_directly(pid_t pid, uint64_t address, void *buffer, size_t size) {
    struct iovec local = {buffer, size}, remote = {(void *)(uintptr_t)address, size};
    ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
    return got > 0 ? (size_t)got : 0;
}

static void add_region(void *cookie, uint64_t start, uint64_t end, uint32_t flags, const char *path) {
    struct host_target *host = cookie;
    struct mt_region region = {
        .start = start,
        .end = end,
        .readable = flags & 1,
        .writable = flags & 2,
        .executable = flags & 4,
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

/* Some debuggers fail a whole read when one byte of it is not mapped, so ask for no more than the mapping around has.
 */
static void clamp_to_region(struct host_target *host, uint64_t address, uint64_t *start, size_t *size) {
    const struct mt_region *regions, *region;
    size_t count;
    if (!host->regions_asked) {
        host->regions_asked = true;
        mt_error_destroy(mt_target_regions(&host->base, &regions, &count));
    }
    region = mt_region_of(host->base.regions, host->base.region_count, address);
    if (!region)
        return;
    if (region->start > *start) {
        *size -= (size_t)(region->start - *start);
        *start = region->start;
    }
    if (region->end - *start < *size)
        *size = (size_t)(region->end - *start);
}

/* The part of a chunk that can be had around `address`; NULL: none. */
static struct chunk *chunk_at(struct host_target *host, uint64_t address) {
    uint64_t start = address & ~(uint64_t)(CHUNK_BYTES - 1);
    struct chunk *chunk = &host->chunks[(start / CHUNK_BYTES) % CHUNK_COUNT];
    if (chunk->size && address >= chunk->start && address - chunk->start < chunk->size)
        return chunk;
    if (!chunk->bytes && !(chunk->bytes = malloc(CHUNK_BYTES)))
        return NULL;
    chunk->size = 0;
    size_t size = CHUNK_BYTES;
    clamp_to_region(host, address, &start, &size);
    size_t got = ask(host, start, chunk->bytes, size);
    if (!host->base.interrupted && got <= address - start) {
        start = address & ~(uint64_t)(PAGE_BYTES - 1);
        got = ask(host, start, chunk->bytes, PAGE_BYTES);
    }
    if (host->base.interrupted || got <= address - start)
        return NULL;
    chunk->start = start;
    chunk->size = (uint32_t)got;
    return chunk;
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
    struct chunk *chunk = chunk_at(host, address);
    if (!chunk)
        return host->base.interrupted ? 0 : ask(host, address, buffer, size);
    size_t available = chunk->size - (size_t)(address - chunk->start);
    size_t part = size < available ? size : available;
    memcpy(buffer, chunk->bytes + (address - chunk->start), part);
    return part;
}

static size_t host_write(struct mt_target *target, uint64_t address, const void *buffer, size_t size) {
    struct host_target *host = host_of(target);
    uint64_t put = 0;
    int32_t status = host->host->write ? host->host->write(host->host->context, address, buffer, size, &put) : -1;
    for (size_t i = 0; i < CHUNK_COUNT; i++)
        host->chunks[i].size = 0;
    return status == 0 && put <= size ? (size_t)put : 0;
}

static bool host_find_symbol(struct mt_target *target, const char *name, uint64_t *ret) {
    struct host_target *host = host_of(target);
    uint64_t address = 0;
    if (!host->host->find_symbol || host->host->find_symbol(host->host->context, name, &address) || !address)
        return false;
    *ret = address;
    return true;
}

/* A remote process's files are not this machine's. */
static int host_open_file(struct mt_target *target, const struct mt_region *region) {
    struct host_target *host = host_of(target);
    if (target->info.kind == MT_TARGET_CORE)
        return mt_open_file(region->path);
    if (!host->direct)
        return -1;
    char path[PATH_MAX];
    int length = snprintf(path, sizeof(path), "/proc/%d/root%s", (int)target->info.pid, region->path);
    int fd = length < (int)sizeof(path) ? mt_open_file(path) : -1;
    return fd >= 0 ? fd : mt_open_file(region->path);
}

static bool host_registers(struct mt_target *target, uint64_t tid, struct mt_registers *ret) {
    return host_of(target)->direct && mt_registers_of_task(target->info.pid, (pid_t)tid, ret);
}

static struct mt_error *host_load_residence(struct mt_target *target, struct mt_residence *ret) {
    const struct host_target *host = host_of(target);
    return host->direct ? mt_residence_of_process(target->info.pid, host->reader, ret)
                        : mt_residence_of_held(target, ret);
}

static void host_destroy(struct mt_target *target) {
    struct host_target *host = host_of(target);
    for (size_t i = 0; i < CHUNK_COUNT; i++)
        free(host->chunks[i].bytes);
    mt_regions_deinit(&host->mapped);
    free(host->executable);
    free(host->core);
    free(host);
}

static const struct mt_target_ops host_ops = {
    .read = host_read,
    .write = host_write,
    .load_regions = host_load_regions,
    .find_symbol = host_find_symbol,
    .open_file = host_open_file,
    .registers = host_registers,
    .load_residence = host_load_residence,
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
