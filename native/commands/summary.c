#define _GNU_SOURCE /* qsort_r */
#include "commands/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "commands/keeper_words.h"
#include "commands/listing.h"
#include "commands/object_words.h"
#include "commands/words.h"
#include "heap/keepers.h"
#include "heap/memory_map.h"
#include "output/place.h"
#include "output/text.h"
#include "python/attribute.h"
#include "python/item.h"
#include "python/object.h"
#include "python/scope.h"
#include "python/threads.h"

#define TYPES_SHOWN 5
/* Whoever has no more than this beside the program and its libraries has nothing to look for. */
#define SMALL (16u << 20)
/* A keeper of at least this part of all that is resident is the verdict's own. */
#define WORTH_NAMING 4
/* Garbage of at least this part of the objects: a little there always is. */
#define WORTH_TELLING 100
#define LONGEST_PATH 4096 /* bytes of the program's path */
#define LONGEST_TITLE 40  /* columns of its name */

/* Where the memory is, in one word; the order is that of preference when two are equal. */
enum verdict {
    VERDICT_HELD,
    VERDICT_GARBAGE,
    VERDICT_SLACK,
    VERDICT_NATIVE,
    VERDICT_FILES,
    VERDICT_STACKS,
    VERDICT_SMALL
};

static const char *const verdict_names[] = {"held", "garbage", "slack", "native", "files", "stacks", "small"};

struct big_type {
    const struct mt_type *type;
    uint64_t count;
    uint64_t bytes;
};

struct summary {
    struct mt_call *call;
    struct mt_target *target;
    struct mt_python *python;
    struct mt_graph *graph;
    const struct mt_image *image; /* NULL: nothing was recorded */
    struct mt_memory_map *map;
    struct mt_keepers keepers;
    struct big_type types[TYPES_SHOWN];
    size_t type_count; /* of those */
    uint64_t all_types;
    uint64_t object_bytes;  /* of all objects, as they say */
    uint64_t held, garbage; /* the objects' part of what is resident, shared out */
    size_t threads;
    bool is_resident; /* the kernel said what is resident; else it is what the target holds */
    bool collector_off;
    size_t keeper_number; /* of its row */
    enum verdict verdict;
};

static const char *text_of(const struct mt_strbuf *buffer) {
    return buffer->data ? buffer->data : "";
}

/* --- finding out ----------------------------------------------------------------------------------------------------
 */

static void take_type(struct summary *summary, const struct mt_type *type, const struct mt_memory_type *sums) {
    struct big_type here = {type, sums->count, sums->bytes};
    for (size_t i = 0; i < TYPES_SHOWN; i++) {
        struct big_type *place = &summary->types[i];
        if (i < summary->type_count && place->bytes >= here.bytes)
            continue;
        struct big_type displaced = *place;
        *place = here;
        here = displaced;
        if (i == summary->type_count) {
            summary->type_count++;
            return;
        }
    }
}

static void rank_types(struct summary *summary, const struct mt_census *census, size_t types) {
    for (size_t i = 0; i < types; i++) {
        const struct mt_memory_type *sums = &summary->map->types[i];
        if (sums->count == 0)
            continue;
        summary->all_types++;
        summary->object_bytes += sums->bytes;
        take_type(summary, mt_types_at(census->python->types, (uint32_t)i), sums);
    }
}

/* gc.disable() was called: in all interpreters. */
static bool is_collector_off(struct mt_python *python) {
    for (size_t i = 0; i < python->interpreters.length; i++) {
        uint32_t enabled;
        uint64_t gc = python->interpreters.data[i] + MT_OFFSET(python, PyInterpreterState, gc);
        if (!mt_view_u32(python->view, gc + MT_OFFSET(python, _gc_runtime_state, enabled), &enabled) || enabled != 0)
            return false;
    }
    return python->interpreters.length > 0;
}

