/* Core files: made ones (right, wrong, mutated by the thousands), and what the kernel and gcore write of a living
 * process. */
#define _GNU_SOURCE 1

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "child.h"
#include "core_writer.h"
#include "target/elf_file.h"
#include "target/file.h"
#include "target/target.h"
#include "unit.h"

#define PAGE 4096
#define ANYWHERE 0x7f0000000000ULL

static char folder[] = "/tmp/memtrace-test-core-XXXXXX";
static uint8_t data[4 * PAGE], text[4 * PAGE];

static int set_up(void **state) {
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 7 + i / 251);
        text[i] = (uint8_t)(i * 5 + i / 241 + 1);
    }
    return mkdtemp(folder) ? chdir(folder) : -1;
}

static int tear_down(void **state) {
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return chdir("/") || system(command);
}

static void save(const char *path, const void *bytes, size_t size) {
    MT_AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
}

static const char *path_here(const char *name) {
    static char paths[2][128]; /* two may stand in one statement */
    static unsigned next;
    char *path = paths[next++ % 2];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

/* The usual one: data that is held, a library of which the core has the first page, an anonymous hole. */
static void describe_core(struct core_writer *writer, bool by_kernel) {
    *writer = (struct core_writer){0};
    struct core_file_entry files[] = {
        {0x400000, 0x402000, 0, path_here("program")},
        {ANYWHERE, ANYWHERE + 3 * PAGE, 1, path_here("library")},
    };
    if (!by_kernel)
        core_writer_add_process(writer, 4711);
    core_writer_add_status(writer, 4712, SIGABRT);
    if (by_kernel)
        core_writer_add_process(writer, 4711);
    core_writer_add_auxiliary(writer, 0x400040, 0x401000);
    core_writer_add_files(writer, files, 2);
    core_writer_add_load(writer, 0x400000, text, PAGE, 2 * PAGE, PF_R | PF_X);
    core_writer_add_load(writer, 0x600000, data, 2 * PAGE, 2 * PAGE, PF_R | PF_W);
    core_writer_add_load(writer, 0x700000, NULL, 0, 2 * PAGE, PF_R | PF_W);
    core_writer_add_load(writer, ANYWHERE, data, PAGE, 2 * PAGE, PF_R);
}

static void write_core(const char *path, bool by_kernel, bool extended_count) {
    struct core_writer writer;
    describe_core(&writer, by_kernel);
    writer.extended_count = extended_count;
    size_t size;
    MT_AUTO_FREE uint8_t *bytes = core_writer_finish(&writer, &size);
    save(path, bytes, size);
}

static void reads_what_is_there(void **state) {
    save("library", text, sizeof(text));
    for (int variant = 0; variant < 4; variant++) {
        struct mt_target *target;
        uint8_t got[3 * PAGE];
        bool by_kernel = variant & 1;
        write_core("core", by_kernel, variant & 2);
        assert_ok(mt_target_open_core("core", NULL, &target));
        assert_int_equal(target->info.kind, MT_TARGET_CORE);
        assert_int_equal(target->info.pid, 4711);
        assert_int_equal(target->info.signal, by_kernel ? SIGABRT : 0);
        assert_string_equal(target->info.core, "core");
        assert_string_equal(target->info.executable, path_here("program"));
        assert_int_equal(target->info.missing_bytes, 0);

        const struct mt_region *regions;
        size_t count;
        assert_ok(mt_target_regions(target, &regions, &count));
        const struct mt_region expected[] = {
            {0x400000, 0x402000, true, false, true, 0, path_here("program"), PAGE},
            {0x600000, 0x602000, true, true, false, 0, NULL, 2 * PAGE},
            {0x700000, 0x702000, true, true, false, 0, NULL, 0},
            {ANYWHERE, ANYWHERE + 2 * PAGE, true, false, false, PAGE, NULL, PAGE},
            {ANYWHERE + 2 * PAGE, ANYWHERE + 3 * PAGE, true, false, false, 3 * PAGE, NULL,
             0}, /* only in the list of files */
        };
        assert_int_equal(count, 5);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(regions[i].start, expected[i].start);
            assert_int_equal(regions[i].end, expected[i].end);
            assert_int_equal(regions[i].readable, expected[i].readable);
            assert_int_equal(regions[i].writable, expected[i].writable);
            assert_int_equal(regions[i].executable, expected[i].executable);
            assert_int_equal(regions[i].file_offset, expected[i].file_offset);
            assert_int_equal(regions[i].held, expected[i].held);
        }
        assert_string_equal(regions[4].path, path_here("library"));

        assert_ok(mt_target_read(target, 0x600010, got, 5000));
        assert_memory_equal(got, data + 0x10, 5000);
        struct mt_error *error = mt_target_read(target, 0x601ff8, got, 16);
        assert_int_equal(error->address, 0x602000);
        assert_error(error, MT_ERROR_FAULT, "0x602000");
        assert_error(mt_target_read(target, 0x700000, got, 1), MT_ERROR_FAULT, "0x700000");
        /* The library: its first page as the core has it, the others from the file, whose page 1 is mapped first. */
        assert_ok(mt_target_read(target, ANYWHERE, got, 3 * PAGE));
        assert_memory_equal(got, data, PAGE);
        assert_memory_equal(got + PAGE, text + 2 * PAGE, 2 * PAGE);
        /* The program's file is not there. */
        assert_error(mt_target_read(target, 0x400ffc, got, 8), MT_ERROR_FAULT, "0x401000");
        assert_error(mt_target_write(target, 0x600000, got, 1), MT_ERROR_UNSUPPORTED, "core");
        mt_target_destroy(target);
    }
}

