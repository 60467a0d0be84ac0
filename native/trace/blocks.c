#include "trace/blocks.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/hash_map.h"
#include "base/vector.h"
#include "trace/pool.h"

#define PAGE 4096
#define BATCH_PAGES 256
#define MAX_UNREADABLE 100000 /* a damaged image must not keep us trying for ever */

/* A page of the recorder's tables. `base`: for a shadow leaf, the first address that it covers. */
struct page {
    uint64_t address;
    uint64_t base;
};

typedef MT_VECTOR(struct page) page_list;

struct walk {
    const struct mt_image *image;
    struct mt_pool_reader reader;
    mt_block_visitor *visit;
    void *context;
    struct mt_block_gaps gaps;
    struct mt_error *error;
    /* While some thread stands inside an event a block may be in two places: then addresses are remembered. Those of
     * the block table and the ranges are (value 1), and those that a descriptor asks about (value 0 until seen). */
    bool unsettled;
    struct mt_hash_map known;
};

static void give(struct walk *walk, uint64_t address, uint64_t size, uint32_t site) {
    if (site >= walk->image->site_count || walk->image->sites[site].state == 0) {
        walk->gaps.strays++;
        return;
    }
    walk->visit(walk->context, &(struct mt_block){address, size, site});
}

/* As give(), for a block that may come again. */
static void give_once(struct walk *walk, uint64_t address, uint64_t size, uint32_t site) {
    if (walk->unsettled) {
        uint64_t *seen = mt_hash_map_find_or_insert(&walk->known, address, 0, NULL);
        if (!seen) {
            walk->error = &mt_error_no_memory;
            return;
        }
        if (*seen)
            return;
        *seen = 1;
    }
    give(walk, address, size, site);
}

/* A page that a core does not hold is a gap in the answer; anything else ends the walk. */
static void note_unreadable(struct walk *walk, struct mt_error *error) {
    if (error->code != MT_ERROR_FAULT) {
        walk->error = error;
        return;
    }
    mt_error_destroy(error);
    if (++walk->gaps.unreadable_pages > MAX_UNREADABLE && !walk->error)
        walk->error =
            mt_error_create(MT_ERROR_FORMAT, "the recorder's image is damaged: most of its tables can't be read");
}

static int compare_pages(const void *a, const void *b) {
    uint64_t left = ((const struct page *)a)->address, right = ((const struct page *)b)->address;
    return left < right ? -1 : left > right;
}

/* Reads 4 KiB pages, neighbours in one go, and calls `each` for those that can be read. */
static void read_pages(struct walk *walk, page_list *pages, const char *what,
                       void (*each)(struct walk *walk, const struct page *page, const void *bytes)) {
    MT_AUTO_FREE char *buffer = malloc((size_t)BATCH_PAGES * PAGE);
    if (!buffer) {
        walk->error = &mt_error_no_memory;
        return;
    }
    if (pages->length > 0)
        qsort(pages->data, pages->length, sizeof *pages->data, compare_pages);
    for (size_t first = 0, count; first < pages->length && !walk->error; first += count) {
        const struct page *batch = &pages->data[first];
        for (count = 1; count < BATCH_PAGES && first + count < pages->length; count++)
            if (batch[count].address != batch[0].address + count * PAGE)
                break;
        if (first > 0 && batch[0].address == batch[-1].address) {
            count = 1;
            continue; /* the same page twice: only in a damaged image */
        }
        walk->error = mt_watch_poll(walk->reader.watch, "reading live blocks");
        if (!walk->error)
            walk->error = mt_pool_spend(&walk->reader, count * PAGE, what);
        if (walk->error)
            return;
        struct mt_error *error = mt_target_read(walk->image->target, batch[0].address, buffer, count * PAGE);
        if (!error) {
            for (size_t i = 0; i < count; i++)
                each(walk, &batch[i], buffer + i * PAGE);
            continue;
        }
        if (error->code != MT_ERROR_FAULT) {
            walk->error = error;
            return;
        }
        mt_error_destroy(error);
        for (size_t i = 0; i < count && !walk->error; i++) {
            error = mt_target_read(walk->image->target, batch[i].address, buffer, PAGE);
            if (error)
                note_unreadable(walk, error);
            else
                each(walk, &batch[i], buffer);
        }
    }
}

