/* Runs a program in which chosen mmap calls of the recorder fail:
 *   mmap_faults FIRST LAST RECORDER -- PROGRAM ARGUMENTS...
 *
 * The calls that the recorder issues for memory of its own are told by their instruction, which lies in the recorder's
 * text; those number FIRST to LAST (from 1; 0 0: none) return ENOMEM. The kernel asks us about each by a seccomp
 * notification, so the program is not traced, and a debugger may come while it runs. LD_PRELOAD is set for the program
 * only. At the program's end one line of JSON goes to file descriptor 3: how many calls there were, how many failed.
 * Exits as the program did; with 125 when this machine does not allow it. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define IMPOSSIBLE 125
#define LOW_WORD(field) (uint32_t) offsetof(struct seccomp_data, field)

/* The child asks for a descriptor by which the parent is notified of every private anonymous mmap to read and write. */
static int install_filter(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW_WORD(nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 5),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW_WORD(args[2])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PROT_READ | PROT_WRITE, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LOW_WORD(args[3])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MAP_PRIVATE | MAP_ANONYMOUS, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

union control {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

static bool send_descriptor(int socket, int descriptor) {
    char byte = 'x';
    union control control = {0};
    struct iovec vector = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptor);
    memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    return sendmsg(socket, &message, 0) == 1;
}

static int receive_descriptor(int socket) {
    char byte;
    int descriptor;
    union control control = {0};
    struct iovec vector = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    if (recvmsg(socket, &message, 0) != 1 || CMSG_FIRSTHDR(&message) == NULL)
        return -1;
    memcpy(&descriptor, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof descriptor);
    return descriptor;
}

static const char *recorder;

/* Whether the instruction lies in the recorder's text in that process. */
static bool is_the_recorders(uint32_t pid, uint64_t instruction) {
    static uint32_t known_pid;
    static uint64_t known_start, known_end;
    if (pid == known_pid && instruction >= known_start && instruction < known_end)
        return true;
    char path[64], line[4400];
    snprintf(path, sizeof path, "/proc/%u/maps", pid);
    FILE *maps = fopen(path, "re");
    bool found = false;
    while (maps != NULL && !found && fgets(line, sizeof line, maps) != NULL) {
        unsigned long start, end;
        line[strcspn(line, "\n")] = '\0';
        const char *name = strchr(line, '/');
        found = sscanf(line, "%lx-%lx", &start, &end) == 2 && name != NULL && strcmp(name, recorder) == 0 &&
                instruction >= start && instruction < end;
        if (found) {
            known_pid = pid;
            known_start = start;
            known_end = end;
        }
    }
    if (maps != NULL)
        fclose(maps);
    return found;
}

static uint64_t first, last, calls, failed;

static void answer(int listener) {
    struct seccomp_notif question = {0};
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &question) != 0)
        return; /* the thread that asked is gone */
    struct seccomp_notif_resp reply = {.id = question.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    if (is_the_recorders(question.pid, question.data.instruction_pointer)) {
        calls++;
        if (calls >= first && calls <= last) {
            failed++;
            reply = (struct seccomp_notif_resp){.id = question.id, .error = -ENOMEM};
        }
    }
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
}

static int run_program(int socket, char **arguments) {
    int listener = install_filter();
    if (listener < 0 || !send_descriptor(socket, listener))
        _exit(IMPOSSIBLE);
    close(listener);
    close(socket);
    close(3);
    setenv("LD_PRELOAD", recorder, 1);
    execvp(arguments[0], arguments);
    _exit(127);
}

int main(int argc, char **argv) {
    int sockets[2], status;
    if (argc < 6 || strcmp(argv[4], "--") != 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
        return IMPOSSIBLE;
    first = strtoull(argv[1], NULL, 10);
    last = strtoull(argv[2], NULL, 10);
    recorder = argv[3];
    pid_t child = fork();
    if (child == 0)
        return run_program(sockets[1], argv + 5);
    close(sockets[1]);
    int listener = receive_descriptor(sockets[0]);
    if (listener < 0)
        return IMPOSSIBLE;
    struct pollfd poller = {.fd = listener, .events = POLLIN};
    /* hangs up when the last process under the filter has ended */
    while (poll(&poller, 1, -1) > 0 && (poller.revents & POLLIN) != 0)
        answer(listener);
    if (waitpid(child, &status, 0) != child)
        return IMPOSSIBLE;
    dprintf(3, "{\"calls\":%llu,\"failed\":%llu}\n", (unsigned long long)calls, (unsigned long long)failed);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