static void cut_short(void **state) {
    struct core_writer writer;
    struct mt_target *target;
    uint64_t word;
    size_t size;
    describe_core(&writer, true);
    MT_AUTO_FREE uint8_t *bytes = core_writer_finish(&writer, &size);
    assert_int_equal(size % PAGE, 0);
    save("cut", bytes, size - PAGE - 100); /* all of the library's page, and 100 bytes of the data */
    assert_ok(mt_target_open_core("cut", NULL, &target));
    assert_int_equal(target->info.missing_bytes, PAGE + 100);
    assert_ok(mt_target_read_u64(target, 0x602000 - 108, &word));
    assert_error(mt_target_read_u64(target, 0x602000 - 104, &word), MT_ERROR_FAULT, "can't be read");
    mt_target_destroy(target);
    save("cut", bytes, 20);
    assert_error(mt_target_open_core("cut", NULL, &target), MT_ERROR_FORMAT, "cut");
    save("cut", bytes, sizeof(Elf64_Ehdr) + 100);
    assert_error(mt_target_open_core("cut", NULL, &target), MT_ERROR_FORMAT, "cut short");
}

static void refuses_what_is_no_core(void **state) {
    struct mt_target *target = NULL;
    struct core_writer writer;
    size_t size;
    assert_error(mt_target_open_core("missing", NULL, &target), MT_ERROR_SYSTEM, "can't open missing: No such file");
    assert_error(mt_target_open_core(".", NULL, &target), MT_ERROR_SYSTEM, "Is a directory");
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_error(mt_target_open_core("fifo", NULL, &target), MT_ERROR_FORMAT, "not a regular file");
    save("empty", "", 0);
    assert_error(mt_target_open_core("empty", NULL, &target), MT_ERROR_FORMAT, "empty is empty");
    save("text", "hello, world\n", 13);
    assert_error(mt_target_open_core("text", NULL, &target), MT_ERROR_FORMAT, "text is not a core file: not ELF");
    assert_error(mt_target_open_core("/proc/self/exe", NULL, &target), MT_ERROR_FORMAT, "program or library");

    describe_core(&writer, true);
    MT_AUTO_FREE uint8_t *bytes = core_writer_finish(&writer, &size);
    Elf64_Ehdr *header = (Elf64_Ehdr *)bytes;
    header->e_machine = EM_AARCH64;
    save("arm", bytes, size);
    assert_error(mt_target_open_core("arm", NULL, &target), MT_ERROR_FORMAT, "another kind of machine");
    header->e_machine = EM_X86_64;
    header->e_phnum = 0;
    save("none", bytes, size);
    assert_error(mt_target_open_core("none", NULL, &target), MT_ERROR_FORMAT, "holds no memory");
    header->e_phnum = 1; /* the notes alone */
    save("notes", bytes, size);
    assert_error(mt_target_open_core("notes", NULL, &target), MT_ERROR_FORMAT, "holds no memory");

    write_core("core", true, false);
    assert_error(mt_target_open_core("core", "missing", &target), MT_ERROR_SYSTEM, "can't open missing");
    assert_error(mt_target_open_core("core", "text", &target), MT_ERROR_FORMAT, "text is not a 64-bit ELF program");
    assert_null(target);
}

