/* What the files of the roots share; nobody else's business. */
#ifndef MEMTRACE_HEAP_ROOTS_PARTS_H
#define MEMTRACE_HEAP_ROOTS_PARTS_H

#include "allocators/extent.h"
#include "base/vector.h"
#include "heap/roots.h"
#include "python/threads.h"

struct mt_roots_walk {
    struct mt_python *python;
    struct mt_watch *watch;
    mt_root_visit *visit;
    void *context;
};

/* roots.c: of the frames of a thread either what is certain or the guesses. */
struct mt_error *mt_roots_visit_frames(const struct mt_roots_walk *walk, const struct mt_python_thread *thread,
                                       bool guesses);

/* roots_interpreter.c */
struct mt_error *mt_roots_visit_interpreters(const struct mt_roots_walk *walk);

/* Words that must not be guessed at: what is told as exact, lies in objects, or is borrowed. */
typedef MT_VECTOR(struct mt_extent) mt_roots_known;
/* Of the interpreters and _PyRuntime. */
struct mt_error *mt_roots_known_words(struct mt_python *python, mt_roots_known *known);

/* roots_type_cache.c: where between `start` and `end` the cache of type attributes lies; false: not there. */
bool mt_type_cache_find(struct mt_python *python, uint64_t start, uint64_t end, struct mt_extent *ret);
/* Calls `visit` for each name in it. */
typedef void mt_type_cache_visit(void *context, uint64_t where, uint64_t name);
void mt_type_cache_names(struct mt_python *python, const struct mt_extent *cache, mt_type_cache_visit *visit,
                         void *context);

/* roots_data.c: the writable data of every module (program, library, extension), mapping by mapping. */
struct mt_module_data {
    const char *path;         /* owned by the target */
    struct mt_extent segment; /* all of a writable segment, as the module's headers tell */
    struct mt_extent mapped;  /* a part of it that is mapped and can be written */
};
typedef struct mt_error *mt_module_data_visit(void *context, const struct mt_module_data *data);
struct mt_error *mt_module_data_walk(struct mt_python *python, mt_module_data_visit *visit, void *context);
/* Static objects, and strings of which the data themselves tell what they are. */
struct mt_error *mt_roots_visit_data(const struct mt_roots_walk *walk);

/* roots_text.c: what the object in the word at `where`, in a module's data, is to C code when that is certain; NULL: it
 * is not. */
const char *mt_roots_known_text(struct mt_python *python, uint64_t where, uint64_t object);

#endif
