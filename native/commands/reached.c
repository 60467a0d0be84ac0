#include "commands/reached.h"

#include <string.h>

#include "commands/break_hit.h"
#include "image/image.h"

struct mt_error *mt_reached(struct mt_call *call, const char *what, uint64_t address, uint64_t tid, bool *ret_stays) {
    if (what && strcmp(what, MT_STOP_HOOK_SYMBOL) == 0)
        return mt_break_hit(call, address, tid, ret_stays);
    *ret_stays = false;
    return NULL;
}
