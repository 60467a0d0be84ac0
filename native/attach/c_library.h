/* Which C library a process has, what of it is needed to call functions in the process, and why some processes can't be
 * called into at all. */
#ifndef MEMTRACE_C_LIBRARY_H
#define MEMTRACE_C_LIBRARY_H

#include "target/target.h"

bool mt_is_c_library(const char *path);
bool mt_is_loader(const char *path);
bool mt_is_unwinder(const char *path);

struct mt_c_library {
    uint64_t dlopen;
    uint64_t dlsym;
    uint64_t dlerror;
    uint64_t system_call;   /* a system call instruction with a `ret` behind it */
    uint64_t signal_return; /* what signal handlers return to */
};

/* An error says why the recorder can't be loaded into this process: static, another C library, 32 bits, a
 * shadow stack. */
struct mt_error *mt_c_library_find(struct mt_target *target, struct mt_c_library *ret);

#endif
