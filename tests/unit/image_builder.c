#include "image_builder.h"

#include <stdlib.h>
#include <string.h>

#include "synthetic_target.h"
#include "unit.h"

#define PAGE 4096

/* Memory at BUILDER_MEMORY, handed out from its start. */
struct memory {
    MT_VECTOR(unsigned char) bytes;
};

static uint64_t take(struct memory *memory, size_t size) {
    size_t start = (memory->bytes.length + PAGE - 1) & ~(size_t)(PAGE - 1);
    assert_true(mt_vector_reserve(&memory->bytes, start + size + PAGE));
    memset(memory->bytes.data + memory->bytes.length, 0, start + size - memory->bytes.length);
    memory->bytes.length = start + size;
    return BUILDER_MEMORY + start;
}

/* Good until the next take(). */
static void *at(struct memory *memory, uint64_t address) {
    return memory->bytes.data + (address - BUILDER_MEMORY);
}

#define push(vector, value) assert_true(mt_vector_push((vector), (value)))

void builder_init(struct image_builder *builder) {
    *builder =
        (struct image_builder){.chunk_shift = 3, .symbol = true, .path = "/opt/memtrace/libmemtrace-recorder.so"};
    struct mt_image_header *header = &builder->header;
    memcpy(header->magic, MT_IMAGE_MAGIC, sizeof header->magic);
    header->major = MT_IMAGE_MAJOR;
    header->minor = MT_IMAGE_MINOR;
    header->hooked = MT_HOOKED_FIRST;
    header->self = BUILDER_IMAGE;
    header->pid = BUILDER_PID;
    header->state = MT_RECORDING_ON;
    header->level = MT_LEVEL_OBJECTS;
    header->session = 1;
    header->start_monotonic = 1000000000;
    header->python_version = 0x030b02f0;
    header->python_state = MT_PYTHON_PROVEN;
    header->recorder_bytes = 1234567;
    header->shard_count = 1;
    header->string_chunk_shift = 12;
    header->shards[0].epoch = 1;
    header->shards[0].peak_time = 2430000000;
    push(&builder->strings, '\0');
    push(&builder->stacks, (struct mt_stack_node){0});
    push(&builder->sites, (struct mt_site){0});
    builder_thread(builder, BUILDER_PID, "python3");
}

void builder_deinit(struct image_builder *builder) {
    mt_vector_deinit(&builder->strings);
    mt_vector_deinit(&builder->codes);
    mt_vector_deinit(&builder->stacks);
    mt_vector_deinit(&builder->sites);
    mt_vector_deinit(&builder->threads);
    mt_vector_deinit(&builder->blocks);
    mt_vector_deinit(&builder->ranges);
    for (size_t i = 0; i < MT_MARKS_KEPT; i++)
        mt_vector_deinit(&builder->marks[i].sums);
}

static uint32_t add_string(struct image_builder *builder, const char *text) {
    size_t size = strlen(text) + 1, chunk = (size_t)1 << builder->header.string_chunk_shift;
    assert_true(size <= chunk);
    /* No string crosses a chunk. */
    while (builder->strings.length / chunk != (builder->strings.length + size - 1) / chunk)
        push(&builder->strings, '\0');
    uint32_t offset = (uint32_t)builder->strings.length;
    for (size_t i = 0; i < size; i++)
        push(&builder->strings, text[i]);
    return offset;
}

uint32_t builder_code(struct image_builder *builder, const char *function, const char *file, uint32_t first_line) {
    struct mt_code code = {.first_line = first_line};
    code.file = add_string(builder, file);
    code.function = add_string(builder, function);
    push(&builder->codes, code);
    return (uint32_t)builder->codes.length - 1;
}

uint32_t builder_stack(struct image_builder *builder, uint32_t parent, uint32_t code, uint32_t line) {
    push(&builder->stacks, ((struct mt_stack_node){.parent = parent, .code = code, .line = line}));
    return (uint32_t)builder->stacks.length - 1;
}

uint32_t builder_thread(struct image_builder *builder, uint32_t tid, const char *name) {
    struct mt_thread thread = {.tid = tid, .state = 1};
    strncpy(thread.name, name, sizeof thread.name - 1);
    push(&builder->threads, thread);
    return (uint32_t)builder->threads.length - 1;
}

