#define _GNU_SOURCE 1

#include <cpuid.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "attach/remote_call.h"
#include "attach/trap_guard.h"
#include "base/cleanup.h"

/* How long a call may take: others may hold the loader's lock for long. */
#define CALL_MILLISECONDS 10000
#define SYSTEM_CALL_MILLISECONDS 2000

/* Of the instruction. */
#define SYSTEM_CALL_BYTES 2

/* Below the stack pointer a function may keep things. */
#define RED_ZONE 128

/* The kernel's codes for an interrupted system call, which never reach user space. */
#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ERESTARTNOHAND 514
#define ERESTART_RESTARTBLOCK 516

/* Of the kernel's signal frames (asm/sigcontext.h, asm/ucontext.h). */
#define FP_SOFTWARE_BYTES 464 /* where in the saved state those are that the processor leaves alone */
#define UC_FLAGS 7            /* extended state, and the stack segment to be restored as it says */

/* The first bytes of a struct ucontext that the kernel reads: with a signal mask of 8 bytes. */
#define FRAME_BYTES (offsetof(ucontext_t, uc_sigmask) + 8)

/* Bits of the extended state that our code leaves alone: tiles are large, and neither the loader nor the recorder uses
 * them. */
#define XSTATE_TILES ((1u << 17) | (1u << 18))
#define XSTATE_MAX 8192

/* Of the kernel's struct sigaction. */
#define KERNEL_ACTION_BYTES 32

/* What the process's memory holds for our calls; the guard against traps lies behind it. */
struct workspace {
    uint8_t code[256];
    uint64_t function; /* to be called */
    uint64_t result;
    uint8_t trap_action[KERNEL_ACTION_BYTES]; /* what SIGTRAP does to the process itself */
    char string[MT_REMOTE_STRING_MAX];
    _Alignas(64) uint8_t state[XSTATE_MAX];
    uint8_t stack[256 << 10];
    /* struct ucontext. Above the stack: a signal may come when the stack pointer is here already. */
    uint8_t frame[1024];
};

/* rbx: the workspace, r12: `state`, r13: `frame`. */
static const uint8_t code[] = {
    0xb8, 0xff, 0xff, 0xf9, 0xff, /*  0 mov $~XSTATE_TILES, %eax */
    0xba, 0xff, 0xff, 0xff, 0xff, /*  5 mov $-1, %edx */
    0x49, 0x0f, 0xae, 0x24, 0x24, /* 10 xsave64 (%r12) */
    0xff, 0x13,                   /* 15 call *(%rbx), which points at `function` */
    0x48, 0x89, 0x43, 0x08,       /* 17 mov %rax, 8(%rbx): `result` */
    0xb8, 0xff, 0xff, 0xf9, 0xff, /* 21 mov $~XSTATE_TILES, %eax */
    0xba, 0xff, 0xff, 0xff, 0xff, /* 26 mov $-1, %edx */
    0x49, 0x0f, 0xae, 0x2c, 0x24, /* 31 xrstor64 (%r12) */
    0x4c, 0x89, 0xec,             /* 36 mov %r13, %rsp */
    0xb8, 0x0f, 0x00, 0x00, 0x00, /* 39 mov $SYS_rt_sigreturn, %eax */
    0x0f, 0x05,                   /* 44 syscall: the end, where we wait for the thread */
    0xeb, 0xf4,                   /* 46 jmp 36: should it have been skipped and we be gone */
    /* A function that makes the system call rbp; r14: its third argument, for which rdx is not free. */
    0x48, 0x89, 0xe8, /* 48 mov %rbp, %rax */
    0x4c, 0x89, 0xf2, /* 51 mov %r14, %rdx */
    0x0f, 0x05,       /* 54 syscall */
    0xc3,             /* 56 ret */
};
#define CODE_END 44
#define CODE_SYSTEM_CALL 48

_Static_assert(sizeof code <= sizeof(((struct workspace *)0)->code), "room for the code");
_Static_assert(offsetof(struct workspace, result) == offsetof(struct workspace, function) + 8, "as the code has it");

static uint64_t at(const struct mt_remote_calls *calls, size_t offset) {
    return calls->memory + offset;
}

#define AT(calls, field) at(calls, offsetof(struct workspace, field))

/* --- interrupted system calls --------------------------------------------------------------------------------------
 */

