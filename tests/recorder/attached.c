/* A program that runs already when the recorder comes, by dlopen and memtrace_attach(): one test a mode. */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "image/attach.h"
#include "image_reader.h"

static uint32_t attach(uint32_t level) {
    return ((uint32_t(*)(uint32_t))dlsym(image_recorder(), MT_ATTACH_SYMBOL))(level);
}

static uint32_t detach(void) {
    return ((uint32_t(*)(void))dlsym(image_recorder(), MT_DETACH_SYMBOL))();
}

static int fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    return 2;
}

/* --- threads that allocate all the time ----------------------------------------------------------------------------
 */

#define THREADS 4
#define SLOTS 64
#define KEPT 500

static volatile bool is_over;
static volatile int damaged;
static pthread_t threads[THREADS];
static pthread_barrier_t gate;

static void fill(unsigned char *block, size_t size, unsigned char mark) {
    memset(block, mark, size);
}

static void check(const unsigned char *block, size_t size, unsigned char mark) {
    for (size_t i = 0; i < size; i++)
        if (block[i] != mark)
            damaged++;
}

/* Whatever is held when it is over is given back; only then come the blocks that are kept, of known sizes. */
static void *allocate_all_the_time(void *argument) {
    uint64_t random = 88172645463325252u + (uintptr_t)argument;
    unsigned me = (unsigned)(uintptr_t)argument;
    unsigned char *blocks[SLOTS] = {NULL};
    size_t sizes[SLOTS] = {0};
    while (!is_over) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        unsigned slot = random % SLOTS;
        size_t size = 1 + random / SLOTS % (random % 100 == 0 ? 300000 : 2000);
        if (blocks[slot] != NULL)
            check(blocks[slot], sizes[slot], (unsigned char)slot);
        if (random >> 40 & 1) {
            free(blocks[slot]);
            blocks[slot] = malloc(size);
        } else {
            blocks[slot] = realloc(blocks[slot], size);
        }
        sizes[slot] = size;
        fill(blocks[slot], size, (unsigned char)slot);
    }
    for (unsigned i = 0; i < SLOTS; i++)
        free(blocks[i]);
    pthread_barrier_wait(&gate);
    for (unsigned i = 0; i < KEPT; i++)
        *(volatile char *)malloc(1000 + me) = 1;
    return NULL;
}

static void begin_load(void) {
    pthread_barrier_init(&gate, NULL, THREADS);
    for (uintptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, allocate_all_the_time, (void *)i);
    usleep(50000);
}