static struct mt_error *count_threads(struct summary *summary) {
    struct mt_threads threads;
    struct mt_error *error = mt_threads_read(summary->python, &summary->call->watch, &threads);
    if (error)
        return error;
    summary->threads = threads.list.length;
    mt_threads_deinit(&threads);
    return NULL;
}

/* No recorder, or one that can't be read, is no reason to say nothing. */
static void look_for_recorder(struct summary *summary) {
    struct mt_image *image;
    struct mt_error *error = mt_call_recording(summary->call, &image);
    if (!error)
        summary->image = image;
    mt_error_destroy(error);
}

static struct mt_error *measure(struct summary *summary, const struct mt_residence *residence) {
    struct mt_call *call = summary->call;
    struct mt_census *census = summary->graph->census;
    size_t types = census->python->types->list.length;
    uint64_t recorder_bytes = summary->image ? summary->image->header.recorder_bytes : 0;
    struct mt_error *error = mt_memory_map_create(census, residence, recorder_bytes, &call->watch, &summary->map);
    if (error)
        return error;
    rank_types(summary, census, types);
    error = mt_keepers_find(summary->graph, summary->map->object_bytes, &call->watch, &summary->keepers);
    if (error)
        return error;
    uint64_t objects = summary->map->parts[MT_MEMORY_OBJECTS];
    double waiting =
        summary->object_bytes > 0 ? (double)summary->keepers.garbage_bytes / (double)summary->object_bytes : 0;
    summary->garbage = (uint64_t)((double)objects * waiting);
    summary->held = objects - summary->garbage;
    summary->collector_off = is_collector_off(summary->python);
    return count_threads(summary);
}

/* The kernel is asked first: to read a process brings pages of it into memory. */
static struct mt_error *look(struct summary *summary) {
    struct mt_call *call = summary->call;
    struct mt_residence residence;
    struct mt_error *error = mt_call_target(call, &summary->target);
    if (!error)
        error = mt_residence_load(summary->target, &residence);
    if (error)
        return error;
    summary->is_resident = residence.is_known;
    error = mt_call_python(call, &summary->python);
    if (!error)
        error = mt_call_graph(call, &summary->graph);
    if (!error)
        look_for_recorder(summary);
    if (!error)
        error = measure(summary, &residence);
    mt_residence_deinit(&residence);
    return error;
}

/* --- the verdict ----------------------------------------------------------------------------------------------------
 */

