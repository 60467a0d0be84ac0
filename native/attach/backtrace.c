#include "attach/backtrace.h"

#include <elfutils/libdwfl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attach/c_library.h"
#include "target/module_symbols.h"

/* Deeper than this no thread is looked at: another is chosen, or the same one later. */
#define FRAMES_MAX 4096

struct module {
    uint64_t start;
    enum mt_code_kind kind;
};

struct mt_backtraces {
    struct mt_tracee *tracee;
    Dwfl *dwfl;
    MT_VECTOR(struct module) modules; /* in the order of their numbers in `dwfl` */
    /* while a thread is unwound */
    const struct mt_tracee_thread *thread;
    mt_code_frames *frames;
    bool no_memory;
    bool is_too_deep;
};

/* --- what libdw asks ---------------------------------------------------------------------------------------------- */

/* Files are given at once, and other files with more information are not wanted: that could take a network. */
static int find_no_file(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base, char **ret_name,
                        Elf **ret_elf) {
    return -1;
}

static int find_no_debug_information(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base,
                                     const char *file_name, const char *link, GElf_Word crc, char **ret_name) {
    return -1;
}

static const Dwfl_Callbacks module_callbacks = {
    .find_elf = find_no_file,
    .find_debuginfo = find_no_debug_information,
};

static pid_t next_thread(Dwfl *dwfl, void *context, void **ret_thread) {
    struct mt_backtraces *backtraces = context;
    if (*ret_thread)
        return 0;
    *ret_thread = backtraces;
    return (pid_t)backtraces->thread->tid;
}

static bool get_thread(Dwfl *dwfl, pid_t tid, void *context, void **ret_thread) {
    *ret_thread = context;
    return true;
}

static bool read_word(Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *ret, void *context) {
    struct mt_backtraces *backtraces = context;
    struct mt_target *target = backtraces->tracee->target;
    uint64_t word;
    if (target->ops->read(target, address, &word, sizeof word) != sizeof word)
        return false;
    *ret = word;
    return true;
}

static bool set_initial_registers(Dwfl_Thread *thread, void *context) {
    const struct user_regs_struct *r = &((struct mt_backtraces *)context)->thread->registers;
    /* In the order of the DWARF numbers. */
    Dwarf_Word words[] = {r->rax, r->rdx, r->rcx, r->rbx, r->rsi, r->rdi, r->rbp, r->rsp, r->r8,
                          r->r9,  r->r10, r->r11, r->r12, r->r13, r->r14, r->r15, r->rip};
    return dwfl_thread_state_registers(thread, 0, sizeof words / sizeof words[0], words);
}

static const Dwfl_Thread_Callbacks thread_callbacks = {
    .next_thread = next_thread,
    .get_thread = get_thread,
    .memory_read = read_word,
    .set_initial_registers = set_initial_registers,
};

/* --- modules -------------------------------------------------------------------------------------------------------
 */

static enum mt_code_kind kind_of(const struct mt_region *region, struct mt_elf_file *file) {
    struct mt_elf_range symbol;
    if (mt_is_c_library(region->path))
        return MT_CODE_LIBC;
    if (mt_is_loader(region->path))
        return MT_CODE_LOADER;
    if (mt_is_unwinder(region->path))
        return MT_CODE_UNWINDER;
    bool allocates = mt_elf_file_find_symbol(file, MT_SYMBOLS_DYNAMIC, "malloc", &symbol);
    return allocates ? MT_CODE_ALLOCATOR : MT_CODE_PROGRAM;
}

/* A file that can't be had is left out: frames in it are of an unknown kind, and the thread is then not used. */
static struct mt_error *report_module(struct mt_backtraces *backtraces, const struct mt_region *region) {
    int fd = mt_target_open_file(backtraces->tracee->target, region);
    int fd_of_dwfl = fd >= 0 ? dup(fd) : -1;
    struct mt_elf_file *file = fd >= 0 ? mt_elf_file_create(fd) : NULL;
    uint64_t bias;
    Dwfl_Module *module = NULL;
    if (file && fd_of_dwfl >= 0 && mt_module_bias(region, file, &bias))
        module = dwfl_report_elf(backtraces->dwfl, region->path, region->path, fd_of_dwfl, bias, true);
    if (!module && fd_of_dwfl >= 0)
        close(fd_of_dwfl);
    struct module noted = {0};
    if (module) {
        dwfl_module_info(module, NULL, &noted.start, NULL, NULL, NULL, NULL, NULL);
        noted.kind = kind_of(region, file);
    }
    mt_elf_file_destroy(file);
    return module && !mt_vector_push(&backtraces->modules, noted) ? &mt_error_no_memory : NULL;
}

