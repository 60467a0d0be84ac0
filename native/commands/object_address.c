#include "commands/object_address.h"

#include <inttypes.h>
#include <string.h>

#include "allocators/glibc.h"
#include "allocators/pymalloc.h"
#include "heap/size.h"
#include "commands/object_words.h"
#include "output/text.h"

/* --- what is where no object is ------------------------------------------------------------------------------------
 */

static const struct mt_region *region_of(struct mt_target *target, uint64_t address) {
    const struct mt_region *regions;
    size_t count;
    struct mt_error *error = mt_target_regions(target, &regions, &count);
    mt_error_destroy(error);
    for (size_t i = 0; !error && i < count; i++)
        if (address >= regions[i].start && address < regions[i].end)
            return &regions[i];
    return NULL;
}

static void append_block(struct mt_strbuf *out, uint64_t size, const char *allocator) {
    mt_strbuf_append(out, "a block of ");
    mt_words_counted(out, size, "byte", "bytes");
    mt_strbuf_printf(out, " from %s that no known object owns", allocator);
}

static void append_region(struct mt_strbuf *out, const struct mt_region *region) {
    if (!region)
        mt_strbuf_append(out, "nothing is mapped there");
    else if (region->path && region->path[0] == '/')
        mt_strbuf_printf(out, "memory of %s", region->path);
    else
        mt_strbuf_printf(out, "memory that is neither pymalloc's nor a block in use%s%s", region->path ? " in " : "",
                         region->path ? region->path : "");
}

static bool is_in_arena(const struct mt_pymalloc *pymalloc, uint64_t address) {
    for (size_t i = 0; pymalloc && i < pymalloc->arenas.length; i++)
        if (address >= pymalloc->arenas.data[i].start && address < pymalloc->arenas.data[i].end)
            return true;
    return false;
}

/* Appends what `address` is, as it is in no object. */
static void describe_address(const struct mt_census *census, uint64_t address, struct mt_strbuf *out) {
    uint64_t start, size;
    bool live;
    struct mt_glibc_chunk chunk;
    if (census->pymalloc && mt_pymalloc_block_of(census->pymalloc, address, &start, &size, &live)) {
        if (live)
            append_block(out, size, "pymalloc");
        else
            mt_strbuf_printf(out, "free space of a pool for %" PRIu64 "-byte blocks", size);
    } else if (census->glibc && mt_glibc_block_of(census->glibc, address, &chunk)) {
        append_block(out, chunk.size, "malloc");
    } else if (is_in_arena(census->pymalloc, address)) {
        mt_strbuf_append(out, "an arena of pymalloc, but no block of a pool");
    } else {
        append_region(out, region_of(census->python->view->target, address));
    }
}

static struct mt_error *no_object(const struct mt_census *census, const struct mt_address *given) {
    struct mt_strbuf what = MT_STRBUF_INIT;
    describe_address(census, given->value, &what);
    struct mt_error *error = mt_error_create(MT_ERROR_NOT_FOUND, "0x%" PRIx64 " is in no live object: %s", given->value,
                                             mt_strbuf_text(&what));
    mt_strbuf_deinit(&what);
    return error;
}

/* --- the object ----------------------------------------------------------------------------------------------------
 */

static void measure_block(void *context, const struct mt_owned_block *block) {
    struct mt_object_address *result = context;
    uint64_t address = result->given.value;
    bool contains = address == block->address || address - block->address < block->size;
    /* The one that begins last: blocks of unknown size don't hide others. */
    if (contains && strcmp(block->what, result->part) == 0)
        result->part_size = block->size;
}

struct mt_error *mt_object_address_parse(struct mt_call *call, struct mt_census *census,
                                         struct mt_object_address *ret) {
    if (call->argument[0] == '\0')
        return mt_error_create(
            MT_ERROR_USAGE, "which object? Give an address (0x..), a row's number, a name (py:NAME), or an expression");
    struct mt_object_address result = {0};
    struct mt_error *error = mt_address_parse(call, call->argument, &result.given);
    if (error)
        return error;
    result.object = mt_census_find(census, result.given.value);
    if (result.object == MT_NO_OBJECT)
        error = mt_census_owner(census, result.given.value, &call->watch, &result.object, &result.part);
    if (!error && result.object == MT_NO_OBJECT)
        error = no_object(census, &result.given);
    if (error)
        return error;
    result.address = census->addresses[result.object];
    result.type = mt_census_type(census, result.object);
    if (result.part)
        mt_object_blocks(census->python, result.address, result.type, measure_block, &result);
    *ret = result;
    return NULL;
}

static bool is_own_block(const struct mt_object_address *address) {
    return !address->part || strcmp(address->part, "object") == 0;
}

struct mt_error *mt_object_address_in_graph(struct mt_call *call, struct mt_object_address *ret,
                                            struct mt_graph **ret_graph) {
    struct mt_census *census;
    struct mt_error *error = mt_call_census(call, &census);
    if (!error)
        error = mt_object_address_parse(call, census, ret);
    return error ? error : mt_call_graph(call, ret_graph);
}

bool mt_object_address_words(const struct mt_object_address *address, struct mt_strbuf *out) {
    const struct mt_address *given = &address->given;
    if (given->live_blocks == 0 && !address->part)
        return false;
    if (given->live_blocks == 1) {
        mt_strbuf_printf(out, ", the only live block of row %zu is ", given->row);
    } else if (given->live_blocks > 1) {
        mt_strbuf_append(out, ", the largest of the ");
        mt_text_count(out, given->live_blocks);
        mt_strbuf_printf(out, " live blocks of row %zu is ", given->row);
    } else {
        mt_strbuf_printf(out, ", 0x%" PRIx64 " is in ", given->value);
    }
    if (is_own_block(address))
        mt_strbuf_append(out, given->live_blocks > 0 ? "its own" : "the object itself");
    else
        mt_strbuf_printf(out, "its %s", address->part);
    if (address->part_size > 0) {
        mt_strbuf_append(out, ", ");
        mt_words_counted(out, address->part_size, "byte", "bytes");
    }
    return true;
}
