/* A stopped thread's registers, for those who look for pointers in them. What depends on the architecture stands in
 * registers_x86_64.c. */
#ifndef MEMTRACE_REGISTERS_H
#define MEMTRACE_REGISTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MT_REGISTERS_MAX 32

struct mt_registers {
    uint64_t stack_pointer;
    uint64_t words[MT_REGISTERS_MAX]; /* the general ones, in no order that matters */
    size_t count;                     /* 0: only the stack pointer is known */
};

/* Of a thread of a local process that stands still: all when we hold it ourselves (ptrace), else what /proc says. */
bool mt_registers_of_task(pid_t pid, pid_t tid, struct mt_registers *ret);
/* Of a core's NT_PRSTATUS note: `status` are its bytes, `size` of them. */
bool mt_registers_of_status(const char *status, size_t size, pid_t *ret_tid, struct mt_registers *ret);
/* Of MT_HOST_REGISTERS words in the order of the kernel's struct user_regs_struct (memtrace.h). */
void mt_registers_of_words(const uint64_t *words, struct mt_registers *ret);

#endif
