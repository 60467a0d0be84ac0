#include "recorder/shadow.h"

#include <string.h>

#include "recorder/memory.h"

uint64_t mt_shadow_root[MT_SHADOW_ENTRIES];
struct mt_shadow_recent mt_shadow_recent;

static uint64_t *table_below(uint64_t *slot) {
    if (*slot == 0)
        *slot = (uint64_t)mt_memory_pages(MT_SHADOW_ENTRIES * sizeof(uint64_t));
    return (uint64_t *)*slot;
}

uint64_t *mt_shadow_grow(uint64_t address) {
    uint64_t *middle = table_below(&mt_shadow_root[address >> MT_SHADOW_MIDDLE_SHIFT]);
    if (middle == NULL)
        return NULL;
    uint64_t *bottom = table_below(&middle[address >> MT_SHADOW_BOTTOM_SHIFT & (MT_SHADOW_ENTRIES - 1)]);
    if (bottom == NULL)
        return NULL;
    uint64_t *entry = &bottom[address >> MT_SHADOW_LEAF_SHIFT & (MT_SHADOW_ENTRIES - 1)];
    if (MT_SHADOW_LEAF(*entry) == 0)
        *entry = (uint64_t)mt_memory_page();
    return MT_SHADOW_LEAF(*entry) != 0 ? entry : NULL;
}

void mt_shadow_release(uint64_t *entry) {
    void *leaf = (void *)MT_SHADOW_LEAF(*entry);
    *entry = 0; /* out of a reader's sight before the list writes into it */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    mt_memory_return_page(leaf);
}

void mt_shadow_clear(void) {
    for (size_t i = 0; i < MT_SHADOW_ENTRIES; i++) {
        uint64_t *middle = (uint64_t *)mt_shadow_root[i];
        for (size_t j = 0; middle != NULL && j < MT_SHADOW_ENTRIES; j++) {
            uint64_t *bottom = (uint64_t *)middle[j];
            for (size_t k = 0; bottom != NULL && k < MT_SHADOW_ENTRIES; k++) {
                if (bottom[k] == 0)
                    continue;
                memset((void *)MT_SHADOW_LEAF(bottom[k]), 0, MT_PAGE);
                mt_shadow_release(&bottom[k]);
            }
        }
    }
}
