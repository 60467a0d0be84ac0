#include "commands/command.h"

#include "commands/breakpoints.h"
#include "commands/ref_sheet.h"
#include "commands/request.h"
#include "commands/session.h"

/* Why there is no sheet. */
static struct mt_error *nothing_counted(struct mt_call *call) {
    const struct mt_breakpoints *breakpoints = mt_session_breakpoints(call->session);
    for (size_t i = 0; i < breakpoints->list.length; i++)
        if (breakpoints->list.data[i].kind == MT_BREAK_NEXT)
            return mt_error_create(MT_ERROR_NOT_FOUND, "no %s was seen to be made yet: continue",
                                   breakpoints->list.data[i].type_name);
    return mt_error_create(MT_ERROR_NOT_FOUND, "no references were counted: `memtrace break --refs ADDR` first");
}

static struct mt_error *run(struct mt_call *call) {
    struct mt_ref_sheet *sheet = mt_session_ref_sheet(call->session);
    struct mt_host_description description;
    /* Of a core it is not to be counted either, which is the better thing to say. */
    struct mt_error *error = sheet->object == 0 ? mt_request_describe(call, "watched", &description)
                                                : mt_session_describe(call->session, &description);
    if (!error && sheet->object == 0)
        error = nothing_counted(call);
    if (error)
        return error;
    if (!sheet->end && description.pid != sheet->pid)
        sheet->end = "its process is gone";
    return mt_ref_sheet_emit(call, sheet, SIZE_MAX);
}

const struct mt_command mt_refs_command = {
    .name = "refs",
    .summary = "Show who took and who dropped references to the object of `break --refs` or `--refs-of-next`.",
    .options = MT_OPTION_LIMIT | MT_OPTION_JSON,
    .needs_no_process = true,
    .details =
        "A row is a place: the C functions from the one that changed the count up to the interpreter, and the Python "
        "line that called them. What took more than it dropped comes first. The nets of all rows sum up to what the "
        "count has changed by.\n"
        "A place with a net of its own is no leak yet: one function may take a reference that another drops. A leak is "
        "a place that goes on taking and has no other that drops as often.",
    .run = run,
};
