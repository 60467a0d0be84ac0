#include "commands/command.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "commands/address.h"
#include "commands/birth.h"
#include "commands/break_type.h"
#include "commands/breakpoints.h"
#include "commands/main_thread.h"
#include "commands/object_words.h"
#include "commands/python_stops.h"
#include "commands/record.h"
#include "commands/ref_next.h"
#include "commands/ref_watch.h"
#include "commands/request.h"
#include "commands/session.h"
#include "commands/size_words.h"
#include "commands/words.h"
#include "output/text.h"

#define KINDS                                                                                                          \
    (MT_OPTION_HEAP | MT_OPTION_ALLOC | MT_OPTION_NEW_PEAK | MT_OPTION_FREE | MT_OPTION_TYPE_COUNT | MT_OPTION_LINE |  \
     MT_OPTION_FUNCTION | MT_OPTION_REFS | MT_OPTION_REFS_OF_NEXT)

/* --- one more ------------------------------------------------------------------------------------------------------
 */

/* NULL in *ret_image: there is no process yet, and the next one will be recorded. */
static struct mt_error *find_recording(struct mt_call *call, struct mt_image **ret_image) {
    struct mt_host_description description;
    struct mt_image *image = NULL;
    const struct mt_host *host = mt_session_debugger(call->session);
    struct mt_error *error = mt_request_describe(call, "stopped", &description);
    if (!error && (!host || !host->stop_at))
        error = mt_error_create(MT_ERROR_UNSUPPORTED, "only a debugger can stop a process: use gdb or lldb");
    if (error)
        return error;
    if (description.kind == MT_HOST_NONE) {
        bool is_armed;
        error = mt_record_is_armed(call, &is_armed);
        if (!error && !is_armed)
            error = mt_error_create(MT_ERROR_NOT_RECORDED, "the next `run` will not record: `memtrace record` first");
    } else {
        error = mt_request_image(call, &image);
        enum mt_request asked = error ? MT_REQUEST_NONE : mt_image_pending(image);
        if (!error && asked != MT_REQUEST_START && (image->header.state != MT_RECORDING_ON || asked == MT_REQUEST_STOP))
            error = mt_error_create(MT_ERROR_NOT_RECORDED, "nothing is being recorded: `memtrace record` first");
    }
    if (!error)
        *ret_image = image;
    return error;
}

static struct mt_error *need_process(const char *option) {
    return mt_error_create(MT_ERROR_NO_PROCESS, "%s is about something that lives: `run` first", option);
}

/* --free: the block around the address. */
static struct mt_error *find_block(struct mt_call *call, const struct mt_image *image,
                                   struct mt_breakpoint *breakpoint) {
    struct mt_address address;
    struct mt_birth birth;
    struct mt_block_gaps gaps;
    struct mt_error *error = mt_address_parse(call, call->options.block, &address);
    if (!error)
        error = mt_birth_find(call, image, &address.value, 1, &birth, &gaps);
    if (!error && !birth.found)
        error =
            mt_error_create(MT_ERROR_NOT_FOUND, "0x%" PRIx64 " is in no live block that was recorded", address.value);
    if (error)
        return error;
    breakpoint->argument = birth.block.address;
    breakpoint->size = birth.block.size;
    breakpoint->pid = image->target->info.pid;
    return NULL;
}

/* --line FILE:LINE and --function NAME */
static struct mt_error *fill_python(const struct mt_options *options, const struct mt_image *image,
                                    struct mt_breakpoint *breakpoint) {
    struct mt_error *error = image ? mt_python_stops_check(&image->header) : NULL;
    if (error)
        return error;
    breakpoint->kind = options->given & MT_OPTION_LINE ? MT_BREAK_LINE : MT_BREAK_FUNCTION;
    breakpoint->argument = options->line;
    breakpoint->type_name = strdup(options->place);
    return breakpoint->type_name ? NULL : &mt_error_no_memory;
}

