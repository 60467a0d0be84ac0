#include "commands/command.h"

#include "commands/session.h"
#include "commands/settings.h"

/* What it takes: "N|all". */
static void append_takes(enum mt_setting setting, struct mt_strbuf *out) {
    mt_strbuf_append(out, mt_setting_takes_number(setting) ? "N" : "");
    for (size_t i = 0; mt_setting_word(setting, i); i++) {
        mt_strbuf_append(out, out->length > 0 ? "|" : "");
        mt_strbuf_append(out, mt_setting_word(setting, i));
    }
}

/* The same for scripts. */
static void emit_takes(struct mt_emitter *emitter, enum mt_setting setting) {
    mt_emit_boolean(emitter, "takes_number", mt_setting_takes_number(setting));
    mt_emit_begin(emitter, "words", '[');
    for (size_t i = 0; mt_setting_word(setting, i); i++)
        mt_emit_string(emitter, NULL, mt_setting_word(setting, i));
    mt_emit_end(emitter, ']');
}

static void emit_row(struct mt_call *call, enum mt_setting setting) {
    struct mt_strbuf value = MT_STRBUF_INIT, takes = MT_STRBUF_INIT;
    mt_setting_append(setting, mt_session_settings(call->session)->of[setting], &value);
    mt_emit_row_begin(&call->emitter, MT_ROW_BOTH);
    append_takes(setting, &takes);
    mt_emit_cell_text(&call->emitter, mt_setting_name(setting));
    mt_emit_cell_text(&call->emitter, value.data);
    mt_emit_cell_text(&call->emitter, takes.data);
    mt_emit_cell_text(&call->emitter, mt_setting_help(setting));
    emit_takes(&call->emitter, setting);
    mt_emit_row_end(&call->emitter);
    mt_strbuf_deinit(&value);
    mt_strbuf_deinit(&takes);
}

static struct mt_error *run(struct mt_call *call) {
    static const struct mt_column columns[] = {
        {MT_COLUMN_TEXT, "setting", "name"},
        {MT_COLUMN_TEXT, "value", "value"},
        {MT_COLUMN_TEXT, "takes", NULL},
        {MT_COLUMN_VALUE, "meaning", "meaning"},
    };
    enum mt_setting only = MT_SETTING_COUNT;
    struct mt_error *error = call->argument[0] != '\0' ? mt_setting_find(call->argument, &only) : NULL;
    if (error)
        return error;
    mt_emit_table_begin(&call->emitter, "rows", columns, sizeof columns / sizeof columns[0]);
    for (int i = 0; i < MT_SETTING_COUNT; i++)
        if (only == MT_SETTING_COUNT || (int)only == i)
            emit_row(call, (enum mt_setting)i);
    mt_emit_table_end(&call->emitter);
    return NULL;
}

static void complete(struct mt_session *session, const char *before, const char *word, struct mt_strbuf *out) {
    if (*before == '\0')
        mt_settings_complete(before, word, out);
}

const struct mt_command mt_show_command = {
    .name = "show",
    .summary = "Show the settings, or one of them.",
    .argument = "[NAME]",
    .options = MT_OPTION_JSON,
    .details = "`memtrace set NAME VALUE` changes one.",
    .needs_no_process = true,
    .run = run,
    .complete = complete,
};
