/* A CPython that the recorder can't know, made of the few symbols by which it knows one. VERSION is the version that it
 * claims; FREE_THREADED: its _PyRuntime says that it was built without the GIL, as 3.13's and later ones' do.
 *
 * Takes 1001 bytes from malloc and 1002 through its own object domain, and ends with the recorder's image. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image_reader.h"

#define EXPORT __attribute__((visibility("default")))

struct allocator {
    void *context;
    void *(*malloc)(void *context, size_t size);
    void *(*calloc)(void *context, size_t count, size_t size);
    void *(*realloc)(void *context, void *block, size_t size);
    void (*free)(void *context, void *block);
};

EXPORT extern const unsigned long Py_Version;
EXPORT void PyMem_GetAllocator(int domain, struct allocator *ret);
EXPORT void PyMem_SetAllocator(int domain, const struct allocator *allocator);
EXPORT int Py_IsInitialized(void);

const unsigned long Py_Version = VERSION;

#ifdef FREE_THREADED
EXPORT extern struct runtime {
    char cookie[8];
    uint64_t version;
    uint64_t free_threaded;
} _PyRuntime;
struct runtime _PyRuntime = {"xdebugpy", VERSION, 1};
#endif

static void *plain_malloc(void *context, size_t size) {
    return malloc(size);
}

static void *plain_calloc(void *context, size_t count, size_t size) {
    return calloc(count, size);
}

static void *plain_realloc(void *context, void *block, size_t size) {
    return realloc(block, size);
}

static void plain_free(void *context, void *block) {
    free(block);
}

#define PLAIN                                                                                                          \
    { NULL, plain_malloc, plain_calloc, plain_realloc, plain_free }
static struct allocator tables[3] = {PLAIN, PLAIN, PLAIN};

void PyMem_GetAllocator(int domain, struct allocator *ret) {
    *ret = tables[domain];
}

void PyMem_SetAllocator(int domain, const struct allocator *allocator) {
    tables[domain] = *allocator;
}

int Py_IsInitialized(void) {
    return 0;
}

int main(void) {
    static const struct allocator untouched = PLAIN;
    void *native = malloc(1001), *object = tables[2].malloc(tables[2].context, 1002);
    if (native == NULL || object == NULL || memcmp(&tables[2], &untouched, sizeof untouched) != 0)
        return 2;
    image_dump(1, true);
    return 0;
}