static struct mt_error *fill(struct mt_call *call, const struct mt_image *image, struct mt_breakpoint *breakpoint) {
    const struct mt_options *options = &call->options;
    switch (options->given & KINDS) {
    case MT_OPTION_HEAP:
        breakpoint->kind = MT_BREAK_HEAP;
        breakpoint->argument = options->size;
        breakpoint->is_over = image && mt_image_shard(image)->live_bytes > 0 &&
                              (uint64_t)mt_image_shard(image)->live_bytes > options->size;
        return NULL;
    case MT_OPTION_ALLOC:
        breakpoint->kind = MT_BREAK_ALLOCATION;
        breakpoint->argument = options->size;
        return NULL;
    case MT_OPTION_NEW_PEAK:
        breakpoint->kind = MT_BREAK_PEAK;
        breakpoint->argument = options->given & MT_OPTION_ABOVE ? options->above : 0;
        return NULL;
    case MT_OPTION_FREE:
        breakpoint->kind = MT_BREAK_FREE;
        return image ? find_block(call, image, breakpoint) : need_process("--free");
    case MT_OPTION_TYPE_COUNT:
        breakpoint->kind = MT_BREAK_TYPE_COUNT;
        return image ? mt_break_type_fill(call, breakpoint) : need_process("--type-count");
    case MT_OPTION_REFS_OF_NEXT:
        breakpoint->kind = MT_BREAK_NEXT;
        return image ? mt_ref_next_fill(call, image, breakpoint) : need_process("--refs-of-next");
    case MT_OPTION_LINE:
    case MT_OPTION_FUNCTION:
        return fill_python(options, image, breakpoint);
    default:
        return mt_error_create(MT_ERROR_USAGE, "one of --heap, --alloc, --new-peak, --free, --type-count, --refs, "
                                               "--refs-of-next, --line and --function at a time");
    }
}

