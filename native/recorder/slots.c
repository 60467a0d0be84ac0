#include "recorder/slots.h"

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "recorder/elf_module.h"
#include "recorder/hooks.h"
#include "recorder/memory.h"
#include "recorder/real.h"

struct wrapped {
    const char *name;
    void *hook;
    void **real;
    bool is_alias; /* of the function before it, for as long as it has the same address */
};

#define WRAPPED(name)                                                                                                  \
    { #name, (void *)(name), (void **)&mt_real.name, false }
#define ALIAS(name, of)                                                                                                \
    { #name, (void *)(name), (void **)&mt_real.of, true }
static const struct wrapped wrapped[] = {
    WRAPPED(malloc),
    WRAPPED(calloc),
    WRAPPED(realloc),
    WRAPPED(reallocarray),
    WRAPPED(free),
    ALIAS(cfree, free),
    WRAPPED(free_sized),
    WRAPPED(free_aligned_sized),
    WRAPPED(posix_memalign),
    WRAPPED(aligned_alloc),
    WRAPPED(memalign),
    WRAPPED(valloc),
    WRAPPED(pvalloc),
    WRAPPED(mmap),
    ALIAS(mmap64, mmap),
    WRAPPED(munmap),
    WRAPPED(mremap),
    WRAPPED(brk),
    WRAPPED(sbrk),
    WRAPPED(prctl),
    WRAPPED(pthread_setname_np),
};
#define WRAPPED_COUNT (sizeof wrapped / sizeof *wrapped)

bool mt_slots_find_real(void) {
    for (size_t i = 0; i < WRAPPED_COUNT; i++)
        if (!wrapped[i].is_alias)
            *wrapped[i].real = mt_elf_symbol(NULL, wrapped[i].name);
    mt_real.malloc_usable_size = (size_t(*)(void *))mt_elf_symbol(NULL, "malloc_usable_size");
    return mt_real.malloc != NULL && mt_real.calloc != NULL && mt_real.realloc != NULL && mt_real.free != NULL &&
           mt_real.mmap != NULL && mt_real.munmap != NULL;
}

/* What a word that is bound to the function of that name is to hold instead; the word itself when it is to stay. */
typedef uint64_t exchange_word(const char *name, uint64_t word);

static uint64_t real_to_hook(const char *name, uint64_t word) {
    for (size_t i = 0; word != 0 && i < WRAPPED_COUNT; i++)
        if (word == (uint64_t)*wrapped[i].real && strcmp(name, wrapped[i].name) == 0)
            return (uint64_t)wrapped[i].hook;
    return word;
}

static uint64_t hook_to_real(const char *name, uint64_t word) {
    for (size_t i = 0; i < WRAPPED_COUNT; i++)
        if (word == (uint64_t)wrapped[i].hook && *wrapped[i].real != NULL)
            return (uint64_t)*wrapped[i].real;
    return word;
}

/* How the loader left the page of an address: PROT_..., or -1 when it is none of the module's. */
static int protection_of(const struct mt_elf *module, uint64_t address) {
    const Elf64_Phdr *segment = mt_elf_segment(module, address);
    if (segment == NULL)
        return -1;
    int protection = ((segment->p_flags & PF_R) != 0 ? PROT_READ : 0) |
                     ((segment->p_flags & PF_W) != 0 ? PROT_WRITE : 0) |
                     ((segment->p_flags & PF_X) != 0 ? PROT_EXEC : 0);
    for (unsigned i = 0; i < module->segment_count; i++) {
        const Elf64_Phdr *relro = &module->segments[i];
        uint64_t start = module->bias + relro->p_vaddr, end = start + relro->p_memsz;
        if (relro->p_type == PT_GNU_RELRO && address >= (start & -(uint64_t)MT_PAGE) &&
            address < (end & -(uint64_t)MT_PAGE))
            protection &= ~PROT_WRITE;
    }
    return protection;
}

/* In one store, for other threads read it. */
static bool write_word(const struct mt_elf *module, uint64_t *word, uint64_t value) {
    int protection = protection_of(module, (uint64_t)word);
    long page = (long)((uint64_t)word & -(uint64_t)MT_PAGE);
    if (mt_system_call(SYS_mprotect, page, MT_PAGE, protection | PROT_READ | PROT_WRITE, 0, 0, 0) < 0)
        return false;
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
    if ((protection & PROT_WRITE) == 0)
        mt_system_call(SYS_mprotect, page, MT_PAGE, protection, 0, 0, 0);
    return true;
}

static bool is_slot(const struct mt_elf *module, const Elf64_Rela *relocation) {
    uint64_t address = module->bias + relocation->r_offset;
    switch (ELF64_R_TYPE(relocation->r_info)) {
    case R_X86_64_64:
        if (relocation->r_addend != 0)
            return false;
        break;
    case R_X86_64_JUMP_SLOT:
    case R_X86_64_GLOB_DAT:
        break;
    default:
        return false;
    }
    return address % sizeof(uint64_t) == 0 && mt_elf_segment(module, address) != NULL;
}

static bool exchange_slots(const struct mt_elf *module, exchange_word *exchange) {
    for (unsigned table = 0; table < 2; table++)
        for (size_t i = 0; i < module->relocations[table].count; i++) {
            const Elf64_Rela *relocation = &module->relocations[table].entries[i];
            if (!is_slot(module, relocation))
                continue;
            uint64_t *slot = (uint64_t *)(module->bias + relocation->r_offset), word = *slot;
            const Elf64_Sym *symbol = &module->symbols[ELF64_R_SYM(relocation->r_info)];
            uint64_t wanted = exchange(module->strings + symbol->st_name, word);
            if (wanted != word && !write_word(module, slot, wanted))
                return false;
        }
    return true;
}

static bool exchange_symbols(const struct mt_elf *module, exchange_word *exchange) {
    for (size_t i = 0; i < WRAPPED_COUNT; i++)
        for (const Elf64_Sym *symbol = mt_elf_find(module, wrapped[i].name, NULL); symbol != NULL;
             symbol = mt_elf_find(module, wrapped[i].name, symbol)) {
            uint64_t *value = (uint64_t *)&symbol->st_value, word = module->bias + *value;
            uint64_t wanted = exchange(wrapped[i].name, word);
            if (ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && wanted != word &&
                !write_word(module, value, wanted - module->bias))
                return false;
        }
    return true;
}

static bool exchange_all(const struct mt_elf *module, void *context) {
    exchange_word *exchange = *(exchange_word **)context;
    if (module->bias == (uint64_t)_r_debug.r_ldbase)
        return true;
    return exchange_symbols(module, exchange) && exchange_slots(module, exchange);
}

bool mt_slots_hook(void) {
    exchange_word *exchange = real_to_hook;
    if (mt_elf_each(exchange_all, &exchange))
        return true;
    mt_slots_unhook();
    return false;
}

void mt_slots_unhook(void) {
    exchange_word *exchange = hook_to_real;
    mt_elf_each(exchange_all, &exchange);
}
