#include "recorder/young.h"

#include <string.h>

#include "recorder/shadow.h"
#include "recorder/sites.h"
#include "recorder/table.h"

/* CPython 3.9 to 3.11 may collect garbage between the birth of an object's memory and the object, and in a finalizer
 * another thread's turn may come. What is made meanwhile is decided at the next event, and so makes room. */
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

/* What is to be an object of a type with a header has an empty one before its type is written. */
static bool is_empty(uint64_t start, uint64_t end) {
    for (; start < end; start += sizeof(uint64_t))
        if (*word_at(start) != 0)
            return false;
    return true;
}

enum finding { NOT_YET, IS_OBJECT, IS_ANOTHER };

static enum finding look_at(uint64_t block, const struct mt_stop *stop) {
    uint64_t header = (uint64_t)stop->limit, object = block + header;
    if (!is_alive(block))
        return IS_ANOTHER;
    uint64_t type = *word_at(object + OB_TYPE);
    if (type == 0)
        return is_empty(block, object) ? NOT_YET : IS_ANOTHER;
    return type == stop->argument && is_object(object, header) ? IS_OBJECT : IS_ANOTHER;
}

static bool may_become_object(const struct mt_stop_event *event, uint64_t header) {
    if (event->operation != MT_OP_ALLOCATE || event->site == 0 || event->address % sizeof(uint64_t) != 0 ||
        event->size < OBJECT_SIZE || event->size - OBJECT_SIZE < header)
        return false;
    uint8_t allocator = mt_site_at(event->site)->allocator;
    return allocator == MT_PYOBJECT_MALLOC || allocator == MT_PYOBJECT_CALLOC;
}

static void keep(struct nursery *nursery, struct mt_young young) {
    for (unsigned i = 0; i < YOUNG; i++)
        if (nursery->young[i].address == 0) {
            nursery->young[i] = young;
            return;
        }
    nursery->young[nursery->next++ % YOUNG] = young;
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
            young->address = 0; /* it ended */
        if (young->address == 0 || young->thread != thread)
            continue;
        enum finding finding = look_at(young->address, stop);
        if (finding == IS_OBJECT) {
            *ret = *young;
            return true;
        }
        if (finding == IS_ANOTHER)
            young->address = 0;
    }
    if (may_become_object(event, header)) {
        *word_at(event->address + header + OB_TYPE) = 0;
        keep(nursery, (struct mt_young){event->address, event->site, thread});
    }
    return false;
}

void mt_young_forget(unsigned slot) {
    if (nurseries[slot].type != 0)
        memset(&nurseries[slot], 0, sizeof nurseries[slot]);
}
