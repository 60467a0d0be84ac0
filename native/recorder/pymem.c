#include "recorder/pymem.h"

#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "recorder/account.h"
#include "recorder/gate.h"
#include "recorder/inner.h"
#include "recorder/elf_module.h"

/* PyMemAllocatorEx and PyMemAllocatorDomain, since CPython 3.5 */
struct allocator {
    void *context;
    void *(*malloc)(void *context, size_t size);
    void *(*calloc)(void *context, size_t count, size_t size);
    void *(*realloc)(void *context, void *block, size_t size);
    void (*free)(void *context, void *block);
};
enum domain { RAW, MEM, OBJ, DOMAINS };

/* A slot is one allocator that we wrapped. Tables may be saved and restored by others with our functions in them, so a
 * slot is never given another allocator. */
#define SLOTS 6

bool mt_pymem_watch;
bool mt_pymem_shifted;
int (*mt_pymem_initialized)(void);
static const char *(*current_allocator_name)(void); /* compares the tables with those that CPython knows */

static struct allocator wrapped[DOMAINS][SLOTS];
static struct allocator *volatile tables[DOMAINS];

/* Small requests of the mem and object domains come from dense pools. */
static inline bool is_dense(enum domain domain) {
    return domain != RAW;
}

static inline enum mt_allocator allocator_of(enum domain domain, enum mt_allocator first) {
    return (enum mt_allocator)((unsigned)first + 3 * (unsigned)domain);
}

static inline void *hooked_malloc(enum domain domain, unsigned slot, void *context, size_t size) {
    struct mt_self *self = mt_enter(MT_OP_ALLOCATE);
    void *block = wrapped[domain][slot].malloc(context, size);
    if (self != NULL) {
        if (block != NULL)
            mt_record_birth(self, (uint64_t)block, size, allocator_of(domain, MT_PYMEM_RAW_MALLOC), is_dense(domain));
        mt_leave(self);
    }
    return block;
}

static inline void *hooked_calloc(enum domain domain, unsigned slot, void *context, size_t count, size_t size) {
    struct mt_self *self = mt_enter(MT_OP_ALLOCATE);
    void *block = wrapped[domain][slot].calloc(context, count, size);
    if (self != NULL) {
        if (block != NULL)
            mt_record_birth(self, (uint64_t)block, count * size, allocator_of(domain, MT_PYMEM_RAW_CALLOC),
                            is_dense(domain));
        mt_leave(self);
    }
    return block;
}

static inline void *hooked_realloc(enum domain domain, unsigned slot, void *context, void *old, size_t size) {
    enum mt_allocator allocator = allocator_of(domain, MT_PYMEM_RAW_REALLOC);
    struct mt_self *self = mt_enter(MT_OP_ALLOCATE);
    if (self == NULL)
        return wrapped[domain][slot].realloc(context, old, size);
    bool known = old != NULL && mt_record_move_begin(self, (uint64_t)old);
    void *block = wrapped[domain][slot].realloc(context, old, size);
    if (known) {
        if (block != NULL)
            mt_record_move_settle(self, (uint64_t)block, size, allocator, is_dense(domain));
        else
            mt_record_move_restore(self);
    } else if (block != NULL) {
        mt_record_birth(self, (uint64_t)block, size, allocator, is_dense(domain));
    }
    mt_leave(self);
    return block;
}

static inline void hooked_free(enum domain domain, unsigned slot, void *context, void *block) {
    struct mt_self *self = block != NULL ? mt_enter(MT_OP_FREE) : NULL;
    if (self != NULL) /* before the block can be somebody else's */
        mt_record_death(self, (uint64_t)block);
    wrapped[domain][slot].free(context, block);
    if (self != NULL)
        mt_leave(self);
}

