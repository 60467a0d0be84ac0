/* Ways to objects as Python expressions: sys.modules['app'].CTX.sinks[0].events[2]. Evaluated in the process that was
 * looked at (with sys and gc imported), as long as that has not changed, an expression gives the very object.
 *
 * It runs no more code of the program than it must: an attribute is written as such only where the class of the object
 * has nothing to say about it. Where Python has no way, it goes on from what the collector knows, by its address: such
 * expressions give the right object or none. */
#ifndef MEMTRACE_COMMANDS_EXPRESSION_H
#define MEMTRACE_COMMANDS_EXPRESSION_H

#include <stdbool.h>

#include "base/error.h"
#include "base/strbuf.h"
#include "base/vector.h"
#include "base/watch.h"
#include "heap/path.h"
#include "python/threads.h"

struct mt_expressions {
    struct mt_graph *graph;
    bool no_values; /* keys of dicts, which are the program's data, do not show */
    struct mt_threads threads;
    MT_VECTOR(uint32_t) depths; /* frames of each thread */
};

/* `graph` must outlive it. */
struct mt_error *mt_expressions_init(struct mt_expressions *expressions, struct mt_graph *graph, bool no_values,
                                     struct mt_watch *watch);
void mt_expressions_deinit(struct mt_expressions *expressions);

/* Appends the expression of a way. False: there is none, and nothing is appended. */
bool mt_expression_append(const struct mt_expressions *expressions, const struct mt_path_end *end,
                          const struct mt_path *path, struct mt_strbuf *out);

#endif
