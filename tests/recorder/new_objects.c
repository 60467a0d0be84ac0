/* What waits for new objects of a type, as a debugger would, from inside: it writes the slot, and has a breakpoint of
 * its own on the hook. For new_objects.py. */
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "image_reader.h"
#include "step.h"

#define INT3 0xcc
#define SLOT 3

static struct mt_image_header *image;
static uint64_t object;
static uint32_t told, strangers;

/* `ret` is all that is left to do of the hook. */
static void at_breakpoint(int number, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const struct mt_stop_event *event = (const struct mt_stop_event *)registers[REG_RDI];
    const struct mt_thread *thread = image_record(&image->threads, event->thread);
    struct block block;
    /* Every 16th byte from the object down may be where its block begins. */
    bool found = false;
    for (uint64_t header = 0; header <= 32 && !found; header += 16)
        found = image_find_block((const void *)(event->object - header), &block) && block.site == event->object_site;
    strangers += event->fired != UINT32_C(1) << SLOT || thread->tid != (uint32_t)gettid() || !found;
    object = event->object;
    told++;
    registers[REG_RIP] = *(greg_t *)registers[REG_RSP];
    registers[REG_RSP] += 8;
}

EXPORT int new_objects_begin(void) {
    image = image_header();
    unsigned char *hook = dlsym(RTLD_DEFAULT, MT_STOP_HOOK_SYMBOL);
    if (image == NULL || hook == NULL)
        return -1;
    struct sigaction action = {.sa_sigaction = at_breakpoint, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, NULL);
    mprotect((void *)((uintptr_t)hook & ~4095UL), 8192, PROT_READ | PROT_WRITE | PROT_EXEC);
    *hook = INT3;
    return 0;
}

EXPORT void new_objects_wait(uint64_t type, int64_t header) {
    object = 0;
    told = 0;
    image->stops[SLOT] = (struct mt_stop){.argument = type, .limit = header};
    __atomic_store_n(&image->stops[SLOT].kind, type ? MT_STOP_TYPE : MT_STOP_NONE, __ATOMIC_SEQ_CST);
    image->stops_state |= MT_STOPS_CHANGED;
}

EXPORT uint64_t new_objects_seen(void) {
    return object;
}

EXPORT uint32_t new_objects_told(void) {
    return told;
}

/* Told of something else than was waited for, by another thread, or with a wrong site. */
EXPORT uint32_t new_objects_strange(void) {
    return strangers;
}