/* The functions carry their slot in their address, so that they need no context of ours. */
#define HOOKS(domain, slot)                                                                                            \
    static void *malloc_##domain##_##slot(void *context, size_t size) {                                                \
        return hooked_malloc(domain, slot, context, size);                                                             \
    }                                                                                                                  \
    static void *calloc_##domain##_##slot(void *context, size_t count, size_t size) {                                  \
        return hooked_calloc(domain, slot, context, count, size);                                                      \
    }                                                                                                                  \
    static void *realloc_##domain##_##slot(void *context, void *block, size_t size) {                                  \
        return hooked_realloc(domain, slot, context, block, size);                                                     \
    }                                                                                                                  \
    static void free_##domain##_##slot(void *context, void *block) {                                                   \
        hooked_free(domain, slot, context, block);                                                                     \
    }
#define DOMAIN_HOOKS(domain)                                                                                           \
    HOOKS(domain, 0) HOOKS(domain, 1) HOOKS(domain, 2) HOOKS(domain, 3) HOOKS(domain, 4) HOOKS(domain, 5)
DOMAIN_HOOKS(RAW)
DOMAIN_HOOKS(MEM)
DOMAIN_HOOKS(OBJ)

#define HOOK_ROW(domain, slot)                                                                                         \
    { NULL, malloc_##domain##_##slot, calloc_##domain##_##slot, realloc_##domain##_##slot, free_##domain##_##slot }
#define DOMAIN_ROWS(domain)                                                                                            \
    {                                                                                                                  \
        HOOK_ROW(domain, 0), HOOK_ROW(domain, 1), HOOK_ROW(domain, 2), HOOK_ROW(domain, 3), HOOK_ROW(domain, 4),       \
            HOOK_ROW(domain, 5)                                                                                        \
    }
static const struct allocator hooks[DOMAINS][SLOTS] = {DOMAIN_ROWS(RAW), DOMAIN_ROWS(MEM), DOMAIN_ROWS(OBJ)};

static bool is_ours(enum domain domain, const struct allocator *table) {
    for (unsigned slot = 0; slot < SLOTS; slot++)
        if (table->malloc == hooks[domain][slot].malloc)
            return true;
    return false;
}

/* The slot that wraps what the table holds: the one that did before, or a new one. SLOTS: none is left. */
static unsigned slot_for(enum domain domain, const struct allocator *table) {
    unsigned slot = 0;
    for (; slot < SLOTS && wrapped[domain][slot].malloc != NULL; slot++) {
        const struct allocator *known = &wrapped[domain][slot];
        if (known->malloc == table->malloc && known->calloc == table->calloc && known->realloc == table->realloc &&
            known->free == table->free)
            return slot;
    }
    if (slot < SLOTS) {
        wrapped[domain][slot] = *table;
        mt_inner_add((const void *)table->malloc);
        mt_pymem_shifted = mt_pymem_shifted || slot > 0;
    }
    return slot;
}

static void put(enum domain domain, const struct allocator *functions) {
    struct allocator *table = tables[domain];
    __atomic_store_n(&table->free, functions->free, __ATOMIC_RELEASE);
    __atomic_store_n(&table->realloc, functions->realloc, __ATOMIC_RELEASE);
    __atomic_store_n(&table->calloc, functions->calloc, __ATOMIC_RELEASE);
    __atomic_store_n(&table->malloc, functions->malloc, __ATOMIC_RELEASE);
}

static bool wrap(enum domain domain) {
    struct allocator *table = tables[domain];
    if (is_ours(domain, table))
        return false;
    unsigned slot = slot_for(domain, table);
    if (slot == SLOTS)
        return false;
    put(domain, &hooks[domain][slot]);
    return true;
}

static bool has_tables(void) {
    return tables[RAW] != NULL && tables[MEM] != NULL && tables[OBJ] != NULL;
}

/* CPython knows its allocators by what stands in its tables, so what we wrapped stands there again for a moment: only
 * while it starts, for there is no other thread then that could allocate past us. */
void mt_pymem_tell(void) {
    if (current_allocator_name == NULL || !has_tables() || memtrace_image.python_allocator[0] != '\0')
        return;
    struct allocator held[DOMAINS];
    bool starting = !mt_pymem_initialized();
    for (unsigned domain = 0; domain < DOMAINS; domain++) {
        held[domain] = *tables[domain];
        for (unsigned slot = 0; starting && slot < SLOTS; slot++)
            if (held[domain].malloc == hooks[domain][slot].malloc)
                put((enum domain)domain, &wrapped[domain][slot]);
    }
    const char *name = current_allocator_name();
    for (unsigned domain = 0; starting && domain < DOMAINS; domain++)
        put((enum domain)domain, &held[domain]);
    if (name != NULL)
        strncpy(memtrace_image.python_allocator, name, sizeof memtrace_image.python_allocator - 1);
}

void mt_pymem_wrap(void) {
    if (!has_tables())
        return;
    if (mt_pymem_initialized())
        mt_pymem_tell();
    for (unsigned domain = 0; domain < DOMAINS; domain++)
        wrap((enum domain)domain);
    mt_pymem_watch = true;
}

void mt_pymem_unwrap(void) {
    mt_pymem_watch = false;
    for (unsigned domain = 0; domain < DOMAINS && has_tables(); domain++)
        for (unsigned slot = 0; slot < SLOTS; slot++)
            if (tables[domain]->malloc == hooks[domain][slot].malloc)
                put((enum domain)domain, &wrapped[domain][slot]);
}

void mt_pymem_rewrap(void) {
    if (!is_ours(OBJ, tables[OBJ]))
        memtrace_image.python_allocator[0] = '\0'; /* of an interpreter that ended, if it is known */
    for (unsigned domain = 0; domain < DOMAINS; domain++) {
        if (wrap((enum domain)domain))
            memtrace_image.python_rewrapped++;
    }
}

/* The table of a domain is a private variable of CPython. It is the one place in the module's writable memory that
 * holds what PyMem_SetAllocator was just given. */
static struct allocator *find_table(const struct mt_elf *module, const struct allocator *given) {
    for (unsigned i = 0; i < module->segment_count; i++) {
        const Elf64_Phdr *segment = &module->segments[i];
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W) == 0)
            continue;
        uint64_t *word = (uint64_t *)(module->bias + ((segment->p_vaddr + 7) & ~(uint64_t)7));
        uint64_t *end = (uint64_t *)(module->bias + segment->p_vaddr + segment->p_memsz);
        for (; word + sizeof *given / sizeof *word <= end; word++) {
            const struct allocator *candidate = (const struct allocator *)word;
            if (candidate->malloc == given->malloc && candidate->context == given->context &&
                candidate->free == given->free)
                return (struct allocator *)word;
        }
    }
    return NULL;
}

