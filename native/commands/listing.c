#include "commands/listing.h"

#include <stdio.h>

#include "commands/session.h"

size_t mt_listing_shown(const struct mt_call *call, size_t count) {
    size_t most = call->options.given & MT_OPTION_LIMIT ? call->options.limit
                  : call->emitter.json                  ? SIZE_MAX
                                                        : mt_session_settings(call->session)->of[MT_SETTING_LIMIT];
    return most < count ? most : count;
}

void mt_listing_omitted(struct mt_call *call, size_t rows, uint64_t bytes) {
    mt_emit_begin(&call->emitter, "omitted", '{');
    mt_emit_unsigned(&call->emitter, "rows", rows);
    mt_emit_unsigned(&call->emitter, "bytes", bytes);
    mt_emit_end(&call->emitter, '}');
}

static bool has_address(const struct mt_handle *handle) {
    return handle->kind == MT_HANDLE_OBJECT || (handle->kind == MT_HANDLE_BLOCKS && handle->live_blocks > 0);
}

size_t mt_listing_number(struct mt_call *call, struct mt_handle handle) {
    if (call->emitter.json)
        return 0;
    size_t number = mt_handles_add(mt_session_handles(call->session), handle);
    const struct mt_host *host = mt_session_debugger(call->session);
    if (number == 0) {
        call->emitter.body.failed = true;
    } else if (has_address(&handle) && host && host->set_variable &&
               mt_session_settings(call->session)->of[MT_SETTING_VARIABLES] != MT_VARIABLES_OFF) {
        char name[32];
        snprintf(name, sizeof name, "mt%zu", number);
        host->set_variable(host->context, name, handle.address);
    }
    return number;
}

size_t mt_listing_number_object(struct mt_call *call, uint64_t address) {
    return mt_listing_number(call, (struct mt_handle){.kind = MT_HANDLE_OBJECT, .address = address});
}