static void end_load(void) {
    is_over = true;
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* What is alive at the end are the kept blocks, whatever was in flight when the recorder came. */
static int load(uint32_t level) {
    begin_load();
    uint32_t attached = attach(level);
    usleep(100000);
    end_load();
    if (attached != MT_ATTACH_RECORDING || detach() != MT_DETACH_DONE)
        return fail("attach or detach failed");
    image_dump(1, true);
    return damaged != 0 ? fail("a block was damaged") : 0;
}

static int often(uint32_t level) {
    begin_load();
    for (unsigned i = 0; i < 200; i++) {
        if (attach(1 + i % 2) != MT_ATTACH_RECORDING)
            return fail("attach failed");
        if (i % 10 == 0)
            usleep(1000);
        if (image_header()->state != MT_RECORDING_ON || detach() != MT_DETACH_DONE)
            return fail("detach failed");
    }
    if (attach(level) != MT_ATTACH_RECORDING)
        return fail("the last attach failed");
    end_load();
    detach();
    image_dump(1, true);
    return damaged != 0 ? fail("a block was damaged") : 0;
}

/* --- what attach changes, and detach puts back ----------------------------------------------------------------------
 */

#define WORDS_MAX (1u << 20)

/* Every word that the loader has bound, every symbol's value, and the protection of every page of modules. */
struct snapshot {
    size_t count;
    uint64_t words[WORDS_MAX];
    const void *places[WORDS_MAX];
    char maps[1 << 20];
    size_t maps_length;
};
static struct snapshot snapshots[3];

static void take_word(struct snapshot *snapshot, const uint64_t *word) {
    if (snapshot->count == WORDS_MAX)
        return;
    snapshot->places[snapshot->count] = word;
    snapshot->words[snapshot->count++] = *word;
}

static int take_module(struct dl_phdr_info *info, size_t size, void *context) {
    struct snapshot *snapshot = context;
    const Elf64_Rela *tables[2] = {NULL, NULL};
    size_t sizes[2] = {0, 0};
    const Elf64_Sym *symbols = NULL;
    const char *strings = NULL;
    if (info->dlpi_addr == getauxval(AT_SYSINFO_EHDR))
        return 0;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_DYNAMIC)
            continue;
        const Elf64_Dyn *entry = (const Elf64_Dyn *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
        for (; entry->d_tag != DT_NULL; entry++) {
            if (entry->d_tag == DT_RELA || entry->d_tag == DT_JMPREL)
                tables[entry->d_tag == DT_JMPREL] = (const Elf64_Rela *)entry->d_un.d_ptr;
            else if (entry->d_tag == DT_RELASZ || entry->d_tag == DT_PLTRELSZ)
                sizes[entry->d_tag == DT_PLTRELSZ] = entry->d_un.d_val / sizeof(Elf64_Rela);
            else if (entry->d_tag == DT_SYMTAB)
                symbols = (const Elf64_Sym *)entry->d_un.d_ptr;
            else if (entry->d_tag == DT_STRTAB)
                strings = (const char *)entry->d_un.d_ptr;
        }
    }
    for (unsigned t = 0; t < 2; t++)
        for (size_t i = 0; i < sizes[t]; i++) {
            unsigned type = ELF64_R_TYPE(tables[t][i].r_info);
            if (type == R_X86_64_64 || type == R_X86_64_GLOB_DAT || type == R_X86_64_JUMP_SLOT)
                take_word(snapshot, (const uint64_t *)(info->dlpi_addr + tables[t][i].r_offset));
        }
    /* every linker in use puts the strings right behind the symbols */
    for (; symbols != NULL && (const char *)(symbols + 1) <= strings; symbols++)
        take_word(snapshot, &symbols->st_value);
    return 0;
}

/* Start and end of neighbours with the same protection may be joined or not: page by page they are the same. */
static void take_maps(struct snapshot *snapshot) {
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long start, end;
        char protection[5];
        if (sscanf(line, "%lx-%lx %4s", &start, &end, protection) != 3 || strchr(line, '/') == NULL)
            continue;
        for (; start < end && snapshot->maps_length + 32 < sizeof snapshot->maps; start += 4096)
            snapshot->maps_length +=
                (size_t)sprintf(snapshot->maps + snapshot->maps_length, "%lx%s", start, protection);
    }
    fclose(maps);
}

static void take(struct snapshot *snapshot) {
    dl_iterate_phdr(take_module, snapshot);
    take_maps(snapshot);
}

static size_t differences(const struct snapshot *one, const struct snapshot *other) {
    size_t count = 0;
    for (size_t i = 0; i < one->count; i++)
        count += one->words[i] != other->words[i];
    return count;
}

/* Run it with LD_BIND_NOW=1: else calls are bound meanwhile. */
static int slots(uint32_t level) {
    image_recorder();
    take(&snapshots[0]);
    if (attach(level) != MT_ATTACH_RECORDING)
        return fail("attach failed");
    take(&snapshots[1]);
    if (detach() != MT_DETACH_DONE)
        return fail("detach failed");
    take(&snapshots[2]);
    printf("{\"words\":%zu,\"changed\":%zu,\"left\":%zu,\"same_pages\":%s}\n", snapshots[0].count,
           differences(&snapshots[0], &snapshots[1]), differences(&snapshots[0], &snapshots[2]),
           strcmp(snapshots[0].maps, snapshots[2].maps) == 0 && strcmp(snapshots[0].maps, snapshots[1].maps) == 0
               ? "true"
               : "false");
    return 0;
}

/* --- what may not be changed --------------------------------------------------------------------------------------
 */

