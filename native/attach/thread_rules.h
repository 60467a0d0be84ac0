/* What the kernel lets a thread do, as /proc/PID/task/TID/status tells it: seccomp, and the processor's shadow stack.
 */
#ifndef MEMTRACE_THREAD_RULES_H
#define MEMTRACE_THREAD_RULES_H

#include <stdbool.h>
#include <sys/types.h>

enum mt_seccomp {
    MT_SECCOMP_NONE,   /* as the kernel numbers them */
    MT_SECCOMP_STRICT, /* read, write and exit alone */
    MT_SECCOMP_FILTER,
};

struct mt_thread_rules {
    unsigned seccomp;      /* enum mt_seccomp, or what newer kernels may have */
    bool has_shadow_stack; /* returns must go where calls came from */
};

/* `status`: the text of the file. What it does not tell is not there: kernels say nothing of what they lack. */
void mt_thread_rules_parse(const char *status, struct mt_thread_rules *ret);
/* false: the thread is gone. */
bool mt_thread_rules_read(pid_t pid, pid_t tid, struct mt_thread_rules *ret);

#endif
