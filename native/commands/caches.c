#include "commands/command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "commands/birth.h"
#include "commands/listing.h"
#include "commands/object_words.h"
#include "heap/caches.h"
#include "output/place.h"
#include "output/text.h"
#include "python/object.h"
#include "python/threads.h"

#define LONGEST_NAME 200  /* bytes of a name of the program */
#define WORTH_A_ROW 1000  /* rows that keep less than a thousandth of the whole are folded ... */
#define ROWS_AT_LEAST 3   /* ... but for so many */
#define WORTH_TELLING 100 /* the first line is about caches that keep at least a hundredth of the whole */

struct answer {
    struct mt_call *call;
    struct mt_graph *graph;
    struct mt_python *python;
    const struct mt_caches *caches;
};

/* A cache as people know it. */
struct naming {
    struct mt_strbuf function;   /* qualified name of what it caches; empty: nothing is called */
    struct mt_strbuf name;       /* "Algorithms.factorial_plus", "re._cache (dict)" */
    struct mt_frame_place place; /* of the function; line 0: unknown */
};

static void naming_deinit(struct naming *naming) {
    mt_strbuf_deinit(&naming->function);
    mt_strbuf_deinit(&naming->name);
}

static const struct mt_cache *cache_of(const struct answer *answer, const struct mt_cache_row *row) {
    return &answer->caches->caches.data[row->cache];
}

static uint64_t address_of(const struct answer *answer, const struct mt_cache_row *row) {
    return answer->graph->census->addresses[cache_of(answer, row)->object];
}

/* --- names -------------------------------------------------------------------------------------------------------- */

static void append_str(struct mt_python *python, uint64_t str, struct mt_strbuf *out) {
    if (str == 0 || !mt_str_append(python, str, LONGEST_NAME, out))
        mt_strbuf_append_char(out, '?');
}

static uint64_t member(struct mt_python *python, uint64_t address, int64_t offset) {
    uint64_t value = 0;
    return offset >= 0 && mt_view_u64(python->view, address + (uint64_t)offset, &value) ? value : 0;
}

static void name_function(const struct answer *answer, uint64_t function, struct naming *naming) {
    struct mt_python *python = answer->python;
    const struct mt_type *type = function ? mt_object_type(python, function) : NULL;
    if (!type)
        return;
    if (type->kind != MT_KIND_FUNCTION) {
        mt_value_append(python, function, LONGEST_NAME, &naming->function);
        return;
    }
    append_str(python, member(python, function, MT_AT(&python->layout, PyFunctionObject, func_qualname)),
               &naming->function);
    if (!mt_code_place(python, member(python, function, MT_AT(&python->layout, PyFunctionObject, func_code)),
                       &naming->place))
        naming->place = (struct mt_frame_place){0};
}

/* "re._cache", "Order.total" */
static void append_attribute(const struct answer *answer, const struct mt_cache *cache, struct mt_strbuf *out) {
    struct mt_python *python = answer->python;
    if (cache->class)
        mt_strbuf_append(out, cache->class->name);
    else
        append_str(python,
                   member(python, answer->graph->census->addresses[cache->module],
                          MT_AT(&python->layout, PyModuleObject, md_name)),
                   out);
    mt_strbuf_append_char(out, '.');
    append_str(python, cache->name, out);
}

static void name_row(const struct answer *answer, const struct mt_cache_row *row, struct naming *ret) {
    const struct mt_cache *cache = cache_of(answer, row);
    *ret = (struct naming){0};
    name_function(answer, cache->function, ret);
    switch (row->kind) {
    case MT_CACHE_LRU:
    case MT_CACHE_PYTHON_LRU:
        if (row->count > 1) {
            mt_text_count(&ret->name, row->count);
            mt_strbuf_append(&ret->name, " caches of ");
        }
        mt_strbuf_append(&ret->name, ret->function.length > 0 ? mt_strbuf_text(&ret->function) : "?");
        break;
    case MT_CACHE_PROPERTY:
        append_attribute(answer, cache, &ret->name);
        mt_strbuf_append(&ret->name, " (cached property)");
        break;
    case MT_CACHE_DICT:
        append_attribute(answer, cache, &ret->name);
        mt_strbuf_append(&ret->name, " (dict)");
        break;
    }
}