/* Whether the thread was taken out of a system call that is to go on. */
static bool is_interrupted_call(const struct user_regs_struct *registers) {
    if ((int64_t)registers->orig_rax < 0)
        return false;
    switch ((int64_t)registers->rax) {
    case -ERESTARTSYS:
    case -ERESTARTNOINTR:
    case -ERESTARTNOHAND:
    case -ERESTART_RESTARTBLOCK:
        return true;
    default:
        return false;
    }
}

/* What the kernel makes of the registers when it restarts the call. `has_clock`: the kernel still knows how long a call
 * with a timeout has waited; else it begins anew. */
static struct user_regs_struct restarted(const struct user_regs_struct *registers, bool has_clock) {
    struct user_regs_struct changed = *registers;
    if (is_interrupted_call(registers)) {
        bool goes_on = has_clock && (int64_t)registers->rax == -ERESTART_RESTARTBLOCK;
        changed.rip -= SYSTEM_CALL_BYTES;
        changed.rax = goes_on ? SYS_restart_syscall : registers->orig_rax;
    }
    changed.orig_rax = (unsigned long long)-1;
    return changed;
}

/* --- the signal frame ----------------------------------------------------------------------------------------------
 */

/* Signals that the thread blocks. */
static uint64_t blocked_signals(pid_t pid, uint64_t tid) {
    char path[64], line[256];
    uint64_t mask = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/status", (int)pid, (int)tid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, "SigBlk:", 7))
            mask = strtoull(line + 7, NULL, 16);
    if (file)
        fclose(file);
    return mask;
}

/* state: where the extended state will lie; 0: it is not saved, and begins anew. */
static void make_frame(const struct mt_remote_calls *calls, uint64_t state, uint8_t frame[FRAME_BYTES]) {
    struct user_regs_struct r = restarted(&calls->original, false);
    ucontext_t context;
    memset(&context, 0, sizeof context);
    /* An alternate stack of no size is not taken over: the thread keeps the one it has. */
    context.uc_flags = state ? UC_FLAGS : UC_FLAGS & ~1u;
    greg_t *to = context.uc_mcontext.gregs;
    to[REG_R8] = (greg_t)r.r8, to[REG_R9] = (greg_t)r.r9, to[REG_R10] = (greg_t)r.r10, to[REG_R11] = (greg_t)r.r11;
    to[REG_R12] = (greg_t)r.r12, to[REG_R13] = (greg_t)r.r13, to[REG_R14] = (greg_t)r.r14, to[REG_R15] = (greg_t)r.r15;
    to[REG_RDI] = (greg_t)r.rdi, to[REG_RSI] = (greg_t)r.rsi, to[REG_RBP] = (greg_t)r.rbp, to[REG_RBX] = (greg_t)r.rbx;
    to[REG_RDX] = (greg_t)r.rdx, to[REG_RAX] = (greg_t)r.rax, to[REG_RCX] = (greg_t)r.rcx, to[REG_RSP] = (greg_t)r.rsp;
    to[REG_RIP] = (greg_t)r.rip, to[REG_EFL] = (greg_t)r.eflags;
    to[REG_CSGSFS] = (greg_t)((r.cs & 0xffff) | (uint64_t)(r.ss & 0xffff) << 48);
    memcpy(frame, &context, FRAME_BYTES);
    memcpy(frame + offsetof(ucontext_t, uc_mcontext.fpregs), &state, sizeof state);
    memcpy(frame + offsetof(ucontext_t, uc_sigmask), &calls->blocked, sizeof calls->blocked);
}

/* What the kernel must find in the saved state to restore all of it; false: this processor saves more than there is
 * room for, or nothing. */
