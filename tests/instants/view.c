#include "view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/hash_map.h"
#include "memtrace.h"
#include "trace/rows.h"

/* Symbols and mappings are looked up once, by the library's own target for live processes; memory is read afresh. */
struct window {
    struct mt_target target;
    struct mt_target *live;
    uint64_t image;
};

static size_t window_read(struct mt_target *target, uint64_t address, void *buffer, size_t size) {
    const struct window *window = (const struct window *)target;
    struct iovec local = {buffer, size}, remote = {(void *)address, size};
    ssize_t got = process_vm_readv(window->target.info.pid, &local, 1, &remote, 1, 0);
    return got > 0 ? (size_t)got : 0;
}

static bool window_find_symbol(struct mt_target *target, const char *name, uint64_t *ret) {
    const struct window *window = (const struct window *)target;
    if (strcmp(name, MT_IMAGE_SYMBOL) != 0)
        return false;
    *ret = window->image;
    return true;
}

static const struct mt_target_ops window_ops = {.read = window_read, .find_symbol = window_find_symbol};

static void expect(struct mt_error *error) {
    if (error != NULL)
        die("%s", error->message);
}

struct window *window_open(const struct tracee *tracee) {
    struct window *window = calloc(1, sizeof *window);
    window->target.ops = &window_ops;
    window->target.info = (struct mt_target_info){.kind = MT_TARGET_LIVE, .pid = tracee->pid};
    expect(mt_target_open_live(tracee->pid, false, &window->live));
    window->image = window_symbol(window, MT_IMAGE_SYMBOL);
    return window;
}

void window_close(struct window *window) {
    mt_target_destroy(window->live);
    free(window);
}

uint64_t window_symbol(struct window *window, const char *name) {
    uint64_t address;
    expect(mt_target_find_symbol(window->live, name, &address));
    return address;
}

uint64_t window_image(const struct window *window) {
    return window->image;
}

void window_recorder_text(struct window *window, uint64_t *ret_start, uint64_t *ret_end) {
    const struct mt_region *regions;
    size_t count;
    expect(mt_target_regions(window->live, &regions, &count));
    for (size_t i = 0; i < count; i++) {
        if (regions[i].executable && regions[i].path != NULL &&
            strstr(regions[i].path, "libmemtrace-recorder") != NULL) {
            *ret_start = regions[i].start;
            *ret_end = regions[i].end;
            return;
        }
    }
    die("the recorder's code is not mapped");
}

struct visit {
    struct view *view;
    block_list *blocks;
};

static void add_block(void *context, const struct mt_block *block) {
    struct visit *visit = context;
    struct view *view = visit->view;
    view->live.bytes += (int64_t)block->size;
    view->live.blocks++;
    view->fingerprint += mt_hash_u64(block->address + mt_hash_u64(block->size + 1));
    if (visit->blocks != NULL && !mt_vector_push(visit->blocks, *block))
        die("out of memory");
}

static void sum_sites(const struct mt_image *image, struct view *view) {
    for (size_t i = 0; i < image->site_count; i++) {
        const struct mt_site *site = &image->sites[i];
        struct mt_amount peak = mt_site_at_peak(image, site);
        view->sites.bytes += site->bytes;
        view->sites.blocks += site->blocks;
        view->peak.bytes += (int64_t)peak.bytes;
        view->peak.blocks += (int64_t)peak.blocks;
    }
}

bool view_read(struct window *window, struct view *ret, block_list *blocks) {
    struct mt_image *image;
    *ret = (struct view){0};
    if (blocks != NULL)
        blocks->length = 0;
    struct mt_error *error = mt_image_load(&window->target, NULL, &image);
    if (error == NULL) {
        const struct mt_image_header *header = &image->header;
        ret->shard = header->shards[0];
        ret->totals = (struct sums){ret->shard.live_bytes, ret->shard.live_blocks};
        ret->peak_bytes = ret->shard.peak_bytes;
        ret->recorder_bytes = header->recorder_bytes;
        ret->in_flight = mt_image_in_flight(image);
        for (unsigned kind = 0; kind < MT_DROP_KINDS; kind++)
            ret->dropped += header->dropped[kind];
        const uint64_t pools[] = {header->stacks.count, header->sites.count, header->codes.count, header->threads.count,
                                  header->string_bytes};
        memcpy(ret->pools, pools, sizeof pools);
        sum_sites(image, ret);
        error = mt_blocks_visit(image, NULL, add_block, &(struct visit){ret, blocks}, &ret->gaps);
        mt_image_destroy(image);
    }
    if (error == NULL)
        return true;
    fprintf(stderr, "the library gives an error: %s\n", error->message);
    mt_error_destroy(error);
    return false;
}

/* --- memtrace's own commands ----------------------------------------------------------------------------------------
 */

static bool number_is(const char *text, const char *key, int64_t expected) {
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\"%s\":", key);
    const char *found = strstr(text, wanted);
    if (found == NULL || strtoll(found + strlen(wanted), NULL, 10) != expected) {
        fprintf(stderr, "%s should be %" PRId64 " in: %.300s\n", key, expected, text);
        return false;
    }
    return true;
}

static const char *ask(struct mt_session *session, const char *command) {
    const struct mt_answer *answer = mt_session_run(session, command);
    if (mt_answer_status(answer) == 0)
        return mt_answer_text(answer);
    fprintf(stderr, "`%s` gives an error: %s\n", command, mt_answer_text(answer));
    return NULL;
}

bool view_agrees_with_commands(const struct tracee *tracee, const struct view *view) {
    struct mt_session *session = NULL;
    const struct mt_answer *opened = mt_session_open_stopped(&(struct mt_host){0}, tracee->pid, &session);
    if (session == NULL) {
        fprintf(stderr, "no session: %s\n", mt_answer_text(opened));
        return false;
    }
    const char *text;
    bool agrees =
        (text = ask(session, "live --json --limit 1")) != NULL && number_is(text, "live_bytes", view->live.bytes) &&
        number_is(text, "live_blocks", view->live.blocks) && (text = ask(session, "peak --json --limit 1")) != NULL &&
        number_is(text, "peak_bytes", view->peak.bytes) && number_is(text, "peak_blocks", view->peak.blocks) &&
        (text = ask(session, "status --json")) != NULL && number_is(text, "in_flight", (int64_t)view->in_flight) &&
        number_is(text, "dropped", (int64_t)view->dropped);
    mt_session_destroy(session);
    return agrees;
}
