/* Where blocks of memory were born, as far as a recorder saw it. */
#ifndef MEMTRACE_COMMANDS_BIRTH_H
#define MEMTRACE_COMMANDS_BIRTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "commands/command.h"
#include "python/types.h"
#include "trace/blocks.h"

struct mt_birth {
    bool found;
    struct mt_block block; /* the smallest live one around the address; only when found */
};

/* The image of something that was recorded; NULL: there is none, or a damaged one, which is no error here. */
struct mt_error *mt_birth_recording(struct mt_call *call, struct mt_image **ret);
/* For each of `count` addresses the recorded block that contains it, by one walk over all live blocks. */
struct mt_error *mt_birth_find(struct mt_call *call, const struct mt_image *image, const uint64_t *addresses,
                               size_t count, struct mt_birth *ret, struct mt_block_gaps *ret_gaps);
/* "born in FUNCTION FILE:LINE <- ...", and `stack`. */
struct mt_error *mt_birth_emit_stack(struct mt_call *call, const struct mt_image *image, const struct mt_site *site);
/* Tells where an object was born: the block that it lies in, or, where that was not recorded, the largest of its
 * buffers that was. Nothing when none was. */
struct mt_error *mt_birth_emit_object(struct mt_call *call, struct mt_python *python, uint64_t address,
                                      const struct mt_type *type);

#endif
