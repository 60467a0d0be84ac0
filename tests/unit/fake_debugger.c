#include "fake_debugger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

static int32_t describe(void *context, struct mt_host_description *ret) {
    const struct fake_debugger *debugger = context;
    *ret = (struct mt_host_description){.kind = debugger->target ? MT_HOST_REMOTE : MT_HOST_NONE,
                                        .pid = debugger->target ? debugger->target->info.pid : 0,
                                        .running = debugger->running,
                                        .generation = debugger->generation};
    return debugger->fails ? -1 : 0;
}

static int32_t read_memory(void *context, uint64_t address, void *buffer, uint64_t size, uint64_t *ret_got) {
    const struct fake_debugger *debugger = context;
    if (debugger->interrupted)
        return 1;
    *ret_got = debugger->target->ops->read(debugger->target, address, buffer, size);
    return *ret_got > 0 ? 0 : -1;
}

static int32_t write_memory(void *context, uint64_t address, const void *buffer, uint64_t size, uint64_t *ret_put) {
    struct mt_target *target = ((struct fake_debugger *)context)->target;
    *ret_put = target->ops->write(target, address, buffer, size);
    return *ret_put > 0 ? 0 : -1;
}

static int32_t find_symbol(void *context, const char *name, uint64_t *ret) {
    struct mt_target *target = ((struct fake_debugger *)context)->target;
    return target->ops->find_symbol(target, name, ret) ? 0 : -1;
}

static int32_t list_regions(void *context, void (*emit)(void *, uint64_t, uint64_t, uint32_t, uint64_t, const char *),
                            void *cookie) {
    const struct mt_region *regions;
    size_t count;
    assert_ok(mt_target_regions(((struct fake_debugger *)context)->target, &regions, &count));
    for (size_t i = 0; i < count; i++)
        emit(cookie, regions[i].start, regions[i].end,
             (uint32_t)(regions[i].readable | regions[i].writable << 1 | regions[i].executable << 2),
             regions[i].file_offset, regions[i].path);
    return 0;
}

static int32_t evaluate(void *context, const char *expression, uint64_t *ret) {
    const struct fake_debugger *debugger = context;
    if (!debugger->expression || strcmp(expression, debugger->expression) != 0)
        return -1;
    *ret = debugger->value;
    return 0;
}

static char **variable(struct fake_debugger *debugger, const char *name) {
    if (strcmp(name, "LD_PRELOAD") == 0)
        return &debugger->preload;
    assert_string_equal(name, "MEMTRACE_LEVEL");
    return &debugger->level;
}

static int32_t set_environment(void *context, const char *name, const char *value) {
    char **held = variable(context, name);
    free(*held);
    *held = value ? strdup(value) : NULL;
    return 0;
}

static const char *get_environment(void *context, const char *name) {
    return *variable(context, name);
}

static int32_t width(void *context) {
    return ((struct fake_debugger *)context)->width;
}

static int32_t interrupted(void *context) {
    return ((struct fake_debugger *)context)->interrupted;
}

static int32_t set_variable(void *context, const char *name, uint64_t value) {
    struct fake_debugger *debugger = context;
    snprintf(debugger->last_variable, sizeof debugger->last_variable, "%s", name);
    debugger->last_value = value;
    debugger->variables++;
    return 0;
}

void fake_debugger_init(struct fake_debugger *debugger, struct mt_target *target) {
    *debugger = (struct fake_debugger){.target = target, .width = 80, .generation = 1};
    debugger->host = (struct mt_host){.context = debugger,
                                      .describe = describe,
                                      .read = read_memory,
                                      .write = write_memory,
                                      .find_symbol = find_symbol,
                                      .regions = list_regions,
                                      .evaluate = evaluate,
                                      .set_environment = set_environment,
                                      .get_environment = get_environment,
                                      .width = width,
                                      .interrupted = interrupted,
                                      .set_variable = set_variable};
}

void fake_debugger_deinit(struct fake_debugger *debugger) {
    free(debugger->preload);
    free(debugger->level);
}
