#include "recorder/young.h"

#include <string.h>

#include "recorder/shadow.h"
#include "recorder/sites.h"
#include "recorder/table.h"

/* CPython 3.9 to 3.11 may collect garbage between the birth of an object's memory and the object: what finalizers make
 * meanwhile is soon decided, and so makes room. */
#define YOUNG 8

/* The same in all versions with the GIL (Include/object.h, Include/internal/pycore_gc.h). */
enum { OB_REFCNT = 0, OB_TYPE = 8, OBJECT_SIZE = 16, GC_HEAD_SIZE = 16 };
/* No address is below it, no reference count above. */
#define LOWEST_ADDRESS 0x10000u
#define ADDRESS_LIMIT (UINT64_C(1) << 47)

static struct nursery {
    uint64_t type, header; /* that its words were cleared for */
    struct mt_young young[YOUNG];
    unsigned next;
} nurseries[MT_STOPS];

static bool is_alive(uint64_t address) {
    struct mt_block block;
    return mt_shadow_find(address) != 0 || mt_table_find(address, &block);
}

static volatile uint64_t *word_at(uint64_t address) {
    return (volatile uint64_t *)address;
}

/* The type is there; so is an object, rather than something else that happens to name the type in this place? It has a
 * count, and the collector's head, where it has one, is empty or in a list. (A tuple whose first item is the type has
 * its own count where that head would be.) */
static bool is_object(uint64_t object, uint64_t header) {
    if ((uint32_t)*word_at(object + OB_REFCNT) == 0)
        return false;
    uint64_t next = header >= GC_HEAD_SIZE ? *word_at(object - GC_HEAD_SIZE) : 0;
    return next == 0 || (next >= LOWEST_ADDRESS && next < ADDRESS_LIMIT);
}

/* 0: it does not show yet, or there is no such block any more; else what stands where a type would. */
static uint64_t type_in(struct mt_young *young, uint64_t header) {
    if (!is_alive(young->address)) {
        young->address = 0;
        return 0;
    }
    return *word_at(young->address + header + OB_TYPE);
}

static bool may_become_object(const struct mt_stop_event *event, uint64_t header) {
    if (event->operation != MT_OP_ALLOCATE || event->site == 0 || event->address % sizeof(uint64_t) != 0 ||
        event->size < OBJECT_SIZE || event->size - OBJECT_SIZE < header)
        return false;
    uint8_t allocator = mt_site_at(event->site)->allocator;
    return allocator == MT_PYOBJECT_MALLOC || allocator == MT_PYOBJECT_CALLOC;
}

bool mt_young_look(unsigned slot, const struct mt_stop *stop, uint32_t thread, const struct mt_stop_event *event,
                   struct mt_young *ret) {
    struct nursery *nursery = &nurseries[slot];
    uint64_t header = (uint64_t)stop->limit;
    if (nursery->type != stop->argument || nursery->header != header)
        *nursery = (struct nursery){.type = stop->argument, .header = header};
    for (unsigned i = 0; i < YOUNG; i++) {
        struct mt_young *young = &nursery->young[i];
        if (young->address == event->address || young->address == event->old_address)
            young->address = 0;
        if (young->address == 0 || young->thread != thread)
            continue;
        uint64_t type = type_in(young, header);
        if (type == stop->argument && is_object(young->address + header, header)) {
            *ret = *young;
            return true;
        }
        if (type != 0)
            young->address = 0;
    }
    if (may_become_object(event, header)) {
        *word_at(event->address + header + OB_TYPE) = 0;
        nursery->young[nursery->next++ % YOUNG] = (struct mt_young){event->address, event->site, thread};
    }
    return false;
}

void mt_young_forget(unsigned slot) {
    memset(&nurseries[slot], 0, sizeof nurseries[slot]);
}