static void judge(struct summary *summary) {
    const uint64_t *parts = summary->map->parts;
    const uint64_t amounts[] = {
        [VERDICT_HELD] = summary->held,
        [VERDICT_GARBAGE] = summary->garbage,
        [VERDICT_SLACK] = parts[MT_MEMORY_PYMALLOC_SLACK] + parts[MT_MEMORY_MALLOC_SLACK],
        [VERDICT_NATIVE] = parts[MT_MEMORY_NATIVE] + parts[MT_MEMORY_OTHER],
        [VERDICT_FILES] = parts[MT_MEMORY_FILES],
        [VERDICT_STACKS] = parts[MT_MEMORY_STACKS],
    };
    uint64_t own = 0;
    summary->verdict = VERDICT_HELD;
    for (int i = VERDICT_HELD; i < VERDICT_SMALL; i++) {
        own += amounts[i];
        if (amounts[i] > amounts[summary->verdict])
            summary->verdict = (enum verdict)i;
    }
    if (own < SMALL)
        summary->verdict = VERDICT_SMALL;
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

static void append_held(const struct summary *summary, struct mt_strbuf *out) {
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

static void append_verdict(const struct summary *summary, struct mt_strbuf *out) {
    const uint64_t *parts = summary->map->parts;
    switch (summary->verdict) {
    case VERDICT_HELD:
        append_held(summary, out);
        break;
    case VERDICT_GARBAGE:
        mt_words_counted(out, summary->keepers.garbage_objects, "object waits", "objects wait");
        mt_strbuf_append(out, " for the collector, ");
        mt_text_size(out, summary->garbage);
        mt_strbuf_append(out, summary->collector_off ? "; it is switched off." : ".");
        break;
    case VERDICT_SLACK:
        append_size_and(out, parts[MT_MEMORY_PYMALLOC_SLACK] + parts[MT_MEMORY_MALLOC_SLACK],
                        " are free, but lie between blocks in use.");
        break;
    case VERDICT_NATIVE:
        append_size_and(out, parts[MT_MEMORY_NATIVE] + parts[MT_MEMORY_OTHER],
                        " belong to C code: no Python object that is known owns them.");
        break;
    case VERDICT_FILES:
        append_size_and(out, parts[MT_MEMORY_FILES], " are mapped files or shared memory.");
        break;
    case VERDICT_STACKS:
        append_size_and(out, parts[MT_MEMORY_STACKS], " are C stacks of threads.");
        break;
    case VERDICT_SMALL:
        mt_strbuf_append(out, "Beside the program and its libraries there is little.");
        break;
    }
}

/* --- what to try next -----------------------------------------------------------------------------------------------
 */

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

static void find_hints(const struct summary *summary, struct hints *hints) {
    const struct mt_keeper *keeper = &summary->keepers.biggest;
    char number[32] = "";
    if (summary->keeper_number != 0)
        snprintf(number, sizeof number, "%zu", summary->keeper_number);
    else if (keeper->object != MT_NO_OBJECT)
        snprintf(number, sizeof number, "0x%llx",
                 (unsigned long long)summary->graph->census->addresses[keeper->object]);
    switch (summary->verdict) {
    case VERDICT_HELD:
        if (keeper->form == MT_KEEPER_CACHE)
            add_hint(hints, "caches", "");
        else if (number[0] != '\0')
            add_hint(hints, "who-holds", number);
        add_hint(hints, "types", "");
        break;
    case VERDICT_GARBAGE:
    case VERDICT_SMALL:
        add_hint(hints, "types", "");
        break;
    case VERDICT_STACKS:
        add_hint(hints, "threads", "");
        break;
    case VERDICT_SLACK:
    case VERDICT_NATIVE:
    case VERDICT_FILES:
        break;
    }
    if (summary->image)
        add_hint(hints, "live", "");
    else
        add_hint(hints, "record", "");
}

/* --- showing --------------------------------------------------------------------------------------------------------
 */

/* What Python was started with: sys.argv[0], without its directories. */
static void append_title(const struct summary *summary, struct mt_strbuf *out) {
    struct mt_python *python = summary->python;
    const struct mt_item_key first = {.text = "0", .length = 1, .is_int = true};
    struct mt_strbuf text = MT_STRBUF_INIT;
    uint64_t module = 0, list, program, count;
    if (python->interpreters.length > 0)
        module = mt_scope_module(python, python->interpreters.data[python->interpreters.length - 1], "sys");
    if (module != 0 && mt_attribute_find(python, module, "argv", &list) == MT_ATTRIBUTE_FOUND &&
        mt_item_find(python, list, &first, &program, &count) == MT_ITEM_FOUND)
        mt_str_append(python, program, LONGEST_PATH, &text);
    const char *title = mt_place_tail(text_of(&text), 1);
    if (title[0] == '\0' || strcmp(title, "-c") == 0)
        title = summary->target->info.executable ? mt_place_tail(summary->target->info.executable, 1) : "";
    mt_text_cut(out, title, LONGEST_TITLE);
    mt_strbuf_deinit(&text);
}

static void emit_headline(const struct summary *summary) {
    const struct mt_target_info *info = &summary->target->info;
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_strbuf_printf(&line, "CPython %s, ", summary->python->version_text);
    if (info->kind == MT_TARGET_CORE)
        mt_strbuf_append(&line, "core of ");
    append_title(summary, &line);
    if (info->pid > 0 && info->kind != MT_TARGET_CORE)
        mt_strbuf_printf(&line, " (pid %d)", (int)info->pid);
    mt_strbuf_append(&line, ", ");
    mt_text_size(&line, summary->map->resident);
    mt_strbuf_append(&line, summary->is_resident           ? " resident, "
                            : info->kind == MT_TARGET_CORE ? " in the core, "
                                                           : " mapped, ");
    mt_words_counted(&line, summary->threads, "thread", "threads");
    mt_emit_line(&summary->call->emitter, "%s", text_of(&line));
    mt_strbuf_deinit(&line);
}

static const char *part_name(enum mt_memory_part part) {
    static const char *const names[] = {
        [MT_MEMORY_OBJECTS] = "python objects",    [MT_MEMORY_PYMALLOC_SLACK] = "pymalloc slack",
        [MT_MEMORY_MALLOC_SLACK] = "malloc slack", [MT_MEMORY_NATIVE] = "native",
        [MT_MEMORY_STACKS] = "thread stacks",      [MT_MEMORY_FILES] = "mapped files",
        [MT_MEMORY_PROGRAM] = "program",           [MT_MEMORY_RECORDER] = "recorder",
        [MT_MEMORY_OTHER] = "other mappings",
    };
    return names[part];
}

static void append_objects(const struct summary *summary, struct mt_strbuf *out) {
    mt_words_counted(out, summary->graph->census->count, "object of ", "objects of ");
    mt_words_counted(out, summary->all_types, "type", "types");
    if (summary->garbage > summary->held / WORTH_TELLING) {
        mt_strbuf_append(out, "; ");
        mt_text_size(out, summary->garbage);
        mt_strbuf_append(out, " of it garbage");
    }
}

/* What a part is, for people. */
static void append_remark(const struct summary *summary, enum mt_memory_part part, struct mt_strbuf *out) {
    const struct mt_memory_map *map = summary->map;
    switch (part) {
    case MT_MEMORY_OBJECTS:
        append_objects(summary, out);
        break;
    case MT_MEMORY_PYMALLOC_SLACK:
        mt_strbuf_append(out, "free blocks and pools of CPython's own allocator");
        break;
    case MT_MEMORY_MALLOC_SLACK:
        mt_strbuf_append(out, "free chunks of malloc");
        break;
    case MT_MEMORY_NATIVE:
        mt_words_counted(out, map->native_blocks, "block", "blocks");
        mt_strbuf_append(out, " that no known object owns");
        break;
    case MT_MEMORY_STACKS:
        mt_words_counted(out, map->stacks, "stack", "stacks");
        break;
    case MT_MEMORY_FILES:
        mt_strbuf_append(out, map->largest_file ? mt_place_tail(map->largest_file, 1) : "");
        mt_strbuf_append(out, ", ");
        mt_text_size(out, map->largest_file_bytes);
        break;
    case MT_MEMORY_PROGRAM:
        mt_strbuf_append(out, "program and libraries: code, data, static objects");
        break;
    case MT_MEMORY_RECORDER:
        mt_strbuf_append(out, "memtrace's own");
        break;
    case MT_MEMORY_OTHER:
        mt_strbuf_append(out, "anonymous memory that nobody claims");
        break;
    case MT_MEMORY_PARTS:
        break;
    }
}

static int by_bytes(const void *left, const void *right, void *context) {
    const uint64_t *parts = context;
    uint64_t a = parts[*(const int *)left], b = parts[*(const int *)right];
    return a > b ? -1 : a < b ? 1 : *(const int *)left - *(const int *)right;
}

static void emit_parts(struct summary *summary) {
    static const struct mt_column columns[] = {
        {MT_COLUMN_TEXT, "memory", "name"}, {MT_COLUMN_NUMBER, "bytes", "bytes"}, {MT_COLUMN_VALUE, "what", NULL}};
    struct mt_emitter *emitter = &summary->call->emitter;
    int order[MT_MEMORY_PARTS];
    for (int i = 0; i < MT_MEMORY_PARTS; i++)
        order[i] = i;
    qsort_r(order, MT_MEMORY_PARTS, sizeof *order, by_bytes, summary->map->parts);
    mt_emit_unsigned(emitter, "resident", summary->map->resident);
    mt_emit_boolean(emitter, "resident_known", summary->is_resident);
    mt_emit_table_begin(emitter, "parts", columns, sizeof columns / sizeof columns[0]);
    for (int i = 0; i < MT_MEMORY_PARTS; i++) {
        enum mt_memory_part part = (enum mt_memory_part)order[i];
        struct mt_strbuf remark = MT_STRBUF_INIT;
        append_remark(summary, part, &remark);
        if (emitter->json || summary->map->parts[part] > 0) {
            mt_emit_row_begin(emitter, MT_ROW_BOTH);
            mt_emit_cell_text(emitter, part_name(part));
            mt_emit_cell_number(emitter, summary->map->parts[part]);
            mt_emit_cell_text(emitter, text_of(&remark));
            mt_emit_row_end(emitter);
        }
        mt_strbuf_deinit(&remark);
    }
    mt_emit_table_end(emitter);
}

static void emit_types(struct summary *summary) {
    static const struct mt_column columns[] = {{MT_COLUMN_NUMBER, "with buffers", "bytes"},
                                               {MT_COLUMN_NUMBER, "count", "count"},
                                               {MT_COLUMN_VALUE, "biggest types", "type"}};
    struct mt_emitter *emitter = &summary->call->emitter;
    mt_emit_unsigned(emitter, "objects", summary->graph->census->count);
    mt_emit_table_begin(emitter, "types", columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < summary->type_count; i++) {
        mt_emit_row_begin(emitter, MT_ROW_BOTH);
        mt_emit_cell_number(emitter, summary->types[i].bytes);
        mt_emit_cell_number(emitter, summary->types[i].count);
        mt_emit_cell_text(emitter, summary->types[i].type->name);
        mt_emit_row_end(emitter);
    }
    mt_emit_table_end(emitter);
}

static void emit_keeper_object(const struct summary *summary, const char *name, const char *place) {
    const struct mt_keeper *keeper = &summary->keepers.biggest;
    const struct mt_census *census = summary->graph->census;
    struct mt_emitter *emitter = &summary->call->emitter;
    mt_emit_begin(emitter, "keeper", '{');
    mt_emit_string(emitter, "kind", mt_keeper_form_name(keeper->form));
    mt_emit_string(emitter, "name", name);
    mt_emit_string(emitter, "place", place[0] != '\0' ? place : NULL);
    if (keeper->object != MT_NO_OBJECT) {
        mt_emit_address(emitter, "address", census->addresses[keeper->object]);
        mt_emit_string(emitter, "type", mt_census_type(census, keeper->object)->name);
    }
    mt_emit_unsigned(emitter, "bytes", keeper->bytes);
    mt_emit_unsigned(emitter, "objects", keeper->objects);
    mt_emit_end(emitter, '}');
}

static void emit_keeper_line(struct summary *summary, const char *name, const char *place) {
    const struct mt_keeper *keeper = &summary->keepers.biggest;
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_strbuf_append(&line, "biggest keeper: ");
    if (keeper->object != MT_NO_OBJECT) {
        summary->keeper_number =
            mt_listing_number_object(summary->call, summary->graph->census->addresses[keeper->object]);
        mt_strbuf_printf(&line, "#%zu ", summary->keeper_number);
    }
    mt_strbuf_printf(&line, "%s%s%s, ", name, place[0] != '\0' ? "  " : "", place);
    mt_text_size(&line, keeper->bytes);
    mt_strbuf_append(&line, ", ");
    mt_words_counted(&line, keeper->objects, "object", "objects");
    mt_emit_line(&summary->call->emitter, "%s", text_of(&line));
    mt_strbuf_deinit(&line);
}

static void emit_keeper(struct summary *summary) {
    struct mt_strbuf name = MT_STRBUF_INIT, place = MT_STRBUF_INIT;
    if (summary->keepers.biggest.form == MT_KEEPER_NONE) {
        mt_emit_string(&summary->call->emitter, "keeper", NULL);
        return;
    }
    mt_keeper_words(summary->graph->census, &summary->keepers.biggest, &name, &place);
    emit_keeper_object(summary, text_of(&name), text_of(&place));
    if (!summary->call->emitter.json)
        emit_keeper_line(summary, text_of(&name), text_of(&place));
    mt_strbuf_deinit(&name);
    mt_strbuf_deinit(&place);
}

static void emit_garbage(const struct summary *summary) {
    struct mt_emitter *emitter = &summary->call->emitter;
    mt_emit_begin(emitter, "garbage", '{');
    mt_emit_unsigned(emitter, "bytes", summary->garbage);
    mt_emit_unsigned(emitter, "objects", summary->keepers.garbage_objects);
    mt_emit_boolean(emitter, "collector_off", summary->collector_off);
    mt_emit_end(emitter, '}');
}

static void emit_recorded(const struct summary *summary) {
    if (!summary->image)
        return;
    const struct mt_image_header *header = &summary->image->header;
    const struct mt_shard *shard = mt_image_shard(summary->image);
    const char *level = mt_level_name(header->level);
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_strbuf_printf(&line, "recorded: level %s, live ", level ? level : "?");
    mt_text_size(&line, shard->live_bytes > 0 ? (uint64_t)shard->live_bytes : 0);
    mt_strbuf_append(&line, ", peak ");
    mt_text_size(&line, shard->peak_bytes > 0 ? (uint64_t)shard->peak_bytes : 0);
    mt_emit_line(&summary->call->emitter, "%s", text_of(&line));
    mt_strbuf_deinit(&line);
}

static void emit_verdict(const struct summary *summary) {
    struct mt_emitter *emitter = &summary->call->emitter;
    struct mt_strbuf text = MT_STRBUF_INIT;
    append_verdict(summary, &text);
    mt_emit_string(emitter, "verdict", verdict_names[summary->verdict]);
    mt_emit_string(emitter, "reason", text_of(&text));
    mt_emit_line(emitter, "verdict: %s. %s", verdict_names[summary->verdict], text_of(&text));
    mt_strbuf_deinit(&text);
}

static void emit_hints(const struct summary *summary) {
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
    mt_call_hint(summary->call, text_of(&line));
    mt_strbuf_deinit(&line);
}

static void emit(struct summary *summary) {
    emit_headline(summary);
    mt_emit_unsigned(&summary->call->emitter, "threads", summary->threads);
    emit_parts(summary);
    emit_types(summary);
    emit_keeper(summary);
    emit_garbage(summary);
    emit_recorded(summary);
    emit_verdict(summary);
    mt_call_warn_census(summary->call, summary->graph->census);
    emit_hints(summary);
}

static struct mt_error *run(struct mt_call *call) {
    struct summary summary = {.call = call};
    struct mt_error *error = look(&summary);
    if (!error) {
        judge(&summary);
        emit(&summary);
    }
    mt_memory_map_destroy(summary.map);
    return error;
}

const struct mt_command mt_summary_command = {
    .name = "summary",
    .summary = "Show on one screen what the memory is made of, and what keeps most of it.",
    .options = MT_OPTION_JSON,
    .details = "`memtrace` alone shows it too. The parts add up to what is resident: each page in memory is shared out "
               "by what lies on it. A type's bytes are those of its objects with their buffers. The biggest keeper is "
               "the cache or variable that alone keeps most alive: without it that would be freed.",
    .run = run,
};