static void visit_table_page(struct walk *walk, const struct page *page, const void *bytes) {
    const struct mt_table_slot *slots = bytes;
    for (size_t i = 1; i < MT_TABLE_SLOTS; i++)
        if (slots[i].key != 0)
            give_once(walk, MT_SLOT_ADDRESS(slots[i].key), MT_SLOT_SIZE(slots[i].key, slots[i].value),
                      MT_SLOT_SITE(slots[i].value));
}

static void visit_table(struct walk *walk) {
    void *records;
    size_t count;
    walk->error = mt_pool_read(&walk->reader, &mt_image_shard(walk->image)->table_pages, sizeof(uint64_t),
                               "table pages", &records, &count);
    if (walk->error)
        return;
    MT_AUTO_FREE uint64_t *addresses = records;
    page_list pages = {0};
    if (count > 0 && !mt_vector_reserve(&pages, count))
        walk->error = &mt_error_no_memory;
    for (size_t i = 0; i < count && !walk->error; i++)
        if (addresses[i] != 0)
            pages.data[pages.length++] = (struct page){.address = addresses[i]};
    if (!walk->error)
        read_pages(walk, &pages, "block table", visit_table_page);
    mt_vector_deinit(&pages);
}

static void visit_ranges(struct walk *walk) {
    void *records;
    size_t count;
    walk->error = mt_pool_read(&walk->reader, &mt_image_shard(walk->image)->ranges, sizeof(struct mt_range), "ranges",
                               &records, &count);
    if (walk->error)
        return;
    MT_AUTO_FREE struct mt_range *ranges = records;
    uint32_t moving = mt_image_shard(walk->image)->ranges_changed ? MT_RANGE_ARRIVING : MT_RANGE_LEAVING;
    for (size_t i = 0; i < count && !walk->error; i++)
        /* Site 0: reserved address space and file maps, which are outside the totals. */
        if ((ranges[i].state == MT_RANGE_LIVE || ranges[i].state == moving) && ranges[i].site != 0 &&
            ranges[i].end > ranges[i].start)
            give_once(walk, ranges[i].start, ranges[i].end - ranges[i].start, ranges[i].site);
}

static void visit_leaf(struct walk *walk, const struct page *page, const void *bytes) {
    const uint32_t *slots = bytes;
    for (size_t i = 0; i < MT_SHADOW_LEAF_SLOTS; i++) {
        if (slots[i] == 0)
            continue;
        uint64_t address = page->base + i * 16, size = slots[i] & MT_SHADOW_MAX;
        uint32_t site = slots[i] >> MT_SHADOW_SIZE_BITS;
        if (walk->unsettled) {
            /* No two slots of the shadow are the same address, so only what was seen elsewhere matters. */
            uint64_t *seen = mt_hash_map_find(&walk->known, address);
            if (seen && *seen)
                continue;
            if (seen)
                *seen = 1;
        }
        give(walk, address, size, site);
    }
}

/* One table of the radix tree; false: it can't be read, or the walk has ended. */
static bool read_radix(struct walk *walk, uint64_t address, uint64_t *entries) {
    const size_t size = MT_SHADOW_ENTRIES * sizeof *entries;
    if (address == 0 || walk->error)
        return false;
    walk->error = mt_watch_poll(walk->reader.watch, "reading live blocks");
    if (walk->error)
        return false;
    struct mt_error *error = mt_target_read(walk->image->target, address, entries, size);
    if (error) {
        note_unreadable(walk, error);
        return false;
    }
    walk->error = mt_pool_spend(&walk->reader, size, "shadow");
    return !walk->error;
}

