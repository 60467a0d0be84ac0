#include "recorder/window.h"

#include <string.h>

#include "recorder/account.h"

bool mt_window_counts;
uint64_t mt_window_looks;
bool (*mt_window_suspects)(const struct mt_self *self, uint64_t size);

void mt_window_note_birth(const struct mt_shard *shard, struct mt_self *self, uint64_t address, uint64_t size) {
    struct mt_birth birth = {address, shard->window_peak_bytes, mt_window_looks};
    memmove(&self->births[1], &self->births[0], (MT_BIRTHS - 1) * sizeof birth);
    self->births[0] = birth;
    if (mt_window_suspects == NULL || !mt_window_suspects(self, size))
        return;
    memmove(&self->suspects[1], &self->suspects[0], (MT_SUSPECTS - 1) * sizeof birth);
    self->suspects[0] = birth;
}

void mt_window_count(struct mt_self *self, bool counts) {
    bool locked = mt_lock(self);
    mt_window_counts = counts;
    mt_account_watch_live_bytes();
    mt_unlock(self, locked);
}

/* The block was alive in all that was counted since its birth: without it each moment was lower by its size. */
void mt_window_disown(struct mt_self *self, struct mt_birth *birth) {
    struct mt_shard *shard = mt_shard();
    uint64_t freed = self->freed;
    self->image.operation = MT_OP_FREE;
    mt_record_hidden_death(self, birth->address);
    self->image.operation = MT_IDLE;
    int64_t size = (int64_t)(self->freed - freed);
    self->allocated -= (uint64_t)size;
    self->freed = freed;
    bool locked = mt_lock(self);
    shard->window_peak_bytes -= size;
    if (birth->look == mt_window_looks && birth->highest > shard->window_peak_bytes)
        shard->window_peak_bytes = birth->highest;
    mt_unlock(self, locked);
    *birth = (struct mt_birth){0};
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
    mt_window_looks++;
    mt_unlock(self, locked);
    return highest;
}
