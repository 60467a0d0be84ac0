/* Asking the recorder for something: the commands that write to the process. */
#ifndef MEMTRACE_COMMANDS_REQUEST_H
#define MEMTRACE_COMMANDS_REQUEST_H

#include "base/error.h"
#include "commands/command.h"

/* As mt_session_describe(), with an error for a core: "only a process can be <done>". */
struct mt_error *mt_request_describe(struct mt_call *call, const char *done, struct mt_host_description *ret);
/* The image of a process, with an error that says how to get a recorder into it. */
struct mt_error *mt_request_image(struct mt_call *call, struct mt_image **ret);
/* Writes the request; `image` is no longer good after it. */
struct mt_error *mt_request_write(struct mt_call *call, const struct mt_image *image, enum mt_request request,
                                  uint32_t argument);
/* The name of a mark that is asked for. */
struct mt_error *mt_request_write_name(const struct mt_image *image, const char *name);

#endif
