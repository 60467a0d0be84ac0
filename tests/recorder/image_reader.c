#include "image_reader.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *image_recorder(void) {
    static void *loaded;
    const char *path = getenv("ATTACH_RECORDER");
    if (loaded == NULL && path != NULL)
        loaded = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    return loaded;
}

struct mt_image_header *image_header(void) {
    static struct mt_image_header *header;
    if (header == NULL)
        header = dlsym(image_recorder() != NULL ? image_recorder() : RTLD_DEFAULT, MT_IMAGE_SYMBOL);
    return header;
}

const void *image_record(const struct mt_pool_ref *pool, uint64_t index) {
    const uint64_t *directory = (const uint64_t *)pool->directory;
    uint64_t in_chunk = index & (((uint64_t)1 << pool->chunk_shift) - 1);
    return (const char *)directory[index >> pool->chunk_shift] + in_chunk * pool->stride;
}

const struct mt_site *image_site(uint32_t site) {
    return image_record(&image_header()->sites, site);
}

const char *image_string(uint32_t offset) {
    const struct mt_image_header *header = image_header();
    const uint64_t *directory = (const uint64_t *)header->strings;
    uint32_t mask = (1u << header->string_chunk_shift) - 1;
    return (const char *)directory[offset >> header->string_chunk_shift] + (offset & mask);
}

void image_site_at_peak(const struct mt_site *site, int64_t *ret_bytes, uint32_t *ret_blocks) {
    bool kept = site->epoch == image_header()->shards[0].epoch;
    *ret_bytes = kept ? site->peak_bytes : site->bytes;
    *ret_blocks = kept ? site->peak_blocks : site->blocks;
}

static const uint64_t *entries(uint64_t table) {
    return (const uint64_t *)table;
}

static bool each_in_leaf(uint64_t leaf, uint64_t base, image_visit *visit, void *context) {
    const uint32_t *slots = (const uint32_t *)leaf;
    for (uint64_t i = 0; i < MT_SHADOW_LEAF_SLOTS; i++) {
        struct block block = {base + i * 16, slots[i] & MT_SHADOW_MAX, slots[i] >> MT_SHADOW_SIZE_BITS};
        if (slots[i] != 0 && !visit(context, &block))
            return false;
    }
    return true;
}

static bool each_in_shadow(image_visit *visit, void *context) {
    uint64_t root = image_header()->shards[0].shadow_root;
    for (uint64_t r = 0; root != 0 && r < MT_SHADOW_ENTRIES; r++) {
        uint64_t middle = entries(root)[r];
        for (uint64_t m = 0; middle != 0 && m < MT_SHADOW_ENTRIES; m++) {
            uint64_t bottom = entries(middle)[m];
            for (uint64_t b = 0; bottom != 0 && b < MT_SHADOW_ENTRIES; b++) {
                uint64_t leaf = MT_SHADOW_LEAF(entries(bottom)[b]);
                uint64_t base = r << MT_SHADOW_MIDDLE_SHIFT | m << MT_SHADOW_BOTTOM_SHIFT | b << MT_SHADOW_LEAF_SHIFT;
                if (leaf != 0 && !each_in_leaf(leaf, base, visit, context))
                    return false;
            }
        }
    }
    return true;
}

static bool each_in_table(image_visit *visit, void *context) {
    const struct mt_pool_ref *pages = &image_header()->shards[0].table_pages;
    for (uint64_t p = 0; p < pages->count; p++) {
        const struct mt_table_slot *page = *(struct mt_table_slot *const *)image_record(pages, p);
        for (unsigned s = 1; s < MT_TABLE_SLOTS; s++) {
            struct block block = {MT_SLOT_ADDRESS(page[s].key), MT_SLOT_SIZE(page[s].key, page[s].value),
                                  MT_SLOT_SITE(page[s].value)};
            if (page[s].key != 0 && !visit(context, &block))
                return false;
        }
    }
    return true;
}

static bool each_range(image_visit *visit, void *context) {
    const struct mt_pool_ref *ranges = &image_header()->shards[0].ranges;
    for (uint64_t i = 0; i < ranges->count; i++) {
        const struct mt_range *range = image_record(ranges, i);
        struct block block = {range->start, range->end - range->start, range->site};
        if (range->state != 0 && !visit(context, &block))
            return false;
    }
    return true;
}

void image_each_block(image_visit *visit, void *context) {
    if (each_in_shadow(visit, context) && each_in_table(visit, context))
        each_range(visit, context);
}

struct search {
    uint64_t address;
    struct block found;
};

static bool is_searched(void *context, const struct block *block) {
    struct search *search = context;
    if (block->address != search->address)
        return true;
    search->found = *block;
    return false;
}

bool image_find_block(const void *address, struct block *ret) {
    struct search search = {.address = (uint64_t)address};
    image_each_block(is_searched, &search);
    *ret = search.found;
    return search.found.address != 0;
}

