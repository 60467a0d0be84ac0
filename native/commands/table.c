#include "commands/command.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "commands/type_words.h"
#include "commands/words.h"

#define HELP_WIDTH 78

static const struct mt_command *const commands[] = {
    /* One a line. */
    /* clang-format off */
    &mt_summary_command,
    &mt_record_command,
    &mt_record_stop_command,
    &mt_status_command,
    &mt_peak_command,
    &mt_live_command,
    &mt_mark_command,
    &mt_diff_command,
    &mt_born_command,
    &mt_types_command,
    &mt_instances_command,
    &mt_object_command,
    &mt_holds_command,
    &mt_who_holds_command,
    &mt_path_command,
    &mt_caches_command,
    &mt_threads_command,
    &mt_audit_command,
    &mt_core_command,
    &mt_break_command,
    &mt_break_list_command,
    &mt_break_delete_command,
    &mt_next_command,
    &mt_finish_command,
    &mt_lines_command,
    &mt_lines_stop_command,
    &mt_set_command,
    &mt_show_command,
    &mt_help_command,
    /* clang-format on */
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

const struct mt_command *mt_command_at(size_t index) {
    return index < COMMAND_COUNT ? commands[index] : NULL;
}

/* The second word of a subcommand's name, NULL of a command. */
static const char *second_word(const struct mt_command *command) {
    const char *blank = strchr(command->name, ' ');
    return blank ? blank + 1 : NULL;
}

static bool begins_with(const char *name, const char *word, size_t length) {
    return length > 0 && strncmp(name, word, length) == 0;
}

/* The subcommand of `command` that the first word of `rest` means, if any. */
static const struct mt_command *find_subcommand(const struct mt_command *command, const char *rest) {
    size_t first = strlen(command->name), length = mt_word_length(rest);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const char *second = second_word(commands[i]);
        if (second && strncmp(commands[i]->name, command->name, first) == 0 && commands[i]->name[first] == ' ' &&
            begins_with(second, rest, length))
            return commands[i];
    }
    return NULL;
}

struct mt_error *mt_command_find(const char *line, const struct mt_command **ret, const char **ret_rest) {
    const char *word = mt_word_skip_blanks(line);
    size_t length = mt_word_length(word);
    const struct mt_command *found = NULL;
    struct mt_words known = {0};
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const struct mt_command *command = commands[i];
        if (second_word(command))
            continue;
        mt_words_add(&known, command->name);
        if (!begins_with(command->name, word, length))
            continue;
        if (command->name[length] == '\0') {
            found = command;
            break;
        }
        if (found)
            return mt_error_create(MT_ERROR_USAGE, "command `%.*s` is ambiguous: %s or %s", (int)length, word,
                                   found->name, command->name);
        found = command;
    }
    if (!found) {
        MT_AUTO_FREE char *name = mt_word_copy(word, length);
        const char *nearest = name ? mt_words_nearest(&known, name) : NULL;
        if (nearest)
            return mt_error_create(MT_ERROR_USAGE, "unknown command `%s`: did you mean `%s`?", name, nearest);
        return mt_error_create(MT_ERROR_USAGE, "unknown command `%s`: `memtrace help` lists the commands",
                               name ? name : "");
    }
    const char *rest = mt_word_skip_blanks(word + length);
    const struct mt_command *subcommand = find_subcommand(found, rest);
    if (subcommand) {
        found = subcommand;
        rest = mt_word_skip_blanks(rest + mt_word_length(rest));
    }
    *ret = found;
    *ret_rest = rest;
    return NULL;
}

void mt_command_write_help(const struct mt_command *command, struct mt_strbuf *out) {
    mt_strbuf_printf(out, "memtrace %s%s%s%s\n", command->name, command->options ? " [OPTIONS]" : "",
                     command->argument ? " " : "", command->argument ? command->argument : "");
    mt_words_wrap("", 0, command->summary, HELP_WIDTH, out);
    if (command->details) {
        MT_AUTO_FREE char *details = strdup(command->details);
        char *rest = NULL;
        for (char *line = details ? strtok_r(details, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest))
            mt_words_wrap("", 0, line, HELP_WIDTH, out);
    }
    if (command->options) {
        mt_strbuf_append(out, "\noptions:\n");
        mt_options_help(command->options, out);
    }
}

void mt_command_offer(const char *word, struct mt_strbuf *out) {
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (!second_word(commands[i]))
            mt_word_offer(commands[i]->name, word, out);
}

/* Where the last word of `line` begins; at the end when the line ends with a blank. */
static const char *last_word(const char *line, const char *end) {
    while (end > line && mt_word_length(end - 1) > 0)
        end--;
    return end;
}

void mt_command_complete(struct mt_session *session, const char *line, struct mt_strbuf *out) {
    const char *word = last_word(line, line + strlen(line));
    MT_AUTO_FREE char *settled = mt_word_copy(line, (size_t)(word - line));
    if (!settled)
        return;
    size_t length = strlen(settled);
    while (length > 0 && mt_word_length(settled + length - 1) == 0)
        settled[--length] = '\0';
    if (length == 0) {
        mt_command_offer(word, out);
        return;
    }
    const struct mt_command *command;
    const char *rest;
    struct mt_error *error = mt_command_find(settled, &command, &rest);
    if (error) {
        mt_error_destroy(error);
        return;
    }
    size_t name = strlen(command->name);
    for (size_t i = 0; *rest == '\0' && i < COMMAND_COUNT; i++)
        if (strncmp(commands[i]->name, command->name, name) == 0 && commands[i]->name[name] == ' ')
            mt_word_offer(second_word(commands[i]), word, out);
    const char *previous = last_word(settled, settled + length);
    mt_options_complete(previous, word, command->options, out);
    if (mt_options_wants_type(previous, command->options))
        mt_type_words_complete(session, word, out);
    else if (command->complete && word[0] != '-' && (previous < rest || previous[0] != '-'))
        command->complete(session, rest, word, out);
}

/* --- the public view of the table ------------------------------------------------------------------------------- */

size_t mt_command_count(void) {
    return COMMAND_COUNT;
}

const char *mt_command_name(size_t index) {
    return index < COMMAND_COUNT ? commands[index]->name : NULL;
}

const char *mt_command_summary(size_t index) {
    return index < COMMAND_COUNT ? commands[index]->summary : NULL;
}

const char *mt_command_help(size_t index) {
    static char *texts[COMMAND_COUNT]; /* made when first asked for, kept for ever */
    if (index >= COMMAND_COUNT)
        return NULL;
    if (!texts[index]) {
        struct mt_strbuf out = MT_STRBUF_INIT;
        mt_command_write_help(commands[index], &out);
        texts[index] = mt_strbuf_steal(&out);
        mt_strbuf_deinit(&out);
    }
    return texts[index] ? texts[index] : commands[index]->summary;
}
