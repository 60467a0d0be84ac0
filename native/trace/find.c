#include "trace/find.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "image/image.h"

#define PAGE 4096
#define HEAD_BYTES (offsetof(struct mt_image_header, self) + 8) /* as far as is_image looks */
#define SCAN_BYTES (256 * 1024)
#define MAX_SCANNED_REGION (64ULL << 30) /* larger ones are reservations, of sanitizers for instance */

static bool is_image(uint64_t address, const void *page) {
    const char *bytes = page;
    uint64_t self;
    memcpy(&self, bytes + offsetof(struct mt_image_header, self), sizeof self);
    return memcmp(bytes, MT_IMAGE_MAGIC, sizeof MT_IMAGE_MAGIC) == 0 && self == address;
}

static struct mt_error *scan(struct mt_target *target, const struct mt_region *region, char *buffer,
                             struct mt_watch *watch, uint64_t *ret_address) {
    uint64_t start = (region->start + PAGE - 1) & ~(uint64_t)(PAGE - 1);
    for (uint64_t address = start; address < region->end;) {
        struct mt_error *error = mt_watch_poll(watch, "looking for the recorder's image");
        if (error)
            return error;
        uint64_t left = region->end - address;
        size_t want = left < SCAN_BYTES ? left : SCAN_BYTES;
        size_t got = target->ops->read(target, address, buffer, want);
        for (size_t at = 0; at + HEAD_BYTES <= got; at += PAGE) {
            if (is_image(address + at, buffer + at)) {
                *ret_address = address + at;
                return NULL;
            }
        }
        if (target->interrupted)
            return mt_error_create(MT_ERROR_INTERRUPTED, "interrupted");
        /* A hole, of a core that left pages out: go on behind it. */
        got &= ~(size_t)(PAGE - 1);
        uint64_t next = address + (got > 0 ? got : PAGE);
        if (next <= address)
            break;
        address = next;
    }
    return NULL;
}

struct mt_error *mt_image_find(struct mt_target *target, struct mt_watch *watch, uint64_t *ret_address) {
    uint64_t address;
    struct mt_error *error = mt_target_find_symbol(target, MT_IMAGE_SYMBOL, &address);
    if (!error) {
        char head[HEAD_BYTES];
        error = mt_target_read(target, address, head, sizeof head);
        if (!error && is_image(address, head)) {
            *ret_address = address;
            return NULL;
        }
        if (error && error->code == MT_ERROR_INTERRUPTED)
            return error;
    }
    mt_error_destroy(error);

    const struct mt_region *regions;
    size_t count;
    error = mt_target_regions(target, &regions, &count);
    if (error)
        return error;
    MT_AUTO_FREE char *buffer = malloc(SCAN_BYTES);
    if (!buffer)
        return &mt_error_no_memory;
    /* The image is data of a library, so the mappings of files come first; the others matter where a core does not name
     * files. */
    uint64_t found = 0;
    bool files_have_names = false;
    for (int named = 1; named >= 0 && found == 0; named--) {
        for (size_t i = 0; i < count && found == 0; i++) {
            const struct mt_region *region = &regions[i];
            bool is_file = region->path && region->path[0] == '/';
            files_have_names |= is_file;
            if (is_file != (named == 1) || !region->readable || !region->writable || region->held == 0 ||
                region->end - region->start > MAX_SCANNED_REGION)
                continue;
            error = scan(target, region, buffer, watch, &found);
            if (error)
                return error;
        }
        if (files_have_names && target->info.kind != MT_TARGET_CORE)
            break; /* every mapped library has its name */
    }
    if (found == 0)
        return mt_error_create(
            MT_ERROR_NOT_RECORDED,
            target->info.kind == MT_TARGET_LIVE
                ? "nothing was recorded. `memtrace record` begins now; `memtrace run` starts a program "
                  "recorded"
                : "nothing was recorded. Use `memtrace record` before `run`, or start the "
                  "program with `memtrace run`");
    *ret_address = found;
    return NULL;
}
