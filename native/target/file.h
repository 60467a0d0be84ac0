/* Files that a target names: read with care, since they may be anything and may change under us. They are never mapped
 * into memory: a mapped file that shrinks kills its reader, which here is somebody's debugger. */
#ifndef MEMTRACE_FILE_H
#define MEMTRACE_FILE_H

#include <stddef.h>
#include <stdint.h>

/* Opens a regular file for reading; -1 (and errno) when there is none. Never waits for a pipe, never touches a device.
 */
int mt_open_file(const char *path);
/* Reads as much as there is at `offset`, up to `size` bytes; returns how much. */
size_t mt_read_file(int fd, uint64_t offset, void *buffer, size_t size);
/* A new file for reading and writing that has no name and is gone when it is closed, in $TMPDIR or /var/tmp; -1 (and
 * errno) when there is no room. */
int mt_open_nameless_file(void);

#endif
