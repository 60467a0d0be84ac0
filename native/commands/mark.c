#include "commands/command.h"

#include <inttypes.h>
#include <string.h>

#include "commands/moment.h"
#include "commands/request.h"
#include "commands/words.h"
#include "output/text.h"

static struct mt_error *check_name(const char *name) {
    if (name[mt_word_length(name)] != '\0')
        return mt_error_create(MT_ERROR_USAGE, "a mark's name is one word, not `%s`", name);
    if (strlen(name) >= MT_MARK_NAME)
        return mt_error_create(MT_ERROR_USAGE, "a mark's name has at most %d bytes", MT_MARK_NAME - 1);
    if (*name != '\0' && name[strspn(name, "0123456789")] == '\0')
        return mt_error_create(MT_ERROR_USAGE, "a mark's name is no number: marks have numbers of their own");
    if (strcmp(name, "start") == 0 || strcmp(name, "now") == 0)
        return mt_error_create(MT_ERROR_USAGE, "`%s` is there without a mark: give another name", name);
    return NULL;
}

/* Can a mark be set at this stop? */
static struct mt_error *check_recording(const struct mt_image *image) {
    enum mt_request asked = mt_image_pending(image);
    if (asked == MT_REQUEST_START)
        return mt_error_create(MT_ERROR_NOT_RECORDED,
                               "recording begins at the next allocation: this moment is `start`, without a mark");
    struct mt_error *error = mt_image_check_recorded(image);
    if (!error && (image->header.state != MT_RECORDING_ON || asked == MT_REQUEST_STOP))
        return mt_error_create(MT_ERROR_NOT_RECORDED, "recording was stopped: nothing will be born after a mark "
                                                      "(`memtrace record` begins anew)");
    return error;
}

/* What has become of the mark of an earlier command at this stop. */
static void append_again(struct mt_strbuf *line, const char *old_name, const char *name) {
    mt_strbuf_append(line, " (set before at this very moment");
    if (strcmp(old_name, name) != 0 && *old_name != '\0')
        mt_strbuf_printf(line, ", as `%s`", old_name);
    mt_strbuf_append_char(line, ')');
}

static struct mt_error *run(struct mt_call *call) {
    const char *name = call->argument;
    struct mt_host_description description;
    struct mt_image *image;
    struct mt_error *error = check_name(name);
    if (!error)
        error = mt_request_describe(call, "marked", &description);
    if (!error)
        error = mt_request_image(call, &image);
    if (!error)
        error = check_recording(image);
    if (error)
        return error;
    const struct mt_shard *shard = mt_image_shard(image);
    uint64_t bytes = shard->live_bytes > 0 ? (uint64_t)shard->live_bytes : 0;
    uint64_t blocks = shard->live_blocks > 0 ? (uint64_t)shard->live_blocks : 0;
    struct mt_moment moment = {.kind = MT_MOMENT_PENDING, .generation = image->header.generation + 1};
    /* At one moment there is one mark: asked for again, it can only get another name. */
    bool again = mt_image_mark_is_pending(image);
    char old_name[MT_MARK_NAME] = "";
    if (again)
        memcpy(old_name, image->header.request_name, sizeof old_name);
    strcpy(moment.name, *name != '\0' ? name : old_name);
    bool renamed = again && strcmp(moment.name, old_name) != 0;
    if (!again || renamed)
        error = mt_request_write_name(image, moment.name);
    if (!error)
        error = mt_request_write(call, image, MT_REQUEST_MARK, moment.generation);
    if (error)
        return error;
    mt_emit_string(&call->emitter, "action", !again ? "mark" : renamed ? "rename" : "none");
    mt_emit_unsigned(&call->emitter, "generation", moment.generation);
    mt_emit_string(&call->emitter, "name", moment.name[0] != '\0' ? moment.name : NULL);
    mt_emit_unsigned(&call->emitter, "live_bytes", bytes);
    mt_emit_unsigned(&call->emitter, "live_blocks", blocks);
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_moment_append(&line, &moment);
    if (again)
        append_again(&line, old_name, moment.name);
    mt_strbuf_append(&line, ": ");
    mt_text_size(&line, bytes);
    mt_strbuf_append(&line, " in ");
    mt_text_count(&line, blocks);
    mt_strbuf_append(&line, blocks == 1 ? " block is alive" : " blocks are alive");
    mt_emit_line(&call->emitter, "%s", mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
    mt_call_hint(call, "try, later: memtrace diff 1 · memtrace live --since 1");
    return NULL;
}

const struct mt_command mt_mark_command = {
    .name = "mark",
    .summary = "Mark this moment, to ask later what changed since.",
    .argument = "[NAME]",
    .options = MT_OPTION_JSON,
    .details =
        "Marks are numbered from 1 on; NAME is one word. `memtrace diff` and `memtrace live --since` take either. "
        "What was alive is kept for the last 16 marks. `memtrace status` lists them.",
    .run = run,
};
