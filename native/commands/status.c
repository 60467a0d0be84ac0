#define _GNU_SOURCE /* sigabbrev_np */
#include "commands/command.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "commands/session.h"
#include "output/text.h"
#include "trace/marks.h"
#include "trace/rows.h"

/* Something that the answers lack, why, and what would bring it. */
struct lack {
    const char *what;
    char why[160];
    const char *supply;
};

struct lacks {
    struct lack list[8];
    size_t count;
};

static __attribute__((format(printf, 4, 5))) void add_lack(struct lacks *lacks, const char *what, const char *supply,
                                                           const char *format, ...) {
    if (lacks->count == sizeof lacks->list / sizeof lacks->list[0])
        return;
    struct lack *lack = &lacks->list[lacks->count++];
    lack->what = what;
    lack->supply = supply;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(lack->why, sizeof lack->why, format, arguments);
    va_end(arguments);
}

static void emit_lacks(struct mt_emitter *emitter, const struct lacks *lacks) {
    static const struct mt_column columns[] = {
        {MT_COLUMN_TEXT, "degraded", "what"}, {MT_COLUMN_TEXT, "why", "why"}, {MT_COLUMN_TEXT, "what helps", "supply"}};
    mt_emit_table_begin(emitter, "degraded", columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < lacks->count; i++) {
        mt_emit_row_begin(emitter, MT_ROW_BOTH);
        mt_emit_cell_text(emitter, lacks->list[i].what);
        mt_emit_cell_text(emitter, lacks->list[i].why);
        mt_emit_cell_text(emitter, lacks->list[i].supply);
        mt_emit_row_end(emitter);
    }
    mt_emit_table_end(emitter);
}

static uint64_t count_dropped(const struct mt_image_header *header) {
    uint64_t sum = 0;
    for (size_t i = 0; i < MT_DROP_KINDS; i++)
        sum += header->dropped[i];
    return sum;
}

static const char *python_state_name(uint32_t state) {
    static const char *const names[] = {"none", "found", "proven", "unsupported", "refused"};
    return state < sizeof names / sizeof names[0] ? names[state] : "unknown";
}

static void judge_image(const struct mt_image *image, struct lacks *lacks) {
    const struct mt_image_header *header = &image->header;
    if (header->python_state == MT_PYTHON_UNSUPPORTED)
        add_lack(lacks, "Python objects and stacks", "a CPython that the recorder knows", "%s", header->python_problem);
    else if (header->python_state == MT_PYTHON_REFUSED)
        add_lack(lacks, "Python stacks", "an unmodified CPython", "%s", header->python_problem);
    if (header->attached != 0)
        add_lack(lacks, "older memory", "`memtrace run`", "recording began in the middle: it is not known");
    if (header->limit_state == MT_LIMIT_NOT_FOUND)
        add_lack(lacks, "the heap's limit", "MEMTRACE_MAX_HEAP in bytes", "neither cgroup nor RLIMIT_AS has one");
    else if (header->limit_state == MT_LIMIT_BAD)
        add_lack(lacks, "the heap's limit", "MEMTRACE_MAX_HEAP=500M, or 80%", "MEMTRACE_MAX_HEAP was no size");
    if (header->dropped[MT_DROP_SIGNAL] > 0)
        add_lack(lacks, "events", "nothing: they are few", "%" PRIu64 " came from signal handlers inside an event",
                 header->dropped[MT_DROP_SIGNAL]);
    if (header->dropped[MT_DROP_MEMORY] > 0)
        add_lack(lacks, "events", "memory for the recorder", "%" PRIu64 " found no memory to be recorded in",
                 header->dropped[MT_DROP_MEMORY]);
    uint64_t others = count_dropped(header) - header->dropped[MT_DROP_SIGNAL] - header->dropped[MT_DROP_MEMORY];
    if (others > 0)
        add_lack(lacks, "events", "a shorter recording", "%" PRIu64 " were beyond what the recorder can count", others);
}

/* What a core holds of the memory that it describes; for scripts it is part of `target`. */
static void emit_core(struct mt_call *call, struct mt_target *target) {
    uint64_t described, held;
    if (!mt_session_share(target, &described, &held))
        return;
    struct mt_strbuf percent = MT_STRBUF_INIT;
    mt_text_percent(&percent, held, described);
    mt_emit_line(&call->emitter, "in the file: %s of the memory that the core describes",
                 percent.data ? percent.data : "?");
    mt_strbuf_deinit(&percent);
}

