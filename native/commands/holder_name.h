/* What a holder is called: "local `data_pow` of process_data()", "global `CTX` of module app",
 * "app.BUS.subscribers[3]", ".orders[3] of Customer at 0x..", "args[0] of a key in the cache of Algorithms.f". */
#ifndef MEMTRACE_COMMANDS_HOLDER_NAME_H
#define MEMTRACE_COMMANDS_HOLDER_NAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "commands/command.h"
#include "commands/holder_chain.h"
#include "python/threads.h"

enum mt_name_style {
    MT_NAME_EXACT,
    MT_NAME_PATTERN, /* of many alike: indices and keys are `[*]`, objects have no address, frames no thread */
};

struct mt_holder_name {
    struct mt_strbuf text;
    struct mt_strbuf place; /* "holding.py:51, thread 1, frame 2", "lru_cache.py:18"; may be empty */
    bool has_frame;         /* it is a variable of a function: */
    struct mt_frame_place frame;
    uint32_t thread; /* whose frame number `frame_number` runs that function; 0: none does */
    uint32_t frame_number;
};

/* `call` says whether values may be shown. Sets `ret`; free it with mt_holder_name_deinit. */
void mt_holder_name(const struct mt_call *call, const struct mt_climber *climber, const struct mt_chain *chain,
                    enum mt_name_style style, struct mt_holder_name *ret);
void mt_holder_name_deinit(struct mt_holder_name *name);
/* Chains with the same number have the same pattern; a pattern may have several numbers. */
uint64_t mt_holder_pattern(const struct mt_climber *climber, const struct mt_chain *chain);
/* The lru_cache that holds at the end of the chain; MT_NO_OBJECT: none does. */
uint32_t mt_holder_cache(const struct mt_climber *climber, const struct mt_chain *chain);

/* --- pieces of names ---------------------------------------------------------------------------------------------- */

/* A link as scripts see it; `[...]` for a key that is a value not to be shown. */
void mt_holder_link(const struct mt_call *call, struct mt_python *python, const struct mt_link *link,
                    struct mt_strbuf *out);
/* Is this an element of a dict whose key is a str, as names of attributes are? */
bool mt_holder_link_is_name(struct mt_python *python, const struct mt_link *link);

#endif
