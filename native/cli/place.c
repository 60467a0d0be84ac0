#define _GNU_SOURCE 1 /* dladdr */

#include "cli/place.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "memtrace.h"

bool mt_place_directory(char *ret, size_t size) {
    Dl_info library;
    if (!dladdr((void *)mt_version, &library) || !library.dli_fname)
        return false;
    MT_AUTO_FREE char *path = realpath(library.dli_fname, NULL);
    char *slash = path ? strrchr(path, '/') : NULL;
    if (!slash || (size_t)(slash - path) >= size)
        return false;
    memcpy(ret, path, (size_t)(slash - path));
    ret[slash - path] = '\0';
    return true;
}