bool mt_pymem_find(const struct mt_elf *module) {
    if (memtrace_image.python_state == MT_PYTHON_UNSUPPORTED)
        return false;
    void (*get_allocator)(int, struct allocator *) =
        (void (*)(int, struct allocator *))mt_elf_symbol(module, "PyMem_GetAllocator");
    void (*set_allocator)(int, struct allocator *) =
        (void (*)(int, struct allocator *))mt_elf_symbol(module, "PyMem_SetAllocator");
    mt_pymem_initialized = (int (*)(void))mt_elf_symbol(module, "Py_IsInitialized");
    struct mt_elf definer;
    if (module == NULL && mt_elf_find_definer("PyMem_SetAllocator", &definer))
        module = &definer;
    if (module == NULL || get_allocator == NULL || set_allocator == NULL || mt_pymem_initialized == NULL)
        return false;
    current_allocator_name = (const char *(*)(void))mt_elf_symbol(module, "_PyMem_GetCurrentAllocatorName");
    for (int domain = 0; domain < DOMAINS; domain++) {
        struct allocator before, ours = hooks[domain][0];
        get_allocator(domain, &before);
        wrapped[domain][0] = before;
        mt_inner_add((const void *)before.malloc);
        ours.context = before.context;
        set_allocator(domain, &ours);
        tables[domain] = find_table(module, &ours);
        set_allocator(domain, &before);
    }
    return has_tables();
}