/* Where the last of the words lies that are not as they were. */
static uintptr_t last_difference(const struct snapshot *one, const struct snapshot *other) {
    uintptr_t found = 0;
    for (size_t i = 0; i < one->count; i++)
        if (one->words[i] != other->words[i])
            found = (uintptr_t)one->places[i];
    return found;
}

/* From now on the page of `address` can't be made writable. */
static bool forbid_page(uintptr_t address) {
    uint64_t page = address & ~(uint64_t)4095;
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 7),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)page, 0, 5),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]) + 4),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(page >> 32), 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_WRITE, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof steps / sizeof *steps, steps};
    return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* The last page that attaching changes is forbidden: all the others are put back. Run it with LD_BIND_NOW=1. */
static int forbidden(uint32_t level) {
    image_recorder();
    take(&snapshots[0]);
    if (attach(level) != MT_ATTACH_RECORDING)
        return fail("attach failed");
    take(&snapshots[1]);
    uintptr_t last = last_difference(&snapshots[0], &snapshots[1]);
    if (detach() != MT_DETACH_DONE || !forbid_page(last))
        return fail("detach or filter failed");
    uint32_t result = attach(level);
    take(&snapshots[2]);
    free(malloc(100));
    printf("{\"result\":%u,\"changed\":%zu,\"left\":%zu,\"same_pages\":%s,\"recording\":%s,\"detached\":%u}\n", result,
           differences(&snapshots[0], &snapshots[1]), differences(&snapshots[0], &snapshots[2]),
           strcmp(snapshots[0].maps, snapshots[2].maps) == 0 ? "true" : "false",
           image_header()->state == MT_RECORDING_ON ? "true" : "false", detach());
    return 0;
}

/* --- libraries that come later -------------------------------------------------------------------------------------
 */

/* LOADER opens a library by its mere name, which only its own RUNPATH leads to, and whose constructor allocates. */
static int later(uint32_t level) {
    void *loader = dlopen(getenv("LOADER"), RTLD_NOW | RTLD_LOCAL);
    if (loader == NULL || attach(level) != MT_ATTACH_RECORDING)
        return fail("attach failed");
    void *(*load_other)(void) = (void *(*)(void))dlsym(loader, "load_other");
    void *other = load_other();
    if (other == NULL)
        return fail(dlerror());
    ((void (*)(void))dlsym(other, "later_allocate"))();
    detach();
    image_dump(1, true);
    return 0;
}

/* --- what is refused -----------------------------------------------------------------------------------------------
 */

static int refusals(uint32_t level) {
    printf("[%u,", detach());
    printf("%u,", attach(7));
    printf("%u,", attach(level));
    printf("%u,", attach(level));
    void *copy = dlopen(getenv("RECORDER_COPY"), RTLD_NOW | RTLD_LOCAL);
    if (copy == NULL)
        return fail(dlerror());
    printf("%u,", ((uint32_t(*)(uint32_t))dlsym(copy, MT_ATTACH_SYMBOL))(level));
    printf("%u,", detach());
    printf("%u]\n", detach());
    return 0;
}

/* What lived before the recorder came, exactly. */
static int older(uint32_t level) {
    void *freed = malloc(100), *moved = malloc(200), *kept = malloc(300);
    if (attach(level) != MT_ATTACH_RECORDING)
        return fail("attach failed");
    free(freed);
    moved = realloc(moved, 5000);
    *(volatile char *)kept = 1;
    detach();
    image_dump(1, true);
    free(moved);
    return 0;
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        int (*run)(uint32_t level);
    } modes[] = {{"load", load},   {"often", often},       {"slots", slots}, {"forbidden", forbidden},
                 {"later", later}, {"refusals", refusals}, {"older", older}};
    for (size_t i = 0; argc == 3 && i < sizeof modes / sizeof *modes; i++)
        if (strcmp(argv[1], modes[i].name) == 0)
            return modes[i].run((uint32_t)atoi(argv[2]));
    return fail("usage: attached MODE LEVEL");
}
