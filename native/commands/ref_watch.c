#include "commands/ref_watch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "commands/breakpoints.h"
#include "commands/object_address.h"
#include "commands/python_stack.h"
#include "commands/ref_sheet.h"
#include "commands/request.h"
#include "commands/session.h"
#include "python/object.h"

/* C functions that are told of one change: between it and the interpreter there are rarely more. */
#define FUNCTIONS_MAX 12
/* Frames that are looked at for the interpreter. */
#define FRAMES_MAX 100
/* Rows that are shown where the process stops. */
#define ROWS_AT_END 10
/* Written at once, and enough to see all changes: from 3.12 on the count has 4 bytes, before they are its lower half.
 */
#define WATCHED_BYTES 4
/* Of a count, in all versions that have immortal objects (3.12+); before, no process has so many references. */
#define IMMORTAL (UINT64_C(1) << 31)

static struct mt_error *set_watchpoint(struct mt_call *call, uint64_t address, bool on) {
    const struct mt_host *host = mt_session_debugger(call->session);
    int32_t status = host && host->watch ? host->watch(host->context, address, WATCHED_BYTES, on) : -1;
    if (status == 1)
        return mt_error_create(MT_ERROR_INTERRUPTED, "interrupted");
    if (status != 0)
        return mt_error_create(MT_ERROR_UNSUPPORTED,
                               "the debugger gives no hardware watchpoint here: delete one of its own (x86 has four), "
                               "or debug where the processor's debug registers can be used");
    return NULL;
}

/* --- beginning -----------------------------------------------------------------------------------------------------
 */

static struct mt_error *check_host(struct mt_call *call, struct mt_host_description *ret) {
    const struct mt_host *host = mt_session_debugger(call->session);
    struct mt_error *error = mt_request_describe(call, "watched", ret);
    if (!error && (!host || !host->watch))
        error = mt_error_create(MT_ERROR_UNSUPPORTED, "only a debugger can watch a process: use gdb or lldb");
    if (!error && ret->kind == MT_HOST_NONE)
        error = mt_error_create(MT_ERROR_NO_PROCESS, "--refs is about something that lives: `run` first");
    return error;
}

struct mt_error *mt_ref_watch_make_room(struct mt_call *call, int32_t pid) {
    struct mt_breakpoints *breakpoints = mt_session_breakpoints(call->session);
    for (size_t i = 0; i < breakpoints->list.length; i++) {
        const struct mt_breakpoint *breakpoint = &breakpoints->list.data[i];
        if (breakpoint->kind != MT_BREAK_REFS && breakpoint->kind != MT_BREAK_NEXT)
            continue;
        if (breakpoint->pid != pid)
            return mt_breakpoints_remove(call, i);
        return mt_error_create(
            MT_ERROR_UNSUPPORTED,
            breakpoint->kind == MT_BREAK_REFS
                ? "the references of one object are counted already: `memtrace break delete %" PRIu32 "` first"
                : "the next object of a type is waited for already: `memtrace break delete %" PRIu32 "` first",
            breakpoint->number);
    }
    return NULL;
}

struct mt_error *mt_ref_watch_is_immortal(const char *type_name, uint64_t object) {
    return mt_error_create(MT_ERROR_UNSUPPORTED,
                           "%s at 0x%" PRIx64 " is immortal: its reference count never changes, so nobody can leak it",
                           type_name, object);
}

static struct mt_error *find_object(struct mt_call *call, struct mt_object_address *ret, uint64_t *ret_count) {
    struct mt_census *census;
    struct mt_refcount count;
    struct mt_error *error = mt_call_census(call, &census);
    call->argument = call->options.block;
    if (!error)
        error = mt_object_address_parse(call, census, ret);
    if (error)
        return error;
    if (!mt_object_refcount(census->python, ret->address, &count))
        return mt_error_fault(ret->address, "the object at 0x%" PRIx64 " can't be read", ret->address);
    if (count.immortal)
        return mt_ref_watch_is_immortal(ret->type->name, ret->address);
    *ret_count = count.count;
    return NULL;
}

