/* The file that has a program's or library's debug information (DWARF): itself, or a separate one.
 *
 * Where gdb looks too: /usr/lib/debug/.build-id, and the name in .gnu_debuglink beside the file, in .debug beside it
 * and under /usr/lib/debug. */
#ifndef MEMTRACE_PYTHON_DEBUG_FILE_H
#define MEMTRACE_PYTHON_DEBUG_FILE_H

#include <elfutils/libdw.h>
#include <stdbool.h>

struct mt_debug_file {
    int fd;
    Elf *elf;
    Dwarf *dwarf;
};

/* False: there is no debug information. Arguments as of mt_debug_information_read(). */
bool mt_debug_file_open(int fd, const char *path, const char *root, struct mt_debug_file *ret);
void mt_debug_file_close(struct mt_debug_file *file);

#endif
