#include "trace/python_stops.h"

#include <stddef.h>
#include <string.h>

#include "trace/find.h"
#include "trace/pool.h"

/* Bytes of a string that are read at a time, and at most. */
#define STRING_STEP 64u
#define STRING_MAX 1024u
/* Bytes of a chunk of the string pool: 2 to this, at most. */
#define STRING_CHUNK_SHIFT_MAX 24u

struct mt_error *mt_python_stops_open(struct mt_target *target, struct mt_watch *watch,
                                      struct mt_python_stops_view *ret) {
    struct mt_error *error = mt_image_find(target, watch, &ret->image);
    ret->target = target;
    if (!error)
        error = mt_target_read(target, ret->image, &ret->header, sizeof ret->header);
    if (error)
        return error;
    if (ret->header.major != MT_IMAGE_MAJOR || ret->header.python_stops == 0)
        return mt_error_create(MT_ERROR_FORMAT, "the recorder in this process is of another version: it does not "
                                                "stop at Python's lines");
    ret->address = ret->header.python_stops;
    return mt_target_read(target, ret->address, &ret->stops, sizeof ret->stops);
}

struct mt_error *mt_python_stops_ask(struct mt_python_stops_view *view) {
    const size_t first = offsetof(struct mt_python_stops, measurement);
    const char *stops = (const char *)&view->stops;
    view->stops.request++;
    struct mt_error *error = mt_target_write(view->target, view->address + first, stops + first,
                                             offsetof(struct mt_python_stops, obeyed) - first);
    if (!error)
        error = mt_target_write(view->target, view->address, &view->stops.request, sizeof view->stops.request);
    /* Whatever else is asked for, the recorder then looks at this too. */
    uint64_t asked = 0, look = MT_REQUEST_PYTHON;
    uint64_t request = view->image + offsetof(struct mt_image_header, request);
    if (!error)
        error = mt_target_read_u64(view->target, request, &asked);
    if (!error && (uint32_t)asked == MT_REQUEST_NONE)
        error = mt_target_write(view->target, request, &look, sizeof look);
    return error;
}

struct mt_error *mt_python_stops_event(struct mt_target *target, uint64_t address, struct mt_python_stop_event *ret) {
    return mt_target_read(target, address, ret, sizeof *ret);
}

void mt_python_stops_string(const struct mt_python_stops_view *view, uint32_t offset, struct mt_strbuf *out) {
    uint32_t shift = view->header.string_chunk_shift;
    uint64_t chunk;
    char text[STRING_STEP + 1];
    if (offset >= view->header.string_bytes || shift > STRING_CHUNK_SHIFT_MAX)
        return;
    struct mt_error *error =
        mt_target_read_u64(view->target, view->header.strings + 8 * (uint64_t)(offset >> shift), &chunk);
    uint64_t size = UINT64_C(1) << shift, at = offset & (size - 1);
    for (size_t length = 0; !error && at < size && length < STRING_MAX; length += STRING_STEP, at += STRING_STEP) {
        uint64_t step = size - at < STRING_STEP ? size - at : STRING_STEP;
        error = mt_target_read(view->target, chunk + at, text, step);
        if (error)
            break;
        text[step] = '\0';
        mt_strbuf_append(out, text);
        if (strlen(text) < step)
            break;
    }
    mt_error_destroy(error);
}

struct mt_error *mt_python_stops_lines(const struct mt_python_stops_view *view, struct mt_watch *watch,
                                       struct mt_python_line **ret, size_t *ret_count) {
    struct mt_pool_reader reader = {.target = view->target, .watch = watch, .budget = mt_pool_budget(view->target)};
    void *records = NULL;
    if (view->stops.lines.count == 0) {
        *ret = NULL;
        *ret_count = 0;
        return NULL;
    }
    struct mt_error *error =
        mt_pool_read(&reader, &view->stops.lines, sizeof **ret, "measured lines", &records, ret_count);
    if (!error)
        *ret = records;
    return error;
}
