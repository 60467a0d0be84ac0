/* The loader's interface, bound to the oldest symbol versions: glibc 2.34 moved these from libdl to libc under new
 * versions, and the recorder runs on older ones too. */
#ifndef MEMTRACE_RECORDER_LOADER_H
#define MEMTRACE_RECORDER_LOADER_H

#include <dlfcn.h>

__asm__(".symver dlsym, dlsym@GLIBC_2.2.5");
__asm__(".symver dlopen, dlopen@GLIBC_2.2.5");
__asm__(".symver dladdr, dladdr@GLIBC_2.2.5");

#endif
