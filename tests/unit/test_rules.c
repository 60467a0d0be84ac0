/* What the kernel lets a thread do: what its status says, and what seccomp filters answer, as the kernel itself has
 * them answer. */
#define _GNU_SOURCE 1

#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/seccomp_filter.h"
#include "attach/thread_rules.h"
#include "unit.h"

static void test_status_of_a_thread(void **state) {
    static const struct {
        const char *status;
        unsigned seccomp;
        bool has_shadow_stack;
    } cases[] = {
        {"Name:\tpython3\nSeccomp:\t0\nSeccomp_filters:\t0\nx86_Thread_features:\t\nx86_Thread_features_locked:\t\n", 0,
         false},
        {"Name:\tpython3\nSeccomp:\t2\nSeccomp_filters:\t3\n", 2, false},
        {"Seccomp:\t1\nx86_Thread_features:\tshstk \nx86_Thread_features_locked:\tshstk wrss \n", 1, true},
        {"Name:\tx\nx86_Thread_features:\tshstk wrss \nx86_Thread_features_locked:\t\n", 0, true},
        {"Name:\tx\nx86_Thread_features:\twrss shstk", 0, true},
        {"Name:\tx\nx86_Thread_features:\t\nx86_Thread_features_locked:\tshstk wrss \n", 0, false},
        {"Name:\tshstk\nSeccomp_filters:\t2\nx86_Thread_features:\tnoshstk shstk2\nshstk\n", 0, false},
        {"Name:\tSeccomp:\t2\n", 0, false},
        {"", 0, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct mt_thread_rules rules;
        mt_thread_rules_parse(cases[i].status, &rules);
        assert_int_equal(rules.seccomp, cases[i].seccomp);
        assert_int_equal(rules.has_shadow_stack, cases[i].has_shadow_stack);
    }
}

static void test_own_status(void **state) {
    struct mt_thread_rules rules;
    assert_true(mt_thread_rules_read(getpid(), gettid(), &rules));
    assert_int_equal(rules.seccomp, prctl(PR_GET_SECCOMP));
    assert_false(mt_thread_rules_read(getpid(), 0, &rules));
}

/* --- filters against the kernel ------------------------------------------------------------------------------------
 */

#define ASKED 450 /* a call that no filter but ours stops, and that does not matter: set_mempolicy_home_node */
#define BODY 12

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t bound) {
    return (uint32_t)(mt_test_random(&random_state) % bound);
}

static struct sock_filter random_step(unsigned left) {
    static const unsigned short calculations[] = {BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_AND,
                                                  BPF_OR,  BPF_XOR, BPF_LSH, BPF_RSH, BPF_NEG};
    static const unsigned short tests[] = {BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET};
    uint32_t k = random_below(3) ? random_below(40) : random_below(UINT32_MAX);
    unsigned short source = random_below(2) ? BPF_X : BPF_K;
    switch (random_below(10)) {
    case 0:
    case 1: {
        uint32_t word = random_below(14); /* not the place of the call */
        return (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (word < 2 ? word : word + 2) * 4);
    }
    case 2:
        return (struct sock_filter)BPF_STMT((random_below(2) ? BPF_LD : BPF_LDX) | BPF_W | BPF_IMM, k);
    case 3:
        return (struct sock_filter)BPF_STMT((random_below(2) ? BPF_LD : BPF_LDX) | BPF_W | BPF_LEN, 0);
    case 4:
        return (struct sock_filter)BPF_STMT((random_below(2) ? BPF_LD : BPF_LDX) | BPF_MEM, random_below(3));
    case 5:
        return (struct sock_filter)BPF_STMT(random_below(2) ? BPF_ST : BPF_STX, random_below(3));
    case 6:
        return (struct sock_filter)BPF_STMT(BPF_MISC | (random_below(2) ? BPF_TAX : BPF_TXA), 0);
    case 7:
    case 8: {
        unsigned short what = calculations[random_below(sizeof calculations / sizeof *calculations)];
        if (what == BPF_DIV)
            source = BPF_K, k |= 1;
        if (what == BPF_LSH || what == BPF_RSH)
            source = BPF_K, k %= 32;
        return (struct sock_filter)BPF_STMT(BPF_ALU | what | (what == BPF_NEG ? BPF_K : source),
                                            what == BPF_NEG ? 0 : k);
    }
    default:
        if (!left || !random_below(6))
            return (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, left ? random_below(left) : 0);
        return (struct sock_filter)BPF_JUMP(BPF_JMP | tests[random_below(sizeof tests / sizeof *tests)] | source, k,
                                            (uint8_t)random_below(left), (uint8_t)random_below(left));
    }
}

