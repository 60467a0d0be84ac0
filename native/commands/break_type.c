#include "commands/break_type.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "heap/census.h"
#include "python/object.h"

struct mt_error *mt_break_type_find(struct mt_call *call, const struct mt_census *census, const char *word,
                                    const struct mt_type **ret) {
    struct mt_types *types = census->python->types;
    const struct mt_type *found = NULL;
    for (uint32_t i = 0; i < census->count; i++) {
        struct mt_error *error = i % 65536 == 0 ? mt_watch_poll(&call->watch, "looking for the class") : NULL;
        if (error)
            return error;
        if (!mt_type_is_metatype(mt_census_type(census, i)))
            continue;
        const struct mt_type *type = mt_types_get(types, census->addresses[i]);
        if (!type || !mt_type_is_called(type, word))
            continue;
        if (found)
            return mt_error_create(MT_ERROR_USAGE, "several classes are called `%s`: %s and %s; give the full name",
                                   word, found->qualified, type->qualified);
        found = type;
    }
    if (!found)
        return mt_error_create(MT_ERROR_NOT_FOUND, "no class is called `%s`: `memtrace types` lists them", word);
    *ret = found;
    return NULL;
}

static uint64_t count_instances(const struct mt_census *census, uint64_t class) {
    const struct mt_type *type = mt_types_get(census->python->types, class);
    uint64_t count = 0;
    for (uint32_t i = 0; type && i < census->count; i++)
        count += census->types[i] == type->index;
    return count;
}

/* The recorder compares the whole word: what stands above the count (flags, from 3.14 on) stays as it is. */
static struct mt_error *move_limit(const struct mt_census *census, struct mt_breakpoint *breakpoint) {
    uint64_t word;
    if (!mt_view_u64(census->python->view, breakpoint->type + MT_OB_REFCNT, &word))
        return mt_error_fault(breakpoint->type, "the class %s can't be read", breakpoint->type_name);
    breakpoint->limit = (int64_t)(word + (breakpoint->argument - breakpoint->last.instances));
    return NULL;
}

struct mt_error *mt_break_type_fill(struct mt_call *call, struct mt_breakpoint *breakpoint) {
    struct mt_census *census;
    const struct mt_type *type = NULL;
    struct mt_refcount count;
    struct mt_error *error = mt_call_census(call, &census);
    if (!error)
        error = mt_break_type_find(call, census, call->options.type, &type);
    if (error)
        return error;
    if (!type->is_heap || !mt_object_refcount(census->python, type->address, &count) || count.immortal)
        return mt_error_create(
            MT_ERROR_UNSUPPORTED,
            "%s is built in: its instances hold no reference to it, so nothing tells that there is one "
            "more; only classes can be waited for",
            type->name);
    breakpoint->type = type->address;
    breakpoint->argument = call->options.count;
    breakpoint->pid = census->python->view->target->info.pid;
    breakpoint->last.instances = count_instances(census, type->address);
    if (breakpoint->last.instances >= breakpoint->argument)
        return mt_error_create(MT_ERROR_USAGE, "there are %" PRIu64 " instances of %s already",
                               breakpoint->last.instances, type->name);
    breakpoint->type_name = strdup(type->name);
    return breakpoint->type_name ? move_limit(census, breakpoint) : &mt_error_no_memory;
}

struct mt_error *mt_break_type_count(struct mt_call *call, struct mt_breakpoint *breakpoint, bool *ret_enough) {
    struct mt_census *census;
    struct mt_error *error = mt_call_census(call, &census);
    if (error)
        return error;
    breakpoint->last.instances = count_instances(census, breakpoint->type);
    bool enough = breakpoint->last.instances >= breakpoint->argument;
    if (!enough)
        error = move_limit(census, breakpoint);
    if (!error)
        *ret_enough = enough;
    return error;
}
