/* The loader's interface, bound to the oldest symbol versions: glibc 2.34 moved these from libdl to libc under new
 * versions, and the recorder runs on older ones too. */
#ifndef MEMTRACE_RECORDER_LOADER_H
#define MEMTRACE_RECORDER_LOADER_H

#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>

__asm__(".symver dlsym, dlsym@GLIBC_2.2.5");
__asm__(".symver dlopen, dlopen@GLIBC_2.2.5");
__asm__(".symver dladdr, dladdr@GLIBC_2.2.5");

struct mt_module {
    uintptr_t start, end;
    struct link_map *map;
};

/* Whether mt_loader_find_module() works here. */
extern bool mt_loader_finds_modules;
void mt_loader_init(void);
/* The module that an address lies in; takes no lock, so that hooks may ask (glibc 2.35). false: none, or no way to
 * know. */
bool mt_loader_find_module(const void *address, struct mt_module *ret);

/* Whether the loader brought us in when the program started, before it itself and so before what it loaded later:
 * preloaded (or linked), and not by dlopen(). Asks nobody. */
bool mt_loader_is_of_start(void);

/* Calls `task` while no other thread can load or unload a module. false: another copy of the recorder is there, and
 * answers in our place. */
bool mt_loader_do_locked(void (*task)(void *context), void *context);

#endif
