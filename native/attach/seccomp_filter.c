#include "attach/seccomp_filter.h"

#include <string.h>

struct machine {
    uint32_t a, x;
    uint32_t words[BPF_MEMWORDS];
};

static bool load(struct machine *machine, const struct sock_filter *step, const struct seccomp_data *call,
                 uint32_t *ret) {
    switch (BPF_MODE(step->code)) {
    case BPF_IMM:
        *ret = step->k;
        return true;
    case BPF_LEN:
        *ret = sizeof *call;
        return true;
    case BPF_MEM:
        if (step->k >= BPF_MEMWORDS)
            return false;
        *ret = machine->words[step->k];
        return true;
    case BPF_ABS:
        if (BPF_CLASS(step->code) != BPF_LD || step->k % sizeof *ret != 0 || step->k >= sizeof *call)
            return false;
        memcpy(ret, (const char *)call + step->k, sizeof *ret);
        return true;
    default:
        return false;
    }
}

static bool calculate(struct machine *machine, const struct sock_filter *step) {
    uint32_t with = BPF_SRC(step->code) == BPF_X ? machine->x : step->k;
    switch (BPF_OP(step->code)) {
    case BPF_ADD:
        machine->a += with;
        return true;
    case BPF_SUB:
        machine->a -= with;
        return true;
    case BPF_MUL:
        machine->a *= with;
        return true;
    case BPF_DIV:
        machine->a = with ? machine->a / with : 0;
        return with != 0; /* by X: the kernel ends the program there */
    case BPF_AND:
        machine->a &= with;
        return true;
    case BPF_OR:
        machine->a |= with;
        return true;
    case BPF_XOR:
        machine->a ^= with;
        return true;
    case BPF_LSH: /* by as much as the processor shifts */
        machine->a <<= with % 32;
        return true;
    case BPF_RSH:
        machine->a >>= with % 32;
        return true;
    case BPF_NEG:
        machine->a = -machine->a;
        return true;
    default:
        return false;
    }
}

/* How many steps are left out. */
static bool jump(const struct machine *machine, const struct sock_filter *step, size_t *ret) {
    uint32_t with = BPF_SRC(step->code) == BPF_X ? machine->x : step->k;
    bool holds;
    switch (BPF_OP(step->code)) {
    case BPF_JA:
        *ret = step->k;
        return true;
    case BPF_JEQ:
        holds = machine->a == with;
        break;
    case BPF_JGT:
        holds = machine->a > with;
        break;
    case BPF_JGE:
        holds = machine->a >= with;
        break;
    case BPF_JSET:
        holds = (machine->a & with) != 0;
        break;
    default:
        return false;
    }
    *ret = holds ? step->jt : step->jf;
    return true;
}

/* Jumps go forward only, so that it ends. */
bool mt_seccomp_filter_run(const struct sock_filter *program, size_t length, const struct seccomp_data *call,
                           uint32_t *ret) {
    struct machine machine = {0};
    for (size_t i = 0; i < length; i++) {
        const struct sock_filter *step = &program[i];
        size_t skipped = 0;
        bool known = true;
        switch (BPF_CLASS(step->code)) {
        case BPF_LD:
            known = load(&machine, step, call, &machine.a);
            break;
        case BPF_LDX:
            known = load(&machine, step, call, &machine.x);
            break;
        case BPF_ST:
        case BPF_STX:
            known = step->k < BPF_MEMWORDS;
            if (known)
                machine.words[step->k] = BPF_CLASS(step->code) == BPF_ST ? machine.a : machine.x;
            break;
        case BPF_ALU:
            known = calculate(&machine, step);
            break;
        case BPF_JMP:
            known = jump(&machine, step, &skipped) && skipped < length;
            break;
        case BPF_MISC:
            if (BPF_MISCOP(step->code) == BPF_TAX)
                machine.x = machine.a;
            else
                machine.a = machine.x; /* TXA */
            break;
        default: /* BPF_RET */
            *ret = BPF_RVAL(step->code) == BPF_A ? machine.a : step->k;
            return true;
        }
        if (!known)
            return false;
        i += skipped;
    }
    return false;
}
