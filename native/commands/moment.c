#include "commands/moment.h"

#include <inttypes.h>

void mt_moment_append(struct mt_strbuf *out, const struct mt_moment *moment) {
    switch (moment->kind) {
    case MT_MOMENT_START:
        mt_strbuf_append(out, "the start");
        break;
    case MT_MOMENT_NOW:
        mt_strbuf_append(out, "now");
        break;
    case MT_MOMENT_MARK:
    case MT_MOMENT_PENDING:
    case MT_MOMENT_FORGOTTEN:
        mt_strbuf_printf(out, "mark %" PRIu32, moment->generation);
        if (moment->name[0] != '\0')
            mt_strbuf_printf(out, " `%s`", moment->name);
        break;
    }
}

void mt_moment_emit(struct mt_emitter *emitter, const char *key, const struct mt_moment *moment) {
    if (moment->kind == MT_MOMENT_NOW) {
        mt_emit_string(emitter, key, NULL);
        return;
    }
    mt_emit_begin(emitter, key, '{');
    mt_emit_unsigned(emitter, "generation", moment->generation);
    mt_emit_string(emitter, "name", moment->name[0] != '\0' ? moment->name : NULL);
    if (moment->kind == MT_MOMENT_MARK || moment->kind == MT_MOMENT_START)
        mt_emit_seconds(emitter, "time", moment->time);
    mt_emit_boolean(emitter, "pending", moment->kind == MT_MOMENT_PENDING);
    mt_emit_end(emitter, '}');
}

struct mt_error *mt_moment_parse(struct mt_call *call, const struct mt_image *image, const char *word,
                                 struct mt_marks *ret_marks, struct mt_moment *ret) {
    struct mt_error *error = mt_marks_load(image, &call->watch, ret_marks);
    return error ? error : mt_moment_find(image, ret_marks, word, ret);
}
