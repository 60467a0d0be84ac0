#include "trace/stops.h"

#include <stddef.h>

#include "trace/find.h"

struct mt_error *mt_stops_find(struct mt_target *target, struct mt_watch *watch, uint64_t *ret_image) {
    struct mt_image_header header; /* up to the slots */
    uint64_t image;
    struct mt_error *error = mt_image_find(target, watch, &image);
    if (!error)
        error = mt_target_read(target, image, &header, offsetof(struct mt_image_header, self));
    if (error)
        return error;
    if (header.major != MT_IMAGE_MAJOR || header.header_size < offsetof(struct mt_image_header, shards))
        return mt_error_create(MT_ERROR_FORMAT,
                               "the recorder in this process is of another version, %d.%d: its stops "
                               "are not known",
                               (int)header.major, (int)header.minor);
    *ret_image = image;
    return NULL;
}

struct mt_error *mt_stops_write(struct mt_target *target, uint64_t image, unsigned slot, const struct mt_stop *stop) {
    uint64_t at = image + offsetof(struct mt_image_header, stops) + slot * sizeof *stop;
    uint64_t state_at = image + offsetof(struct mt_image_header, stops_state);
    /* Kind and state are one word, and the last that is written: other threads may run on while one stands at the hook.
     */
    const size_t first = offsetof(struct mt_stop, argument);
    uint32_t state;
    struct mt_error *error = mt_target_write(target, at + first, (const char *)stop + first, sizeof *stop - first);
    if (!error)
        error = mt_target_write(target, at, stop, first);
    if (!error)
        error = mt_target_read_u32(target, state_at, &state);
    if (error)
        return error;
    state |= MT_STOPS_CHANGED;
    return mt_target_write(target, state_at, &state, sizeof state);
}

struct mt_error *mt_stops_event(struct mt_target *target, uint64_t address, struct mt_stop_event *ret) {
    return mt_target_read(target, address, ret, sizeof *ret);
}