uint32_t builder_site(struct image_builder *builder, uint32_t stack, uint16_t thread, uint8_t allocator) {
    push(&builder->sites, ((struct mt_site){.stack = stack,
                                            .thread = thread,
                                            .allocator = allocator,
                                            .state = 1,
                                            .generation = builder->header.generation}));
    return (uint32_t)builder->sites.length - 1;
}

static void count(struct image_builder *builder, uint64_t size, uint32_t site) {
    struct mt_shard *shard = &builder->header.shards[0];
    shard->live_bytes += (int64_t)size;
    shard->live_blocks++;
    shard->events++;
    builder->sites.data[site].bytes += (int64_t)size;
    builder->sites.data[site].blocks++;
}

void builder_block(struct image_builder *builder, uint64_t address, uint64_t size, uint32_t site) {
    push(&builder->blocks, ((struct builder_block){address, size, site}));
    count(builder, size, site);
}

void builder_free(struct image_builder *builder, uint64_t address) {
    struct mt_shard *shard = &builder->header.shards[0];
    for (size_t i = 0; i < builder->blocks.length; i++) {
        struct builder_block *block = &builder->blocks.data[i];
        if (block->address != address)
            continue;
        shard->live_bytes -= (int64_t)block->size;
        shard->live_blocks--;
        shard->events++;
        builder->sites.data[block->site].bytes -= (int64_t)block->size;
        builder->sites.data[block->site].blocks--;
        *block = builder->blocks.data[--builder->blocks.length];
        return;
    }
    fail_msg("no block at 0x%llx", (unsigned long long)address);
}

uint32_t builder_mark(struct image_builder *builder, const char *name) {
    const struct mt_shard *shard = &builder->header.shards[0];
    uint32_t generation = ++builder->header.generation;
    struct builder_mark *mark = &builder->marks[generation % MT_MARKS_KEPT];
    mark->record = (struct mt_mark){.generation = generation,
                                    .event = shard->events,
                                    .time = builder->header.start_monotonic + 1000000000ULL * generation,
                                    .live_bytes = shard->live_bytes,
                                    .live_blocks = shard->live_blocks};
    strncpy(mark->record.name, name, sizeof mark->record.name - 1);
    mt_vector_deinit(&mark->sums);
    for (size_t i = 1; i < builder->sites.length; i++) {
        const struct mt_site *site = &builder->sites.data[i];
        if (site->blocks > 0)
            push(&mark->sums, ((struct mt_mark_sum){.stack = site->stack,
                                                    .thread = site->thread,
                                                    .allocator = site->allocator,
                                                    .generation = site->generation,
                                                    .blocks = site->blocks,
                                                    .bytes = site->bytes}));
    }
    return generation;
}

void builder_range(struct image_builder *builder, uint64_t start, uint64_t end, uint32_t site) {
    push(&builder->ranges, ((struct mt_range){.start = start, .end = end, .site = site, .state = 1}));
    if (site > 0)
        count(builder, end - start, site);
}

void builder_at_peak(struct image_builder *builder, uint32_t site, int64_t bytes, uint32_t blocks) {
    struct mt_site *record = &builder->sites.data[site];
    record->epoch = builder->header.shards[0].epoch;
    record->peak_bytes = bytes;
    record->peak_blocks = blocks;
}

static struct mt_pool_ref lay_pool(const struct image_builder *builder, struct memory *memory, const void *records,
                                   size_t size, size_t count_of_records) {
    size_t stride = size + builder->extra_stride, per_chunk = (size_t)1 << builder->chunk_shift;
    size_t chunks = (count_of_records + per_chunk - 1) / per_chunk;
    struct mt_pool_ref pool = {
        .stride = (uint32_t)stride, .chunk_shift = builder->chunk_shift, .count = count_of_records};
    pool.directory = take(memory, 8 * chunks + 8);
    for (size_t i = 0; i < chunks; i++) {
        uint64_t chunk = take(memory, stride << builder->chunk_shift);
        ((uint64_t *)at(memory, pool.directory))[i] = chunk;
        unsigned char *bytes = at(memory, chunk);
        memset(bytes, 0xee, stride << builder->chunk_shift);
        for (size_t j = 0; j < per_chunk && i * per_chunk + j < count_of_records; j++)
            memcpy(bytes + j * stride, (const char *)records + (i * per_chunk + j) * size, size);
    }
    return pool;
}

