/* A program that loads libpython late, runs it, ends it, and starts it again: embedding LIBPYTHON [PYTHONMALLOC]
 *
 * PYTHONMALLOC is set for the second interpreter only. Each interpreter makes one block that dies with it and one that
 * a C variable keeps. Recorded, it ends with the recorder's image. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "image_reader.h"

static const struct mt_image_header nobody;

static const struct mt_image_header *header(void) {
    return image_header() != NULL ? image_header() : &nobody;
}

#define RUN(text)                                                                                                      \
    do {                                                                                                               \
        if (run(text) != 0)                                                                                            \
            return 3;                                                                                                  \
    } while (0)

int main(int argc, char **argv) {
    void *python = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL) : NULL;
    if (python == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    void (*initialize)(int) = (void (*)(int))dlsym(python, "Py_InitializeEx");
    int (*finalize)(void) = (int (*)(void))dlsym(python, "Py_FinalizeEx");
    int (*run)(const char *) = (int (*)(const char *))dlsym(python, "PyRun_SimpleString");
    void *(*object_malloc)(size_t) = (void *(*)(size_t))dlsym(python, "PyObject_Malloc");
    void (*object_free)(void *) = (void (*)(void *))dlsym(python, "PyObject_Free");

    initialize(0);
    RUN("def first_function():\n    return bytes(81_001)\nkept = first_function()\n");
    void *kept = object_malloc(401);
    RUN("assert sum(len(str(i)) for i in range(50_000)) == 238_890");
    printf("%u %u\n", header()->python_state, header()->python_version);
    object_free(kept);
    if (finalize() != 0)
        return 4;

    if (argc > 2)
        setenv("PYTHONMALLOC", argv[2], 1);
    initialize(0);
    RUN("def second_function():\n    return bytes(81_002)\nkept = second_function()\n");
    uint64_t before = header()->shards[0].events;
    RUN("import json\nassert len(json.loads('[' + '[1.5],' * 20_000 + '0]')) == 20_001");
    printf("%llu\n", (unsigned long long)(header()->shards[0].events - before));
    kept = object_malloc(402);
    fflush(stdout);
    if (image_header() != NULL)
        image_dump(1, true);
    object_free(kept);
    return finalize() == 0 ? 0 : 4;
}
