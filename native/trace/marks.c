#include "trace/marks.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "trace/pool.h"

static struct mt_error *damaged(const char *what) {
    return mt_error_create(MT_ERROR_FORMAT, "the recorder's image is damaged: %s", what);
}

static uint64_t non_negative(int64_t value) {
    return value > 0 ? (uint64_t)value : 0;
}

static int compare_moments(const void *a, const void *b) {
    uint32_t left = ((const struct mt_moment *)a)->generation, right = ((const struct mt_moment *)b)->generation;
    return left < right ? -1 : left > right;
}

static struct mt_moment moment_of(const struct mt_image *image, const struct mt_mark *mark) {
    uint64_t start = image->header.start_monotonic;
    struct mt_moment moment = {.kind = MT_MOMENT_MARK,
                               .generation = mark->generation,
                               .event = mark->event,
                               .time = mark->time > start ? mark->time - start : 0,
                               .live_bytes = non_negative(mark->live_bytes),
                               .live_blocks = non_negative(mark->live_blocks),
                               .sums = mark->sums,
                               .sum_count = mark->sum_count};
    memcpy(moment.name, mark->name, sizeof moment.name - 1);
    return moment;
}

struct mt_error *mt_marks_load(const struct mt_image *image, struct mt_watch *watch, struct mt_marks *ret) {
    struct mt_pool_reader reader = {.target = image->target, .watch = watch, .budget = image->budget};
    if (image->header.marks.count > MT_MARKS_KEPT)
        return damaged("more marks than are kept");
    void *records;
    size_t count;
    struct mt_error *error =
        mt_pool_read(&reader, &image->header.marks, sizeof(struct mt_mark), "marks", &records, &count);
    if (error)
        return error;
    MT_AUTO_FREE struct mt_mark *marks = records;
    struct mt_marks result = {0};
    for (size_t i = 0; i < count; i++) {
        /* Unused, being rewritten, or not begun: its generation is announced last. */
        if (marks[i].generation == 0 || marks[i].generation > image->header.generation)
            continue;
        if (marks[i].generation % MT_MARKS_KEPT != i)
            return damaged("a mark lies in the place of another");
        result.list[result.count++] = moment_of(image, &marks[i]);
    }
    qsort(result.list, result.count, sizeof result.list[0], compare_moments);
    if (mt_image_mark_is_pending(image)) {
        struct mt_moment *pending = &result.list[result.count++];
        *pending = (struct mt_moment){.kind = MT_MOMENT_PENDING, .generation = image->header.generation + 1};
        memcpy(pending->name, image->header.request_name, sizeof pending->name);
    }
    *ret = result;
    return NULL;
}

/* `what` is not there; and what is. */
static struct mt_error *not_kept(const struct mt_marks *marks, const char *what) {
    if (marks->count == 0)
        return mt_error_create(MT_ERROR_NOT_FOUND, "%s: no mark is kept (`memtrace mark NAME` sets one)", what);
    struct mt_strbuf list = MT_STRBUF_INIT;
    for (size_t i = 0; i < marks->count; i++)
        mt_strbuf_printf(&list, "%s%" PRIu32 "%s%s", i > 0 ? ", " : "", marks->list[i].generation,
                         marks->list[i].name[0] != '\0' ? " " : "", marks->list[i].name);
    struct mt_error *error = mt_error_create(MT_ERROR_NOT_FOUND, "%s: there are %s", what, list.data ? list.data : "?");
    mt_strbuf_deinit(&list);
    return error;
}

/* A number without sign and leading zeros that fits. */
static bool parse_number(const char *word, uint32_t *ret) {
    uint64_t number = 0;
    const char *c = word;
    for (; *c >= '0' && *c <= '9' && number <= UINT32_MAX; c++)
        number = 10 * number + (uint64_t)(*c - '0');
    if (*c != '\0' || c == word || word[0] == '0' || number > UINT32_MAX)
        return false;
    *ret = (uint32_t)number;
    return true;
}