static void lay_strings(struct image_builder *builder, struct memory *memory) {
    size_t chunk_size = (size_t)1 << builder->header.string_chunk_shift;
    size_t chunks = (builder->strings.length + chunk_size - 1) / chunk_size;
    uint64_t directory = take(memory, 8 * chunks);
    for (size_t i = 0; i < chunks; i++) {
        uint64_t chunk = take(memory, chunk_size);
        ((uint64_t *)at(memory, directory))[i] = chunk;
        size_t left = builder->strings.length - i * chunk_size;
        memcpy(at(memory, chunk), builder->strings.data + i * chunk_size, left < chunk_size ? left : chunk_size);
    }
    builder->header.strings = directory;
    builder->header.string_bytes = builder->strings.length;
}

/* The next table of the radix tree, made when it is missing. */
static uint64_t descend(struct memory *memory, uint64_t table, unsigned index, size_t size) {
    uint64_t entry = ((uint64_t *)at(memory, table))[index];
    if (MT_SHADOW_LEAF(entry) == 0) {
        entry = take(memory, size);
        ((uint64_t *)at(memory, table))[index] = entry;
    }
    return MT_SHADOW_LEAF(entry);
}

static bool fits_shadow(const struct builder_block *block) {
    return block->size <= MT_SHADOW_MAX && block->address % 16 == 0;
}

static void lay_shadow(struct image_builder *builder, struct memory *memory) {
    const size_t table_size = MT_SHADOW_ENTRIES * 8;
    uint64_t root = take(memory, table_size);
    builder->header.shards[0].shadow_root = root;
    for (size_t i = 0; i < builder->blocks.length; i++) {
        const struct builder_block *block = &builder->blocks.data[i];
        if (!fits_shadow(block) || (builder->in_table && !builder->doubled))
            continue;
        uint64_t a = block->address;
        uint64_t middle = descend(memory, root, a >> MT_SHADOW_MIDDLE_SHIFT & 2047, table_size);
        uint64_t bottom = descend(memory, middle, a >> MT_SHADOW_BOTTOM_SHIFT & 2047, table_size);
        uint64_t leaf = descend(memory, bottom, a >> MT_SHADOW_LEAF_SHIFT & 2047, 4 * MT_SHADOW_LEAF_SLOTS);
        ((uint64_t *)at(memory, bottom))[a >> MT_SHADOW_LEAF_SHIFT & 2047] += 1ULL << 48;
        ((uint32_t *)at(memory, leaf))[a >> 4 & 1023] = block->site << MT_SHADOW_SIZE_BITS | (uint32_t)block->size;
    }
}

static void lay_table(struct image_builder *builder, struct memory *memory) {
    MT_VECTOR(uint64_t) pages = {0};
    size_t slot = MT_TABLE_SLOTS;
    for (size_t i = 0; i < builder->blocks.length; i++) {
        const struct builder_block *block = &builder->blocks.data[i];
        if (fits_shadow(block) && !builder->in_table && !builder->doubled)
            continue;
        if (slot >= MT_TABLE_SLOTS) {
            push(&pages, take(memory, MT_TABLE_SLOTS * sizeof(struct mt_table_slot)));
            struct mt_table_slot *own = at(memory, pages.data[pages.length - 1]);
            own->key = own->value = UINT64_MAX;
            slot = 1;
        }
        struct mt_table_slot *slots = at(memory, pages.data[pages.length - 1]);
        slots[slot] = (struct mt_table_slot){.key = block->address | block->size >> 32 << 48,
                                             .value = (uint64_t)block->site << 32 | (block->size & 0xffffffff)};
        slot += 3;
    }
    builder->header.shards[0].table_pages = lay_pool(builder, memory, pages.data, sizeof(uint64_t), pages.length);
    mt_vector_deinit(&pages);
}

