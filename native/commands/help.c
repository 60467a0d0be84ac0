#include "commands/command.h"

#include "commands/words.h"

#define SUMMARY_COLUMN 14

static void emit_text(struct mt_call *call, const struct mt_strbuf *text) {
    if (!call->emitter.json && text->length > 0)
        mt_strbuf_append_bytes(&call->emitter.body, text->data, text->length);
}

static struct mt_error *help_one(struct mt_call *call) {
    const struct mt_command *command;
    const char *rest;
    struct mt_error *error = mt_command_find(call->argument, &command, &rest);
    if (error)
        return error;
    struct mt_strbuf text = MT_STRBUF_INIT;
    mt_command_write_help(command, &text);
    mt_emit_string(&call->emitter, "name", command->name);
    mt_emit_string(&call->emitter, "summary", command->summary);
    mt_emit_string(&call->emitter, "help", text.data);
    emit_text(call, &text);
    mt_strbuf_deinit(&text);
    return NULL;
}

static struct mt_error *run(struct mt_call *call) {
    if (call->argument[0] != '\0')
        return help_one(call);
    struct mt_strbuf text = MT_STRBUF_INIT;
    mt_strbuf_append(&text, "memtrace: what a Python process's memory is made of, and who allocated it\n");
    mt_emit_begin(&call->emitter, "commands", '[');
    const struct mt_command *command;
    for (size_t i = 0; (command = mt_command_at(i)) != NULL; i++) {
        struct mt_strbuf left = MT_STRBUF_INIT;
        mt_strbuf_printf(&left, "  %s", command->name);
        mt_words_wrap(mt_strbuf_text(&left), SUMMARY_COLUMN + 2, command->summary, 78, &text);
        mt_strbuf_deinit(&left);
        mt_emit_begin(&call->emitter, NULL, '{');
        mt_emit_string(&call->emitter, "name", command->name);
        mt_emit_string(&call->emitter, "summary", command->summary);
        mt_emit_end(&call->emitter, '}');
    }
    mt_emit_end(&call->emitter, ']');
    mt_strbuf_append(&text, "`memtrace help COMMAND` tells more. Commands and options may be shortened.\n");
    emit_text(call, &text);
    mt_strbuf_deinit(&text);
    return NULL;
}

static void complete(struct mt_session *session, const char *before, const char *word, struct mt_strbuf *out) {
    if (*before == '\0')
        mt_command_offer(word, out);
}

const struct mt_command mt_help_command = {
    .name = "help",
    .summary = "List the commands, or tell all about one.",
    .argument = "[COMMAND]",
    .options = MT_OPTION_JSON,
    .needs_no_process = true,
    .run = run,
    .complete = complete,
};
