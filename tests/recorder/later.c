/* A library that is loaded after the recorder was attached, and one that loads it (LOADER). */
#include <dlfcn.h>
#include <stdlib.h>

#define EXPORT __attribute__((visibility("default")))

#ifdef LOADER

EXPORT void *load_other(void);
void *load_other(void) {
    return dlopen("later-library.so", RTLD_NOW | RTLD_LOCAL);
}

#else

static void *volatile kept;

__attribute__((constructor)) static void construct(void) {
    kept = malloc(4321);
}

EXPORT void later_allocate(void);
void later_allocate(void) {
    kept = calloc(1, 1234);
}

#endif
