#include "model.h"

#include <string.h>

#include "image_reader.h"

#define PAGE 4096u

void model_clear(struct model *model) {
    memset(model->now, 0, (size_t)model->keys * sizeof model->now[0]);
    memset(model->peak, 0, (size_t)model->keys * sizeof model->peak[0]);
    model->total = model->maximum = model->blocks = 0;
    model->events = 0;
    model->range_count = 0;
}

void model_change(struct model *model, int key, int64_t bytes, int64_t blocks) {
    model->now[key].bytes += bytes;
    model->now[key].blocks += blocks;
    model->total += bytes;
    model->blocks += blocks;
}

void model_end_event(struct model *model) {
    model->events++;
    if (model->total < model->maximum)
        return;
    model->maximum = model->total;
    memcpy(model->peak, model->now, (size_t)model->keys * sizeof model->now[0]);
}

void model_sum_image(int (*key_of)(const struct mt_site *site), struct model_sum *now, struct model_sum *peak) {
    for (uint64_t i = 1; i < image_header()->sites.count; i++) {
        const struct mt_site *site = image_site((uint32_t)i);
        int64_t peak_bytes;
        uint32_t peak_blocks;
        if (site->state == 0)
            continue;
        int key = key_of(site);
        image_site_at_peak(site, &peak_bytes, &peak_blocks);
        now[key].bytes += site->bytes;
        now[key].blocks += site->blocks;
        peak[key].bytes += peak_bytes;
        peak[key].blocks += peak_blocks;
    }
}

void model_map(struct model *model, uint64_t start, uint64_t size, int key) {
    model->ranges[model->range_count++] = (struct model_range){start, start + size, key};
    model_change(model, key, (int64_t)size, 1);
}

/* Takes a piece out and puts back what the cut leaves of it. */
bool model_cut(struct model *model, uint64_t start, uint64_t size) {
    uint64_t end = start + (size + PAGE - 1) / PAGE * PAGE;
    bool any = false;
    for (int i = 0; i < model->range_count;) {
        struct model_range piece = model->ranges[i];
        if (piece.end <= start || piece.start >= end) {
            i++;
            continue;
        }
        any = true;
        model->ranges[i] = model->ranges[--model->range_count];
        model_change(model, piece.key, -(int64_t)(piece.end - piece.start), -1);
        if (piece.start < start)
            model_map(model, piece.start, start - piece.start, piece.key);
        if (piece.end > end)
            model_map(model, end, piece.end - end, piece.key);
    }
    return any;
}
