#include "commands/summary_parts.h"

#include <stdio.h>
#include <string.h>

#define HINTS_MAX 4

struct hints {
    char lines[HINTS_MAX][64];
    size_t count;
};

/* Only commands that there are. */
static void add_hint(struct hints *hints, const char *command, const char *argument) {
    const struct mt_command *found;
    const char *rest;
    struct mt_error *error = mt_command_find(command, &found, &rest);
    if (!error && hints->count < HINTS_MAX && strcmp(found->name, command) == 0)
        snprintf(hints->lines[hints->count++], sizeof hints->lines[0], "%s%s%s", command, *argument ? " " : "",
                 argument);
    mt_error_destroy(error);
}

static void find_hints(const struct mt_summary *summary, struct hints *hints) {
    const struct mt_keeper *keeper = &summary->keepers.biggest;
    char number[32] = "";
    if (summary->keeper_number != 0)
        snprintf(number, sizeof number, "%zu", summary->keeper_number);
    else if (keeper->object != MT_NO_OBJECT)
        snprintf(number, sizeof number, "0x%llx",
                 (unsigned long long)summary->graph->census->addresses[keeper->object]);
    switch (summary->verdict) {
    case MT_VERDICT_HELD:
        if (keeper->form == MT_KEEPER_CACHE)
            add_hint(hints, "caches", "");
        else if (number[0] != '\0')
            add_hint(hints, "who-holds", number);
        add_hint(hints, "types", "");
        break;
    case MT_VERDICT_GARBAGE:
    case MT_VERDICT_SMALL:
        add_hint(hints, "types", "");
        break;
    case MT_VERDICT_STACKS:
        add_hint(hints, "threads", "");
        break;
    case MT_VERDICT_SLACK:
    case MT_VERDICT_NATIVE:
    case MT_VERDICT_FILES:
        break;
    }
    if (summary->image)
        add_hint(hints, "live", "");
    else
        add_hint(hints, "record", "");
}

void mt_summary_emit_hints(const struct mt_summary *summary) {
    struct mt_emitter *emitter = &summary->call->emitter;
    struct mt_strbuf line = MT_STRBUF_INIT;
    struct hints hints = {0};
    find_hints(summary, &hints);
    mt_emit_begin(emitter, "hints", '[');
    for (size_t i = 0; i < hints.count; i++) {
        mt_emit_string(emitter, NULL, hints.lines[i]);
        mt_strbuf_printf(&line, "%smemtrace %s", i > 0 ? " · " : "try: ", hints.lines[i]);
    }
    mt_emit_end(emitter, ']');
    mt_call_hint(summary->call, mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
}
