/* Reading and stopping real processes. What a process does is watched from inside (shared memory), not through the code
 * under test. */
#define _GNU_SOURCE 1

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "target/proc.h"
#include "target/target.h"
#include "unit.h"

/* Seen by parent and children alike. */
struct shared {
    volatile uint64_t count;
    volatile uint64_t ended;
    volatile pid_t tid;
    volatile int result[16];
};

static struct shared *shared;
static uint64_t private_word = 1;
char exported_word[] = "exported";

static int set_up(void **state) {
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared == MAP_FAILED ? -1 : 0;
}

static int reset(void **state) {
    memset(shared, 0, sizeof(*shared));
    return 0;
}

static struct mt_target *stop(pid_t pid) {
    struct mt_target *target;
    assert_ok(mt_target_open_live(pid, true, &target));
    return target;
}

static int wait_for_ever(void *argument) {
    mt_test_child_ready();
    while (pause())
        ;
    return 0;
}

/* --- reading
 * ---------------------------------------------------------------------------------------------------------- */

static int be_readable(void *argument) {
    private_word = 0x1122334455667788;
    strcpy(exported_word, "CHILDS'");
    return wait_for_ever(argument);
}

static void reads_writes_and_finds(void **state) {
    uint8_t *reserved = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(reserved, 1, 3 * 4096);
    mprotect(reserved + 4096, 4096, PROT_NONE);
    pid_t pid = mt_test_child_start(be_readable, NULL);
    for (int stopping = 0; stopping < 2; stopping++) {
        struct mt_target *target;
        assert_ok(mt_target_open_live(pid, stopping, &target));
        uint64_t word, address;
        assert_ok(mt_target_read_u64(target, (uint64_t)(uintptr_t)&private_word, &word));
        assert_int_equal(word, 0x1122334455667788 + (uint64_t)stopping);
        assert_int_equal(private_word, 1);
        word++;
        assert_ok(mt_target_write(target, (uint64_t)(uintptr_t)&private_word, &word, 8));

        struct mt_error *error = mt_target_read(target, (uint64_t)(uintptr_t)reserved + 4000, exported_word, 8);
        assert_null(error);
        error = mt_target_read(target, (uint64_t)(uintptr_t)reserved + 4092, exported_word, 8);
        assert_int_equal(error->address, (uintptr_t)reserved + 4096);
        assert_error(error, MT_ERROR_FAULT, "can't be read");

        assert_ok(mt_target_find_symbol(target, "exported_word", &address));
        assert_int_equal(address, (uintptr_t)exported_word);
        assert_ok(mt_target_find_symbol(target, "private_word", &address));
        assert_int_equal(address, (uintptr_t)&private_word);
        assert_ok(mt_target_find_symbol(target, "hcreate_r", &address));
        assert_int_equal(address, (uintptr_t)dlsym(RTLD_DEFAULT, "hcreate_r"));
        assert_error(mt_target_find_symbol(target, "no_such_symbol", &address), MT_ERROR_NOT_FOUND, "no_such_symbol");

        const struct mt_region *regions;
        size_t count, found = 0;
        assert_ok(mt_target_regions(target, &regions, &count));
        for (size_t i = 0; i < count; i++) {
            assert_true(i == 0 || regions[i - 1].end <= regions[i].start);
            found += regions[i].start == (uintptr_t)reserved + 4096 && regions[i].end == (uintptr_t)reserved + 8192 &&
                     !regions[i].readable && !regions[i].writable && !regions[i].path;
            found += regions[i].start <= (uintptr_t)exported_word && (uintptr_t)exported_word < regions[i].end &&
                     regions[i].writable && strstr(regions[i].path, "test_live");
        }
        assert_int_equal(found, 2);
        assert_non_null(strstr(target->info.executable, "test_live"));
        if (stopping) {
            double before = target->info.stopped_seconds;
            usleep(20000);
            assert_ok(mt_target_read_u64(target, (uint64_t)(uintptr_t)&private_word, &word));
            assert_true(before > 0 && target->info.stopped_seconds >= before + 0.02);
        } else {
            assert_true(target->info.stopped_seconds == 0);
        }
        mt_target_destroy(target);
    }
    mt_test_child_end(pid);
    munmap(reserved, 3 * 4096);
}

