/* Who holds a few objects, without reading the whole heap: a remote stub searches the process's memory for their
 * addresses, and what lies around each place is read.
 *
 * What is found is proven by the reference count: an object is complete once the references that were found are as many
 * as it counts. Then the graph of these few objects says of it what the whole graph would. Whatever can't be proven so
 * is left to the whole graph. */
#ifndef MEMTRACE_HEAP_SEARCHED_H
#define MEMTRACE_HEAP_SEARCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/watch.h"
#include "heap/graph.h"

struct mt_searched;

/* MT_ERROR_UNSUPPORTED: this target is not searched faster than it is read. */
struct mt_error *mt_searched_create(struct mt_python *python, struct mt_watch *watch, struct mt_searched **ret);
void mt_searched_destroy(struct mt_searched *searched);
/* Finds the objects that refer to the one at `address`. *ret_given_up: there are too many, or it is no object. */
struct mt_error *mt_searched_holders(struct mt_searched *searched, uint64_t address, bool *ret_given_up);
/* Were the holders of the object at `address` looked for? */
bool mt_searched_has(const struct mt_searched *searched, uint64_t address);
/* The graph of all that was found so far; good, with its census, until the next call of any of these. */
struct mt_error *mt_searched_graph(struct mt_searched *searched, struct mt_graph **ret);

#endif
