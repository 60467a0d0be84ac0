#include "commands/summary_parts.h"

#include "commands/object_words.h"
#include "output/text.h"

/* Whoever has no more than this beside the program and its libraries has nothing to look for. */
#define SMALL (16u << 20)
/* A keeper of at least this part of all that is resident is the verdict's own. */
#define WORTH_NAMING 4

static const char *const verdict_names[] = {"held", "garbage", "slack", "native", "files", "stacks", "small"};

void mt_summary_judge(struct mt_summary *summary) {
    const uint64_t *parts = summary->map->parts;
    const uint64_t amounts[] = {
        [MT_VERDICT_HELD] = summary->held,
        [MT_VERDICT_GARBAGE] = summary->garbage,
        [MT_VERDICT_SLACK] = parts[MT_MEMORY_PYMALLOC_SLACK] + parts[MT_MEMORY_MALLOC_SLACK],
        [MT_VERDICT_NATIVE] = parts[MT_MEMORY_NATIVE] + parts[MT_MEMORY_OTHER],
        [MT_VERDICT_FILES] = parts[MT_MEMORY_FILES],
        [MT_VERDICT_STACKS] = parts[MT_MEMORY_STACKS],
    };
    uint64_t own = 0;
    summary->verdict = MT_VERDICT_HELD;
    for (int i = MT_VERDICT_HELD; i < MT_VERDICT_SMALL; i++) {
        own += amounts[i];
        if (amounts[i] > amounts[summary->verdict])
            summary->verdict = (enum mt_verdict)i;
    }
    if (own < SMALL)
        summary->verdict = MT_VERDICT_SMALL;
}

static void append_size_and(struct mt_strbuf *out, uint64_t bytes, const char *what) {
    mt_text_size(out, bytes);
    mt_strbuf_append(out, what);
}

static const char *name_of_one(enum mt_keeper_form form) {
    static const char *const names[] = {
        [MT_KEEPER_NONE] = "Nothing",
        [MT_KEEPER_CACHE] = "One cache keeps",
        [MT_KEEPER_GLOBAL] = "One global keeps",
        [MT_KEEPER_ATTRIBUTE] = "One class attribute keeps",
        [MT_KEEPER_LOCAL] = "One local variable keeps",
        [MT_KEEPER_GENERATOR] = "One suspended function keeps",
        [MT_KEEPER_FRAME] = "The variables of one function keep",
    };
    return names[form];
}

static void append_held(const struct mt_summary *summary, struct mt_strbuf *out) {
    const struct mt_keeper *keeper = &summary->keepers.biggest;
    uint64_t resident = summary->map->resident;
    if (keeper->form != MT_KEEPER_NONE && keeper->bytes >= resident / WORTH_NAMING) {
        mt_strbuf_printf(out, "%s ", name_of_one(keeper->form));
        mt_text_percent(out, keeper->bytes < resident ? keeper->bytes : resident, resident);
        mt_strbuf_append(out, " of the process alive.");
    } else {
        mt_strbuf_append(out, "Python objects are ");
        mt_text_percent(out, summary->held, resident);
        mt_strbuf_append(out, " of it; no single variable or cache keeps much of that.");
    }
}

static void append_verdict(const struct mt_summary *summary, struct mt_strbuf *out) {
    const uint64_t *parts = summary->map->parts;
    switch (summary->verdict) {
    case MT_VERDICT_HELD:
        append_held(summary, out);
        break;
    case MT_VERDICT_GARBAGE:
        mt_words_counted(out, summary->keepers.garbage_objects, "object waits", "objects wait");
        mt_strbuf_append(out, " for the collector, ");
        mt_text_size(out, summary->garbage);
        mt_strbuf_append(out, summary->collector_off ? "; it is switched off." : ".");
        break;
    case MT_VERDICT_SLACK:
        append_size_and(out, parts[MT_MEMORY_PYMALLOC_SLACK] + parts[MT_MEMORY_MALLOC_SLACK],
                        " are free, but lie between blocks in use.");
        break;
    case MT_VERDICT_NATIVE:
        append_size_and(out, parts[MT_MEMORY_NATIVE] + parts[MT_MEMORY_OTHER],
                        " belong to C code: no Python object that is known owns them.");
        break;
    case MT_VERDICT_FILES:
        append_size_and(out, parts[MT_MEMORY_FILES], " are mapped files or shared memory.");
        break;
    case MT_VERDICT_STACKS:
        append_size_and(out, parts[MT_MEMORY_STACKS], " are C stacks of threads.");
        break;
    case MT_VERDICT_SMALL:
        mt_strbuf_append(out, "Beside the program and its libraries there is little.");
        break;
    }
}

void mt_summary_emit_verdict(const struct mt_summary *summary) {
    struct mt_emitter *emitter = &summary->call->emitter;
    struct mt_strbuf text = MT_STRBUF_INIT;
    append_verdict(summary, &text);
    mt_emit_string(emitter, "verdict", verdict_names[summary->verdict]);
    mt_emit_string(emitter, "reason", mt_strbuf_text(&text));
    mt_emit_line(emitter, "verdict: %s. %s", verdict_names[summary->verdict], mt_strbuf_text(&text));
    mt_strbuf_deinit(&text);
}
