/* Symbols of the modules (program and libraries) that are mapped in a target, looked up in their files. */
#ifndef MEMTRACE_MODULE_SYMBOLS_H
#define MEMTRACE_MODULE_SYMBOLS_H

#include "target/target.h"

/* Opens the file behind a region; -1 when it can't be had. */
typedef int mt_open_module(void *context, const struct mt_region *region);

/* The run-time address of a symbol of any module; false: no module has it. Exported symbols are preferred. */
bool mt_module_symbols_find(const struct mt_region *regions, size_t count, mt_open_module *open_module, void *context,
                            const char *name, uint64_t *ret);

#endif
