#include "commands/ref_next.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "commands/break_type.h"
#include "commands/object_address.h"
#include "commands/ref_watch.h"
#include "commands/session.h"
#include "python/object.h"

/* The image's, from which on its recorder knows MT_STOP_TYPE. */
#define FIRST_MINOR 2

static struct mt_error *check(struct mt_call *call, const struct mt_image *image) {
    const struct mt_image_header *header = &image->header;
    const struct mt_host *host = mt_session_debugger(call->session);
    uint32_t level = mt_image_pending(image) == MT_REQUEST_START ? header->request_argument : header->level;
    if (!host->watch)
        return mt_error_create(MT_ERROR_UNSUPPORTED, "only a debugger can watch a process: use gdb or lldb");
    if (call->options.given & (MT_OPTION_TEMPORARY | MT_OPTION_ABOVE))
        return mt_error_create(MT_ERROR_USAGE, "--refs-of-next is about one object: it goes with --if alone");
    if (header->minor < FIRST_MINOR)
        return mt_error_create(MT_ERROR_UNSUPPORTED,
                               "the recorder in this process is an older one, %d.%d: it can't wait for an object",
                               (int)header->major, (int)header->minor);
    if (level != MT_LEVEL_OBJECTS)
        return mt_error_create(MT_ERROR_UNSUPPORTED,
                               "no objects are recorded, only what malloc hands out: `memtrace record stop`, then "
                               "`memtrace record`");
    return NULL;
}

/* A name begins as one does; but for `py:` all else is an address. */
static bool is_name(const char *word) {
    return (isalpha((unsigned char)*word) || *word == '_') && strncmp(word, "py:", 3) != 0 &&
           strncmp(word, "py@", 3) != 0;
}

static struct mt_error *find_type(struct mt_call *call, struct mt_census *census, const struct mt_type **ret) {
    struct mt_object_address object;
    if (is_name(call->options.type))
        return mt_break_type_find(call, census, call->options.type, ret);
    call->argument = call->options.type;
    struct mt_error *error = mt_object_address_parse(call, census, &object);
    if (error)
        return error;
    *ret = mt_type_is_metatype(object.type) ? mt_types_get(census->python->types, object.address) : NULL;
    if (!*ret)
        return mt_error_create(
            MT_ERROR_USAGE, "0x%" PRIx64 " is no type: --refs-of-next takes a type, --refs an object", object.address);
    return NULL;
}

struct mt_error *mt_ref_next_fill(struct mt_call *call, const struct mt_image *image,
                                  struct mt_breakpoint *breakpoint) {
    struct mt_census *census;
    const struct mt_type *type = NULL;
    int32_t pid = image->target->info.pid;
    struct mt_error *error = check(call, image);
    if (!error)
        error = mt_call_census(call, &census);
    if (!error)
        error = find_type(call, census, &type);
    if (!error)
        error = mt_ref_watch_make_room(call, pid);
    if (error)
        return error;
    breakpoint->type = type->address;
    breakpoint->limit = type->header;
    breakpoint->pid = pid;
    breakpoint->type_name = strdup(type->name);
    return breakpoint->type_name ? NULL : &mt_error_no_memory;
}

struct mt_error *mt_ref_next_watch(struct mt_call *call, struct mt_breakpoint *breakpoint, uint64_t object,
                                   bool *ret_watched) {
    struct mt_python *python;
    struct mt_refcount count;
    uint64_t type;
    struct mt_error *error = mt_call_python(call, &python);
    if (error)
        return error;
    if (!mt_view_u64(python->view, object + MT_OB_TYPE, &type) || type != breakpoint->type ||
        !mt_object_refcount(python, object, &count) || count.count == 0) {
        *ret_watched = false;
        return mt_breakpoints_write(call, breakpoint);
    }
    if (count.immortal)
        return mt_ref_watch_is_immortal(breakpoint->type_name, object);
    error = mt_ref_watch_turn(call, breakpoint, object, type, count.count);
    if (!error)
        *ret_watched = true;
    return error;
}
