/* Recording a process that already runs: what the recorder library offers to the one who loads it there.
 *
 *   1. dlopen(path, RTLD_NOW | RTLD_LOCAL). The library's constructor does nothing then, and nothing is hooked. NULL:
 *      dlerror() says why; "cannot allocate memory in static TLS block" means that other libraries have used up the
 *      room that the loader keeps (we take 8 bytes). The library is never unloaded.
 *   2. memtrace_attach(level), on any one thread. When it returns, every call of the malloc family, of the mmap family
 *      and (level `objects`) of CPython's allocator domains is recorded, whoever makes it, in libraries that are loaded
 *      later too.
 *   3. memtrace_detach(), if ever: all hooks are out again. What was recorded stays readable, and memtrace_attach() may
 *      be called again.
 *
 * What the caller sees to:
 *   - The calling thread is not inside malloc, the loader or fork(). It need not hold the GIL.
 *   - The other threads may be anywhere and may run. If they are kept standing still, then none of them inside the
 *      loader (dlopen, dlclose, dlsym, a first call through the PLT) nor inside fork() or pthread_atfork(), for attach
 *      and detach take the loader's lock and the C library's lock of fork handlers; inside malloc is no harm, for no
 *      memory is taken by malloc here. dlopen() itself does take memory by malloc: while it runs, the others must run,
 *      or stand outside of malloc and of the loader.
 *   - One call of these two at a time.
 *
 * In a process that was started with the library preloaded the hooks are there from the beginning: memtrace_attach()
 * then only starts recording, and memtrace_detach() only stops it. */
#ifndef MEMTRACE_ATTACH_H
#define MEMTRACE_ATTACH_H

#include <stdint.h>

#define MT_ATTACH_SYMBOL "memtrace_attach"
#define MT_DETACH_SYMBOL "memtrace_detach"

/* Values are stable: a debugger may be of another version than the library. Anything but RECORDING: the process is as
 * it was before the call. */
enum mt_attach_result {
    MT_ATTACH_RECORDING = 0, /* begun: the image's `state` is MT_RECORDING_ON */
    MT_ATTACH_ALREADY = 1,   /* it is recording already; its level was not changed */
    MT_ATTACH_OTHER = 2,     /* another copy of the recorder is in this process and stands in front of malloc */
    MT_ATTACH_NO_MEMORY = 3, /* the kernel gave no memory for the recorder's tables */
    MT_ATTACH_NO_MALLOC = 4, /* no malloc, or not all of its family, was found among the loaded libraries */
    MT_ATTACH_FORBIDDEN = 5, /* mprotect() of a library's relocated data was refused (SELinux, seccomp) */
    MT_ATTACH_BAD_LEVEL = 6, /* not a value of enum mt_level, or MT_LEVEL_NONE */
    MT_ATTACH_BUSY = 7, /* the calling thread, or one that is kept standing still, is inside the recorder: try again
                         * when it has run on (only after an earlier attach) */
};

enum mt_detach_result {
    MT_DETACH_DONE = 0,         /* not recording, no hook left that is still ours */
    MT_DETACH_NOT_ATTACHED = 1, /* there was nothing to take out */
    MT_DETACH_BUSY = 2,         /* as MT_ATTACH_BUSY */
};

/* level: enum mt_level. Sets the image's `attached`, and `session`, `start_realtime` and the rest as every start of
 * recording does: all numbers start at 0. Blocks that lived before are not known: their frees are counted in
 * `frees_ignored`, and a realloc of one is the birth of the new block. */
uint32_t memtrace_attach(uint32_t level); /* enum mt_attach_result */

/* Takes the hooks out: a slot or a table only if it still holds what we put there. Calls that are inside a hook at that
 * moment end well. `state` becomes MT_RECORDING_STOPPED. */
uint32_t memtrace_detach(void); /* enum mt_detach_result */

#endif
