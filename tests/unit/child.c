#include "child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "target/proc.h"
#include "unit.h"

static int ready_fd = -1;

pid_t mt_test_child_start(int (*body)(void *argument), void *argument) {
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ready[0]);
        ready_fd = ready[1];
        _exit(body(argument));
    }
    close(ready[1]);
    char byte;
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return pid;
}

void mt_test_child_ready(void) {
    if (write(ready_fd, "", 1) != 1)
        _exit(99);
    close(ready_fd);
}

void mt_test_wait_for_state(pid_t pid, pid_t tid, const char *states) {
    struct mt_proc_task task = {0};
    for (int i = 0; i < 20000; i++) {
        if (mt_proc_task(pid, tid, &task) && strchr(states, task.state))
            return;
        usleep(1000);
    }
    print_error("thread %d is in state %c, not in %s\n", (int)tid, task.state, states);
    fail();
}

int mt_test_child_end(pid_t pid) {
    kill(pid, SIGKILL);
    return mt_test_child_wait(pid);
}

int mt_test_child_wait(pid_t pid) {
    int status = 0;
    for (int i = 0; i < 20000; i++) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return status;
        usleep(1000);
    }
    print_error("process %d does not end\n", (int)pid);
    kill(pid, SIGKILL);
    fail();
    return status;
}
