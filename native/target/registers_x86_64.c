#define _GNU_SOURCE 1

#include "target/registers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/ptrace.h>
#include <sys/user.h>

/* /proc/PID/task/TID/syscall of a thread that is not on a processor: "NUMBER ARGUMENTS STACK COUNTER", hexadecimal; the
 * number alone is decimal, and -1 (then there are no arguments) outside of a system call. */
#define SYSCALL_LINE 256

static void take_registers(const struct user_regs_struct *registers, struct mt_registers *ret) {
    _Static_assert(sizeof *registers <= sizeof ret->words, "room for all registers");
    ret->stack_pointer = registers->rsp;
    ret->count = sizeof *registers / sizeof ret->words[0];
    memcpy(ret->words, registers, sizeof *registers);
}

static bool read_stack_pointer(pid_t pid, pid_t tid, uint64_t *ret) {
    char path[64], line[SYSCALL_LINE];
    snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", (int)pid, (int)tid);
    FILE *file = fopen(path, "re");
    bool read = file && fgets(line, sizeof line, file);
    if (file)
        fclose(file);
    /* The last word but one; "running" has none. */
    char *counter = read ? strrchr(line, ' ') : NULL;
    if (!counter)
        return false;
    *counter = '\0';
    char *stack = strrchr(line, ' ');
    *ret = stack ? strtoull(stack + 1, NULL, 16) : 0;
    return *ret != 0;
}

bool mt_registers_of_task(pid_t pid, pid_t tid, struct mt_registers *ret) {
    struct user_regs_struct registers;
    struct mt_registers found = {0};
    if (ptrace(PTRACE_GETREGS, tid, NULL, &registers) == 0)
        take_registers(&registers, &found);
    else if (!read_stack_pointer(pid, tid, &found.stack_pointer))
        return false;
    *ret = found;
    return true;
}

bool mt_registers_of_status(const char *status, size_t size, pid_t *ret_tid, struct mt_registers *ret) {
    struct elf_prstatus note;
    struct user_regs_struct registers;
    if (size < offsetof(struct elf_prstatus, pr_reg) + sizeof registers)
        return false;
    memset(&note, 0, sizeof note);
    memcpy(&note, status, size < sizeof note ? size : sizeof note);
    memcpy(&registers, note.pr_reg, sizeof registers);
    *ret_tid = note.pr_pid;
    take_registers(&registers, ret);
    return true;
}

void mt_registers_of_words(const uint64_t *words, struct mt_registers *ret) {
    struct user_regs_struct registers;
    memcpy(&registers, words, sizeof registers);
    take_registers(&registers, ret);
}
