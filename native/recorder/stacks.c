#include "recorder/stacks.h"

#include <stddef.h>

#include "recorder/index.h"

static uint64_t hash_fields(uint32_t parent, uint32_t code, uint32_t line) {
    return mt_mix(((uint64_t)parent << 32 | code) + line * 0x9E3779B97F4A7C15u);
}

static uint64_t hash_node(uint32_t record) {
    const struct mt_stack_node *node = mt_stack_at(record);
    return hash_fields(node->parent, node->code, node->line);
}

static struct mt_index nodes = {.hash_of = hash_node};

bool mt_stacks_init(void) {
    mt_pool_init(&memtrace_image.stacks, sizeof(struct mt_stack_node), MT_STACK_CHUNK_SHIFT);
    if (mt_pool_reserve(&memtrace_image.stacks) == NULL)
        return false;
    mt_pool_publish(&memtrace_image.stacks);
    return true;
}

bool mt_stack_child(uint32_t parent, uint32_t code, uint32_t line, uint32_t *ret) {
    uint64_t hash = hash_fields(parent, code, line);
    uint32_t cursor = 0, record;
    while ((record = mt_index_next(&nodes, hash, &cursor)) != 0) {
        const struct mt_stack_node *known = mt_stack_at(record);
        if (known->parent == parent && known->code == code && known->line == line) {
            *ret = record;
            return true;
        }
    }
    struct mt_stack_node *node = mt_index_reserve(&nodes) ? mt_pool_reserve(&memtrace_image.stacks) : NULL;
    if (node == NULL)
        return false;
    *node = (struct mt_stack_node){.parent = parent, .code = code, .line = line};
    record = (uint32_t)memtrace_image.stacks.count;
    mt_pool_publish(&memtrace_image.stacks);
    mt_index_add(&nodes, hash, record);
    *ret = record;
    return true;
}