/* Forbids process_vm_readv, as the seccomp filters of containers do; returns what read_without_it found wrong. */
static int read_without_vm_readv(void *argument) {
    pid_t pid = *(pid_t *)argument;
    mt_test_child_ready();
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_vm_readv, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(filter) / sizeof(*filter), filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        return 1;
    struct mt_target *target;
    struct mt_error *error = mt_target_open_live(pid, false, &target);
    if (error)
        return 2;
    uint64_t word;
    if (mt_target_read_u64(target, (uint64_t)(uintptr_t)&private_word, &word) || word != 0x1122334455667788)
        return 3;
    error = mt_target_read_u64(target, *(uint64_t *)((pid_t *)argument + 2), &word);
    bool refused = error && error->code == MT_ERROR_FAULT;
    mt_error_destroy(error);
    mt_target_destroy(target);
    return refused ? 0 : 4;
}

static void proc_mem_is_the_second_way(void **state) {
    void *reserved = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct {
        pid_t pid, unused;
        uint64_t reserved;
    } argument = {mt_test_child_start(be_readable, NULL), 0, (uint64_t)(uintptr_t)reserved};
    pid_t reader = mt_test_child_start(read_without_vm_readv, &argument);
    int status = mt_test_child_wait(reader);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    mt_test_child_end(argument.pid);
    munmap(reserved, 4096);
}

/* --- stopping
 * --------------------------------------------------------------------------------------------------------- */

static void *count_for_ever(void *argument) {
    for (;;)
        __atomic_add_fetch(&shared->count, 1, __ATOMIC_RELAXED);
    return NULL;
}

static void *count_once(void *argument) {
    __atomic_add_fetch(&shared->count, 1, __ATOMIC_RELAXED);
    return NULL;
}

/* Two counters, and a thread after another. */
static int make_threads(void *argument) {
    pthread_t thread;
    for (int i = 0; i < 2; i++)
        pthread_create(&thread, NULL, count_for_ever, NULL);
    mt_test_child_ready();
    for (;;) {
        pthread_t batch[8];
        for (int i = 0; i < 8; i++)
            if (pthread_create(&batch[i], NULL, count_once, NULL))
                return 1;
        for (int i = 0; i < 8; i++)
            pthread_join(batch[i], NULL);
    }
    return 0;
}

