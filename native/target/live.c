#define _GNU_SOURCE 1

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "target/file.h"
#include "target/module_symbols.h"
#include "target/proc.h"
#include "target/process_stop.h"
#include "target/registers.h"
#include "target/residence.h"
#include "target/target.h"

struct live_target {
    struct mt_target base;
    pid_t reader; /* a thread that has the memory: the main thread may be dead while others live */
    struct mt_process_stop *stop;
    struct mt_regions mapped;
    int memory_fd; /* of /proc/PID/mem, opened when first needed; -1 */
    char executable[4096];
};

static struct live_target *live_of(struct mt_target *target) {
    return (struct live_target *)target;
}

static void note_time(struct live_target *live) {
    if (live->stop)
        live->base.info.stopped_seconds = mt_process_stop_seconds(live->stop);
}

/* /proc/PID/mem makes up zeros for memory that nobody may access (reservations), so it may be asked only for readable
 * regions. */
static size_t readable_part(struct live_target *live, uint64_t address, size_t size) {
    const struct mt_region *regions, *region;
    size_t count;
    struct mt_error *error = mt_target_regions(&live->base, &regions, &count);
    if (error) {
        mt_error_destroy(error);
        return 0;
    }
    region = mt_region_of(regions, count, address);
    if (!region || !region->readable)
        return 0;
    return region->end - address < size ? (size_t)(region->end - address) : size;
}

static bool open_memory(struct live_target *live) {
    if (live->memory_fd < 0) {
        char path[64];
        snprintf(path, sizeof(path), "/proc/%d/task/%d/mem", (int)live->base.info.pid, (int)live->reader);
        live->memory_fd = open(path, O_RDWR | O_CLOEXEC);
        if (live->memory_fd < 0)
            live->memory_fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    return live->memory_fd >= 0;
}

static size_t live_read(struct mt_target *target, uint64_t address, void *buffer, size_t size) {
    struct live_target *live = live_of(target);
    note_time(live);
    struct iovec local = {buffer, size}, remote = {(void *)(uintptr_t)address, size};
    ssize_t got = process_vm_readv(live->reader, &local, 1, &remote, 1, 0);
    if (got > 0)
        return (size_t)got;
    /* EFAULT is an answer; anything else means that this way is closed here (a seccomp filter, say). */
    if (errno == EFAULT)
        return 0;
    size = readable_part(live, address, size);
    if (!size || !open_memory(live))
        return 0;
    got = pread(live->memory_fd, buffer, size, (off_t)address);
    return got > 0 ? (size_t)got : 0;
}

static size_t live_write(struct mt_target *target, uint64_t address, const void *buffer, size_t size) {
    struct live_target *live = live_of(target);
    struct iovec local = {(void *)buffer, size}, remote = {(void *)(uintptr_t)address, size};
    ssize_t put = process_vm_writev(live->reader, &local, 1, &remote, 1, 0);
    return put > 0 ? (size_t)put : 0;
}

static struct mt_error *live_load_regions(struct mt_target *target) {
    struct live_target *live = live_of(target);
    struct mt_regions mapped = MT_REGIONS_INIT;
    struct mt_error *error = mt_proc_regions(target->info.pid, live->reader, &mapped);
    if (!error) {
        mt_regions_deinit(&live->mapped);
        live->mapped = mapped;
        target->regions = live->mapped.data;
        target->region_count = live->mapped.length;
    }
    return error;
}

static int live_open_module(void *context, const struct mt_region *region) {
    struct live_target *live = context;
    char path[4096 + 64];
    /* The mapping itself leads to its file, also when that was deleted or replaced since; but only for the
     * administrator. */
    snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, (int)live->base.info.pid, region->start,
             region->end);
    int fd = mt_open_file(path);
    if (fd >= 0)
        return fd;
    /* As the process sees it: it may live in a root or mount namespace of its own. */
    int length = snprintf(path, sizeof(path), "/proc/%d/root%s", (int)live->base.info.pid, region->path);
    fd = length < (int)sizeof(path) ? mt_open_file(path) : -1;
    return fd >= 0 ? fd : mt_open_file(region->path);
}

static int live_open_file(struct mt_target *target, const struct mt_region *region) {
    return live_open_module(target, region);
}

static bool live_find_symbol(struct mt_target *target, const char *name, uint64_t *ret) {
    const struct mt_region *regions;
    size_t count;
    struct mt_error *error = mt_target_regions(target, &regions, &count);
    bool found = !error && mt_module_symbols_find(regions, count, live_open_module, target, name, ret);
    mt_error_destroy(error);
    note_time(live_of(target));
    return found;
}

static bool live_registers(struct mt_target *target, uint64_t tid, struct mt_registers *ret) {
    return mt_registers_of_task(target->info.pid, (pid_t)tid, ret);
}

static struct mt_error *live_load_residence(struct mt_target *target, struct mt_residence *ret) {
    return mt_residence_of_process(target->info.pid, live_of(target)->reader, ret);
}

static void live_destroy(struct mt_target *target) {
    struct live_target *live = live_of(target);
    mt_process_stop_release(live->stop);
    mt_regions_deinit(&live->mapped);
    if (live->memory_fd >= 0)
        close(live->memory_fd);
    free(live);
}

static const struct mt_target_ops live_ops = {
    .read = live_read,
    .write = live_write,
    .load_regions = live_load_regions,
    .find_symbol = live_find_symbol,
    .open_file = live_open_file,
    .registers = live_registers,
    .load_residence = live_load_residence,
    .destroy = live_destroy,
};

/* That its memory can be read at all: better said now than as a fault at some address later. */
static struct mt_error *check_readable(struct live_target *live) {
    const struct mt_region *regions;
    size_t count;
    struct mt_error *error = mt_target_regions(&live->base, &regions, &count);
    if (error)
        return error;
    for (size_t i = 0; i < count; i++) {
        uint8_t byte;
        if (regions[i].readable && regions[i].writable && live_read(&live->base, regions[i].start, &byte, 1))
            return NULL;
    }
    return mt_proc_permission_error(live->base.info.pid);
}

struct mt_error *mt_target_open_live(pid_t pid, bool stop, struct mt_target **ret) {
    struct mt_error *error = mt_proc_check(pid);
    if (error)
        return error;
    struct live_target *live = calloc(1, sizeof(*live));
    if (!live)
        return &mt_error_no_memory;
    live->base.ops = &live_ops;
    live->base.info = (struct mt_target_info){.kind = MT_TARGET_LIVE, .pid = pid};
    live->memory_fd = -1;
    if (stop)
        error = mt_process_stop_create(pid, &live->stop);
    live->reader = error ? 0 : mt_proc_living_thread(pid);
    if (!error && !live->reader)
        error = mt_error_create(MT_ERROR_NO_PROCESS, "process %d ended", (int)pid);
    if (!error)
        error = check_readable(live);
    if (error) {
        live_destroy(&live->base);
        return error;
    }
    char link[64];
    snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
    ssize_t length = readlink(link, live->executable, sizeof(live->executable) - 1);
    if (length > 0)
        live->base.info.executable = live->executable;
    note_time(live);
    *ret = &live->base;
    return NULL;
}
