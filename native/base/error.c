#include "base/error.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"

static char no_memory_message[] = "out of memory";
struct mt_error mt_error_no_memory = {MT_ERROR_NO_MEMORY, true, 0, no_memory_message};

static __attribute__((format(printf, 4, 0))) struct mt_error *
create(enum mt_error_code code, uint64_t address, int error_number, const char *format, va_list arguments) {
    struct mt_error *error = malloc(sizeof(*error));
    struct mt_strbuf message = MT_STRBUF_INIT;
    mt_strbuf_vprintf(&message, format, arguments);
    if (error_number)
        mt_strbuf_printf(&message, ": %s", strerror(error_number));
    char *text = mt_strbuf_steal(&message);
    if (!error || !text) {
        free(error);
        free(text);
        return &mt_error_no_memory;
    }
    /* The message may quote a file name, and it must stay one line. */
    for (char *c = text; *c; c++)
        if (*c == '\n' || *c == '\r')
            *c = ' ';
    *error = (struct mt_error){code, false, address, text};
    return error;
}

struct mt_error *mt_error_create(enum mt_error_code code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    struct mt_error *error = create(code, 0, 0, format, arguments);
    va_end(arguments);
    return error;
}

struct mt_error *mt_error_fault(uint64_t address, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    struct mt_error *error = create(MT_ERROR_FAULT, address, 0, format, arguments);
    va_end(arguments);
    return error;
}

struct mt_error *mt_error_system(int error_number, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    struct mt_error *error = create(MT_ERROR_SYSTEM, 0, error_number, format, arguments);
    va_end(arguments);
    return error;
}

const char *mt_error_code_name(enum mt_error_code code) {
    switch (code) {
    case MT_ERROR_NO_MEMORY:
        return "no-memory";
    case MT_ERROR_USAGE:
        return "usage";
    case MT_ERROR_NO_PROCESS:
        return "no-process";
    case MT_ERROR_RUNNING:
        return "running";
    case MT_ERROR_PERMISSION:
        return "permission";
    case MT_ERROR_NOT_RECORDED:
        return "not-recorded";
    case MT_ERROR_FORMAT:
        return "format";
    case MT_ERROR_FAULT:
        return "fault";
    case MT_ERROR_NOT_FOUND:
        return "not-found";
    case MT_ERROR_SYSTEM:
        return "system";
    case MT_ERROR_INTERRUPTED:
        return "interrupted";
    case MT_ERROR_UNSUPPORTED:
        return "unsupported";
    }
    return "unknown";
}

void mt_error_destroy(struct mt_error *error) {
    if (!error || error->is_static)
        return;
    free(error->message);
    free(error);
}
