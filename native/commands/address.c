#include "commands/address.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "commands/python_name.h"
#include "commands/session.h"

static struct mt_error *parse_hexadecimal(const char *text, uint64_t *ret) {
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 16);
    if (*end != '\0' || errno != 0 || !isxdigit((unsigned char)text[2]))
        return mt_error_create(
            MT_ERROR_USAGE, "`%s` is no address: 0x and at most 16 hexadecimal digits (options come before it)", text);
    *ret = value;
    return NULL;
}

static struct mt_error *evaluate(struct mt_call *call, const char *expression, uint64_t *ret) {
    const struct mt_host *host = mt_session_debugger(call->session);
    if (!host || !host->evaluate)
        return mt_error_create(MT_ERROR_USAGE, "`%s` is no address: give 0x.., a row's number, or py:NAME", expression);
    uint64_t value = 0;
    int32_t status = host->evaluate(host->context, expression, &value);
    if (status == 1)
        return mt_error_create(MT_ERROR_INTERRUPTED, "interrupted");
    if (status != 0)
        return mt_error_create(
            MT_ERROR_NOT_FOUND,
            "`%s` has no value here: give 0x.., a row's number, or an expression (options come before it)", expression);
    *ret = value;
    return NULL;
}

struct mt_error *mt_address_parse(struct mt_call *call, const char *text, struct mt_address *ret) {
    struct mt_address result = {0};
    struct mt_error *error;
    if (mt_handles_is_number(text, &result.row)) {
        struct mt_handle handle;
        error = mt_handles_find(mt_session_handles(call->session), result.row, &handle);
        if (!error) {
            result.value = handle.address;
            result.live_blocks = handle.live_blocks;
        }
    } else if (mt_python_name_is(text)) {
        error = mt_python_name_resolve(call, text, &result.value);
    } else if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        error = text[strcspn(text, " +-*")] == '\0' ? parse_hexadecimal(text, &result.value)
                                                    : evaluate(call, text, &result.value);
    } else {
        error = evaluate(call, text, &result.value);
    }
    if (!error)
        *ret = result;
    return error;
}
