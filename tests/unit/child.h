/* Child processes of tests. They end with the test program, whatever happens to it. */
#ifndef MEMTRACE_TESTS_CHILD_H
#define MEMTRACE_TESTS_CHILD_H

#include <sys/types.h>

/* Forks a child that calls `body` with `argument` and exits with what that returns. Returns when the child has called
 * mt_test_child_ready() (which it must). */
pid_t mt_test_child_start(int (*body)(void *argument), void *argument);
void mt_test_child_ready(void);
/* Waits until the state of the thread in /proc is one of `states`, or fails the test. */
void mt_test_wait_for_state(pid_t pid, pid_t tid, const char *states);
/* Kills it and takes its status; returns that. */
int mt_test_child_end(pid_t pid);
/* Waits for its own end; returns the wait status. Fails the test when that takes more than 20 s. */
int mt_test_child_wait(pid_t pid);

#endif