/* --- the dump ---------------------------------------------------------------------------------------------------- */

struct out {
    int fd;
    bool first_block;
    size_t used;
    char text[1 << 16];
};

static void flush(struct out *out) {
    for (size_t done = 0; done < out->used;) {
        ssize_t put = write(out->fd, out->text + done, out->used - done);
        if (put <= 0)
            break;
        done += (size_t)put;
    }
    out->used = 0;
}

/* Pieces are short: numbers and single characters. */
static void __attribute__((format(printf, 2, 3))) put(struct out *out, const char *format, ...) {
    va_list arguments;
    if (sizeof out->text - out->used < 512)
        flush(out);
    va_start(arguments, format);
    out->used += (size_t)vsnprintf(out->text + out->used, sizeof out->text - out->used, format, arguments);
    va_end(arguments);
}

static void put_byte(struct out *out, char byte) {
    if (out->used == sizeof out->text)
        flush(out);
    out->text[out->used++] = byte;
}

static void put_string(struct out *out, const char *text) {
    put_byte(out, '"');
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20) {
            put(out, "\\u%04x", (unsigned char)*text);
            continue;
        }
        if (*text == '"' || *text == '\\')
            put_byte(out, '\\');
        put_byte(out, *text);
    }
    put_byte(out, '"');
}

static void put_stack(struct out *out, uint32_t stack) {
    const struct mt_image_header *header = image_header();
    put(out, "[");
    for (const char *comma = ""; stack != 0; comma = ",") {
        const struct mt_stack_node *node = image_record(&header->stacks, stack);
        const struct mt_code *code = image_record(&header->codes, node->code);
        put(out, "%s[", comma);
        put_string(out, image_string(code->function));
        put(out, ",");
        put_string(out, image_string(code->file));
        put(out, ",%u]", node->line);
        stack = node->parent;
    }
    put(out, "]");
}

static void put_site(struct out *out, uint32_t index, const struct mt_site *site) {
    const struct mt_thread *thread = image_record(&image_header()->threads, site->thread);
    int64_t peak_bytes;
    uint32_t peak_blocks;
    image_site_at_peak(site, &peak_bytes, &peak_blocks);
    put(out,
        "{\"site\":%u,\"allocator\":%u,\"tid\":%u,\"bytes\":%lld,\"blocks\":%u,\"peak_bytes\":%lld,\"peak_blocks\":%u,",
        index, site->allocator, thread->tid, (long long)site->bytes, site->blocks, (long long)peak_bytes, peak_blocks);
    put(out, "\"stack\":");
    put_stack(out, site->stack);
    put(out, "}");
}

static bool put_block(void *context, const struct block *block) {
    struct out *out = context;
    put(out, "%s[%llu,%llu,%u]", out->first_block ? "" : ",", (unsigned long long)block->address,
        (unsigned long long)block->size, block->site);
    out->first_block = false;
    return true;
}

void image_dump(int fd, bool with_blocks) {
    static struct out out;
    const struct mt_image_header *header = image_header();
    const struct mt_shard *shard = &header->shards[0];
    out.fd = fd;
    out.used = 0;
    out.first_block = true;
    put(&out, "{\"state\":%u,\"level\":%u,\"session\":%llu,\"python_state\":%u,\"python_version\":%u,", header->state,
        header->level, (unsigned long long)header->session, header->python_state, header->python_version);
    put(&out, "\"python_problem\":");
    put_string(&out, header->python_problem);
    put(&out, ",\"python_rewrapped\":%u,\"dropped\":[", header->python_rewrapped);
    for (unsigned kind = 0; kind < MT_DROP_KINDS; kind++)
        put(&out, "%s%llu", kind ? "," : "", (unsigned long long)header->dropped[kind]);
    put(&out, "],\"recorder_bytes\":%llu,\"reserved_bytes\":%llu,\"file_map_bytes\":%llu,",
        (unsigned long long)header->recorder_bytes, (unsigned long long)header->reserved_bytes,
        (unsigned long long)header->file_map_bytes);
    put(&out, "\"events\":%llu,\"frees_ignored\":%llu,\"live_bytes\":%lld,\"live_blocks\":%lld,\"peak_bytes\":%lld,",
        (unsigned long long)shard->events, (unsigned long long)shard->frees_ignored, (long long)shard->live_bytes,
        (long long)shard->live_blocks, (long long)shard->peak_bytes);
    put(&out, "\"sites\":[");
    const char *comma = "";
    for (uint64_t i = 1; i < header->sites.count; i++) {
        const struct mt_site *site = image_site((uint32_t)i);
        if (site->state == 0)
            continue;
        put(&out, "%s", comma);
        put_site(&out, (uint32_t)i, site);
        comma = ",";
    }
    put(&out, "],\"blocks\":[");
    if (with_blocks)
        image_each_block(put_block, &out);
    put(&out, "]}\n");
    flush(&out);
}
