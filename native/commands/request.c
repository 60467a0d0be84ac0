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
    mt_error_destroy(error);
    return mt_error_create(
        MT_ERROR_NOT_RECORDED,
        mt_session_debugger(call->session)
            ? "the recorder is not in this process: end it, use `memtrace record`, then `run`"
            : "the recorder is not in this process: start it with `memtrace run -- PROGRAM`, or under a "
              "debugger after `memtrace record`");
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
