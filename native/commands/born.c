#include "commands/command.h"

#include <inttypes.h>

#include "commands/address.h"
#include "commands/birth.h"
#include "output/text.h"

static void emit_block(struct mt_call *call, uint64_t address, const struct mt_block *block) {
    struct mt_strbuf size = MT_STRBUF_INIT;
    mt_text_count(&size, block->size);
    mt_strbuf_append(&size, block->size == 1 ? " byte" : " bytes");
    const char *bytes = mt_strbuf_text(&size);
    uint64_t offset = address - block->address;
    if (offset == 0)
        mt_emit_line(&call->emitter, "0x%" PRIx64 " is the start of a block of %s", address, bytes);
    else
        mt_emit_line(&call->emitter, "0x%" PRIx64 " is at byte %" PRIu64 " of the block of %s at 0x%" PRIx64, address,
                     offset, bytes, block->address);
    mt_strbuf_deinit(&size);
    mt_emit_address(&call->emitter, "address", block->address);
    mt_emit_unsigned(&call->emitter, "size", block->size);
    mt_emit_unsigned(&call->emitter, "offset", offset);
}

static struct mt_error *emit_birth(struct mt_call *call, const struct mt_image *image, const struct mt_site *site) {
    struct mt_emitter *emitter = &call->emitter;
    const char *thread = mt_image_thread_name(image, site->thread), *allocator = mt_allocator_name(site->allocator);
    uint32_t tid = image->threads[site->thread].tid;
    mt_emit_unsigned(emitter, "thread", tid);
    mt_emit_string(emitter, "thread_name", thread);
    mt_emit_string(emitter, "allocator", allocator);
    mt_emit_unsigned(emitter, "generation", site->generation);
    struct mt_error *error = mt_birth_emit_stack(call, image, site);
    if (error)
        return error;
    mt_emit_line(emitter, "by %s in thread %" PRIu32 " %s, generation %" PRIu32, allocator, tid,
                 thread ? thread : "(ended)", site->generation);
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
    struct mt_birth birth;
    struct mt_block_gaps gaps;
    error = mt_birth_find(call, image, &address.value, 1, &birth, &gaps);
    if (error)
        return error;
    if (!birth.found)
        return mt_error_create(MT_ERROR_NOT_FOUND, "0x%" PRIx64 " is in no live block that was recorded: %s",
                               address.value,
                               image->header.attached != 0
                                   ? "allocated before the recorder was attached, freed since, or not allocated at all"
                                   : "freed, allocated before recording, or not allocated at all");
    if (address.live_blocks > 1) {
        struct mt_strbuf count = MT_STRBUF_INIT;
        mt_text_count(&count, address.live_blocks);
        mt_emit_line(&call->emitter, "row %zu has %s live blocks; this is the largest", address.row,
                     mt_strbuf_text(&count));
        mt_strbuf_deinit(&count);
    }
    emit_block(call, address.value, &birth.block);
    error = emit_birth(call, image, &image->sites[birth.block.site]);
    if (!error)
        mt_call_warn_image(call, image, &gaps);
    return error;
}

const struct mt_command mt_born_command = {
    .name = "born",
    .summary = "Tell where the block that contains an address was allocated.",
    .argument = "ADDR",
    .options = MT_OPTION_THREAD | MT_OPTION_FRAME | MT_OPTION_JSON,
    .details =
        "ADDR is an address (0x..); the number of a row that was listed at this stop (17 or #17: its object, or its "
        "largest live block); a name as Python code sees it (py:data); or an expression of the debugger (`$rdi`, "
        "`obj`).",
    .run = run,
};
