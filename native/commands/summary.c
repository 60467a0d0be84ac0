#include "commands/summary_parts.h"

#include "commands/object_words.h"
#include "python/object.h"
#include "python/threads.h"

static void take_type(struct mt_summary *summary, const struct mt_type *type, const struct mt_memory_type *sums) {
    struct mt_summary_type here = {type, sums->count, sums->bytes};
    for (size_t i = 0; i < MT_SUMMARY_TYPES; i++) {
        struct mt_summary_type *place = &summary->types[i];
        if (i < summary->type_count && place->bytes >= here.bytes)
            continue;
        struct mt_summary_type displaced = *place;
        *place = here;
        here = displaced;
        if (i == summary->type_count) {
            summary->type_count++;
            return;
        }
    }
}

static void rank_types(struct mt_summary *summary, const struct mt_census *census, size_t types) {
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

static struct mt_error *count_threads(struct mt_summary *summary) {
    struct mt_threads threads;
    struct mt_error *error = mt_threads_read(summary->python, &summary->call->watch, &threads);
    if (error)
        return error;
    summary->threads = threads.list.length;
    mt_threads_deinit(&threads);
    return NULL;
}

/* No recorder, or one that can't be read, is no reason to say nothing. */
static void look_for_recorder(struct mt_summary *summary) {
    struct mt_image *image;
    struct mt_error *error = mt_call_recording(summary->call, &image);
    if (!error)
        summary->image = image;
    mt_error_destroy(error);
}

static struct mt_error *measure(struct mt_summary *summary, const struct mt_residence *residence) {
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
static struct mt_error *look(struct mt_summary *summary) {
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

static struct mt_error *run(struct mt_call *call) {
    struct mt_summary summary = {.call = call};
    struct mt_error *error = look(&summary);
    if (!error) {
        mt_summary_judge(&summary);
        mt_summary_emit_findings(&summary);
        mt_summary_emit_verdict(&summary);
        mt_call_warn_census(call, summary.graph->census);
        mt_summary_emit_hints(&summary);
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
