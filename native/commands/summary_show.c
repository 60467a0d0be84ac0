#define _GNU_SOURCE /* qsort_r */
#include "commands/summary_parts.h"

#include <stdlib.h>
#include <string.h>

#include "commands/keeper_words.h"
#include "commands/listing.h"
#include "commands/object_words.h"
#include "output/place.h"
#include "output/text.h"
#include "python/attribute.h"
#include "python/item.h"
#include "python/object.h"
#include "python/scope.h"

#define LONGEST_PATH 4096 /* bytes of the program's path */
#define LONGEST_TITLE 40  /* columns of its name */

/* What Python was started with: sys.argv[0], without its directories. */
static void append_title(const struct mt_summary *summary, struct mt_strbuf *out) {
    struct mt_python *python = summary->python;
    const struct mt_item_key first = {.text = "0", .length = 1, .is_int = true};
    struct mt_strbuf text = MT_STRBUF_INIT;
    uint64_t module = 0, list, program, count;
    if (python->interpreters.length > 0)
        module = mt_scope_module(python, python->interpreters.data[python->interpreters.length - 1], "sys");
    if (module != 0 && mt_attribute_find(python, module, "argv", &list) == MT_ATTRIBUTE_FOUND &&
        mt_item_find(python, list, &first, &program, &count) == MT_ITEM_FOUND)
        mt_str_append(python, program, LONGEST_PATH, &text);
    const char *title = mt_place_tail(mt_strbuf_text(&text), 1);
    if (title[0] == '\0' || strcmp(title, "-c") == 0)
        title = summary->target->info.executable ? mt_place_tail(summary->target->info.executable, 1) : "";
    mt_text_cut(out, title, LONGEST_TITLE);
    mt_strbuf_deinit(&text);
}

static void emit_headline(const struct mt_summary *summary) {
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
    mt_emit_line(&summary->call->emitter, "%s", mt_strbuf_text(&line));
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

static void append_objects(const struct mt_summary *summary, struct mt_strbuf *out) {
    mt_words_counted(out, summary->graph->census->count, "object of ", "objects of ");
    mt_words_counted(out, summary->all_types, "type", "types");
    if (summary->garbage > summary->held / MT_SUMMARY_WORTH_TELLING) {
        mt_strbuf_append(out, "; ");
        mt_text_size(out, summary->garbage);
        mt_strbuf_append(out, " of it garbage");
    }
}

/* What a part is, for people. */
static void append_remark(const struct mt_summary *summary, enum mt_memory_part part, struct mt_strbuf *out) {
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

static void emit_parts(struct mt_summary *summary) {
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
            mt_emit_cell_text(emitter, mt_strbuf_text(&remark));
            mt_emit_row_end(emitter);
        }
        mt_strbuf_deinit(&remark);
    }
    mt_emit_table_end(emitter);
}

static void emit_types(struct mt_summary *summary) {
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

static void emit_keeper_object(const struct mt_summary *summary, const char *name, const char *place) {
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

static void emit_keeper_line(struct mt_summary *summary, const char *name, const char *place) {
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
    mt_emit_line(&summary->call->emitter, "%s", mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
}

static void emit_keeper(struct mt_summary *summary) {
    struct mt_strbuf name = MT_STRBUF_INIT, place = MT_STRBUF_INIT;
    if (summary->keepers.biggest.form == MT_KEEPER_NONE) {
        mt_emit_string(&summary->call->emitter, "keeper", NULL);
        return;
    }
    mt_keeper_words(summary->graph->census, &summary->keepers.biggest, &name, &place);
    emit_keeper_object(summary, mt_strbuf_text(&name), mt_strbuf_text(&place));
    if (!summary->call->emitter.json)
        emit_keeper_line(summary, mt_strbuf_text(&name), mt_strbuf_text(&place));
    mt_strbuf_deinit(&name);
    mt_strbuf_deinit(&place);
}

static void emit_garbage(const struct mt_summary *summary) {
    struct mt_emitter *emitter = &summary->call->emitter;
    mt_emit_begin(emitter, "garbage", '{');
    mt_emit_unsigned(emitter, "bytes", summary->garbage);
    mt_emit_unsigned(emitter, "objects", summary->keepers.garbage_objects);
    mt_emit_boolean(emitter, "collector_off", summary->collector_off);
    mt_emit_end(emitter, '}');
}

static void emit_recorded(const struct mt_summary *summary) {
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
    mt_emit_line(&summary->call->emitter, "%s", mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
}

void mt_summary_emit_findings(struct mt_summary *summary) {
    emit_headline(summary);
    mt_emit_unsigned(&summary->call->emitter, "threads", summary->threads);
    emit_parts(summary);
    emit_types(summary);
    emit_keeper(summary);
    emit_garbage(summary);
    emit_recorded(summary);
}
