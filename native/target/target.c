#include "target/target.h"

#include <inttypes.h>
#include <stdio.h>

struct mt_error *mt_target_read(struct mt_target *target, uint64_t address, void *buffer, size_t size) {
    size_t done = 0;
    while (done < size) {
        if (address + done < address)
            return mt_error_fault(address, "memory at 0x%" PRIx64 " can't be read: beyond the end of the address space",
                                  address);
        size_t got = target->ops->read(target, address + done, (char *)buffer + done, size - done);
        if (target->interrupted)
            return mt_error_create(MT_ERROR_INTERRUPTED, "interrupted");
        if (!got || got > size - done)
            return mt_error_fault(address + done, "memory at 0x%" PRIx64 " can't be read", address + done);
        done += got;
    }
    return NULL;
}

struct mt_error *mt_target_read_u32(struct mt_target *target, uint64_t address, uint32_t *ret) {
    uint32_t value;
    struct mt_error *error = mt_target_read(target, address, &value, sizeof(value));
    if (!error)
        *ret = value;
    return error;
}

struct mt_error *mt_target_read_u64(struct mt_target *target, uint64_t address, uint64_t *ret) {
    uint64_t value;
    struct mt_error *error = mt_target_read(target, address, &value, sizeof(value));
    if (!error)
        *ret = value;
    return error;
}

struct mt_error *mt_target_write(struct mt_target *target, uint64_t address, const void *buffer, size_t size) {
    if (!target->ops->write)
        return mt_error_create(MT_ERROR_UNSUPPORTED, "%s can't be written",
                               target->info.kind == MT_TARGET_CORE ? "a core file" : "this process");
    size_t done = 0;
    while (done < size) {
        size_t put = target->ops->write(target, address + done, (const char *)buffer + done, size - done);
        if (!put || put > size - done)
            return mt_error_fault(address + done, "memory at 0x%" PRIx64 " can't be written", address + done);
        done += put;
    }
    return NULL;
}

struct mt_error *mt_target_regions(struct mt_target *target, const struct mt_region **ret, size_t *ret_count) {
    if (!target->regions_loaded) {
        if (!target->ops->load_regions)
            return mt_error_create(MT_ERROR_UNSUPPORTED, "the debugger does not say what is mapped in this process");
        struct mt_error *error = target->ops->load_regions(target);
        if (error)
            return error;
        target->regions_loaded = true;
    }
    *ret = target->regions;
    *ret_count = target->region_count;
    return NULL;
}

struct mt_error *mt_target_find_symbol(struct mt_target *target, const char *name, uint64_t *ret) {
    uint64_t address;
    if (!target->ops->find_symbol || !target->ops->find_symbol(target, name, &address))
        return mt_error_create(MT_ERROR_NOT_FOUND, "no loaded module has the symbol %s", name);
    *ret = address;
    return NULL;
}

int mt_target_open_file(struct mt_target *target, const struct mt_region *region) {
    bool is_file = region->path && region->path[0] == '/';
    return is_file && target->ops->open_file ? target->ops->open_file(target, region) : -1;
}

void mt_target_describe(const struct mt_target *target, char *buffer, size_t size) {
    const struct mt_target_info *info = &target->info;
    if (info->kind == MT_TARGET_CORE && info->core)
        snprintf(buffer, size, "core %s", info->core);
    else if (info->kind == MT_TARGET_LIVE && info->pid > 0 && info->executable)
        snprintf(buffer, size, "pid %d (%s)", (int)info->pid, info->executable);
    else if (info->kind == MT_TARGET_LIVE && info->pid > 0)
        snprintf(buffer, size, "pid %d", (int)info->pid);
    else
        snprintf(buffer, size, "the target");
}

bool mt_target_registers(struct mt_target *target, uint64_t tid, struct mt_registers *ret) {
    return target->ops->registers && target->ops->registers(target, tid, ret);
}

bool mt_target_search(struct mt_target *target, uint64_t start, uint64_t size, uint64_t word, uint64_t *ret) {
    return target->ops->search && target->ops->search(target, start, size, word, ret);
}

void mt_target_expect_heap(struct mt_target *target) {
    if (target->ops->expect_heap)
        target->ops->expect_heap(target);
}

bool mt_target_waiting(struct mt_target *target, char *line, size_t size) {
    return target->ops->waiting && target->ops->waiting(target, line, size);
}

void mt_target_destroy(struct mt_target *target) {
    if (target)
        target->ops->destroy(target);
}
