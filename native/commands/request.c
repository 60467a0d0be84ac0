#include "commands/request.h"

#include <stddef.h>
#include <string.h>

#include "commands/session.h"

struct mt_error *mt_request_describe(struct mt_call *call, const char *done, struct mt_host_description *ret) {
    struct mt_error *error = mt_session_describe(call->session, ret);
    if (!error && ret->kind == MT_HOST_CORE)
        return mt_error_create(MT_ERROR_UNSUPPORTED, "a core is what a process left behind: only a process can be %s",
                               done);
    return error;
}

struct mt_error *mt_request_image(struct mt_call *call, struct mt_image **ret) {
    struct mt_error *error = mt_call_image(call, ret);
    if (!error || error->code != MT_ERROR_NOT_RECORDED)
        return error;
    struct mt_host_description description;
    mt_error_destroy(error);
    error = mt_session_describe(call->session, &description);
    if (error)
        return error;
    if (!description.local)
        return mt_error_create(MT_ERROR_NOT_RECORDED,
                               "nothing is recorded in this process, and from here it can't be: start it recorded, or "
                               "use `memtrace --pid PID record` on its own machine");
    if (mt_session_debugger(call->session))
        return mt_error_create(MT_ERROR_NOT_RECORDED,
                               "nothing is recorded in this process: `memtrace record` begins here and now");
    return mt_error_create(MT_ERROR_NOT_RECORDED,
                           "nothing is recorded in process %d: `memtrace --pid %d record` begins here and now",
                           (int)description.pid, (int)description.pid);
}

struct mt_error *mt_request_write(struct mt_call *call, const struct mt_image *image, enum mt_request request,
                                  uint32_t argument) {
    /* Both words in one write: the recorder must not see one without the other. */
    uint32_t words[2] = {request, argument};
    _Static_assert(offsetof(struct mt_image_header, request_argument) == offsetof(struct mt_image_header, request) + 4,
                   "the request's words are neighbours");
    struct mt_error *error =
        mt_target_write(image->target, image->address + offsetof(struct mt_image_header, request), words, sizeof words);
    if (!error)
        mt_session_forget_image(call->session);
    return error;
}

struct mt_error *mt_request_write_name(const struct mt_image *image, const char *name) {
    char bytes[MT_MARK_NAME] = {0};
    strncpy(bytes, name, sizeof bytes - 1);
    return mt_target_write(image->target, image->address + offsetof(struct mt_image_header, request_name), bytes,
                           sizeof bytes);
}