static void collect_leaves(struct walk *walk, page_list *leaves) {
    MT_AUTO_FREE uint64_t *tables = malloc(3 * MT_SHADOW_ENTRIES * sizeof *tables);
    if (!tables) {
        walk->error = &mt_error_no_memory;
        return;
    }
    uint64_t *root = tables, *middle = root + MT_SHADOW_ENTRIES, *bottom = middle + MT_SHADOW_ENTRIES;
    if (!read_radix(walk, mt_image_shard(walk->image)->shadow_root, root))
        return;
    for (uint64_t r = 0; r < MT_SHADOW_ENTRIES; r++) {
        if (!read_radix(walk, root[r], middle))
            continue;
        for (uint64_t m = 0; m < MT_SHADOW_ENTRIES; m++) {
            if (!read_radix(walk, middle[m], bottom))
                continue;
            for (uint64_t b = 0; b < MT_SHADOW_ENTRIES; b++) {
                uint64_t leaf = MT_SHADOW_LEAF(bottom[b]);
                uint64_t base = r << MT_SHADOW_MIDDLE_SHIFT | m << MT_SHADOW_BOTTOM_SHIFT | b << MT_SHADOW_LEAF_SHIFT;
                if (leaf != 0 && !mt_vector_push(leaves, ((struct page){leaf, base}))) {
                    walk->error = &mt_error_no_memory;
                    return;
                }
            }
        }
    }
}

static void visit_shadow(struct walk *walk) {
    page_list leaves = {0};
    collect_leaves(walk, &leaves);
    if (!walk->error)
        read_pages(walk, &leaves, "shadow", visit_leaf);
    mt_vector_deinit(&leaves);
}

static bool holds_old_block(const struct mt_thread *thread) {
    return thread->state != 0 && thread->address != 0 &&
           (thread->operation == MT_OP_REALLOCATE || thread->operation == MT_OP_SETTLE);
}

/* Notes the addresses that the descriptors are about, to learn whether the tables have them. */
static void ask_descriptors(struct walk *walk) {
    for (size_t i = 0; i < walk->image->thread_count; i++) {
        const struct mt_thread *thread = &walk->image->threads[i];
        if (thread->state != 0 && thread->operation != MT_IDLE)
            walk->unsettled = true;
        if (!holds_old_block(thread))
            continue;
        if (!mt_hash_map_find_or_insert(&walk->known, thread->address, 0, NULL) ||
            !mt_hash_map_find_or_insert(&walk->known, thread->new_address, 0, NULL)) {
            walk->error = &mt_error_no_memory;
            return;
        }
    }
    if (mt_image_shard(walk->image)->lock != 0)
        walk->unsettled = true;
}

static void visit_descriptors(struct walk *walk) {
    for (size_t i = 0; i < walk->image->thread_count && !walk->error; i++) {
        const struct mt_thread *thread = &walk->image->threads[i];
        if (!holds_old_block(thread))
            continue;
        /* What the tables have at the old block's own address is another thread's by now, unless new_address says
         * otherwise. */
        const uint64_t *successor = mt_hash_map_find(&walk->known, thread->new_address);
        bool in_tables = thread->new_address != 0 && successor && *successor;
        if (in_tables && (thread->operation == MT_OP_SETTLE || thread->new_address == thread->address))
            continue;
        give(walk, thread->address, thread->size, thread->site);
    }
}

struct mt_error *mt_blocks_visit(const struct mt_image *image, struct mt_watch *watch, mt_block_visitor *visit,
                                 void *context, struct mt_block_gaps *ret_gaps) {
    struct walk walk = {.image = image,
                        .reader = {.target = image->target, .watch = watch, .budget = image->budget},
                        .visit = visit,
                        .context = context};
    void (*const steps[])(struct walk *) = {ask_descriptors, visit_table, visit_ranges, visit_shadow,
                                            visit_descriptors};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && !walk.error; i++)
        steps[i](&walk);
    mt_hash_map_deinit(&walk.known);
    if (!walk.error)
        *ret_gaps = walk.gaps;
    return walk.error;
}