struct mt_error *mt_moment_find(const struct mt_image *image, const struct mt_marks *marks, const char *word,
                                struct mt_moment *ret) {
    uint32_t number = 0;
    bool is_number = parse_number(word, &number);
    if (strcmp(word, "start") == 0) {
        *ret = (struct mt_moment){.kind = MT_MOMENT_START};
        return NULL;
    }
    if (strcmp(word, "now") == 0) {
        *ret = (struct mt_moment){.kind = MT_MOMENT_NOW, .generation = UINT32_MAX};
        return NULL;
    }
    for (size_t i = marks->count; i-- > 0;) {
        const struct mt_moment *moment = &marks->list[i];
        if (is_number ? moment->generation == number : strcmp(moment->name, word) == 0 && *word != '\0') {
            *ret = *moment;
            return NULL;
        }
    }
    if (is_number && number <= image->header.generation) {
        *ret = (struct mt_moment){.kind = MT_MOMENT_FORGOTTEN, .generation = number};
        return NULL;
    }
    struct mt_strbuf what = MT_STRBUF_INIT;
    mt_strbuf_printf(&what, "there is no mark `%s`", word);
    struct mt_error *error = not_kept(marks, what.data ? what.data : "there is no such mark");
    mt_strbuf_deinit(&what);
    return error;
}

/* What is alive at this stop, by the same counters that a mark copies. */
static struct mt_error *sum_sites(const struct mt_image *image, struct mt_sum **ret_sums, size_t *ret_count) {
    struct mt_sum *sums = calloc(image->site_count + 1, sizeof *sums);
    if (!sums)
        return &mt_error_no_memory;
    size_t count = 0;
    for (size_t i = 0; i < image->site_count; i++)
        if (image->sites[i].state != 0 && image->sites[i].blocks != 0)
            sums[count++] =
                (struct mt_sum){mt_origin_of(&image->sites[i]), image->sites[i].bytes, image->sites[i].blocks};
    *ret_sums = sums;
    *ret_count = count;
    return NULL;
}

/* The thread that was in a slot at `event`. A slot is handed on when nothing of its thread's lives; a thread that had
 * something alive at the mark has had events before it. */
static uint32_t thread_then(const struct mt_image *image, uint16_t slot, uint64_t event) {
    return image->threads[slot].start_event < event ? slot : MT_THREAD_GONE;
}

static struct mt_error *read_sums(const struct mt_image *image, struct mt_watch *watch, const struct mt_moment *moment,
                                  struct mt_sum **ret_sums, size_t *ret_count) {
    struct mt_pool_reader reader = {.target = image->target, .watch = watch, .budget = image->budget};
    uint64_t size;
    if (__builtin_mul_overflow(moment->sum_count, sizeof(struct mt_mark_sum), &size))
        return damaged("a mark of impossible size");
    struct mt_error *error = mt_pool_spend(&reader, size, "mark");
    if (error)
        return error;
    size_t count = moment->sum_count;
    MT_AUTO_FREE struct mt_mark_sum *records = malloc(size + 1);
    MT_AUTO_FREE struct mt_sum *sums = calloc(count + 1, sizeof *sums);
    if (!records || !sums)
        return &mt_error_no_memory;
    error = mt_watch_poll(watch, "reading a mark");
    if (!error && count > 0)
        error = mt_target_read(image->target, moment->sums, records, size);
    if (error)
        return error;
    for (size_t i = 0; i < count; i++) {
        const struct mt_mark_sum *record = &records[i];
        if (record->stack > 0 && record->stack >= image->stack_count)
            return damaged("a mark has a stack that is not there");
        if (record->thread >= image->thread_count)
            return damaged("a mark has a thread that is not there");
        sums[i] = (struct mt_sum){{.node = record->stack > 0 ? image->node_of[record->stack] : 0,
                                   .thread = thread_then(image, record->thread, moment->event),
                                   .allocator = record->allocator,
                                   .generation = record->generation},
                                  record->bytes,
                                  record->blocks};
    }
    *ret_sums = sums;
    *ret_count = count;
    sums = NULL;
    return NULL;
}

struct mt_error *mt_moment_load(const struct mt_image *image, struct mt_watch *watch, const struct mt_marks *marks,
                                const struct mt_moment *moment, struct mt_sum **ret_sums, size_t *ret_count) {
    switch (moment->kind) {
    case MT_MOMENT_START:
        *ret_sums = NULL;
        *ret_count = 0;
        return NULL;
    case MT_MOMENT_MARK:
        return read_sums(image, watch, moment, ret_sums, ret_count);
    case MT_MOMENT_PENDING:
    case MT_MOMENT_NOW:
        return sum_sites(image, ret_sums, ret_count);
    case MT_MOMENT_FORGOTTEN:
        break;
    }
    char what[48];
    snprintf(what, sizeof what, "mark %" PRIu32 " is not kept", moment->generation);
    return not_kept(marks, what);
}
