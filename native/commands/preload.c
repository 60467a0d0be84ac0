#include "commands/preload.h"

#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"

#define SEPARATORS ": "

/* The element `path` in `value`, or NULL. */
static const char *find(const char *value, const char *path) {
    size_t length = strlen(path);
    for (const char *element = value; element && *element != '\0';) {
        size_t size = strcspn(element, SEPARATORS);
        if (size == length && memcmp(element, path, length) == 0)
            return element;
        element += size + (element[size] != '\0');
    }
    return NULL;
}

bool mt_preload_contains(const char *value, const char *path) {
    return find(value, path) != NULL;
}

char *mt_preload_with(const char *value, const char *path) {
    struct mt_strbuf result = MT_STRBUF_INIT;
    mt_strbuf_append(&result, path);
    if (value && *value != '\0') {
        mt_strbuf_append_char(&result, ':');
        mt_strbuf_append(&result, value);
    }
    return mt_strbuf_steal(&result);
}

char *mt_preload_without(const char *value, const char *path) {
    char *result = strdup(value);
    const char *element = find(value, path);
    if (!result || !element)
        return result;
    size_t start = (size_t)(element - value), end = start + strlen(path);
    /* With the separator behind it, or, at the end, the one before it. */
    if (value[end] != '\0')
        end++;
    else if (start > 0)
        start--;
    memmove(result + start, value + end, strlen(value + end) + 1);
    return result;
}