static void emit_added(struct mt_call *call, const struct mt_image *image, const struct mt_breakpoint *breakpoint) {
    struct mt_emitter *emitter = &call->emitter;
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_strbuf_printf(&line, "%s breakpoint %" PRIu32 ": ", mt_breakpoint_is_python(breakpoint) ? "Python" : "memory",
                     breakpoint->number);
    mt_breakpoint_append(&line, breakpoint);
    if (!image) {
        mt_strbuf_append(&line, ", from the first instruction of the next `run` on");
    } else if (breakpoint->kind == MT_BREAK_TYPE_COUNT) {
        mt_strbuf_append(&line, " (now ");
        mt_text_count(&line, breakpoint->last.instances);
        mt_strbuf_append_char(&line, ')');
    } else if (breakpoint->kind == MT_BREAK_HEAP || breakpoint->kind == MT_BREAK_PEAK) {
        int64_t bytes =
            breakpoint->kind == MT_BREAK_PEAK ? mt_image_shard(image)->peak_bytes : mt_image_shard(image)->live_bytes;
        mt_strbuf_append(&line, breakpoint->kind == MT_BREAK_PEAK ? " (so far " : " (now ");
        mt_text_size(&line, bytes > 0 ? (uint64_t)bytes : 0);
        mt_strbuf_append(&line, breakpoint->is_over ? ": once it has fallen below)" : ")");
    }
    mt_emit_line(emitter, "%s", mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
    mt_emit_string(emitter, "action", "break");
    mt_emit_unsigned(emitter, "number", breakpoint->number);
}

static struct mt_error *add(struct mt_call *call) {
    const struct mt_options *options = &call->options;
    struct mt_breakpoint breakpoint = {.temporary = options->given & MT_OPTION_TEMPORARY};
    const struct mt_breakpoint *added;
    struct mt_image *image;
    if ((options->given & KINDS) == MT_OPTION_REFS)
        return mt_ref_watch_begin(call);
    if ((options->given & MT_OPTION_ABOVE) && !(options->given & MT_OPTION_NEW_PEAK))
        return mt_error_create(MT_ERROR_USAGE, "--above goes with --new-peak");
    struct mt_error *error = find_recording(call, &image);
    if (!error)
        error = fill(call, image, &breakpoint);
    if (!error && (options->given & MT_OPTION_IF) && !(breakpoint.condition = strdup(options->condition)))
        error = &mt_error_no_memory;
    if (error) {
        free(breakpoint.type_name);
        return error;
    }
    error = mt_breakpoints_add(call, breakpoint, image != NULL, &added);
    if (error)
        return error;
    emit_added(call, image, added);
    if (image && mt_breakpoint_is_python(added))
        mt_main_thread_tell(call);
    mt_call_hint(call, added->kind == MT_BREAK_NEXT ? "try: continue, and at a later stop: memtrace refs"
                                                    : "try: continue · memtrace break list · memtrace break delete 1");
    return NULL;
}

/* --- the list ------------------------------------------------------------------------------------------------------
 */

static const char *kind_name(enum mt_breakpoint_kind kind) {
    static const char *const names[] = {"heap", "alloc",    "new-peak", "free",        "type-count",
                                        "line", "function", "refs",     "refs-of-next"};
    return names[kind];
}

static void emit_last(struct mt_emitter *emitter, const struct mt_breakpoint *breakpoint) {
    const struct mt_breakpoint_hit *last = &breakpoint->last;
    if (!last->text)
        return;
    mt_emit_begin(emitter, "last", '{');
    mt_emit_string(emitter, "text", last->text);
    mt_emit_unsigned(emitter, "tid", last->tid);
    mt_emit_integer(emitter, "live_bytes", last->event.live_bytes);
    mt_emit_integer(emitter, "net_bytes", last->event.net_bytes);
    mt_emit_address(emitter, "address", last->event.address);
    mt_emit_unsigned(emitter, "size", last->event.size);
    if (breakpoint->kind == MT_BREAK_TYPE_COUNT)
        mt_emit_unsigned(emitter, "instances", last->instances);
    mt_emit_end(emitter, '}');
}

static void emit_row(struct mt_call *call, const struct mt_breakpoint *breakpoint, int32_t pid) {
    struct mt_emitter *emitter = &call->emitter;
    struct mt_strbuf what = MT_STRBUF_INIT;
    bool is_of_another = breakpoint->pid != 0 && breakpoint->pid != pid;
    mt_breakpoint_append(&what, breakpoint);
    if (breakpoint->temporary)
        mt_strbuf_append(&what, ", once");
    if (is_of_another)
        mt_strbuf_append(&what, ", of an earlier process");
    if (breakpoint->condition)
        mt_strbuf_printf(&what, ", if %s", breakpoint->condition);
    mt_emit_row_begin(emitter, MT_ROW_BOTH);
    mt_emit_cell_number(emitter, breakpoint->number);
    mt_emit_cell_number(emitter, breakpoint->hits);
    mt_emit_cell_text(emitter, what.data);
    mt_emit_string(emitter, "kind", kind_name(breakpoint->kind));
    mt_emit_string(emitter, "condition", breakpoint->condition);
    mt_emit_boolean(emitter, "temporary", breakpoint->temporary);
    mt_emit_boolean(emitter, "active", !is_of_another);
    if (mt_breakpoint_is_python(breakpoint))
        mt_emit_string(emitter, breakpoint->kind == MT_BREAK_LINE ? "file" : "function", breakpoint->type_name);
    if (breakpoint->kind == MT_BREAK_LINE)
        mt_emit_unsigned(emitter, "line", breakpoint->argument);
    else if (breakpoint->kind == MT_BREAK_NEXT)
        mt_emit_string(emitter, "type", breakpoint->type_name);
    else if (breakpoint->kind == MT_BREAK_FREE || breakpoint->kind == MT_BREAK_REFS)
        mt_emit_address(emitter, "address", breakpoint->argument);
    else if (breakpoint->kind != MT_BREAK_FUNCTION)
        mt_emit_unsigned(emitter, breakpoint->kind == MT_BREAK_TYPE_COUNT ? "instances" : "bytes",
                         breakpoint->argument);
    emit_last(emitter, breakpoint);
    mt_emit_row_end(emitter);
    mt_strbuf_deinit(&what);
}

static struct mt_error *run_list(struct mt_call *call) {
    static const struct mt_column columns[] = {{MT_COLUMN_NUMBER, "number", "number"},
                                               {MT_COLUMN_NUMBER, "hits", "hits"},
                                               {MT_COLUMN_TEXT, "stops at", "what"}};
    const struct mt_breakpoints *breakpoints = mt_session_breakpoints(call->session);
    struct mt_host_description description;
    struct mt_error *error = mt_session_describe(call->session, &description);
    if (error)
        return error;
    size_t count = breakpoints->list.length;
    if (count == 0)
        mt_emit_line(&call->emitter, "no memtrace breakpoints: `memtrace help break` tells which there can be");
    mt_emit_table_begin(&call->emitter, "rows", columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < count; i++)
        emit_row(call, &breakpoints->list.data[i], description.pid);
    mt_emit_table_end(&call->emitter);
    return NULL;
}

static struct mt_error *run_break(struct mt_call *call) {
    unsigned asked = call->options.given & ~(unsigned)MT_OPTION_JSON;
    return asked == 0 ? run_list(call) : add(call);
}

static struct mt_error *run_delete(struct mt_call *call) {
    struct mt_breakpoints *breakpoints = mt_session_breakpoints(call->session);
    struct mt_error *error = NULL;
    size_t count = breakpoints->list.length;
    if (call->argument[0] != '\0') {
        size_t index;
        char *end;
        unsigned long number = strtoul(call->argument, &end, 10);
        if (*end != '\0' || number > UINT32_MAX || !mt_breakpoints_find(breakpoints, (uint32_t)number, &index))
            return mt_error_create(MT_ERROR_NOT_FOUND, "there is no memtrace breakpoint `%s`: `memtrace break list`",
                                   call->argument);
        error = mt_breakpoints_remove(call, index);
    } else {
        while (!error && breakpoints->list.length > 0)
            error = mt_breakpoints_remove(call, breakpoints->list.length - 1);
    }
    if (!error)
        error = mt_breakpoints_enter(call, 0);
    if (error)
        return error;
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_words_counted(&line, count - breakpoints->list.length, "memtrace breakpoint", "memtrace breakpoints");
    mt_emit_line(&call->emitter, "%s deleted", mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
    mt_emit_string(&call->emitter, "action", "delete");
    mt_emit_unsigned(&call->emitter, "deleted", count - breakpoints->list.length);
    return NULL;
}

const struct mt_command mt_break_command = {
    .name = "break",
    .summary = "Stop the process when memory does something; alone, list what it stops at.",
    .options = KINDS | MT_OPTION_ABOVE | MT_OPTION_TEMPORARY | MT_OPTION_IF | MT_OPTION_JSON,
    .details =
        "The process stops inside the very call that did it, and the debugger's own `continue` goes on. Memory "
        "breakpoints live beside those of the debugger; they stay for the next `run`, but those about a block or a "
        "class that died with its process. Before `run`, `memtrace record` comes first.\n"
        "A hit shows as a stop in memtrace_stop_hook, with the Python line that caused it; `up` leads to it. What is "
        "not waited for costs the process a comparison an event.\n"
        "--line and --function stop at Python's own lines, where `memtrace next` and `finish` go on from. They run "
        "code in the process: the recorder sets CPython's events of those functions (sys.monitoring from 3.12 on; "
        "before that a trace function, which slows down all Python code), as soon as the main thread comes to a safe "
        "point. A function that stops shows at its first line.\n"
        "--type-count counts by the references to the class, and then the instances themselves: it stops at the first "
        "allocation or free after the one that made them N.\n"
        "--refs-of-next sees the next object of the very type, not of a subclass, whose memory CPython's object "
        "allocator hands out (recording at level objects). An object that CPython takes from a free list of its own "
        "(floats, small tuples, lists, dicts and others; hardly ever one of a subclass) is not seen, nor one that "
        "ends before its thread's next event: the next is. It is watched from that event on, mostly within its "
        "__init__, and the count that it has then begins the sheet. The process goes on by itself. While it waits, "
        "each event costs it about 0.2 microseconds more.",
    .run = run_break,
};

const struct mt_command mt_break_list_command = {
    .name = "break list",
    .summary = "List the breakpoints of memtrace.",
    .options = MT_OPTION_JSON,
    .details = "With --json, `last` tells what happened at the last hit.",
    .run = run_list,
};

const struct mt_command mt_break_delete_command = {
    .name = "break delete",
    .summary = "Delete a breakpoint of memtrace by its number, or all of them.",
    .argument = "[N]",
    .options = MT_OPTION_JSON,
    .run = run_delete,
};