/* Answers ASKED with an error number that depends on all that it did; all else is allowed. */
static size_t make_filter(struct sock_filter program[]) {
    size_t length = 0;
    program[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    program[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ASKED, 1, 0);
    program[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    for (uint32_t i = 0; i < 3; i++)
        program[length++] = (struct sock_filter)BPF_STMT(i & 1 ? BPF_STX : BPF_ST, i);
    for (unsigned i = 0; i < BODY; i++)
        program[length++] = random_step(BODY - i);
    program[length++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0);
    program[length++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x7ff);
    program[length++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO);
    program[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
    return length;
}

#define TRIES 300

/* The child's filters pile up, and the strictest answer counts: so each try takes a child of its own. */
static void test_filters_answer_as_the_kernel_has_them(void **state) {
    volatile int *told = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(told, MAP_FAILED);
    unsigned compared = 0;
    for (unsigned i = 0; i < TRIES; i++) {
        struct sock_filter program[BODY + 16];
        size_t length = make_filter(program);
        struct seccomp_data call = {.nr = ASKED, .arch = AUDIT_ARCH_X86_64};
        for (unsigned a = 0; a < 6; a++)
            call.args[a] = (uint64_t)random_below(100) << (random_below(2) * 32);
        *told = -1;
        pid_t child = fork();
        if (!child) {
            struct sock_fprog loaded = {(unsigned short)length, program};
            if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &loaded))
                _exit(77);
            const uint64_t *a = (const uint64_t *)call.args;
            errno = 0;
            long result = syscall(ASKED, a[0], a[1], a[2], a[3], a[4], a[5]);
            *told = result < 0 ? errno : (int)result;
            _exit(0);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77)
            continue; /* no program that the kernel takes */
        uint32_t answer = 0;
        assert_true(mt_seccomp_filter_run(program, length, &call, &answer));
        assert_int_equal(answer & SECCOMP_RET_ACTION_FULL, SECCOMP_RET_ERRNO);
        assert_int_equal(answer & SECCOMP_RET_DATA, *told);
        compared++;
    }
    munmap((void *)told, 4096);
    assert_true(compared == 0 || compared > TRIES / 4);
    if (!compared)
        skip(); /* filters are forbidden here */
}

static void test_broken_filters(void **state) {
    struct seccomp_data call = {.nr = 1};
    uint32_t answer;
    static const struct sock_filter no_end[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0)};
    static const struct sock_filter far[] = {BPF_STMT(BPF_JMP | BPF_JA, UINT32_MAX), BPF_STMT(BPF_RET | BPF_K, 0)};
    static const struct sock_filter outside[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), BPF_STMT(BPF_RET | BPF_K, 0)};
    static const struct sock_filter memory[] = {BPF_STMT(BPF_ST, BPF_MEMWORDS), BPF_STMT(BPF_RET | BPF_K, 0)};
    static const struct sock_filter zero[] = {BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0), BPF_STMT(BPF_RET | BPF_K, 0)};
    assert_false(mt_seccomp_filter_run(no_end, 0, &call, &answer));
    assert_false(mt_seccomp_filter_run(no_end, 1, &call, &answer));
    assert_false(mt_seccomp_filter_run(far, 2, &call, &answer));
    assert_false(mt_seccomp_filter_run(outside, 2, &call, &answer));
    assert_false(mt_seccomp_filter_run(memory, 2, &call, &answer));
    assert_false(mt_seccomp_filter_run(zero, 2, &call, &answer));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_of_a_thread),
        cmocka_unit_test(test_own_status),
        cmocka_unit_test(test_filters_answer_as_the_kernel_has_them),
        cmocka_unit_test(test_broken_filters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