static bool has_counters(const struct mt_cache_row *row) {
    return row->kind == MT_CACHE_LRU || row->kind == MT_CACHE_PYTHON_LRU;
}

/* Appends "1,500 Algorithms", "2 instances of Class", joined by commas. */
static void append_instances(const mt_cache_instances_list *list, struct mt_strbuf *out) {
    for (size_t i = 0; i < list->length; i++) {
        mt_strbuf_append(out, i > 0 ? ", " : "");
        mt_text_count(out, list->data[i].count);
        mt_strbuf_printf(out, " %s", list->data[i].type->name);
    }
}

/* --- where unnamed caches were made ------------------------------------------------------------------------------- */

/* The innermost frame that is not the caching module's own. */
static const struct mt_frame *maker(const struct mt_frame *frames, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(mt_place_tail(frames[i].file, 1), "functools.py") != 0)
            return &frames[i];
    return NULL;
}

static struct mt_error *append_maker(const struct answer *answer, const struct mt_image *image, uint64_t object,
                                     struct mt_strbuf *out) {
    struct mt_birth birth;
    struct mt_block_gaps gaps;
    struct mt_error *error = mt_birth_find(answer->call, image, &object, 1, &birth, &gaps);
    if (error || !birth.found)
        return error;
    struct mt_frame_list list = {0};
    size_t count;
    bool ok = mt_image_stack(image, image->sites[birth.block.site].stack, &list, &count);
    const struct mt_frame *frame = ok ? maker(list.frames, count) : NULL;
    if (frame)
        mt_strbuf_printf(out, "made in %s %s:%" PRIu32 "; ", frame->function, mt_place_tail(frame->file, 1),
                         frame->line);
    mt_frame_list_deinit(&list);
    return ok ? NULL : &mt_error_no_memory;
}

/* --- remarks ------------------------------------------------------------------------------------------------------ */

/* Appends "; 1,500 Algorithms live only through it". */
static void append_living(const mt_cache_instances_list *list, const char *through, struct mt_strbuf *out) {
    if (list->length == 0)
        return;
    mt_strbuf_append(out, "; ");
    append_instances(list, out);
    mt_strbuf_append(out, list->length == 1 && list->data[0].count == 1 ? " lives" : " live");
    mt_strbuf_append(out, through);
}

static void append_method(const struct mt_cache_row *row, struct mt_strbuf *out) {
    mt_strbuf_append(out, "caches a method: every key holds `self`");
    append_living(&row->kept_instances, " only through it", out);
    append_living(&row->shared_instances, " only through it and other caches", out);
}

/* A cache around a bound method holds the instance, which usually holds the cache. */
static void append_bound(const struct mt_cache_row *row, struct mt_strbuf *out) {
    const struct mt_cache_waiting *waiting = &row->waiting;
    mt_strbuf_append(out, "around bound methods, which hold their instances: ");
    append_instances(&row->instances, out);
    mt_strbuf_append(out, row->instances.length > 0 ? " alive" : "none alive");
    if (waiting->instances.length == 0)
        return;
    mt_strbuf_append(out, "; ");
    append_instances(&waiting->instances, out);
    mt_strbuf_append(out, " in cycles with their caches, ");
    mt_text_size(out, waiting->sum.bytes);
    mt_strbuf_append(out, " that wait for the collector");
}

static void append_waiting(const struct mt_cache_row *row, struct mt_strbuf *out) {
    mt_words_counted(out, row->waiting.caches, "of them waits", "of them wait");
    mt_strbuf_append(out, " for the collector, ");
    mt_text_size(out, row->waiting.sum.bytes);
}