static bool describe_state(uint8_t state[XSTATE_MAX]) {
    uint32_t a, b, c, d, size = 576;
    if (!__get_cpuid_count(1, 0, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !__get_cpuid_count(0xd, 0, &a, &b, &c, &d))
        return false;
    uint32_t features = a & ~XSTATE_TILES; /* that exist, which may be more than are in use */
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    features &= low;
    for (uint32_t i = 2; i < 32; i++) {
        if (!(features & 1u << i) || !__get_cpuid_count(0xd, i, &a, &b, &c, &d))
            continue;
        size = a + b > size ? a + b : size;
    }
    if (size + 4 > XSTATE_MAX)
        return false;
    struct {
        uint32_t magic, extended_size;
        uint64_t features;
        uint32_t size;
    } __attribute__((packed)) words = {FP_XSTATE_MAGIC1, size + 4, features, size};
    const uint32_t end = FP_XSTATE_MAGIC2;
    memcpy(state + FP_SOFTWARE_BYTES, &words, sizeof words);
    memcpy(state + size, &end, sizeof end);
    return true;
}

/* --- calls ---------------------------------------------------------------------------------------------------------
 */

static struct mt_error *read_registers(const struct mt_remote_calls *calls, struct user_regs_struct *ret) {
    mt_tracee_threads threads = {0};
    struct mt_error *error = calls->tracee->ops->threads(calls->tracee, &threads);
    bool found = false;
    for (size_t i = 0; i < threads.length; i++)
        if (threads.data[i].tid == calls->tid) {
            *ret = threads.data[i].registers;
            found = true;
        }
    mt_vector_deinit(&threads);
    if (!error && !found)
        error = mt_error_create(MT_ERROR_NO_PROCESS, "thread %d of process %d ended meanwhile", (int)calls->tid,
                                (int)calls->tracee->pid);
    return error;
}

/* Signals wait as long as the thread does not do its own work: a system call that it was taken out of must be told of
 * them. */
static void hold_signals(const struct mt_remote_calls *calls, bool hold) {
    if (calls->tracee->ops->hold_signals)
        calls->tracee->ops->hold_signals(calls->tracee, calls->tid, hold);
}

/* As it was found; where the number of the interrupted system call can't be set, as the kernel itself restarts it. */
static struct mt_error *put_back(const struct mt_remote_calls *calls) {
    struct user_regs_struct registers = restarted(&calls->original, true), found;
    hold_signals(calls, false);
    struct mt_error *error = calls->tracee->ops->set_registers(calls->tracee, calls->tid, &calls->original);
    if (error || !is_interrupted_call(&calls->original))
        return error;
    error = read_registers(calls, &found);
    if (error || found.orig_rax == calls->original.orig_rax)
        return error;
    return calls->tracee->ops->set_registers(calls->tracee, calls->tid, &registers);
}

/* Sends the thread off; the error of a call that has not come back says that it is left to itself. */
static struct mt_error *send(struct mt_remote_calls *calls, const char *what, const struct user_regs_struct *registers,
                             uint64_t until, uint32_t milliseconds, bool alone) {
    bool reached = false;
    struct mt_error *error = calls->tracee->ops->set_registers(calls->tracee, calls->tid, registers);
    if (error)
        return error;
    hold_signals(calls, true);
    error = calls->tracee->ops->run(calls->tracee, calls->tid, until, milliseconds, alone, &reached);
    if (!error && !reached)
        error = mt_error_create(MT_ERROR_SYSTEM,
                                "%s has not come back within %u seconds: the process's thread %d goes on with its own "
                                "work when it does",
                                what, milliseconds / 1000, (int)calls->tid);
    if (error)
        calls->is_abandoned = true;
    return error;
}

/* Where a system call of the C library has come back from. Not right behind it if somebody's breakpoint is to be there:
 * should he be killed it stays, and other threads make system calls at that place. */
static uint64_t library_call_end(const struct mt_remote_calls *calls) {
    return calls->tracee->has_breakpoints ? calls->library->signal_return
                                          : calls->library->system_call + SYSTEM_CALL_BYTES;
}

/* By the C library's code: as long as there is no memory of ours, and where the tracee makes it without anybody's
 * breakpoints in the code. The signal frame lies where the kernel would put one: on the thread's own stack. */
static struct mt_error *system_call_outside(struct mt_remote_calls *calls, long number, const uint64_t arguments[6],
                                            int64_t *ret) {
    struct user_regs_struct registers = calls->original;
    struct {
        uint64_t return_address;
        uint8_t frame[FRAME_BYTES];
    } pushed = {.return_address = calls->library->signal_return};
    make_frame(calls, 0, pushed.frame);
    registers.rsp = ((registers.rsp - RED_ZONE - sizeof pushed) & ~(uint64_t)15) - 8;
    struct mt_error *error = mt_target_write(calls->tracee->target, registers.rsp, &pushed, sizeof pushed);
    if (error)
        return error;
    registers.rip = calls->library->system_call;
    registers.rax = (unsigned long long)number;
    registers.orig_rax = (unsigned long long)-1;
    registers.rdi = arguments[0], registers.rsi = arguments[1], registers.rdx = arguments[2];
    registers.r10 = arguments[3], registers.r8 = arguments[4], registers.r9 = arguments[5];
    registers.eflags &= ~0x400ull; /* direction flag: down, as functions expect it */
    if (calls->tracee->ops->system_call) {
        error = calls->tracee->ops->set_registers(calls->tracee, calls->tid, &registers);
        if (!error)
            error = calls->tracee->ops->system_call(calls->tracee, calls->tid, &registers);
        calls->is_abandoned = error != NULL;
    } else {
        error = send(calls, "a system call", &registers, library_call_end(calls), SYSTEM_CALL_MILLISECONDS, true);
        if (!error)
            error = read_registers(calls, &registers);
    }
    if (!error)
        *ret = (int64_t)registers.rax;
    return error;
}

/* Calls a function from our memory. `registers`: with its arguments; those that the code there uses are set here. */
static struct mt_error *call_inside(struct mt_remote_calls *calls, const char *what, uint64_t function,
                                    struct user_regs_struct registers, uint32_t milliseconds, bool alone,
                                    uint64_t *ret) {
    struct mt_target *target = calls->tracee->target;
    struct mt_error *error = mt_target_write(target, AT(calls, function), &function, sizeof function);
    if (error)
        return error;
    registers.rip = AT(calls, code);
    registers.rsp = AT(calls, stack) + sizeof(((struct workspace *)0)->stack);
    registers.rbx = AT(calls, function);
    registers.r12 = AT(calls, state);
    registers.r13 = AT(calls, frame);
    registers.rax = 0;
    registers.orig_rax = (unsigned long long)-1;
    registers.eflags &= ~0x400ull;
    error = send(calls, what, &registers, AT(calls, code) + CODE_END, milliseconds, alone);
    return error ? error : mt_target_read_u64(target, AT(calls, result), ret);
}

struct mt_error *mt_remote_system_call(struct mt_remote_calls *calls, long number, const uint64_t arguments[6],
                                       int64_t *ret) {
    struct user_regs_struct registers = calls->original;
    uint64_t result = 0;
    if (!calls->memory || calls->tracee->ops->system_call)
        return system_call_outside(calls, number, arguments, ret);
    registers.rbp = (unsigned long long)number;
    registers.rdi = arguments[0], registers.rsi = arguments[1], registers.r14 = arguments[2];
    registers.r10 = arguments[3], registers.r8 = arguments[4], registers.r9 = arguments[5];
    struct mt_error *error = call_inside(calls, "a system call", AT(calls, code) + CODE_SYSTEM_CALL, registers,
                                         SYSTEM_CALL_MILLISECONDS, true, &result);
    if (!error)
        *ret = (int64_t)result;
    return error;
}

struct mt_error *mt_remote_call(struct mt_remote_calls *calls, const char *what, uint64_t function,
                                const uint64_t arguments[2], uint64_t *ret) {
    struct user_regs_struct registers = calls->original;
    registers.rdi = arguments[0], registers.rsi = arguments[1];
    return call_inside(calls, what, function, registers, CALL_MILLISECONDS, calls->tracee->is_stopped_job, ret);
}

struct mt_error *mt_remote_string(struct mt_remote_calls *calls, const char *text, uint64_t *ret) {
    size_t size = strlen(text) + 1;
    if (size > MT_REMOTE_STRING_MAX)
        return mt_error_create(MT_ERROR_UNSUPPORTED, "the recorder's path is longer than %d bytes: move memtrace",
                               MT_REMOTE_STRING_MAX - 1);
    struct mt_error *error = mt_target_write(calls->tracee->target, AT(calls, string), text, size);
    if (!error)
        *ret = AT(calls, string);
    return error;
}

/* --- beginning and end ---------------------------------------------------------------------------------------------
 */

static struct mt_error *map_memory(struct mt_remote_calls *calls, size_t size) {
    int64_t mapped;
    const uint64_t arguments[6] = {
        0, size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0};
    struct mt_error *error = mt_remote_system_call(calls, SYS_mmap, arguments, &mapped);
    if (error)
        return error;
    if (mapped < 0 && mapped > -4096)
        return mt_error_system((int)-mapped,
                               "process %d may not map memory to run code in (seccomp, SELinux, "
                               "MemoryDenyWriteExecute, a limit): start it recorded, `memtrace run -- PROGRAM`",
                               (int)calls->tracee->pid);
    calls->memory = (uint64_t)mapped;
    calls->memory_size = size;
    return NULL;
}

static struct mt_error *fill_workspace(struct mt_remote_calls *calls) {
    MT_AUTO_FREE uint8_t *state = calloc(1, XSTATE_MAX);
    uint8_t frame[FRAME_BYTES];
    if (!state)
        return &mt_error_no_memory;
    if (!describe_state(state))
        return mt_error_create(MT_ERROR_UNSUPPORTED, "this processor's registers can't be saved for a call");
    make_frame(calls, AT(calls, state), frame);
    struct mt_target *target = calls->tracee->target;
    struct mt_error *error = mt_target_write(target, AT(calls, code), code, sizeof code);
    if (!error)
        error = mt_target_write(target, AT(calls, frame), frame, sizeof frame);
    return error ? error : mt_target_write(target, AT(calls, state), state, XSTATE_MAX);
}

/* Where the debugger may have breakpoints while our calls last: the loader, and the ends of the calls. The last one's
 * place is not known yet. */
static struct mt_error *list_guarded(const struct mt_remote_calls *calls, mt_guarded_codes *ret) {
    struct mt_guarded_code system_call_end = {library_call_end(calls), 1, PROT_READ | PROT_EXEC};
    struct mt_guarded_code call_end = {0, 1, PROT_READ | PROT_WRITE | PROT_EXEC};
    struct mt_error *error = mt_guarded_loader(calls->tracee, ret);
    bool pushed = error || (mt_vector_push(ret, system_call_end) && mt_vector_push(ret, call_end));
    return pushed ? error : &mt_error_no_memory;
}

static struct mt_error *act_on_traps(struct mt_remote_calls *calls, uint64_t action, uint64_t ret_before) {
    int64_t result;
    const uint64_t arguments[6] = {SIGTRAP, action, ret_before, sizeof(uint64_t)};
    struct mt_error *error = mt_remote_system_call(calls, SYS_rt_sigaction, arguments, &result);
    if (!error && result)
        error = mt_error_system((int)-result, "process %d may not handle traps (seccomp)", (int)calls->tracee->pid);
    return error;
}

static struct mt_error *guard(struct mt_remote_calls *calls, mt_guarded_codes *codes) {
    uint64_t action;
    codes->data[codes->length - 1].start = AT(calls, code) + CODE_END;
    struct mt_error *error = mt_trap_guard_write(calls->tracee, codes, calls->memory + sizeof(struct workspace),
                                                 calls->library->signal_return, &action);
    if (!error)
        error = act_on_traps(calls, action, AT(calls, trap_action));
    calls->is_guarded = !error;
    return error;
}

struct mt_error *mt_remote_calls_begin(struct mt_tracee *tracee, const struct mt_c_library *library,
                                       const struct mt_tracee_thread *thread, struct mt_remote_calls *ret) {
    struct mt_remote_calls calls = {
        .tracee = tracee,
        .library = library,
        .tid = thread->tid,
        .original = thread->registers,
        .blocked = blocked_signals(tracee->pid, thread->tid),
    };
    mt_guarded_codes codes = {0};
    struct mt_error *error = tracee->has_breakpoints ? list_guarded(&calls, &codes) : NULL;
    if (!error)
        error = map_memory(&calls, sizeof(struct workspace) + (codes.length ? mt_trap_guard_size(&codes) : 0));
    if (!error)
        error = fill_workspace(&calls);
    if (!error && codes.length)
        error = guard(&calls, &codes);
    mt_vector_deinit(&codes);
    if (error) {
        mt_error_destroy(mt_remote_calls_end(&calls));
        return error;
    }
    *ret = calls;
    return NULL;
}

struct mt_error *mt_remote_calls_end(struct mt_remote_calls *calls) {
    struct mt_error *error = NULL, *put_back_error;
    int64_t ignored;
    if (calls->is_abandoned)
        return NULL;
    if (calls->is_guarded)
        error = act_on_traps(calls, AT(calls, trap_action), 0);
    if (calls->memory && !error)
        error =
            system_call_outside(calls, SYS_munmap, (const uint64_t[6]){calls->memory, calls->memory_size}, &ignored);
    calls->memory = 0;
    if (calls->is_abandoned)
        return error;
    put_back_error = put_back(calls);
    if (!error)
        return put_back_error;
    mt_error_destroy(put_back_error);
    return error;
}
