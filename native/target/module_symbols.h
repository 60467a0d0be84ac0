/* Symbols of the modules (program and libraries) that are mapped in a target, looked up in their files. */
#ifndef MEMTRACE_MODULE_SYMBOLS_H
#define MEMTRACE_MODULE_SYMBOLS_H

#include "base/vector.h"
#include "target/elf_file.h"
#include "target/target.h"

/* Opens the file behind a region; -1 when it can't be had. */
typedef int mt_open_module(void *context, const struct mt_region *region);

/* One region of each file that is mapped, the one that tells best where it is loaded; false: memory is out. */
typedef MT_VECTOR(const struct mt_region *) mt_module_regions;
bool mt_modules_list(const struct mt_region *regions, size_t count, mt_module_regions *ret);
/* What is to be added to link-time addresses of the file behind a region; false: no segment of it is mapped there. */
bool mt_module_bias(const struct mt_region *region, struct mt_elf_file *file, uint64_t *ret);

/* The run-time address of a symbol of any module; false: no module has it. Exported symbols are preferred. */
bool mt_module_symbols_find(const struct mt_region *regions, size_t count, mt_open_module *open_module, void *context,
                            const char *name, uint64_t *ret);

#endif
