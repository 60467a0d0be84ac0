#include "commands/command.h"

#include <inttypes.h>

#include "commands/address.h"
#include "output/text.h"
#include "trace/blocks.h"

struct search {
    uint64_t address;
    bool found;
    struct mt_block block;
};

/* The smallest block around the address: a mapping may hold blocks that were recorded on their own. */
static void compare_block(void *context, const struct mt_block *block) {
    struct search *search = context;
    uint64_t size = block->size > 0 ? block->size : 1;
    if (search->address - block->address >= size)
        return;
    if (!search->found || block->size < search->block.size) {
        search->found = true;
        search->block = *block;
    }
}

static void emit_block(struct mt_call *call, const struct search *search) {
    struct mt_strbuf size = MT_STRBUF_INIT;
    mt_text_count(&size, search->block.size);
    mt_strbuf_append(&size, search->block.size == 1 ? " byte" : " bytes");
    const char *bytes = size.data ? size.data : "";
    uint64_t offset = search->address - search->block.address;
    if (offset == 0)
        mt_emit_line(&call->emitter, "0x%" PRIx64 " is the start of a block of %s", search->address, bytes);
    else
        mt_emit_line(&call->emitter, "0x%" PRIx64 " is at byte %" PRIu64 " of the block of %s at 0x%" PRIx64,
                     search->address, offset, bytes, search->block.address);
    mt_strbuf_deinit(&size);
    mt_emit_address(&call->emitter, "address", search->block.address);
    mt_emit_unsigned(&call->emitter, "size", search->block.size);
    mt_emit_unsigned(&call->emitter, "offset", offset);
}

static struct mt_error *emit_birth(struct mt_call *call, const struct mt_image *image, const struct mt_site *site) {
    struct mt_emitter *emitter = &call->emitter;
    const char *thread = mt_image_thread_name(image, site->thread), *allocator = mt_allocator_name(site->allocator);
    uint32_t tid = image->threads[site->thread].tid;
    struct mt_frame_list list = {0};
    size_t count;
    if (!mt_image_stack(image, site->stack, &list, &count)) {
        mt_frame_list_deinit(&list);
        return &mt_error_no_memory;
    }
    if (count > 0)
        mt_emit_place(emitter, "born in", list.frames, count);
    else
        mt_emit_line(emitter, "born outside Python");
    mt_emit_line(emitter, "by %s in thread %" PRIu32 " %s, generation %" PRIu32, allocator, tid,
                 thread ? thread : "(ended)", site->generation);
    mt_emit_unsigned(emitter, "thread", tid);
    mt_emit_string(emitter, "thread_name", thread);
    mt_emit_string(emitter, "allocator", allocator);
    mt_emit_unsigned(emitter, "generation", site->generation);
    mt_emit_stack(emitter, "stack", list.frames, count);
    mt_frame_list_deinit(&list);
    return NULL;
}

static struct mt_error *run(struct mt_call *call) {
    if (call->argument[0] == '\0')
        return mt_error_create(MT_ERROR_USAGE, "which block? Give an address (0x..), a row's number, or an expression");
    struct mt_image *image;
    struct mt_error *error = mt_call_recording(call, &image);
    if (error)
        return error;
    struct mt_address address;
    error = mt_address_parse(call, call->argument, &address);
    if (error)
        return error;
    struct search search = {.address = address.value};
    struct mt_block_gaps gaps;
    error = mt_blocks_visit(image, &call->watch, compare_block, &search, &gaps);
    if (error)
        return error;
    if (!search.found)
        return mt_error_create(MT_ERROR_NOT_FOUND,
                               "0x%" PRIx64
                               " is in no live block that was recorded: freed, allocated before recording, or not "
                               "allocated at all",
                               address.value);
    if (address.live_blocks > 1) {
        struct mt_strbuf count = MT_STRBUF_INIT;
        mt_text_count(&count, address.live_blocks);
        mt_emit_line(&call->emitter, "row %zu has %s live blocks; this is the largest", address.row,
                     count.data ? count.data : "");
        mt_strbuf_deinit(&count);
    }
    emit_block(call, &search);
    error = emit_birth(call, image, &image->sites[search.block.site]);
    if (!error)
        mt_call_warn_image(call, image, &gaps);
    return error;
}

const struct mt_command mt_born_command = {
    .name = "born",
    .summary = "Tell where the block that contains an address was allocated.",
    .argument = "ADDR",
    .options = MT_OPTION_JSON,
    .details = "ADDR is an address (0x..), the number of a row that was listed at this stop (17 or #17: its largest "
               "live block), or "
               "an expression of the debugger (`$rdi`, `obj`).",
    .run = run,
};
