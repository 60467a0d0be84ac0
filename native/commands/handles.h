/* Row numbers: they count on through all answers of one stop, so that an old one never silently means something new. */
#ifndef MEMTRACE_COMMANDS_HANDLES_H
#define MEMTRACE_COMMANDS_HANDLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/vector.h"

enum mt_handle_kind {
    MT_HANDLE_BLOCKS, /* a row of the recorder's: the largest of its blocks that live */
    MT_HANDLE_OBJECT, /* a Python object */
    MT_HANDLE_OTHER,  /* something that is no object: a variable of a frame, a thread */
};

/* What a row stands for as an address. */
struct mt_handle {
    enum mt_handle_kind kind;
    uint64_t address;
    /* of MT_HANDLE_BLOCKS: */
    uint64_t blocks;      /* of the row, as it was listed; 0: a change, which stands for blocks born in between */
    uint64_t live_blocks; /* 0: none, and `address` means nothing */
};

struct mt_handles {
    MT_VECTOR(struct mt_handle) rows; /* number 1 is at index 0 */
};

/* The new row's number; 0: no memory. */
size_t mt_handles_add(struct mt_handles *handles, struct mt_handle handle);
/* All numbers are free again: the process ran. */
void mt_handles_reset(struct mt_handles *handles);
/* Is `text` a row number, as `17` or `#17`? */
bool mt_handles_is_number(const char *text, size_t *ret_number);
struct mt_error *mt_handles_find(const struct mt_handles *handles, size_t number, struct mt_handle *ret);

#endif