static void all_threads_stand_while_new_ones_appear(void **state) {
    pid_t pid = mt_test_child_start(make_threads, NULL);
    for (int i = 0; i < 30; i++) {
        struct mt_target *target = stop(pid);
        uint64_t before = shared->count;
        usleep(5000);
        assert_int_equal(shared->count, before);
        mt_pids threads = {0};
        assert_ok(mt_proc_threads(pid, &threads));
        for (size_t t = 0; t < threads.length; t++) {
            struct mt_proc_task task;
            if (mt_proc_task(pid, threads.data[t], &task))
                assert_int_equal(task.state, 't');
        }
        mt_vector_deinit(&threads);
        mt_target_destroy(target);
        for (int wait = 0; shared->count == before && wait < 5000; wait++)
            usleep(1000);
        assert_int_not_equal(shared->count, before);
    }
    int status = mt_test_child_end(pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static int stop_itself(void *argument) {
    mt_test_child_ready();
    raise(SIGTSTP);
    shared->ended = 1;
    return 7;
}

static void stopped_job_stays_stopped(void **state) {
    pid_t pid = mt_test_child_start(stop_itself, NULL);
    mt_test_wait_for_state(pid, pid, "T");
    for (int i = 0; i < 5; i++) {
        mt_target_destroy(stop(pid));
        mt_test_wait_for_state(pid, pid, "T");
        usleep(2000);
        mt_test_wait_for_state(pid, pid, "T");
        assert_int_equal(shared->ended, 0);
    }
    kill(pid, SIGCONT);
    int status = mt_test_child_wait(pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
}

static void stop_and_continue_meanwhile_take_effect_after(void **state) {
    pid_t pid = mt_test_child_start(stop_itself, NULL);
    mt_test_wait_for_state(pid, pid, "T");
    struct mt_target *target = stop(pid);
    kill(pid, SIGCONT);
    usleep(5000);
    assert_int_equal(shared->ended, 0);
    mt_target_destroy(target);
    assert_int_equal(WEXITSTATUS(mt_test_child_wait(pid)), 7);

    pid = mt_test_child_start(wait_for_ever, NULL);
    target = stop(pid);
    kill(pid, SIGSTOP);
    usleep(5000);
    mt_target_destroy(target);
    mt_test_wait_for_state(pid, pid, "T");
    mt_test_child_end(pid);
}

static void count_signal(int signal_number) {
    shared->count++;
}

static int receive_signals(void *argument) {
    struct sigaction action = {.sa_handler = count_signal};
    sigaction(SIGRTMIN + 3, &action, NULL);
    mt_test_child_ready();
    while (shared->count < 2000)
        usleep(100);
    return 0;
}

/* Real-time signals queue: each one sent before, during and after a stop must arrive exactly once. */
static void no_signal_is_lost_or_doubled(void **state) {
    pid_t pid = mt_test_child_start(receive_signals, NULL);
    for (int i = 0; i < 400; i++) {
        for (int before = 0; before < 3; before++)
            kill(pid, SIGRTMIN + 3);
        struct mt_target *target = stop(pid);
        kill(pid, SIGRTMIN + 3);
        mt_target_destroy(target);
        kill(pid, SIGRTMIN + 3);
    }
    int status = mt_test_child_wait(pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(shared->count, 2000);
}

/* --- system calls that wait ------------------------------------------------------------------------------------------
 */

enum { CALLS = 10 };
static int pipes[CALLS][2];
static int listener, semaphores;

/* Each thread waits in another call; its result is negative when the call did not end as without us. */
static void *wait_in_call(void *argument) {
    int call = (int)(intptr_t)argument;
    int fd = pipes[call][0];
    char byte;
    int result = -1;
    switch (call) {
    case 0:
        result = (int)read(fd, &byte, 1);
        break;
    case 1: {
        struct pollfd wanted = {.fd = fd, .events = POLLIN};
        result = poll(&wanted, 1, -1);
        break;
    }
    case 2: {
        int poller = epoll_create1(0);
        struct epoll_event event = {.events = EPOLLIN};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
        result = epoll_wait(poller, &event, 1, -1);
        break;
    }
    case 3: {
        fd_set wanted;
        FD_ZERO(&wanted);
        FD_SET(fd, &wanted);
        result = select(fd + 1, &wanted, NULL, NULL, NULL);
        break;
    }
    case 4:
        result = accept(listener, NULL, NULL) >= 0;
        break;
    case 5: {
        sigset_t wanted;
        sigemptyset(&wanted);
        sigaddset(&wanted, SIGUSR2);
        result = sigtimedwait(&wanted, NULL, NULL) == SIGUSR2;
        break;
    }
    case 6: {
        struct sembuf take = {0, -1, 0};
        result = semop(semaphores, &take, 1) == 0;
        break;
    }
    case 7: {
        struct timespec start, end, time = {0, 900 * 1000 * 1000};
        clock_gettime(CLOCK_MONOTONIC, &start);
        result = nanosleep(&time, NULL) == 0;
        clock_gettime(CLOCK_MONOTONIC, &end);
        double slept = (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) * 1e-9;
        if (slept < 0.9)
            result = -2;
        break;
    }
    case 8: {
        struct timeval limit = {30, 0};
        int ends[2];
        socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
        setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        pipes[call][1] = ends[1];
        __atomic_store_n(&shared->tid, 1, __ATOMIC_RELEASE);
        result = (int)recv(ends[0], &byte, 1, 0);
        break;
    }
    case 9: {
        /* A signal handler that runs must still end the call. */
        struct epoll_event event;
        int poller = epoll_create1(0);
        result = epoll_wait(poller, &event, 1, -1) < 0 && errno == EINTR;
        break;
    }
    }
    shared->result[call] = result ? result : -errno;
    __atomic_add_fetch(&shared->ended, 1, __ATOMIC_RELEASE);
    return NULL;
}

static pthread_t callers[CALLS];

static void ignore_signal(int signal_number) {}

static int wait_in_calls(void *argument) {
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    struct sigaction action = {.sa_handler = ignore_signal};
    sigaction(SIGUSR1, &action, NULL);
    for (int i = 0; i < CALLS; i++)
        pthread_create(&callers[i], NULL, wait_in_call, (void *)(intptr_t)i);
    while (!__atomic_load_n(&shared->tid, __ATOMIC_ACQUIRE))
        usleep(1000);
    usleep(50000);
    mt_test_child_ready();
    while (!shared->count)
        usleep(1000);
    for (int i = 0; i < 4; i++)
        if (write(pipes[i][1], "x", 1) != 1)
            return 1;
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr address;
    socklen_t length = sizeof(address);
    if (getsockname(listener, &address, &length) || connect(client, &address, length))
        return 2;
    pthread_kill(callers[5], SIGUSR2);
    struct sembuf give = {0, 1, 0};
    semop(semaphores, &give, 1);
    if (write(pipes[8][1], "x", 1) != 1)
        return 3;
    pthread_kill(callers[9], SIGUSR1);
    for (int i = 0; i < CALLS; i++)
        pthread_join(callers[i], NULL);
    return 0;
}

static void waiting_calls_keep_their_results(void **state) {
    for (int i = 0; i < CALLS; i++)
        assert_int_equal(pipe(pipes[i]), 0);
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr address = {.sa_family = AF_UNIX};
    assert_int_equal(bind(listener, &address, sizeof(address.sa_family)), 0); /* the kernel picks a name */
    assert_int_equal(listen(listener, 1), 0);
    semaphores = semget(IPC_PRIVATE, 1, 0600);
    assert_true(semaphores >= 0);
    pid_t pid = mt_test_child_start(wait_in_calls, NULL);
    for (int i = 0; i < 20; i++) {
        mt_target_destroy(stop(pid));
        usleep(2000);
    }
    assert_int_equal(shared->ended, 0);
    shared->count = 1;
    int status = mt_test_child_wait(pid);
    semctl(semaphores, 0, IPC_RMID);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    for (int i = 0; i < CALLS; i++) {
        if (shared->result[i] != 1)
            print_error("call %d returned %d\n", i, shared->result[i]);
        assert_int_equal(shared->result[i], 1);
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
    close(listener);
}

/* --- unusual processes
 * ------------------------------------------------------------------------------------------------ */

static void *live_on(void *argument) {
    while (syscall(SYS_tgkill, getpid(), getpid(), 0) == 0 && shared->count == 0)
        usleep(1000);
    shared->tid = (pid_t)syscall(SYS_gettid);
    private_word = 0x99;
    mt_test_child_ready();
    while (pause())
        ;
    return NULL;
}

static int end_main_thread(void *argument) {
    pthread_t thread;
    pthread_create(&thread, NULL, live_on, NULL);
    shared->count = 1;
    pthread_exit(NULL);
    return 0;
}

static void dead_main_thread_does_not_matter(void **state) {
    pid_t pid = mt_test_child_start(end_main_thread, NULL);
    mt_test_wait_for_state(pid, pid, "Z");
    for (int stopping = 0; stopping < 2; stopping++) {
        struct mt_target *target;
        uint64_t word, address;
        assert_ok(mt_target_open_live(pid, stopping, &target));
        assert_ok(mt_target_read_u64(target, (uint64_t)(uintptr_t)&private_word, &word));
        assert_int_equal(word, 0x99);
        assert_ok(mt_target_find_symbol(target, "exported_word", &address));
        assert_int_equal(address, (uintptr_t)exported_word);
        mt_target_destroy(target);
    }
    mt_test_wait_for_state(pid, shared->tid, "S");
    mt_test_child_end(pid);
}

static void refuses_what_it_can_not_read(void **state) {
    struct mt_target *target = NULL;
    assert_error(mt_target_open_live(getpid(), true, &target), MT_ERROR_USAGE, "itself");
    assert_error(mt_target_open_live(0, true, &target), MT_ERROR_USAGE, "not the number");
    assert_error(mt_target_open_live(-5, true, &target), MT_ERROR_USAGE, "not the number");
    assert_error(mt_target_open_live(0x7ffffff0, true, &target), MT_ERROR_NO_PROCESS, "no process 2147483632");

    pid_t pid = mt_test_child_start(wait_for_ever, NULL);
    kill(pid, SIGKILL);
    mt_test_wait_for_state(pid, pid, "Z");
    assert_error(mt_target_open_live(pid, true, &target), MT_ERROR_NO_PROCESS, "zombie");
    mt_test_child_end(pid);

    pid = mt_test_child_start(end_main_thread, NULL);
    assert_error(mt_target_open_live(shared->tid, true, &target), MT_ERROR_USAGE, "is a thread of process");
    mt_test_child_end(pid);

    struct mt_proc_task task;
    if (mt_proc_task(2, 2, &task) && task.is_kernel)
        assert_error(mt_target_open_live(2, true, &target), MT_ERROR_UNSUPPORTED, "kernel thread");
    assert_null(target);
}

static int hold_thread(void *argument) {
    pid_t tid = *(pid_t *)argument;
    if (ptrace(PTRACE_SEIZE, tid, NULL, NULL))
        return 1;
    mt_test_child_ready();
    while (pause())
        ;
    return 0;
}

static int be_nobody(void *argument) {
    mt_test_child_ready();
    struct mt_target *target;
    if (setresuid(65534, 65534, 65534))
        return 1;
    struct mt_error *error = mt_target_open_live(*(pid_t *)argument, true, &target);
    return error && error->code == MT_ERROR_PERMISSION && strstr(error->message, "belongs to user 0. Run as root") ? 0
                                                                                                                   : 2;
}

/* A debugger holds the counting thread: whatever else we had stopped must run again. */
static void refusal_lets_all_threads_go(void **state) {
    pid_t pid = mt_test_child_start(make_threads, NULL);
    mt_pids threads = {0};
    assert_ok(mt_proc_threads(pid, &threads));
    pid_t tid = threads.data[threads.length > 2 ? 2 : 1];
    mt_vector_deinit(&threads);
    pid_t other = mt_test_child_start(hold_thread, &tid);
    struct mt_target *target = NULL;
    char words[64];
    struct mt_error *error = mt_target_open_live(pid, true, &target);
    snprintf(words, sizeof(words), "may not read pid %d", (int)pid);
    assert_error(error, MT_ERROR_PERMISSION, words);
    assert_null(target);
    uint64_t before = shared->count;
    for (int i = 0; i < 1000 && shared->count == before; i++)
        usleep(10000);
    assert_int_not_equal(shared->count, before);
    mt_test_child_end(other);

    other = mt_test_child_start(hold_thread, &pid);
    error = mt_target_open_live(pid, true, &target);
    snprintf(words, sizeof(words), "process %d already debugs it", (int)other);
    assert_error(error, MT_ERROR_PERMISSION, words);
    mt_test_child_end(other);

    if (geteuid() == 0) {
        int status = mt_test_child_wait(mt_test_child_start(be_nobody, &pid));
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    mt_target_destroy(stop(pid)); /* now that nobody holds it any more */
    mt_test_child_end(pid);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(reads_writes_and_finds, reset),
        cmocka_unit_test_setup(proc_mem_is_the_second_way, reset),
        cmocka_unit_test_setup(all_threads_stand_while_new_ones_appear, reset),
        cmocka_unit_test_setup(stopped_job_stays_stopped, reset),
        cmocka_unit_test_setup(stop_and_continue_meanwhile_take_effect_after, reset),
        cmocka_unit_test_setup(no_signal_is_lost_or_doubled, reset),
        cmocka_unit_test_setup(waiting_calls_keep_their_results, reset),
        cmocka_unit_test_setup(dead_main_thread_does_not_matter, reset),
        cmocka_unit_test_setup(refuses_what_it_can_not_read, reset),
        cmocka_unit_test_setup(refusal_lets_all_threads_go, reset),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
