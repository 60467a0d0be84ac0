/* Lets itself have a seccomp filter, waits for a byte, allocates a known block, waits for another, says `done`, and
 * ends.
 *
 *     filtered strict | filtered ACTION CALL | filtered only CALL...
 *
 * ACTION: what the filter answers to CALL, kill, trap or EPERM; all else is allowed. `only`: all else kills. CALL: the
 * number of a system call, or `code`, an mmap with PROT_EXEC, or `protect`, an mprotect with PROT_WRITE.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CALLS_MAX 60

static struct sock_filter steps[2 * CALLS_MAX + 8];
static unsigned short length;
static void *volatile block;

static void add(struct sock_filter step) {
    steps[length++] = step;
}

#define LOAD(field) (struct sock_filter) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS(test, k, skipped) (struct sock_filter) BPF_JUMP(BPF_JMP | (test) | BPF_K, k, 0, skipped)
#define ANSWER(action) (struct sock_filter) BPF_STMT(BPF_RET | BPF_K, action)

static uint32_t answer_of(const char *action) {
    if (!strcmp(action, "kill"))
        return SECCOMP_RET_KILL_PROCESS;
    if (!strcmp(action, "trap"))
        return SECCOMP_RET_TRAP;
    return !strcmp(action, "EPERM") ? SECCOMP_RET_ERRNO | EPERM : SECCOMP_RET_ALLOW;
}

static int filter(const char *action, char **calls, int count) {
    uint32_t answer = answer_of(action);
    add(LOAD(nr));
    for (int i = 0; i < count && i < CALLS_MAX; i++) {
        int code = !strcmp(calls[i], "code");
        if (code || !strcmp(calls[i], "protect")) {
            add(UNLESS(BPF_JEQ, code ? SYS_mmap : SYS_mprotect, 3));
            add(LOAD(args[2]));
            add(UNLESS(BPF_JSET, code ? PROT_EXEC : PROT_WRITE, 1));
        } else {
            add(UNLESS(BPF_JEQ, (uint32_t)atoi(calls[i]), 1));
        }
        add(ANSWER(answer));
    }
    add(ANSWER(strcmp(action, "only") ? SECCOMP_RET_ALLOW : SECCOMP_RET_KILL_PROCESS));
    struct sock_fprog program = {length, steps};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

int main(int count, char **arguments) {
    char byte;
    int strict = count > 1 && !strcmp(arguments[1], "strict");
    if (count < 2 || (!strict && filter(arguments[1], arguments + 2, count - 2)))
        return 2;
    write(1, "ready\n", 6);
    if (strict)
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    if (read(0, &byte, 1) != 1)
        return 3;
    if (!strict)
        block = malloc(123456);
    int failed = write(1, "allocated\n", 10) != 10 || read(0, &byte, 1) != 1 || write(1, "done\n", 5) != 5;
    syscall(SYS_exit, failed); /* exit_group is not among those of strict mode */
}
