#include "step.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "image/attach.h"
#include "image_reader.h"

static struct mt_shard before;

void step_look(void) {
    before = image_header()->shards[0];
}

void step_compare(struct step *ret, void *address) {
    const struct mt_shard *now = &image_header()->shards[0];
    struct block block;
    *ret = (struct step){.events = (int64_t)(now->events - before.events),
                         .bytes = now->live_bytes - before.live_bytes,
                         .blocks = now->live_blocks - before.live_blocks,
                         .ignored = (int64_t)(now->frees_ignored - before.frees_ignored),
                         .address = (uint64_t)address};
    if (!image_find_block(address, &block))
        return;
    const struct mt_site *site = image_site(block.site);
    const struct mt_thread *thread = image_record(&image_header()->threads, site->thread);
    ret->is_live = 1;
    ret->size = block.size;
    ret->allocator = site->allocator;
    ret->tid = thread->tid;
}

void step_print(const struct step *step) {
    printf("{\"events\":%lld,\"bytes\":%lld,\"blocks\":%lld,\"ignored\":%lld,\"size\":%llu,\"allocator\":%u,\"is_"
           "live\":%u}",
           (long long)step->events, (long long)step->bytes, (long long)step->blocks, (long long)step->ignored,
           (unsigned long long)step->size, step->allocator, step->is_live);
}

/* Older than the recording: the free of one is an event, at whose entry a request is obeyed, and counts nothing. */
static void *old_blocks[2];

void scenario_prepare(void) {
    for (int i = 0; i < 2; i++) {
        free(old_blocks[i]);
        old_blocks[i] = malloc(1);
    }
}

static void request(uint32_t what, uint32_t argument) {
    struct mt_image_header *header = image_header();
    header->request_argument = argument;
    header->request = what;
    int which = what == MT_REQUEST_STOP;
    void *wake = old_blocks[which];
    old_blocks[which] = NULL;
    free(wake);
}

uint32_t scenario_start(uint32_t level) {
    if (image_recorder() != NULL) {
        uint32_t (*attach)(uint32_t) = (uint32_t(*)(uint32_t))dlsym(image_recorder(), MT_ATTACH_SYMBOL);
        return attach(level) == MT_ATTACH_RECORDING ? image_header()->state : UINT32_MAX;
    }
    request(MT_REQUEST_START, level);
    return image_header()->state;
}

uint32_t scenario_stop(void) {
    if (image_recorder() != NULL) {
        uint32_t (*detach)(void) = (uint32_t(*)(void))dlsym(image_recorder(), MT_DETACH_SYMBOL);
        return detach() == MT_DETACH_DONE ? image_header()->state : UINT32_MAX;
    }
    request(MT_REQUEST_STOP, 0);
    return image_header()->state;
}
