/* Where CPython's state (_PyRuntime) lies in a process: by symbol, by section, or by the words it begins with.
 *
 * The symbol is exported in every build (.dynsym, which survives `strip`); an embedding program may hide it, but up
 * from 3.10 a section of its own (.PyRuntime) holds it and nothing else, and up from 3.13 it begins with "xdebugpy"
 * (Include/internal/pycore_runtime_init.h, pycore_debug_offsets.h). */
#ifndef MEMTRACE_PYTHON_FIND_RUNTIME_H
#define MEMTRACE_PYTHON_FIND_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/watch.h"
#include "target/target.h"
#include "target/view.h"

struct mt_runtime {
    uint64_t address;
    uint64_t size;                  /* 0: unknown */
    uint64_t data_start, data_end;  /* of the writable part of the program or library that it lies in */
    const struct mt_region *module; /* a mapping of that file; NULL: unknown */
};

/* The 8 bytes that it begins with in 3.13 and later. */
#define MT_RUNTIME_COOKIE "xdebugpy"
enum { MT_RUNTIME_COOKIE_SIZE = 8 };

/* MT_ERROR_NOT_FOUND: there is no CPython, or it can't be found without a file that is missing. MT_ERROR_UNSUPPORTED:
 * it is too old to have such a state. Regions are the target's. */
struct mt_error *mt_runtime_find(struct mt_view *view, struct mt_watch *watch, struct mt_runtime *ret);

#endif
