/* who-holds of a process behind a slow link, by a search of its memory instead of the whole heap. */
#ifndef MEMTRACE_COMMANDS_SEARCHED_HOLDERS_H
#define MEMTRACE_COMMANDS_SEARCHED_HOLDERS_H

#include "commands/command.h"
#include "heap/searched.h"

/* *ret_graph: a graph that says of the object that the call's argument names, and of all that its holders are named by,
 * what the whole graph would; good as long as *ret_searched, which the caller destroys. NULL: it can't be had this way,
 * or the whole heap was read already. `climbs`: its holders are to be named by what they are part of. */
struct mt_error *mt_searched_holders_find(struct mt_call *call, bool climbs, struct mt_searched **ret_searched,
                                          struct mt_graph **ret_graph);

#endif
