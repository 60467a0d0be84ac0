#include "commands/command.h"

#include "base/cleanup.h"
#include "commands/session.h"
#include "commands/settings.h"
#include "commands/words.h"

static struct mt_error *run(struct mt_call *call) {
    size_t length = mt_word_length(call->argument);
    const char *value = mt_word_skip_blanks(call->argument + length);
    MT_AUTO_FREE char *name = mt_word_copy(call->argument, length);
    enum mt_setting setting;
    if (!name)
        return &mt_error_no_memory;
    if (length == 0)
        return mt_error_create(MT_ERROR_USAGE, "set what? `memtrace show` lists the settings");
    struct mt_settings *settings = mt_session_settings(call->session);
    struct mt_error *error = mt_setting_find(name, &setting);
    if (!error)
        error = mt_settings_set(settings, setting, value);
    if (error)
        return error;
    struct mt_strbuf text = MT_STRBUF_INIT;
    mt_setting_append(setting, settings->of[setting], &text);
    mt_emit_string(&call->emitter, "name", mt_setting_name(setting));
    mt_emit_string(&call->emitter, "value", text.data);
    mt_strbuf_deinit(&text);
    return NULL;
}

static void complete(struct mt_session *session, const char *before, const char *word, struct mt_strbuf *out) {
    mt_settings_complete(before, word, out);
}

const struct mt_command mt_set_command = {
    .name = "set",
    .summary = "Set how answers are made, for this session.",
    .argument = "NAME VALUE",
    .options = MT_OPTION_JSON,
    .details = "`memtrace show` lists the settings, what they mean and what they are set to. Says nothing when it is "
               "done. gdb has them also as its own: `set memtrace limit 5`, `with memtrace limit 5 -- COMMAND`.",
    .needs_no_process = true,
    .run = run,
    .complete = complete,
};