/* A copy of our own program whose build-id differs in its last byte. */
static void save_other_build(const char *path) {
    MT_AUTO_CLOSE int fd = mt_open_file("/proc/self/exe");
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    MT_AUTO_FREE uint8_t *bytes = malloc((size_t)status.st_size);
    assert_int_equal(mt_read_file(fd, 0, bytes, (size_t)status.st_size), status.st_size);
    struct mt_build_id build_id;
    struct mt_elf_file *file = mt_elf_file_create(dup(fd));
    mt_elf_file_build_id(file, &build_id);
    mt_elf_file_destroy(file);
    assert_true(build_id.size > 0);
    uint8_t *place = memmem(bytes, (size_t)status.st_size, build_id.bytes, build_id.size);
    assert_non_null(place);
    place[build_id.size - 1] ^= 1;
    save(path, bytes, (size_t)status.st_size);
}

/* Our own program stands for the library: the core has its first page, so that another build is told apart. */
static void another_build_is_not_read(void **state) {
    MT_AUTO_CLOSE int fd = mt_open_file("/proc/self/exe");
    uint8_t head[2 * PAGE];
    assert_int_equal(mt_read_file(fd, 0, head, sizeof(head)), sizeof(head));
    assert_int_equal(mkdir("elsewhere", 0700), 0);
    char mapped[160], beside[160];
    snprintf(mapped, sizeof(mapped), "%s/elsewhere/lib", folder);
    snprintf(beside, sizeof(beside), "%s/lib", folder);
    struct core_writer writer = {0};
    core_writer_add_status(&writer, 1, SIGSEGV);
    core_writer_add_process(&writer, 1);
    core_writer_add_auxiliary(&writer, ANYWHERE + 64, ANYWHERE + PAGE);
    struct core_file_entry entry = {ANYWHERE, ANYWHERE + 2 * PAGE, 0, mapped};
    core_writer_add_files(&writer, &entry, 1);
    core_writer_add_load(&writer, ANYWHERE, head, PAGE, 2 * PAGE, PF_R | PF_X);
    size_t size;
    MT_AUTO_FREE uint8_t *bytes = core_writer_finish(&writer, &size);
    save("core", bytes, size);

    struct mt_target *target;
    uint8_t got[PAGE];
    save_other_build(mapped);
    assert_ok(mt_target_open_core("core", NULL, &target));
    assert_ok(mt_target_read(target, ANYWHERE, got, PAGE));
    assert_error(mt_target_read(target, ANYWHERE + PAGE, got, 1), MT_ERROR_FAULT, "can't be read");
    mt_target_destroy(target);
    assert_error(mt_target_open_core("core", mapped, &target), MT_ERROR_FORMAT, "another build");

    /* The right build beside the core serves. */
    char command[400];
    snprintf(command, sizeof(command), "cp /proc/%d/exe %s", (int)getpid(), beside);
    assert_int_equal(system(command), 0);
    assert_ok(mt_target_open_core("core", NULL, &target));
    assert_ok(mt_target_read(target, ANYWHERE + PAGE, got, PAGE));
    assert_memory_equal(got, head + PAGE, PAGE);
    uint64_t address;
    assert_ok(mt_target_find_symbol(target, "main", &address));
    assert_true(address > ANYWHERE);
    mt_target_destroy(target);
    /* It is called what the process ran, not what its copy is called. */
    assert_ok(mt_target_open_core("core", beside, &target));
    assert_string_equal(target->info.executable, mapped);
    mt_target_destroy(target);
}

static void big_cores_open_at_once(void **state) {
    struct core_writer writer = {0};
    core_writer_add_load(&writer, ANYWHERE, data, PAGE, PAGE, PF_R | PF_W);
    size_t size;
    MT_AUTO_FREE uint8_t *bytes = core_writer_finish(&writer, &size);
    Elf64_Phdr *load = (Elf64_Phdr *)(bytes + sizeof(Elf64_Ehdr)) + 1;
    load->p_filesz = load->p_memsz = 40ULL << 30;
    save("big", bytes, size);
    assert_int_equal(truncate("big", (off_t)(load->p_offset + load->p_filesz)), 0);
    struct timespec start, end;
    struct mt_target *target;
    uint64_t word;
    clock_gettime(CLOCK_MONOTONIC, &start);
    assert_ok(mt_target_open_core("big", NULL, &target));
    assert_ok(mt_target_read_u64(target, ANYWHERE + (40ULL << 30) - 8, &word));
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_int_equal(word, 0);
    assert_int_equal(target->info.missing_bytes, 0);
    assert_true((double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) * 1e-9 < 0.1);
    mt_target_destroy(target);
}

/* --- hostile cores
 * ---------------------------------------------------------------------------------------------------- */

