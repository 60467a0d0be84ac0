#include "cli/place.h"

#include <string.h>
#include <unistd.h>

bool mt_place_directory(char *ret, size_t size) {
    ssize_t length = readlink("/proc/self/exe", ret, size);
    if (length <= 0 || (size_t)length >= size)
        return false;
    ret[length] = '\0';
    char *slash = strrchr(ret, '/');
    if (!slash)
        return false;
    slash[slash == ret ? 1 : 0] = '\0';
    return true;
}
