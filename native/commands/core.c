#include "commands/request.h"
#include "output/text.h"
#include "target/core_writer.h"

static struct mt_error *run(struct mt_call *call) {
    struct mt_host_description description;
    struct mt_target *target = NULL;
    uint64_t bytes;
    if (call->argument[0] == '\0')
        return mt_error_create(MT_ERROR_USAGE, "into which file?");
    struct mt_error *error = mt_request_describe(call, "written to one", &description);
    if (!error)
        error = mt_call_target(call, &target);
    if (!error)
        error = mt_core_write(target, call->argument, &call->watch, &bytes);
    if (error)
        return error;
    struct mt_strbuf size = MT_STRBUF_INIT;
    mt_text_size(&size, bytes);
    mt_emit_line(&call->emitter, "%s holds %s of memory", call->argument, size.data ? size.data : "?");
    mt_strbuf_deinit(&size);
    mt_emit_string(&call->emitter, "file", call->argument);
    mt_emit_unsigned(&call->emitter, "bytes", bytes);
    return NULL;
}

const struct mt_command mt_core_command = {
    .name = "core",
    .summary = "Write a core file of the stopped process.",
    .argument = "FILE",
    .options = MT_OPTION_JSON,
    .details = "Debuggers and `memtrace --core FILE` open it. It holds what files do not: pages of zeros take no room.",
    .run = run,
};