static void use_all_of_it(const char *path) {
    struct mt_target *target;
    struct mt_error *error = mt_target_open_core(path, NULL, &target);
    if (error) {
        assert_true(strlen(error->message) > 0 && !strchr(error->message, '\n'));
        mt_error_destroy(error);
        return;
    }
    const struct mt_region *regions;
    size_t count;
    uint8_t buffer[64];
    uint64_t before = 0, address;
    assert_ok(mt_target_regions(target, &regions, &count));
    for (size_t i = 0; i < count; i++) {
        assert_true(regions[i].start >= before && regions[i].start < regions[i].end);
        assert_true(regions[i].held <= regions[i].end - regions[i].start);
        before = regions[i].end;
        mt_error_destroy(mt_target_read(target, regions[i].start, buffer, sizeof(buffer)));
        mt_error_destroy(mt_target_read(target, regions[i].end - 8, buffer, 8));
        if (regions[i].held)
            assert_ok(mt_target_read(target, regions[i].start + regions[i].held - 1, buffer, 1));
    }
    mt_error_destroy(mt_target_read(target, 0x600000, buffer, sizeof(buffer)));
    mt_error_destroy(mt_target_find_symbol(target, "main", &address));
    mt_target_destroy(target);
}

static uint64_t nasty_number(uint64_t *random) {
    static const uint64_t numbers[] = {
        0,          1,          7,          PAGE - 1,           PAGE,       0x7fffffff,
        0x80000000, 0xffffffff, 0xfffffffe, 0x7fffffffffffffff, UINT64_MAX, UINT64_MAX - PAGE};
    uint64_t choice = mt_test_random(random);
    return choice & 16 ? mt_test_random(random) : numbers[choice % (sizeof(numbers) / sizeof(*numbers))];
}

static void mutated_cores_do_no_harm(void **state) {
    const char *rounds_wanted = getenv("MEMTRACE_FUZZ_ROUNDS");
    int rounds = rounds_wanted ? atoi(rounds_wanted) : 20000;
    MT_AUTO_CLOSE int fd = memfd_create("core", MFD_CLOEXEC);
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    save("library", text, sizeof(text));
    uint64_t random = 99;
    for (int round = 0; round < rounds; round++) {
        struct core_writer writer;
        size_t size;
        describe_core(&writer, round & 1);
        writer.extended_count = round & 2;
        MT_AUTO_FREE uint8_t *bytes = core_writer_finish(&writer, &size);
        size_t headers = sizeof(Elf64_Ehdr) + 5 * sizeof(Elf64_Phdr) + sizeof(Elf64_Shdr) + 900;
        for (uint64_t changes = 1 + mt_test_random(&random) % 4; changes > 0; changes--) {
            uint64_t number = nasty_number(&random);
            size_t width = (size_t)1 << mt_test_random(&random) % 4;
            size_t at = (size_t)(mt_test_random(&random) % (headers - 8));
            if (at >= 16 || mt_test_random(&random) % 8 == 0) /* mostly leave what makes it ELF */
                memcpy(bytes + at / width * width, &number, width);
        }
        if (mt_test_random(&random) % 8 == 0)
            size = (size_t)(mt_test_random(&random) % size);
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, bytes, size, 0), size);
        use_all_of_it(path);
    }
}

/* --- cores of a living process
 * ---------------------------------------------------------------------------------------- */

static int be_dumped(void *argument) {
    struct rlimit no_limit = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_CORE, &no_limit);
    /* The kernel keeps the number of the thread's processor in its memory (rseq): it must not move between the looks.
     */
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(sched_getcpu(), &here);
    sched_setaffinity(0, sizeof here, &here);
    uint8_t *heap = malloc(1 << 20),
            *mapped = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(heap, 0x5a, 1 << 20);
    memset(mapped, 0xa5, 1 << 20);
    mt_test_child_ready();
    while (pause())
        ;
    return 0;
}

struct piece {
    struct mt_region region;
    uint8_t *bytes; /* NULL: not readable */
};

/* What of the process can be read by process_vm_readv, region by region. */
static struct piece *copy_memory(pid_t pid, size_t *ret_count, uint64_t *ret_symbol) {
    struct mt_target *target;
    const struct mt_region *regions;
    assert_ok(mt_target_open_live(pid, false, &target));
    assert_ok(mt_target_regions(target, &regions, ret_count));
    assert_ok(mt_target_find_symbol(target, "mt_target_open_core", ret_symbol));
    struct piece *pieces = calloc(*ret_count, sizeof(*pieces));
    for (size_t i = 0; i < *ret_count; i++) {
        size_t size = (size_t)(regions[i].end - regions[i].start);
        pieces[i].region = regions[i];
        if (!regions[i].readable || size > 256u << 20)
            continue;
        pieces[i].bytes = malloc(size);
        struct mt_error *error = mt_target_read(target, regions[i].start, pieces[i].bytes, size);
        if (error) {
            mt_error_destroy(error);
            free(pieces[i].bytes);
            pieces[i].bytes = NULL;
        }
    }
    mt_target_destroy(target);
    return pieces;
}