/* The path of the file that CPython is in; NULL: not known. */
static struct mt_error *find_file(struct mt_call *call, char **ret) {
    const struct mt_region *regions;
    struct mt_target *target;
    struct mt_python *python;
    size_t count;
    struct mt_error *error = mt_call_target(call, &target);
    if (!error)
        error = mt_call_python(call, &python);
    if (!error)
        error = mt_target_regions(target, &regions, &count);
    for (size_t i = 0; !error && i < count; i++)
        if (regions[i].path && python->module_start >= regions[i].start && python->module_start < regions[i].end &&
            !(*ret = strdup(regions[i].path)))
            return &mt_error_no_memory;
    return error;
}

static void emit_begun(struct mt_call *call, const struct mt_breakpoint *breakpoint, uint64_t count) {
    struct mt_emitter *emitter = &call->emitter;
    struct mt_strbuf line = MT_STRBUF_INIT;
    mt_strbuf_printf(&line, "memory breakpoint %" PRIu32 ": ", breakpoint->number);
    mt_breakpoint_append(&line, breakpoint);
    mt_strbuf_printf(&line, " (now %" PRIu64 ")", count);
    mt_emit_line(emitter, "%s", mt_strbuf_text(&line));
    mt_strbuf_deinit(&line);
    mt_emit_string(emitter, "action", "break");
    mt_emit_unsigned(emitter, "number", breakpoint->number);
    mt_emit_address(emitter, "address", breakpoint->argument);
    mt_emit_unsigned(emitter, "refcount", count);
    mt_call_hint(call, "try: continue, and at a later stop: memtrace refs");
}

/* The watchpoint, and an empty sheet about it. */
static struct mt_error *begin_sheet(struct mt_call *call, const char *type_name, int32_t pid, uint64_t object,
                                    uint64_t type, uint64_t count) {
    struct mt_ref_sheet *sheet = mt_session_ref_sheet(call->session);
    char *python = NULL;
    struct mt_error *error = find_file(call, &python);
    if (!error && (error = set_watchpoint(call, object, true)))
        free(python);
    if (error)
        return error;
    mt_ref_sheet_deinit(sheet);
    sheet->type_name = strdup(type_name);
    if (!sheet->type_name) {
        free(python);
        mt_error_destroy(set_watchpoint(call, object, false));
        return &mt_error_no_memory;
    }
    sheet->python = python;
    sheet->object = object;
    sheet->type = type;
    sheet->pid = pid;
    sheet->start = sheet->now = count;
    return NULL;
}

struct mt_error *mt_ref_watch_turn(struct mt_call *call, struct mt_breakpoint *breakpoint, uint64_t object,
                                   uint64_t type, uint64_t count) {
    struct mt_error *error = begin_sheet(call, breakpoint->type_name, breakpoint->pid, object, type, count);
    if (error)
        return error;
    breakpoint->kind = MT_BREAK_REFS;
    breakpoint->argument = object;
    breakpoint->slot = MT_STOPS;
    breakpoint->hits = 0;
    free(breakpoint->condition);
    breakpoint->condition = NULL;
    return NULL;
}

struct mt_error *mt_ref_watch_begin(struct mt_call *call) {
    struct mt_host_description description;
    struct mt_object_address object;
    const struct mt_breakpoint *added;
    uint64_t count = 0;
    if (call->options.given & (MT_OPTION_IF | MT_OPTION_TEMPORARY | MT_OPTION_ABOVE))
        return mt_error_create(MT_ERROR_USAGE, "--refs stops only where the object's life ends: it goes with no other "
                                               "option");
    struct mt_error *error = check_host(call, &description);
    if (!error)
        error = find_object(call, &object, &count);
    if (!error)
        error = mt_ref_watch_make_room(call, description.pid);
    if (!error)
        error = begin_sheet(call, object.type->name, description.pid, object.address, object.type->address, count);
    if (error)
        return error;
    struct mt_breakpoint breakpoint = {
        .kind = MT_BREAK_REFS,
        .argument = object.address,
        .pid = description.pid,
        .type_name = strdup(object.type->name),
    };
    error = breakpoint.type_name ? mt_breakpoints_add(call, breakpoint, true, &added) : &mt_error_no_memory;
    if (error) {
        mt_error_destroy(set_watchpoint(call, object.address, false));
        mt_ref_sheet_deinit(mt_session_ref_sheet(call->session));
        return error;
    }
    emit_begun(call, added, count);
    return NULL;
}

