#include "commands/reached.h"

#include <string.h>

#include "commands/break_hit.h"
#include "commands/breakpoints.h"
#include "commands/python_hit.h"
#include "commands/ref_watch.h"
#include "image/python_stops.h"
#include "image/image.h"
#include "memtrace.h"

struct mt_error *mt_reached(struct mt_call *call, const char *what, uint64_t address, uint64_t tid, bool *ret_stays) {
    if (what && strcmp(what, MT_STOP_HOOK_SYMBOL) == 0)
        return mt_break_hit(call, address, tid, ret_stays);
    if (what && strcmp(what, MT_PYTHON_STOP_SYMBOL) == 0)
        return mt_python_hit(call, address, ret_stays);
    if (!what)
        return mt_ref_watch_hit(call, address, tid, ret_stays);
    if (strcmp(what, MT_REACHED_RESUMED) == 0)
        return mt_python_step_end(call, ret_stays);
    *ret_stays = false;
    /* Nobody waits for an answer: the process may be gone, and then there is nothing to take back. */
    if (strcmp(what, MT_REACHED_DETACH) == 0)
        mt_error_destroy(mt_breakpoints_leave(call, (int32_t)address));
    return NULL;
}
