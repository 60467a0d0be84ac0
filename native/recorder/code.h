/* Code objects: which one a pointer stands for now, and which line an instruction is on.
 *
 * Code objects die and their addresses are used again, so a pointer is only believed together with what can be seen of
 * the object: name, file, first line, line table. The recorder's lock is held. */
#ifndef MEMTRACE_RECORDER_CODE_H
#define MEMTRACE_RECORDER_CODE_H

#include <stdbool.h>
#include <stdint.h>

#include "layout/frame_layout.h"

/* The code pool's index for the code object at `code`, and a number that is another one whenever another object was
 * seen since: what was computed of one version holds for it alone. false when memory is out. */
bool mt_code_at(const struct mt_frame_layout *layout, uint64_t code, uint32_t *ret_id, uint32_t *ret_version);
/* Byte offset of an instruction as a frame holds it (an address, or f_lasti); 0 for one before the first. */
uint32_t mt_code_offset(const struct mt_frame_layout *layout, uint64_t code, uint64_t instruction);
/* Line of the instruction at a byte offset; 0: the table has none for it. */
uint32_t mt_code_line(const struct mt_frame_layout *layout, uint64_t code, uint32_t offset);

#endif