static void compare_core(const char *path, const struct piece *pieces, size_t count, uint64_t symbol, pid_t pid,
                         int signal_number) {
    struct mt_target *target;
    uint64_t address;
    assert_ok(mt_target_open_core(path, NULL, &target));
    assert_int_equal(target->info.pid, pid);
    assert_int_equal(target->info.signal, signal_number);
    assert_non_null(strstr(target->info.executable, "test_core"));
    assert_int_equal(target->info.missing_bytes, 0);
    assert_ok(mt_target_find_symbol(target, "mt_target_open_core", &address));
    assert_int_equal(address, symbol);
    size_t compared = 0, writable = 0;
    for (size_t i = 0; i < count; i++) {
        size_t size = (size_t)(pieces[i].region.end - pieces[i].region.start);
        uint8_t *got = pieces[i].bytes ? malloc(size) : NULL;
        struct mt_error *error = got ? mt_target_read(target, pieces[i].region.start, got, size) : NULL;
        if (got && !error) {
            /* The stack of the only thread moves when the signal is taken. */
            bool is_stack = pieces[i].region.path && !strcmp(pieces[i].region.path, "[stack]");
            if (memcmp(got, pieces[i].bytes, size) && !is_stack)
                fail_msg("%s: bytes differ at %lx (%s)", path, (unsigned long)pieces[i].region.start,
                         pieces[i].region.path ? pieces[i].region.path : "anonymous");
            compared += size;
            writable += pieces[i].region.writable ? size : 0;
        } else if (error && pieces[i].region.writable) {
            fail_msg("%s: %s (%s)", path, error->message, pieces[i].region.path ? pieces[i].region.path : "anonymous");
        }
        mt_error_destroy(error);
        free(got);
    }
    assert_true(writable > 2 << 20 && compared > writable + (500 << 10));
    mt_target_destroy(target);
}

static void cores_hold_what_the_process_held(void **state) {
#ifdef MT_TEST_ADDRESS_SANITIZER
    print_message("AddressSanitizer maps terabytes, which no core should hold\n");
    skip();
#endif
    char pattern[128] = "";
    FILE *file = fopen("/proc/sys/kernel/core_pattern", "r");
    bool kernel_writes_here =
        file && fgets(pattern, sizeof(pattern), file) && !strchr(pattern, '|') && !strchr(pattern, '/');
    if (file)
        fclose(file);
    pid_t pid = mt_test_child_start(be_dumped, NULL);
    mt_test_wait_for_state(pid, pid, "S");
    size_t count;
    uint64_t symbol;
    struct piece *pieces = copy_memory(pid, &count, &symbol);
    char command[200];
    snprintf(command, sizeof(command), "timeout 60 gcore -o gcore %d > gcore.log 2>&1", (int)pid);
    if (system("command -v gcore > /dev/null") == 0) {
        assert_int_equal(system(command), 0);
        snprintf(command, sizeof(command), "gcore.%d", (int)pid);
        compare_core(command, pieces, count, symbol, pid, 0);
    } else {
        print_message("no gcore here: not compared\n");
    }
    kill(pid, SIGABRT);
    int status = mt_test_child_wait(pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    if (kernel_writes_here && WCOREDUMP(status)) {
        assert_int_equal(
            system(
                "set -- core*; test $# = 1 || ls core* >&2; mv core kernel-core 2> /dev/null || mv core.* kernel-core"),
            0);
        compare_core("kernel-core", pieces, count, symbol, pid, SIGABRT);
    } else {
        print_message("the kernel writes no core here: not compared\n");
    }
    for (size_t i = 0; i < count; i++)
        free(pieces[i].bytes);
    free(pieces);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_there),
        cmocka_unit_test(cut_short),
        cmocka_unit_test(refuses_what_is_no_core),
        cmocka_unit_test(another_build_is_not_read),
        cmocka_unit_test(big_cores_open_at_once),
        cmocka_unit_test(mutated_cores_do_no_harm),
        cmocka_unit_test(cores_hold_what_the_process_held),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