static void lay_marks(struct image_builder *builder, struct memory *memory) {
    struct mt_mark records[MT_MARKS_KEPT];
    if (builder->header.generation == 0)
        return;
    for (size_t i = 0; i < MT_MARKS_KEPT; i++) {
        struct builder_mark *mark = &builder->marks[i];
        size_t size = mark->sums.length * sizeof *mark->sums.data;
        if (size > 0 && mark->record.sums == 0) {
            mark->record.sum_count = mark->sums.length;
            mark->record.sums = take(memory, size);
            memcpy(at(memory, mark->record.sums), mark->sums.data, size);
        }
        records[i] = mark->record;
    }
    builder->header.marks = lay_pool(builder, memory, records, sizeof(struct mt_mark), MT_MARKS_KEPT);
}

struct mt_target *builder_finish(struct image_builder *builder) {
    struct memory memory = {0};
    struct mt_image_header *header = &builder->header;
    take(&memory, PAGE);
    lay_strings(builder, &memory);
    header->codes = lay_pool(builder, &memory, builder->codes.data, sizeof(struct mt_code), builder->codes.length);
    header->stacks =
        lay_pool(builder, &memory, builder->stacks.data, sizeof(struct mt_stack_node), builder->stacks.length);
    header->sites = lay_pool(builder, &memory, builder->sites.data, sizeof(struct mt_site), builder->sites.length);
    header->threads =
        lay_pool(builder, &memory, builder->threads.data, sizeof(struct mt_thread), builder->threads.length);
    header->shards[0].ranges =
        lay_pool(builder, &memory, builder->ranges.data, sizeof(struct mt_range), builder->ranges.length);
    lay_shadow(builder, &memory);
    lay_table(builder, &memory);
    lay_marks(builder, &memory);
    header->header_size = (uint32_t)sizeof *header + builder->extra_header;
    if (header->shards[0].peak_bytes == 0)
        header->shards[0].peak_bytes = header->shards[0].live_bytes;

    struct mt_target *target = mt_synthetic_target_create();
    target->info.pid = BUILDER_PID;
    const unsigned access = MT_SYNTHETIC_READ | MT_SYNTHETIC_WRITE;
    builder->header_size = 2 * PAGE;
    builder->header_bytes =
        mt_synthetic_target_add(target, BUILDER_IMAGE, NULL, builder->header_size, access, builder->path);
    memcpy(builder->header_bytes, header, sizeof *header);
    builder->memory_size = memory.bytes.length;
    builder->memory_bytes =
        mt_synthetic_target_add(target, BUILDER_MEMORY, memory.bytes.data, builder->memory_size, access, NULL);
    if (builder->symbol)
        mt_synthetic_target_add_symbol(target, MT_IMAGE_SYMBOL, BUILDER_IMAGE);
    mt_vector_deinit(&memory.bytes);
    return target;
}

void builder_example(struct image_builder *builder) {
    static const char *const file = "/home/usr/code/holding.py";
    const struct {
        const char *function;
        uint32_t line, caller_line;
    } steps[] = {
        {"load_data", 25, 49}, {"subtract_scalar", 37, 50}, {"raise_to_power", 41, 51}, {"duplicate_data", 29, 52}};
    builder_init(builder);
    uint32_t module = builder_stack(builder, 0, builder_code(builder, "<module>", file, 1), 57);
    uint32_t process_data = builder_code(builder, "process_data", file, 48);
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t caller = builder_stack(builder, module, process_data, steps[i].caller_line);
        uint32_t code = builder_code(builder, steps[i].function, file, steps[i].line - 1);
        uint32_t site = builder_site(builder, builder_stack(builder, caller, code, steps[i].line), 0, MT_MALLOC);
        if (i == 0)
            builder_at_peak(builder, site, 100000000, 1);
        else
            builder_block(builder, 0x7f2000000010 + 0x10000000 * (uint64_t)i, 100000000, site);
    }
    uint32_t worker = builder_thread(builder, 4712, "Worker-1");
    uint32_t small = builder_site(builder, 0, 0, MT_PYOBJECT_MALLOC);
    uint32_t other = builder_site(builder, module, (uint16_t)worker, MT_PYOBJECT_MALLOC);
    for (uint64_t i = 0; i < 1000; i++)
        builder_block(builder, 0x7f3000000000 + 64 * i, i % 100, i % 3 == 0 ? other : small);
    builder->header.shards[0].peak_thread = 0;
    builder->threads.data[0].last_site = 4;
    builder->threads.data[worker].last_site = other;
}