static struct mt_error *emit_remark(const struct answer *answer, const struct mt_image *image,
                                    const struct mt_cache_row *row) {
    struct mt_strbuf text = MT_STRBUF_INIT;
    struct mt_error *error = NULL;
    if (image && row->count > 1 && has_counters(row))
        error = append_maker(answer, image, address_of(answer, row), &text);
    if (row->caches_method && row->entries > 0)
        append_method(row, &text);
    else if (row->instances.length + row->waiting.instances.length > 0)
        append_bound(row, &text);
    else if (row->waiting.caches > 0)
        append_waiting(row, &text);
    if (text.length > 0)
        mt_emit_row_remark(&answer->call->emitter, text.data);
    mt_strbuf_deinit(&text);
    return error;
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

static void emit_instances(struct mt_emitter *emitter, const char *key, const mt_cache_instances_list *list) {
    mt_emit_begin(emitter, key, '[');
    for (size_t i = 0; i < list->length; i++) {
        mt_emit_begin(emitter, NULL, '{');
        mt_emit_string(emitter, "type", list->data[i].type->name);
        mt_emit_unsigned(emitter, "count", list->data[i].count);
        mt_emit_end(emitter, '}');
    }
    mt_emit_end(emitter, ']');
}

static void emit_waiting(struct mt_emitter *emitter, const struct mt_cache_waiting *waiting) {
    mt_emit_begin(emitter, "waiting", '{');
    mt_emit_unsigned(emitter, "caches", waiting->caches);
    mt_emit_unsigned(emitter, "entries", waiting->entries);
    mt_emit_unsigned(emitter, "objects", waiting->sum.objects);
    mt_emit_unsigned(emitter, "bytes", waiting->sum.bytes);
    emit_instances(emitter, "instances", &waiting->instances);
    mt_emit_end(emitter, '}');
}

/* What only scripts are told. */
static void emit_members(const struct answer *answer, const struct mt_cache_row *row, const struct naming *naming) {
    static const char *const kinds[] = {"lru_cache", "python_lru_cache", "cached_property", "dict"};
    struct mt_emitter *emitter = &answer->call->emitter;
    mt_emit_address(emitter, "address", address_of(answer, row));
    mt_emit_string(emitter, "kind", kinds[row->kind]);
    mt_emit_string(emitter, "name", mt_strbuf_text(&naming->name));
    mt_emit_string(emitter, "function", naming->function.data);
    mt_emit_string(emitter, "file", naming->place.line > 0 ? naming->place.file : NULL);
    if (naming->place.line > 0)
        mt_emit_integer(emitter, "line", naming->place.line);
    else
        mt_emit_string(emitter, "line", NULL);
    mt_emit_unsigned(emitter, "caches", row->count);
    mt_emit_integer(emitter, "maxsize", row->maxsize);
    if (has_counters(row)) {
        mt_emit_unsigned(emitter, "hits", row->hits);
        mt_emit_unsigned(emitter, "misses", row->misses);
        mt_emit_boolean(emitter, "typed", cache_of(answer, row)->typed);
    } else {
        mt_emit_string(emitter, "hits", NULL);
        mt_emit_string(emitter, "misses", NULL);
    }
    mt_emit_unsigned(emitter, "objects_held", row->kept.objects);
    mt_emit_boolean(emitter, "method", row->caches_method);
    emit_instances(emitter, "kept_alive", &row->kept_instances);
    emit_instances(emitter, "kept_alive_jointly", &row->shared_instances);
    emit_instances(emitter, "instances", &row->instances);
    if (row->waiting.caches > 0)
        emit_waiting(emitter, &row->waiting);
}

static void emit_maxsize(struct mt_emitter *emitter, const struct mt_cache_row *row) {
    if (!has_counters(row))
        mt_emit_cell_text(emitter, NULL);
    else if (row->maxsize == MT_CACHE_UNBOUNDED)
        mt_emit_cell_text(emitter, "none");
    else
        mt_emit_cell_number(emitter, (uint64_t)row->maxsize);
}

static void emit_counter(struct mt_emitter *emitter, const struct mt_cache_row *row, uint64_t value) {
    if (has_counters(row))
        mt_emit_cell_number(emitter, value);
    else
        mt_emit_cell_text(emitter, NULL);
}

static struct mt_error *emit_row(const struct answer *answer, const struct mt_image *image,
                                 const struct mt_cache_row *row) {
    struct mt_emitter *emitter = &answer->call->emitter;
    struct naming naming;
    char place[sizeof naming.place.file + 16] = "";
    name_row(answer, row, &naming);
    if (naming.place.line > 0)
        snprintf(place, sizeof place, "%s:%" PRId32, mt_place_tail(naming.place.file, 1), naming.place.line);
    mt_emit_row_begin(emitter, MT_ROW_BOTH);
    emit_members(answer, row, &naming);
    mt_emit_cell_number(emitter, mt_listing_number_object(answer->call, address_of(answer, row)));
    mt_emit_cell_number(emitter, row->entries);
    emit_counter(emitter, row, row->hits);
    emit_counter(emitter, row, row->misses);
    emit_maxsize(emitter, row);
    if (row->kept_is_known)
        mt_emit_cell_number(emitter, row->kept.bytes);
    else
        mt_emit_cell_text(emitter, emitter->json ? NULL : "-");
    mt_emit_cell_value(emitter, mt_strbuf_text(&naming.name), place);
    mt_emit_row_end(emitter);
    struct mt_error *error = emit_remark(answer, image, row);
    naming_deinit(&naming);
    return error;
}

/* Bytes of the rows from `first` on, without what others of them have too. */
static uint64_t rest_bytes(const struct mt_caches *caches, size_t first) {
    uint64_t bytes = 0;
    for (size_t i = first; i < caches->rows.length; i++)
        bytes += caches->rows.data[i].is_part ? 0 : caches->rows.data[i].kept.bytes;
    return bytes;
}

static void emit_rest(const struct answer *answer, size_t shown) {
    const struct mt_caches *caches = answer->caches;
    struct mt_emitter *emitter = &answer->call->emitter;
    struct mt_strbuf text = MT_STRBUF_INIT;
    uint64_t entries = 0;
    for (size_t i = shown; i < caches->rows.length; i++)
        entries += caches->rows.data[i].entries;
    mt_words_counted(&text, caches->rows.length - shown, "other cache", "other caches");
    mt_emit_row_begin(emitter, MT_ROW_TEXT);
    mt_emit_cell_text(emitter, NULL);
    mt_emit_cell_number(emitter, entries);
    for (int i = 0; i < 3; i++)
        mt_emit_cell_text(emitter, NULL); /* hits, misses, maxsize */
    mt_emit_cell_number(emitter, rest_bytes(caches, shown));
    mt_emit_cell_text(emitter, text.data);
    mt_emit_row_end(emitter);
    mt_strbuf_deinit(&text);
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

/* Bytes that all caches keep, each alone: parts are counted with the caches that they are parts of. */
static uint64_t sum_of(const struct mt_caches *caches, uint64_t least, uint64_t *ret_count) {
    uint64_t bytes = 0, count = 0;
    for (size_t i = 0; i < caches->rows.length; i++) {
        const struct mt_cache_row *row = &caches->rows.data[i];
        if (row->is_part || row->kept.bytes == 0 || row->kept.bytes < least)
            continue;
        bytes += row->kept.bytes;
        count += row->count - row->waiting.caches;
    }
    *ret_count = count;
    return bytes;
}

static void append_all_waiting(const struct mt_caches *caches, struct mt_strbuf *out) {
    uint64_t count = 0, bytes = 0;
    for (size_t i = 0; i < caches->rows.length; i++) {
        count += caches->rows.data[i].waiting.caches;
        bytes += caches->rows.data[i].waiting.sum.bytes;
    }
    if (count == 0)
        return;
    mt_strbuf_append(out, "; ");
    mt_words_counted(out, count, "waits for the collector, ", "wait for the collector, ");
    mt_text_size(out, bytes);
}

static void emit_headline(const struct answer *answer) {
    uint64_t count, whole = sum_of(answer->caches, 0, &count), bytes;
    bytes = sum_of(answer->caches, whole / WORTH_TELLING, &count);
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_emit_unsigned(&answer->call->emitter, "count", answer->caches->rows.length);
    mt_emit_unsigned(&answer->call->emitter, "bytes_held", whole);
    if (answer->caches->rows.length == 0) {
        mt_strbuf_append(&line, "no caches");
    } else if (count == 0) {
        mt_strbuf_append(&line, "no cache keeps anything alive that nothing else does");
    } else {
        mt_words_counted(&line, count, "cache keeps ", "caches keep ");
        mt_text_size(&line, bytes);
        mt_strbuf_append(&line, " alive that nothing else does");
    }
    append_all_waiting(answer->caches, &line);
    mt_emit_line(&answer->call->emitter, "%s", mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
}

/* How many rows are shown: text leaves out what is small, unless a limit is asked for. */
static size_t choose_shown(const struct answer *answer) {
    const struct mt_caches *caches = answer->caches;
    uint64_t count, whole = sum_of(caches, 0, &count);
    size_t shown = mt_listing_shown(answer->call, caches->rows.length);
    if (answer->call->emitter.json || answer->call->options.given & MT_OPTION_LIMIT)
        return shown;
    while (shown > 0) {
        const struct mt_cache_row *row = &caches->rows.data[shown - 1];
        bool is_small = row->kept.bytes + row->waiting.sum.bytes < whole / WORTH_A_ROW;
        if (row->entries > 0 && (!is_small || shown <= ROWS_AT_LEAST))
            break;
        shown--;
    }
    return shown;
}

static struct mt_error *emit(const struct answer *answer) {
    static const struct mt_column columns[] = {
        {MT_COLUMN_HANDLE, "#", NULL},       {MT_COLUMN_NUMBER, "entries", "entries"},
        {MT_COLUMN_NUMBER, "hits", NULL},    {MT_COLUMN_NUMBER, "misses", NULL},
        {MT_COLUMN_NUMBER, "maxsize", NULL}, {MT_COLUMN_NUMBER, "keeps alive", "bytes_held"},
        {MT_COLUMN_NAME, "cache of", NULL},
    };
    struct mt_emitter *emitter = &answer->call->emitter;
    size_t shown = choose_shown(answer);
    struct mt_image *image;
    struct mt_error *error = mt_birth_recording(answer->call, &image);
    if (error)
        return error;
    emit_headline(answer);
    mt_emit_table_begin(emitter, "rows", columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < shown && !error; i++)
        error = emit_row(answer, emitter->json ? NULL : image, &answer->caches->rows.data[i]);
    if (shown < answer->caches->rows.length)
        emit_rest(answer, shown);
    mt_emit_table_end(emitter);
    if (shown < answer->caches->rows.length)
        mt_listing_omitted(answer->call, answer->caches->rows.length - shown, rest_bytes(answer->caches, shown));
    return error;
}

static struct mt_error *run(struct mt_call *call) {
    struct answer answer = {.call = call};
    struct mt_caches caches;
    struct mt_error *error = mt_call_graph(call, &answer.graph);
    if (!error)
        error = mt_caches_find(answer.graph, &call->watch, &caches);
    if (error)
        return error;
    answer.python = answer.graph->census->python;
    answer.caches = &caches;
    error = emit(&answer);
    mt_caches_deinit(&caches);
    if (!error) {
        mt_call_warn_census(call, answer.graph->census);
        mt_call_hint(call, "try: memtrace holds --deep 1 · memtrace who-holds 1");
    }
    return error;
}

const struct mt_command mt_caches_command = {
    .name = "caches",
    .summary = "List caches and what each alone keeps alive.",
    .options = MT_OPTION_LIMIT | MT_OPTION_JSON,
    .details = "Caches are those of functools.lru_cache and functools.cache, values of cached properties, and dicts of "
               "modules and classes that are known as caches, have 10,000 entries, or keep 1 MB alive.\n"
               "A cache keeps alive what would be freed if it alone were cleared: its keys and values, what only they "
               "hold, and its own table.",
    .run = run,
};
