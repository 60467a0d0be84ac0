#define _GNU_SOURCE 1

#include "attach/trap_guard.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "attach/c_library.h"
#include "base/cleanup.h"

/* More than a loader has; a region that is larger is left unguarded. */
#define CODE_MAX ((uint64_t)4 << 20)

#define SA_RESTORER 0x04000000

/* struct sigaction, as the kernel has it */
struct kernel_action {
    uint64_t handler;
    uint64_t flags;
    uint64_t restorer;
    uint64_t mask;
};

/* A stretch of code, and where its copy lies; the last one has no size. */
struct stretch {
    uint64_t start, copy, size, protection;
};

/* The handler: void handler(int signal, siginfo_t *info, ucontext_t *context). Its stretches lie right behind it. It
 * may use any register, for the kernel puts all of them back.
 *
 * A thread that ran into a breakpoint stands behind its one byte, unless the debugger had moved it back before it was
 * killed: then the byte at the thread's place is what differs. */
extern const uint8_t mt_trap_guard_code[] __attribute__((visibility("hidden")));
extern const uint8_t mt_trap_guard_code_end[] __attribute__((visibility("hidden")));

_Static_assert(offsetof(ucontext_t, uc_mcontext.gregs[REG_RIP]) == 168, "as the code has it");
_Static_assert(sizeof(struct stretch) == 32, "as the code has it");

__asm__(".pushsection .rodata\n"
        ".globl mt_trap_guard_code, mt_trap_guard_code_end\n"
        ".hidden mt_trap_guard_code, mt_trap_guard_code_end\n"
        "mt_trap_guard_code:\n"
        "    mov %rdx, %r15\n"
        "    lea mt_trap_guard_code_end(%rip), %rbx\n"
        "1:  mov (%rbx), %r8\n"    /* start */
        "    mov 8(%rbx), %r9\n"   /* copy */
        "    mov 16(%rbx), %r10\n" /* size */
        "    test %r10, %r10\n"
        "    jz 4f\n"
        "    mov 168(%r15), %rax\n" /* the thread's place, from the start on */
        "    sub %r8, %rax\n"
        "    cmp %r10, %rax\n"
        "    jae 2f\n"
        "    mov (%r8,%rax), %cl\n"
        "    cmp %cl, (%r9,%rax)\n"
        "    jne 3f\n"
        "2:  dec %rax\n"
        "    cmp %r10, %rax\n"
        "    jae 3f\n"
        "    mov (%r8,%rax), %cl\n"
        "    cmp %cl, (%r9,%rax)\n"
        "    je 3f\n"
        "    decq 168(%r15)\n"
        "3:  mov %r8, %rdi\n" /* mprotect(its pages, all rights) */
        "    and $-4096, %rdi\n"
        "    lea (%r8,%r10), %rsi\n"
        "    sub %rdi, %rsi\n"
        "    mov $7, %edx\n"
        "    mov $10, %eax\n"
        "    mov %r10, %r12\n"
        "    syscall\n"
        "    test %rax, %rax\n"
        "    jnz 5f\n"
        "    mov %rdi, %r13\n" /* copies */
        "    mov %rsi, %r14\n"
        "    mov %r8, %rdi\n"
        "    mov %r9, %rsi\n"
        "    mov %r12, %rcx\n"
        "    cld\n"
        "    rep movsb\n"
        "    mov %r13, %rdi\n" /* mprotect(its pages, as before) */
        "    mov %r14, %rsi\n"
        "    mov 24(%rbx), %rdx\n"
        "    mov $10, %eax\n"
        "    syscall\n"
        "5:  add $32, %rbx\n"
        "    jmp 1b\n"
        "4:  ret\n"
        "    .balign 8\n"
        "mt_trap_guard_code_end:\n"
        ".popsection\n");

static size_t handler_size(void) {
    return (size_t)(mt_trap_guard_code_end - mt_trap_guard_code);
}

struct mt_error *mt_guarded_loader(struct mt_tracee *tracee, mt_guarded_codes *ret) {
    const struct mt_region *regions;
    size_t count;
    struct mt_error *error = mt_target_regions(tracee->target, &regions, &count);
    for (size_t i = 0; i < count && !error; i++) {
        const struct mt_region *region = &regions[i];
        struct mt_guarded_code code = {region->start, region->end - region->start, PROT_READ | PROT_EXEC};
        if (region->executable && region->readable && mt_is_loader(region->path) && code.size <= CODE_MAX &&
            !mt_vector_push(ret, code))
            error = &mt_error_no_memory;
    }
    return error;
}

/* The action, the handler, its stretches, the copies. */
size_t mt_trap_guard_size(const mt_guarded_codes *codes) {
    size_t size = sizeof(struct kernel_action) + handler_size() + (codes->length + 1) * sizeof(struct stretch);
    for (size_t i = 0; i < codes->length; i++)
        size += (size_t)codes->data[i].size;
    return size;
}

struct mt_error *mt_trap_guard_write(struct mt_tracee *tracee, const mt_guarded_codes *codes, uint64_t memory,
                                     uint64_t restorer, uint64_t *ret_action) {
    size_t size = mt_trap_guard_size(codes);
    size_t stretches_at = sizeof(struct kernel_action) + handler_size();
    size_t copy_at = stretches_at + (codes->length + 1) * sizeof(struct stretch);
    MT_AUTO_FREE uint8_t *guard = calloc(1, size);
    if (!guard)
        return &mt_error_no_memory;
    struct kernel_action action = {memory + sizeof action, SA_SIGINFO | SA_RESTORER, restorer, ~(uint64_t)0};
    memcpy(guard, &action, sizeof action);
    memcpy(guard + sizeof action, mt_trap_guard_code, handler_size());
    for (size_t i = 0; i < codes->length; i++) {
        const struct mt_guarded_code *code = &codes->data[i];
        struct stretch stretch = {code->start, memory + copy_at, code->size, (uint64_t)code->protection};
        struct mt_error *error = mt_target_read(tracee->target, code->start, guard + copy_at, (size_t)code->size);
        if (error)
            return error;
        memcpy(guard + stretches_at + i * sizeof stretch, &stretch, sizeof stretch);
        copy_at += (size_t)code->size;
    }
    *ret_action = memory;
    return mt_target_write(tracee->target, memory, guard, size);
}