/* --- one change ----------------------------------------------------------------------------------------------------
 */

/* The C functions of a thread, from the one that made the change up to the one that the interpreter called. */
struct native {
    const struct mt_region *regions;
    size_t region_count;
    const char *python; /* the file that CPython is in */
    struct mt_strbuf text;
    size_t count, seen;
    char *entry, *module; /* the outermost function so far that is not CPython's, and its file; NULL: none yet */
    bool is_complete, is_lost, failed;
};

static void native_deinit(struct native *native) {
    free(native->entry);
    free(native->module);
    mt_strbuf_deinit(&native->text);
}

/* The function that executes Python code, or (where each instruction is one) a part of it. */
static bool is_interpreter(const char *function) {
    static const char *const beginnings[] = {"_PyEval_EvalFrameDefault", "_TAIL_CALL_"};
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++)
        if (strncmp(function, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    return false;
}

static const char *file_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static const struct mt_region *region_of(const struct native *native, uint64_t pc) {
    for (size_t i = 0; i < native->region_count; i++)
        if (pc >= native->regions[i].start && pc < native->regions[i].end)
            return native->regions[i].executable ? &native->regions[i] : NULL;
    return NULL;
}

static void append_function(struct native *native, const char *name, const char *path) {
    if (native->count++ > 0)
        mt_strbuf_append(&native->text, MT_REF_SEPARATOR);
    if (name)
        mt_strbuf_append(&native->text, name);
    else
        mt_strbuf_printf(&native->text, "?? of %s", file_name(path));
}

static void set_entry(struct native *native, const char *name, const char *path) {
    free(native->entry);
    free(native->module);
    native->entry = strdup(name ? name : "??");
    native->module = strdup(path);
    native->failed |= !native->entry || !native->module;
}

static int32_t note_function(void *cookie, uint64_t pc, uint64_t stack_pointer, const char *name, const char *module) {
    struct native *native = cookie;
    const struct mt_region *region = region_of(native, pc);
    const char *path = region && region->path ? region->path : "?";
    bool is_own = native->python && strcmp(path, native->python) == 0;
    native->seen++;
    native->is_lost = !region; /* and what would follow is as wrong */
    native->is_complete = name && is_interpreter(name);
    if (native->is_complete && native->count == 0)
        append_function(native, "(interpreter)", path);
    /* What is CPython's calls the entry. */
    native->is_complete |= is_own && native->entry;
    if (native->is_lost || native->is_complete)
        return 1;
    if (native->count < FUNCTIONS_MAX)
        append_function(native, name, path);
    if (!is_own)
        set_entry(native, name, path);
    /* Without a name it may be the interpreter: what is further out may have nothing to do with the change. */
    native->is_complete = is_own && !name;
    return native->failed || native->is_complete || native->seen == FRAMES_MAX;
}

static bool add_change(struct mt_ref_sheet *sheet, uint64_t now, const struct native *native,
                       const struct mt_python_stack *stack) {
    bool has_entry = native->entry && native->is_complete;
    struct mt_ref_place place = {
        .native = native->count > 0 ? mt_strbuf_text(&native->text) : "??",
        .entry = has_entry ? native->entry : "",
        .module = has_entry ? native->module : "",
        .frame = stack->frames.length > 0 ? &stack->frames.data[0] : NULL,
        .is_lost = native->is_lost || (!native->is_complete && native->seen < 2),
    };
    return !native->failed && !native->text.failed && mt_ref_sheet_add(sheet, now, &place);
}

/* A change is counted, wherever it was made: CPython may be ending, and a stack may be unreadable. */
static struct mt_error *forgive(struct mt_error *error) {
    if (!error || error->code == MT_ERROR_NO_MEMORY || error->code == MT_ERROR_INTERRUPTED)
        return error;
    mt_error_destroy(error);
    return NULL;
}

static struct mt_error *read_native(struct mt_call *call, const struct mt_ref_sheet *sheet, uint64_t tid,
                                    struct native *native) {
    const struct mt_host *host = mt_session_debugger(call->session);
    struct mt_target *target;
    struct mt_error *error = mt_call_target(call, &target);
    if (!error)
        error = mt_target_regions(target, &native->regions, &native->region_count);
    if (error)
        return error;
    native->python = sheet->python;
    int32_t status = host->backtrace ? host->backtrace(host->context, tid, note_function, native) : -1;
    return status == 1 ? mt_error_create(MT_ERROR_INTERRUPTED, "interrupted") : NULL;
}

static struct mt_error *read_python(struct mt_call *call, uint64_t tid, struct mt_python_stack *stack) {
    struct mt_python *python;
    struct mt_error *error = mt_call_python(call, &python);
    return error ? error : mt_python_stack_read(python, tid, &call->watch, stack);
}

static struct mt_error *count_change(struct mt_call *call, struct mt_ref_sheet *sheet, uint64_t tid, uint64_t now) {
    struct native native = {.text = MT_STRBUF_INIT};
    struct mt_python_stack stack = {0};
    struct mt_error *error = forgive(read_native(call, sheet, tid, &native));
    if (!error)
        error = forgive(read_python(call, tid, &stack));
    if (!error && !add_change(sheet, now, &native, &stack))
        error = &mt_error_no_memory;
    mt_python_stack_deinit(&stack);
    native_deinit(&native);
    return error;
}

/* Why nothing more is to be counted; NULL: go on. */
static const char *reason_to_end(const struct mt_ref_sheet *sheet) {
    if (sheet->now == 0)
        return "the last reference is gone: the object ends";
    if (sheet->changes >= MT_REF_CHANGES_MAX)
        return "too hot: after 10,000 changes no more are counted";
    return NULL;
}

/* The words of the object as they are now; *ret_alive: it is still one of its class. */
static struct mt_error *read_object(struct mt_call *call, const struct mt_ref_sheet *sheet, uint64_t *ret_count,
                                    bool *ret_alive) {
    struct mt_target *target;
    uint64_t word = 0, type = 0;
    struct mt_error *error = mt_call_target(call, &target);
    if (!error)
        error = mt_target_read_u64(target, sheet->object + MT_OB_REFCNT, &word);
    if (!error)
        error = mt_target_read_u64(target, sheet->object + MT_OB_TYPE, &type);
    if (error)
        return error;
    *ret_count = (uint32_t)word;
    *ret_alive = type == sheet->type;
    return NULL;
}

static struct mt_error *end(struct mt_call *call, struct mt_ref_sheet *sheet, size_t index, const char *reason) {
    sheet->end = reason;
    struct mt_error *error = mt_ref_sheet_emit(call, sheet, ROWS_AT_END);
    return error ? error : mt_breakpoints_remove(call, index);
}

struct mt_error *mt_ref_watch_hit(struct mt_call *call, uint64_t address, uint64_t tid, bool *ret_stays) {
    struct mt_breakpoints *breakpoints = mt_session_breakpoints(call->session);
    struct mt_ref_sheet *sheet = mt_session_ref_sheet(call->session);
    struct mt_host_description description;
    size_t index = 0;
    *ret_stays = false;
    while (index < breakpoints->list.length && breakpoints->list.data[index].kind != MT_BREAK_REFS)
        index++;
    struct mt_error *error = mt_session_describe(call->session, &description);
    if (error || index == breakpoints->list.length || breakpoints->list.data[index].argument != address)
        return error ? error : set_watchpoint(call, address, false);
    if (description.pid != sheet->pid) /* the address means something else in the next process */
        return mt_breakpoints_remove(call, index);
    uint64_t now;
    bool is_alive;
    error = read_object(call, sheet, &now, &is_alive);
    if (error)
        return error;
    const char *reason = is_alive ? "it was made immortal: its count means nothing any more"
                                  : "its memory holds another object: it was freed";
    bool is_counted = is_alive && !(now & IMMORTAL);
    if (is_counted && now == sheet->now)
        return NULL;
    if (is_counted) {
        error = count_change(call, sheet, tid, now);
        breakpoints->list.data[index].hits = sheet->changes;
        reason = reason_to_end(sheet);
    }
    if (error || !reason)
        return error;
    *ret_stays = true;
    return end(call, sheet, index, reason);
}

struct mt_error *mt_ref_watch_end(struct mt_call *call, uint64_t address) {
    struct mt_ref_sheet *sheet = mt_session_ref_sheet(call->session);
    if (!sheet->end)
        sheet->end = "no longer counted";
    return set_watchpoint(call, address, false);
}
