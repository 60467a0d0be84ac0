/* Holders that are alike, counted: "args[0] of a key in the cache of f  1,000 times". */
#ifndef MEMTRACE_COMMANDS_HOLDER_GROUPS_H
#define MEMTRACE_COMMANDS_HOLDER_GROUPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash_map.h"
#include "base/vector.h"
#include "commands/holder_chain.h"
#include "commands/holder_name.h"

struct mt_holder_group {
    struct mt_holder first; /* one of them */
    uint64_t count;
    struct mt_holder_name name; /* of its pattern; after mt_holder_groups_name() */
    uint32_t same_as;           /* index of the group that it was merged into; its own index: none */
};

struct mt_holder_groups {
    MT_VECTOR(struct mt_holder_group) list;
    struct mt_hash_map index_of; /* pattern and kind -> index */
};

void mt_holder_groups_deinit(struct mt_holder_groups *groups);
/* The group of a holder and its chain, made when it is the first of its kind; its count is the caller's. False: memory
 * is out. */
bool mt_holder_groups_find(struct mt_holder_groups *groups, const struct mt_climber *climber,
                           const struct mt_holder *holder, const struct mt_chain *chain, uint32_t *ret_index);
/* Names all groups and merges those of one name, whose counts are added up. Where there are very many (tens of
 * thousands: no two holders are alike) they are left unnamed and unmerged. */
struct mt_error *mt_holder_groups_name(struct mt_call *call, const struct mt_climber *climber,
                                       struct mt_holder_groups *groups);
/* Names one group, if that was not done. */
void mt_holder_group_name(struct mt_call *call, const struct mt_climber *climber, struct mt_holder_group *group);

#endif