struct mt_error *mt_backtraces_create(struct mt_tracee *tracee, struct mt_backtraces **ret) {
    struct mt_backtraces *backtraces = calloc(1, sizeof *backtraces);
    if (!backtraces)
        return &mt_error_no_memory;
    const struct mt_region *regions;
    size_t count;
    mt_module_regions modules = {0};
    backtraces->tracee = tracee;
    backtraces->dwfl = dwfl_begin(&module_callbacks);
    struct mt_error *error = backtraces->dwfl ? mt_target_regions(tracee->target, &regions, &count) : NULL;
    if (!backtraces->dwfl || (!error && !mt_modules_list(regions, count, &modules)))
        error = &mt_error_no_memory;
    if (!error) {
        dwfl_report_begin(backtraces->dwfl);
        for (size_t i = 0; i < modules.length && !error; i++)
            if (modules.data[i]->executable)
                error = report_module(backtraces, modules.data[i]);
        dwfl_report_end(backtraces->dwfl, NULL, NULL);
    }
    mt_vector_deinit(&modules);
    if (!error && !dwfl_attach_state(backtraces->dwfl, NULL, tracee->pid, &thread_callbacks, backtraces))
        error = mt_error_create(MT_ERROR_SYSTEM, "can't unwind process %d: %s", (int)tracee->pid, dwfl_errmsg(-1));
    if (error)
        mt_backtraces_destroy(backtraces);
    else
        *ret = backtraces;
    return error;
}

void mt_backtraces_destroy(struct mt_backtraces *backtraces) {
    if (!backtraces)
        return;
    dwfl_end(backtraces->dwfl);
    mt_vector_deinit(&backtraces->modules);
    free(backtraces);
}

/* --- frames --------------------------------------------------------------------------------------------------------
 */

static void describe_frame(struct mt_backtraces *backtraces, uint64_t place, struct mt_code_frame *frame) {
    Dwfl_Module *module = dwfl_addrmodule(backtraces->dwfl, place);
    Dwarf_Addr start = 0;
    if (!module)
        return;
    dwfl_module_info(module, NULL, &start, NULL, NULL, NULL, NULL, NULL);
    for (size_t i = 0; i < backtraces->modules.length; i++)
        if (backtraces->modules.data[i].start == start)
            frame->kind = backtraces->modules.data[i].kind;
    GElf_Off offset;
    GElf_Sym symbol;
    const char *name = dwfl_module_addrinfo(module, place, &offset, &symbol, NULL, NULL, NULL);
    if (name && offset < symbol.st_size)
        snprintf(frame->function, sizeof frame->function, "%s", name);
}

static int take_frame(Dwfl_Frame *state, void *context) {
    struct mt_backtraces *backtraces = context;
    struct mt_code_frame frame = {.kind = MT_CODE_UNKNOWN};
    Dwarf_Addr pc;
    bool is_exact; /* of a caller: the instruction behind the call, which may be another function's first */
    if (!dwfl_frame_pc(state, &pc, &is_exact))
        return DWARF_CB_ABORT;
    frame.pc = pc;
    describe_frame(backtraces, is_exact ? pc : pc - 1, &frame);
    if (!mt_vector_push(backtraces->frames, frame)) {
        backtraces->no_memory = true;
        return DWARF_CB_ABORT;
    }
    backtraces->is_too_deep = backtraces->frames->length >= FRAMES_MAX;
    return backtraces->is_too_deep ? DWARF_CB_ABORT : DWARF_CB_OK;
}

struct mt_error *mt_backtraces_of(struct mt_backtraces *backtraces, const struct mt_tracee_thread *thread,
                                  mt_code_frames *ret, bool *ret_complete) {
    backtraces->thread = thread;
    backtraces->frames = ret;
    backtraces->no_memory = backtraces->is_too_deep = false;
    int status = dwfl_getthread_frames(backtraces->dwfl, (pid_t)thread->tid, take_frame, backtraces);
    backtraces->thread = NULL;
    backtraces->frames = NULL;
    if (backtraces->no_memory)
        return &mt_error_no_memory;
    *ret_complete = status == 0;
    return NULL;
}