static void append_python(struct mt_strbuf *line, uint32_t version) {
    if (version != 0)
        mt_strbuf_printf(line, "CPython %u.%u.%u", version >> 24, version >> 16 & 0xff, version >> 8 & 0xff);
    else
        mt_strbuf_append(line, "no CPython seen");
}

static void emit_subject(struct mt_call *call, const struct mt_target *target, const struct mt_image *image) {
    const struct mt_target_info *info = &target->info;
    struct mt_strbuf line = MT_STRBUF_INIT;
    if (info->kind == MT_TARGET_CORE)
        mt_strbuf_append(&line, "core of ");
    if (info->pid > 0)
        mt_strbuf_printf(&line, "pid %d ", (int)info->pid);
    mt_strbuf_append(&line, info->executable ? info->executable : info->pid > 0 ? "" : "a process ");
    if (info->executable)
        mt_strbuf_append_char(&line, ' ');
    if (image) {
        mt_strbuf_append_char(&line, '(');
        append_python(&line, image->header.python_version);
        mt_strbuf_append_char(&line, ')');
    }
    const char *name = info->signal > 0 ? sigabbrev_np(info->signal) : NULL;
    if (name)
        mt_strbuf_printf(&line, ", killed by SIG%s", name);
    mt_emit_line(&call->emitter, "%s", mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
}

static const char *state_name(uint32_t state) {
    static const char *const names[] = {"never", "on", "stopped", "dormant"};
    return state < sizeof names / sizeof names[0] ? names[state] : "unknown";
}

static const char *pending_name(enum mt_request request) {
    static const char *const names[] = {NULL, "start", "stop", "mark"};
    return names[request];
}

/* What there is to say about the recording beside its numbers; NULL: it just goes on. */
static const char *recording_remark(const struct mt_image *image) {
    const struct mt_image_header *header = &image->header;
    enum mt_request asked = mt_image_pending(image);
    if (asked == MT_REQUEST_START)
        return "recording begins at the next allocation";
    if (asked == MT_REQUEST_STOP)
        return "recording ends at the next allocation";
    switch (header->state) {
    case MT_RECORDING_NEVER:
        return "recorded: nothing yet (`memtrace record` begins)";
    case MT_RECORDING_STOPPED:
        return "recording was stopped: this is how it was then";
    case MT_RECORDING_DORMANT:
        return "recorded: nothing, the recorder was told to leave this program alone";
    default:
        return NULL;
    }
}

static void append_amount(struct mt_strbuf *line, const char *label, uint64_t bytes) {
    mt_strbuf_append(line, label);
    mt_text_size(line, bytes);
}

static uint64_t non_negative(int64_t value) {
    return value > 0 ? (uint64_t)value : 0;
}

static struct mt_amount sum_peak(const struct mt_image *image) {
    struct mt_amount sum = {0};
    for (size_t i = 0; i < image->site_count; i++) {
        struct mt_amount amount = mt_site_at_peak(image, &image->sites[i]);
        sum.bytes += amount.bytes;
        sum.blocks += amount.blocks;
    }
    return sum;
}

static void emit_recording(struct mt_call *call, const struct mt_image *image) {
    struct mt_emitter *emitter = &call->emitter;
    const struct mt_image_header *header = &image->header;
    const struct mt_shard *shard = mt_image_shard(image);
    uint64_t live = non_negative(shard->live_bytes), blocks = non_negative(shard->live_blocks);
    uint64_t dropped = count_dropped(header), in_flight = mt_image_in_flight(image);
    uint64_t start = header->start_monotonic, time = shard->peak_time > start ? shard->peak_time - start : 0;
    struct mt_amount peak = sum_peak(image);
    const char *level = mt_level_name(header->level);

    mt_emit_boolean(emitter, "recording", header->state == MT_RECORDING_ON);
    mt_emit_string(emitter, "state", state_name(header->state));
    mt_emit_string(emitter, "pending", pending_name(mt_image_pending(image)));
    mt_emit_string(emitter, "level", level);
    mt_emit_boolean(emitter, "attached", header->attached != 0);
    mt_emit_boolean(emitter, "native", false);
    mt_emit_unsigned(emitter, "generation", header->generation);
    mt_emit_unsigned(emitter, "live_bytes", live);
    mt_emit_unsigned(emitter, "live_blocks", blocks);
    mt_emit_unsigned(emitter, "peak_bytes", peak.bytes);
    mt_emit_unsigned(emitter, "peak_blocks", peak.blocks);
    mt_emit_seconds(emitter, "peak_time", time);
    mt_emit_unsigned(emitter, "events", shard->events);
    mt_emit_unsigned(emitter, "frees_ignored", shard->frees_ignored);
    mt_emit_unsigned(emitter, "in_flight", in_flight);
    mt_emit_unsigned(emitter, "dropped", dropped);
    mt_emit_begin(emitter, "dropped_by", '{');
    mt_emit_unsigned(emitter, "signal", header->dropped[MT_DROP_SIGNAL]);
    mt_emit_unsigned(emitter, "memory", header->dropped[MT_DROP_MEMORY]);
    mt_emit_unsigned(emitter, "limit", header->dropped[MT_DROP_LIMIT]);
    mt_emit_end(emitter, '}');
    mt_emit_unsigned(emitter, "recorder_bytes", header->recorder_bytes);
    mt_emit_unsigned(emitter, "reserved_bytes", header->reserved_bytes);
    mt_emit_unsigned(emitter, "file_map_bytes", header->file_map_bytes);
    if (header->limit_state == MT_LIMIT_SET)
        mt_emit_unsigned(emitter, "limit_bytes", header->limit_bytes);
    mt_emit_string(emitter, "python_stacks", python_state_name(header->python_state));
    mt_emit_string(emitter, "python_allocator", header->python_allocator[0] != '\0' ? header->python_allocator : NULL);
    mt_emit_unsigned(emitter, "python_rewrapped", header->python_rewrapped);
    mt_emit_unsigned(emitter, "threads", image->thread_count);

    const char *remark = recording_remark(image);
    if (remark)
        mt_emit_line(emitter, "%s", remark);
    if (header->state == MT_RECORDING_NEVER || header->state == MT_RECORDING_DORMANT)
        return;
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_strbuf_printf(&line, "recorded: level %s, ", level ? level : "?");
    mt_text_count(&line, shard->events);
    append_amount(&line, " events, live ", live);
    mt_strbuf_append(&line, " in ");
    mt_text_count(&line, blocks);
    append_amount(&line, " blocks, peak ", peak.bytes);
    mt_strbuf_append(&line, " at +");
    mt_text_seconds(&line, time);
    append_amount(&line, ", recorder ", header->recorder_bytes);
    mt_strbuf_append(&line, ", ");
    mt_text_count(&line, dropped);
    mt_strbuf_append(&line, " dropped");
    mt_emit_line(emitter, "%s", mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);

    if (header->limit_state == MT_LIMIT_SET) {
        struct mt_strbuf limit = MT_STRBUF_INIT;
        mt_text_size(&limit, header->limit_bytes);
        mt_emit_line(emitter, "limit: the process ends when live bytes pass %s", limit.data ? limit.data : "?");
        mt_strbuf_deinit(&limit);
    }
    if (in_flight > 0)
        mt_emit_line(emitter, "in flight: %" PRIu64 " event%s", in_flight, in_flight == 1 ? "" : "s");
    if (header->python_allocator[0] != '\0')
        mt_emit_line(emitter, "Python's allocators: %s", header->python_allocator);
    if (header->python_rewrapped > 0)
        mt_emit_line(emitter, "Python replaced its allocators %" PRIu32 " time%s, they were wrapped again",
                     header->python_rewrapped, header->python_rewrapped == 1 ? "" : "s");
    if (header->python_state == MT_PYTHON_FOUND)
        mt_emit_line(emitter, "Python stacks: none yet: no Python code has run since recording began");
}

/* The marks that are kept. */
static void emit_marks(struct mt_call *call, const struct mt_image *image, const struct mt_marks *marks) {
    static const struct mt_column columns[] = {{MT_COLUMN_HANDLE, "mark", "generation"},
                                               {MT_COLUMN_TEXT, "name", NULL},
                                               {MT_COLUMN_TEXT, "set", NULL},
                                               {MT_COLUMN_NUMBER, "alive then", "live_bytes"},
                                               {MT_COLUMN_NUMBER, "blocks", "live_blocks"}};
    struct mt_emitter *emitter = &call->emitter;
    const struct mt_shard *shard = mt_image_shard(image);
    mt_emit_table_begin(emitter, "marks", columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < marks->count; i++) {
        const struct mt_moment *mark = &marks->list[i];
        bool pending = mark->kind == MT_MOMENT_PENDING;
        const char *name = mark->name[0] != '\0' ? mark->name : NULL;
        struct mt_strbuf when = MT_STRBUF_INIT;
        if (!pending)
            mt_strbuf_append_char(&when, '+');
        if (!pending)
            mt_text_seconds(&when, mark->time);
        mt_emit_row_begin(emitter, MT_ROW_BOTH);
        mt_emit_cell_number(emitter, mark->generation);
        mt_emit_cell_text(emitter, name);
        mt_emit_cell_text(emitter, pending ? "now" : when.data);
        mt_emit_cell_number(emitter, pending ? non_negative(shard->live_bytes) : mark->live_bytes);
        mt_emit_cell_number(emitter, pending ? non_negative(shard->live_blocks) : mark->live_blocks);
        mt_emit_string(emitter, "name", name);
        if (!pending)
            mt_emit_seconds(emitter, "time", mark->time);
        mt_emit_boolean(emitter, "pending", pending);
        mt_emit_row_end(emitter);
        mt_strbuf_deinit(&when);
    }
    mt_emit_table_end(emitter);
}

/* Whatever is wrong with the marks, the rest of the answer stands. */
static struct mt_error *tell_marks(struct mt_call *call, const struct mt_image *image, struct lacks *lacks) {
    struct mt_marks marks = {0};
    struct mt_error *error = mt_marks_load(image, &call->watch, &marks);
    if (error && error->code != MT_ERROR_FORMAT && error->code != MT_ERROR_FAULT)
        return error;
    if (error)
        add_lack(lacks, "marks", "a core that holds them", "%s", error->message);
    mt_error_destroy(error);
    emit_marks(call, image, &marks);
    return NULL;
}

static void emit_not_recording(struct mt_call *call) {
    mt_emit_boolean(&call->emitter, "recording", false);
    mt_emit_string(&call->emitter, "level", NULL);
}

static const char *how_to_record(const struct mt_target *target) {
    switch (target->info.kind) {
    case MT_TARGET_LIVE:
        return "memtrace record, here and now";
    case MT_TARGET_REMOTE:
        return "memtrace record, attached on its machine";
    default:
        return "memtrace record before run";
    }
}

/* Before the program runs there is one thing to tell: whether it will be recorded. */
static struct mt_error *tell_armed(struct mt_call *call, struct mt_error *error) {
    if (error->code != MT_ERROR_NO_PROCESS || !mt_session_environment(call->session)->armed)
        return error;
    mt_error_destroy(error);
    emit_not_recording(call);
    mt_emit_string(&call->emitter, "state", "armed");
    mt_emit_line(&call->emitter, "no process; the next `run` records");
    return NULL;
}

static struct mt_error *run(struct mt_call *call) {
    struct mt_target *target;
    struct mt_error *error = mt_call_target(call, &target);
    if (error)
        return tell_armed(call, error);
    struct mt_image *image = NULL;
    struct lacks lacks = {0};
    error = mt_call_image(call, &image);
    if (error && error->code != MT_ERROR_NOT_RECORDED)
        return error;
    emit_subject(call, target, image);
    if (error) {
        mt_error_destroy(error);
        emit_not_recording(call);
        mt_emit_line(&call->emitter, "recorded: nothing");
        add_lack(&lacks, "peak, live, born", how_to_record(target), "no recorder in this process");
    } else {
        emit_recording(call, image);
        judge_image(image, &lacks);
        error = tell_marks(call, image, &lacks);
        if (error)
            return error;
    }
    if (target->info.kind == MT_TARGET_CORE)
        emit_core(call, target);
    emit_lacks(&call->emitter, &lacks);
    return NULL;
}

const struct mt_command mt_status_command = {
    .name = "status",
    .summary = "Tell what is recorded, what is missing from it, and why.",
    .options = MT_OPTION_JSON,
    .run = run,
};
