/* Where bytes come from: a live process, a core file, a debugger, or a made-up memory in a test.
 *
 * One interface under every reader. Addresses are the target's. Nothing here trusts a length that came from the target.
 */
#ifndef MEMTRACE_TARGET_H
#define MEMTRACE_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/* The size that every debugger reads fastest; per-word calls are a thousand times slower. */
#define MT_BLOCK_SHIFT 16
#define MT_BLOCK (1u << MT_BLOCK_SHIFT)
#define MT_PAGE_SHIFT 12
#define MT_PAGE (1u << MT_PAGE_SHIFT)

enum mt_target_kind { MT_TARGET_NONE, MT_TARGET_LIVE, MT_TARGET_CORE, MT_TARGET_REMOTE, MT_TARGET_SYNTHETIC };

struct mt_region {
    uint64_t start;
    uint64_t end;
    bool readable, writable, executable;
    uint64_t file_offset;
    const char *path; /* NULL: anonymous or unknown; owned by the target */
    uint64_t held;    /* bytes of it that a core really holds; end - start on a live target */
};

struct mt_target_info {
    enum mt_target_kind kind;
    pid_t pid;              /* 0: unknown */
    const char *core;       /* path; NULL unless a core */
    const char *executable; /* path in the process's own world; NULL: unknown */
    int signal;             /* signal that ended a core's process; 0: none */
    double stopped_seconds; /* for a process that we stopped ourselves: how long, as of the last read; else 0 */
    uint64_t missing_bytes; /* that a core's header promises and the file does not have: it was cut short */
};

struct mt_registers; /* target/registers.h */
struct mt_residence; /* target/residence.h */
struct mt_target;

struct mt_target_ops {
    /* Reads as much as can be read from `address` on; returns the number of bytes, 0 when none. */
    size_t (*read)(struct mt_target *target, uint64_t address, void *buffer, size_t size);
    /* The aligned block of MT_BLOCK bytes of this number (address >> MT_BLOCK_SHIFT), which stays where it is as long
     * as the target exists; *ret_readable: a bit a page. NULL: read it. The member itself is NULL where reading is so
     * fast that nothing is kept. */
    const uint8_t *(*lend)(struct mt_target *target, uint64_t block, uint16_t *ret_readable);
    /* NULL: this target can't be written. Same return. */
    size_t (*write)(struct mt_target *target, uint64_t address, const void *buffer, size_t size);
    /* Fills target->regions; NULL: regions are unknown. */
    struct mt_error *(*load_regions)(struct mt_target *target);
    /* Address of a data or function symbol in any loaded module; false: not there. */
    bool (*find_symbol)(struct mt_target *target, const char *name, uint64_t *ret);
    /* Opens the file behind a region for reading; -1: it can't be had. NULL: never can. */
    int (*open_file)(struct mt_target *target, const struct mt_region *region);
    /* Of the thread that the kernel calls `tid`; false: unknown. NULL: this target never tells. */
    bool (*registers)(struct mt_target *target, uint64_t tid, struct mt_registers *ret);
    /* Which pages are in memory (target/residence.h); NULL: what the regions hold. */
    struct mt_error *(*load_residence)(struct mt_target *target, struct mt_residence *ret);
    /* The first place of a word, aligned or not, in [start, start + size); *ret 0: there is none. False: it can't be
     * searched. NULL: reading is as fast. */
    bool (*search)(struct mt_target *target, uint64_t start, uint64_t size, uint64_t word, uint64_t *ret);
    /* Work begins that reads the whole heap. NULL: reading is fast. */
    void (*expect_heap)(struct mt_target *target);
    /* A line for who waits while memory comes over a slow link; false: it does not. NULL: never. */
    bool (*waiting)(struct mt_target *target, char *line, size_t size);
    void (*destroy)(struct mt_target *target);
};

/* Kinds embed this as their first member. */
struct mt_target {
    const struct mt_target_ops *ops;
    struct mt_target_info info;
    struct mt_region *regions; /* sorted by start */
    size_t region_count;
    bool regions_loaded;
    bool saves_memory; /* who reads it is to need as little memory as can be, and may take longer */
    bool
        interrupted; /* set by `read`: the user stopped it, so that a short read is no fault. Nothing is read then until
                        somebody (the next command) clears it, and what was made of such memory is to be thrown away */
};

/* All of [address, address + size) or a fault that names the first byte that can't be read. */
struct mt_error *mt_target_read(struct mt_target *target, uint64_t address, void *buffer, size_t size);
struct mt_error *mt_target_read_u32(struct mt_target *target, uint64_t address, uint32_t *ret);
struct mt_error *mt_target_read_u64(struct mt_target *target, uint64_t address, uint64_t *ret);
struct mt_error *mt_target_write(struct mt_target *target, uint64_t address, const void *buffer, size_t size);
struct mt_error *mt_target_regions(struct mt_target *target, const struct mt_region **ret, size_t *ret_count);
/* MT_ERROR_NOT_FOUND when no module has it. */
struct mt_error *mt_target_find_symbol(struct mt_target *target, const char *name, uint64_t *ret);
/* The file behind a region, to be closed by the caller; -1: there is none, or it can't be had. It may be another file
 * than the one that was mapped, where that was replaced since. */
int mt_target_open_file(struct mt_target *target, const struct mt_region *region);
/* "pid 812 (/usr/sbin/redis-server)", "core core.812", "the target": for messages. */
void mt_target_describe(const struct mt_target *target, char *buffer, size_t size);
/* Registers of a stopped thread; false: unknown. */
bool mt_target_registers(struct mt_target *target, uint64_t tid, struct mt_registers *ret);
/* See the member `search`. */
bool mt_target_search(struct mt_target *target, uint64_t start, uint64_t size, uint64_t word, uint64_t *ret);
/* To be told before the whole heap is read: a slow link then says how long that takes. */
void mt_target_expect_heap(struct mt_target *target);
/* What to show to who waits: false when no memory is on its way. */
bool mt_target_waiting(struct mt_target *target, char *line, size_t size);
void mt_target_destroy(struct mt_target *target);

/* target/live.c: a local process, read by process_vm_readv (or /proc/PID/mem). `stop`: stop every thread for as long as
 * the target exists and let it go as it was (a stopped job stays stopped); false: somebody else (a debugger) already
 * holds it. */
struct mt_error *mt_target_open_live(pid_t pid, bool stop, struct mt_target **ret);

/* target/core.c: a core file, mapped. `executable`: NULL: from the core's own notes. Bytes that the core left out of
 * file-backed mappings are read from the files when those are found. */
struct mt_error *mt_target_open_core(const char *core, const char *executable, struct mt_target **ret);

#endif
