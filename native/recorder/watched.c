#include "recorder/watched.h"

#include <string.h>

#include "recorder/capi.h"
#include "recorder/names.h"
#include "recorder/pool.h"
#include "recorder/python.h"
#include "recorder/python_stops.h"

#define WATCHED 256

static struct mt_watched all[WATCHED];
static unsigned all_count; /* those in use are before it */
static mt_watch_events *set_events;

void mt_watched_init(mt_watch_events *events) {
    set_events = events;
}

struct mt_watched *mt_watched_find(uint64_t code) {
    for (unsigned i = 0; i < all_count; i++)
        if (all[i].code == code)
            return &all[i];
    return NULL;
}

/* `whole` ends with `end`, which begins at its beginning or behind a `separator`. */
static bool has_end(const char *whole, const char *end, char separator) {
    size_t length = strlen(whole), size = strlen(end);
    if (size == 0 || size > length || memcmp(whole + length - size, end, size) != 0)
        return false;
    return size == length || whole[length - size - 1] == separator || end[0] == separator;
}

static struct mt_watched *watch(struct mt_self *self, uint64_t code) {
    struct mt_watched *watched = mt_watched_find(code);
    uint32_t id;
    if (watched != NULL)
        return watched;
    for (unsigned i = 0; i < WATCHED && watched == NULL; i++)
        if (all[i].code == 0)
            watched = &all[i];
    if (watched == NULL || !mt_python_code_id(self, code, &id))
        return NULL;
    const struct mt_code *names = mt_pool_at(&memtrace_image.codes, id);
    *watched = (struct mt_watched){
        .code = code, .file = names->file, .function = names->function, .first_line = names->first_line};
    if (watched - all >= all_count)
        all_count = (unsigned)(watched - all) + 1;
    mt_capi.Py_IncRef((void *)code);
    set_events(code, true);
    return watched;
}

static bool is_wanted(const struct mt_watched *watched) {
    return watched->line_slots != 0 || watched->function_slots != 0 || watched->is_measured || watched->is_stepped;
}

static void let_go(struct mt_watched *watched) {
    uint64_t code = watched->code;
    set_events(code, false);
    watched->code = 0;
    mt_capi.Py_DecRef((void *)code);
}

struct mt_watched *mt_watched_consider(struct mt_self *self, uint64_t code) {
    uint32_t id, line_slots = 0, function_slots = 0;
    bool is_measured = false;
    if (!mt_python_code_id(self, code, &id))
        return NULL;
    const struct mt_code *names = mt_pool_at(&memtrace_image.codes, id);
    const char *file = mt_string_at(names->file), *function = mt_string_at(names->function);
    for (unsigned i = 0; i < MT_PYTHON_STOPS; i++) {
        const struct mt_python_stop *stop = &mt_python_stops.stops[i];
        switch (stop->kind) {
        case MT_PYTHON_STOP_LINE:
            if (has_end(file, stop->name, '/') && mt_python_has_line(code, stop->line))
                line_slots |= 1u << i;
            break;
        case MT_PYTHON_STOP_FUNCTION:
            if (has_end(function, stop->name, '.'))
                function_slots |= 1u << i;
            break;
        case MT_PYTHON_MEASURE:
            if (has_end(function, stop->name, '.')) {
                is_measured = true;
                function_slots |= 1u << i;
            }
            break;
        default:
            break;
        }
    }
    if (line_slots == 0 && function_slots == 0 && !is_measured)
        return NULL;
    struct mt_watched *watched = watch(self, code);
    if (watched == NULL)
        return NULL;
    watched->line_slots = line_slots;
    watched->function_slots = function_slots;
    watched->is_measured = is_measured;
    return watched;
}

struct mt_watched *mt_watched_step(struct mt_self *self, uint64_t code) {
    struct mt_watched *watched = watch(self, code);
    if (watched != NULL)
        watched->is_stepped = true;
    return watched;
}

void mt_watched_sweep(void) {
    for (unsigned i = 0; i < all_count; i++)
        if (all[i].code != 0 && !is_wanted(&all[i]))
            let_go(&all[i]);
    while (all_count > 0 && all[all_count - 1].code == 0)
        all_count--;
}

void mt_watched_end_step(void) {
    for (unsigned i = 0; i < all_count; i++)
        all[i].is_stepped = false;
    mt_watched_sweep();
}

void mt_watched_begin_anew(void) {
    for (unsigned i = 0; i < all_count; i++) {
        all[i].line_slots = all[i].function_slots = 0;
        all[i].is_measured = false;
    }
}

void mt_watched_clear(void) {
    mt_watched_begin_anew();
    mt_watched_end_step();
}

uint32_t mt_watched_count(unsigned slot) {
    uint32_t count = 0;
    for (unsigned i = 0; i < all_count; i++)
        count += all[i].code != 0 && (((all[i].line_slots | all[i].function_slots) >> slot & 1) != 0);
    return count;
}

uint32_t mt_watched_slots_at(const struct mt_watched *watched, uint32_t line) {
    uint32_t slots = 0;
    for (unsigned i = 0; i < MT_PYTHON_STOPS; i++)
        if ((watched->line_slots >> i & 1) != 0 && mt_python_stops.stops[i].line == line)
            slots |= 1u << i;
    return slots;
}
