/* Recording that begins in the middle of a process's life: image/attach.h. */
#include "image/attach.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>

#include "recorder/elf_module.h"
#include "recorder/gate.h"
#include "recorder/loader.h"
#include "recorder/memory.h"
#include "recorder/pymem.h"
#include "recorder/python_stops.h"
#include "recorder/real.h"
#include "recorder/recorder.h"
#include "recorder/slots.h"
#include "recorder/stops.h"

#define PATIENCE 2000000000u /* ns */

#define EXPORT __attribute__((visibility("default")))

EXPORT uint32_t memtrace_attach(uint32_t level);
EXPORT uint32_t memtrace_detach(void);

static bool is_no_recorder_with(const struct mt_elf *module, void *function) {
    return mt_elf_segment(module, (uint64_t)function) == NULL || mt_elf_symbol(module, MT_IMAGE_SYMBOL) == NULL;
}

static bool is_of_another_recorder(void *function) {
    return !mt_elf_each(is_no_recorder_with, function);
}

static void hook(void *context) {
    enum mt_attach_result *ret = context;
    if (!mt_slots_find_real())
        *ret = MT_ATTACH_NO_MALLOC;
    else if (is_of_another_recorder((void *)mt_real.malloc))
        *ret = MT_ATTACH_OTHER;
    else if (!mt_recorder_build())
        *ret = MT_ATTACH_NO_MEMORY;
    else if (mt_started = true, !mt_slots_hook())
        *ret = MT_ATTACH_FORBIDDEN;
    else
        *ret = MT_ATTACH_RECORDING;
}

static void unhook(void *context) {
    mt_slots_unhook();
}

/* Waits until nobody holds the recorder's lock. A thread that a debugger keeps standing may hold it for good. */
static bool is_lock_free_soon(void) {
    uint64_t deadline = mt_clock_monotonic() + PATIENCE;
    while (__atomic_load_n(&mt_shard()->lock, __ATOMIC_ACQUIRE) != 0) {
        if (mt_clock_monotonic() > deadline)
            return false;
        mt_system_call(SYS_sched_yield, 0, 0, 0, 0, 0, 0);
    }
    return true;
}

/* The process's CPython stays loaded: we hold on to its tables and its functions. */
static void keep_python(void) {
    struct mt_elf python;
    if (memtrace_image.python_state != MT_PYTHON_NONE && mt_elf_find_definer("PyMem_SetAllocator", &python))
        dlopen(python.name, RTLD_NOLOAD | RTLD_NOW);
}

static void note_attached(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    memtrace_image.attached = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static enum mt_attach_result start(enum mt_level level) {
    if (!is_lock_free_soon())
        return MT_ATTACH_BUSY;
    struct mt_self *self = mt_self();
    if (self == NULL)
        return MT_ATTACH_NO_MEMORY;
    if (self->image.operation != MT_IDLE)
        return MT_ATTACH_BUSY;
    self->image.operation = MT_OP_ALLOCATE; /* nothing of ours is recorded meanwhile */
    bool locked = mt_lock(self);
    if (memtrace_image.hooked == MT_HOOKED_SLOTS)
        note_attached();
    mt_recorder_start(level);
    mt_unlock(self, locked);
    self->image.operation = MT_IDLE;
    return MT_ATTACH_RECORDING;
}

uint32_t memtrace_attach(uint32_t level) {
    enum mt_attach_result result = MT_ATTACH_OTHER;
    if (level != MT_LEVEL_HEAP && level != MT_LEVEL_OBJECTS)
        return MT_ATTACH_BAD_LEVEL;
    if (memtrace_image.state == MT_RECORDING_ON)
        return MT_ATTACH_ALREADY;
    bool has_hooks = memtrace_image.hooked == MT_HOOKED_FIRST || memtrace_image.hooked == MT_HOOKED_SLOTS;
    if (has_hooks && !mt_recorder_build())
        return MT_ATTACH_NO_MEMORY;
    if (!has_hooks) {
        mt_loader_do_locked(hook, &result);
        if (result != MT_ATTACH_RECORDING)
            return result;
        memtrace_image.hooked = MT_HOOKED_SLOTS;
    }
    mt_recorder_prepare();
    keep_python();
    result = start((enum mt_level)level);
    if (result != MT_ATTACH_RECORDING && !has_hooks) {
        mt_loader_do_locked(unhook, NULL);
        memtrace_image.hooked = MT_HOOKED_OUT;
    }
    return result;
}

uint32_t memtrace_detach(void) {
    if (memtrace_image.state != MT_RECORDING_ON && memtrace_image.hooked != MT_HOOKED_SLOTS)
        return MT_DETACH_NOT_ATTACHED;
    if (!is_lock_free_soon())
        return MT_DETACH_BUSY;
    if (memtrace_image.request != MT_REQUEST_NONE)
        mt_obey_request(); /* nobody else would any more */
    struct mt_self *self = mt_self();
    if (self != NULL && self->image.operation != MT_IDLE)
        return MT_DETACH_BUSY;
    if (memtrace_image.state == MT_RECORDING_ON)
        memtrace_image.state = MT_RECORDING_STOPPED;
    mt_python_stops_end();
    (void)mt_python_stops_look(); /* asks CPython at once: no event will come to do it */
    if (memtrace_image.hooked == MT_HOOKED_SLOTS) {
        mt_pymem_unwrap();
        mt_loader_do_locked(unhook, NULL);
        memtrace_image.hooked = MT_HOOKED_OUT;
        if (self != NULL)
            mt_stops_forget_words(self, 0, UINT64_MAX); /* whose end nobody tells us from now on */
    }
    return MT_DETACH_DONE;
}
