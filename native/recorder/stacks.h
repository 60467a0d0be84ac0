/* The trie of Python stacks: a node is (parent, code, line), kept once and never removed. Node 0 is the empty stack.
 * The recorder's lock is held. */
#ifndef MEMTRACE_RECORDER_STACKS_H
#define MEMTRACE_RECORDER_STACKS_H

#include <stdbool.h>
#include <stdint.h>

#include "recorder/header.h"
#include "recorder/pool.h"

bool mt_stacks_init(void); /* false when memory is out */
/* false when memory is out; *ret is then untouched. */
bool mt_stack_child(uint32_t parent, uint32_t code, uint32_t line, uint32_t *ret);

#define MT_STACK_CHUNK_SHIFT 8

static inline struct mt_stack_node *mt_stack_at(uint32_t node) {
    return mt_pool_at_fixed(&memtrace_image.stacks, node, sizeof(struct mt_stack_node), MT_STACK_CHUNK_SHIFT);
}

#endif
