/* Marks: the moments of a recording whose live set is known, so that two of them can be subtracted. */
#ifndef MEMTRACE_TRACE_MARKS_H
#define MEMTRACE_TRACE_MARKS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "trace/group.h"
#include "trace/image.h"
#include "base/watch.h"

enum mt_moment_kind {
    MT_MOMENT_START,     /* of the recording: nothing was alive */
    MT_MOMENT_MARK,      /* its sums are in the target */
    MT_MOMENT_PENDING,   /* a mark that was asked for at this very stop: what is alive now */
    MT_MOMENT_FORGOTTEN, /* a mark that is no longer kept: only its generation is known */
    MT_MOMENT_NOW,
};

struct mt_moment {
    enum mt_moment_kind kind;
    uint32_t generation;     /* of the blocks that are born after it; NOW: more than that of any block */
    char name[MT_MARK_NAME]; /* "": none */
    /* Of MARK only (live_..., sum_... are as the target says them): */
    uint64_t event; /* the recorder's `events` then */
    uint64_t time;  /* nanoseconds since recording began */
    uint64_t live_bytes;
    uint64_t live_blocks;
    uint64_t sums; /* address in the target */
    uint64_t sum_count;
};

struct mt_marks {
    struct mt_moment list[MT_MARKS_KEPT + 1]; /* oldest first; one that is pending is the last */
    size_t count;
};

/* What had been allocated at one origin and was alive. */
struct mt_sum {
    struct mt_origin origin;
    int64_t bytes;
    uint32_t blocks;
};

/* The marks that are kept, without their sums. MT_ERROR_FORMAT: damaged. */
struct mt_error *mt_marks_load(const struct mt_image *image, struct mt_watch *watch, struct mt_marks *ret);

/* The moment that a user means: a mark's number, the name of the latest mark that has it, `start` or `now`.
 * MT_ERROR_NOT_FOUND, with a line that lists the marks that are kept. A number that is not kept any more is found, as
 * FORGOTTEN. */
struct mt_error *mt_moment_find(const struct mt_image *image, const struct mt_marks *marks, const char *word,
                                struct mt_moment *ret);

/* What was alive at a moment. The caller frees *ret_sums. A FORGOTTEN one is MT_ERROR_NOT_FOUND, with the same list. */
struct mt_error *mt_moment_load(const struct mt_image *image, struct mt_watch *watch, const struct mt_marks *marks,
                                const struct mt_moment *moment, struct mt_sum **ret_sums, size_t *ret_count);

#endif
