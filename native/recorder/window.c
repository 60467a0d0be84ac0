#include "recorder/window.h"

#include "recorder/account.h"

bool mt_window_counts;
int64_t mt_window_highest_before;

void mt_window_count(struct mt_self *self, bool counts) {
    bool locked = mt_lock(self);
    mt_window_counts = counts;
    mt_account_watch_live_bytes();
    mt_unlock(self, locked);
}

void mt_window_disown(struct mt_self *self, unsigned birth) {
    struct mt_shard *shard = mt_shard();
    uint64_t freed = self->freed;
    int64_t live = shard->live_bytes;
    self->image.operation = MT_OP_FREE;
    mt_record_hidden_death(self, self->births[birth]);
    self->image.operation = MT_IDLE;
    self->allocated -= self->freed - freed;
    self->freed = freed;
    self->births[birth] = 0;
    if (shard->window_peak_bytes == live)
        shard->window_peak_bytes =
            mt_window_highest_before > shard->live_bytes ? mt_window_highest_before : shard->live_bytes;
}

void mt_window_start(struct mt_window *window) {
    int64_t live = mt_shard()->live_bytes;
    *window = (struct mt_window){.live_at_start = live, .highest = live};
}

void mt_window_resume(struct mt_window *window, const struct mt_self *self) {
    window->base_allocated = self->allocated;
    window->base_freed = self->freed;
}

void mt_window_pause(struct mt_window *window, const struct mt_self *self) {
    window->allocated += self->allocated - window->base_allocated;
    window->freed += self->freed - window->base_freed;
    mt_window_resume(window, self);
}

struct mt_python_window mt_window_result(const struct mt_window *window) {
    return (struct mt_python_window){
        .allocated = window->allocated, .freed = window->freed, .peak = window->highest - window->live_at_start};
}

void mt_window_see(struct mt_window *window, int64_t highest) {
    if (highest > window->highest)
        window->highest = highest;
}

void mt_window_include(struct mt_window *window, const struct mt_window *inner) {
    mt_window_see(window, inner->highest);
}

int64_t mt_window_take_highest(struct mt_self *self) {
    struct mt_shard *shard = mt_shard();
    bool locked = mt_lock(self);
    int64_t highest = shard->window_peak_bytes;
    shard->window_peak_bytes = shard->live_bytes;
    mt_unlock(self, locked);
    return highest;
}
