#include "commands/handles.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdint.h>

size_t mt_handles_add(struct mt_handles *handles, struct mt_handle handle) {
    return mt_vector_push(&handles->rows, handle) ? handles->rows.length : 0;
}

void mt_handles_reset(struct mt_handles *handles) {
    mt_vector_deinit(&handles->rows);
}

bool mt_handles_is_number(const char *text, size_t *ret_number) {
    size_t number = 0;
    const char *c = text + (*text == '#');
    if (!isdigit((unsigned char)*c) || (c[0] == '0' && c[1] != '\0'))
        return false;
    for (; isdigit((unsigned char)*c); c++)
        number = number < SIZE_MAX / 20 ? 10 * number + (size_t)(*c - '0') : SIZE_MAX / 20;
    if (*c != '\0')
        return false;
    *ret_number = number;
    return true;
}

struct mt_error *mt_handles_find(const struct mt_handles *handles, size_t number, struct mt_handle *ret) {
    size_t count = handles->rows.length;
    if (number == 0 || number > count) {
        if (count == 0)
            return mt_error_create(MT_ERROR_NOT_FOUND,
                                   "there is no row %zu: nothing was listed at this stop (an address begins with 0x)",
                                   number);
        return mt_error_create(MT_ERROR_NOT_FOUND, "there is no row %zu: rows 1 to %zu were listed at this stop",
                               number, count);
    }
    const struct mt_handle *handle = &handles->rows.data[number - 1];
    if (handle->kind == MT_HANDLE_OTHER)
        return mt_error_create(MT_ERROR_NOT_FOUND,
                               "row %zu stands for no object: what holds there is a variable, a thread or the "
                               "interpreter itself",
                               number);
    if (handle->kind == MT_HANDLE_OBJECT) {
        *ret = *handle;
        return NULL;
    }
    if (handle->live_blocks == 0 && handle->blocks == 0)
        return mt_error_create(MT_ERROR_NOT_FOUND, "row %zu: no block that was born there in between is alive", number);
    if (handle->live_blocks == 0)
        return mt_error_create(MT_ERROR_NOT_FOUND,
                               handle->blocks == 1 ? "row %zu: its block was freed since the peak"
                                                   : "row %zu: its blocks were freed since the peak",
                               number);
    *ret = *handle;
    return NULL;
}
