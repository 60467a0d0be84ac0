/* Alarms: they stop a process when their time is over, and not when they were taken back. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "memtrace.h"
#include "unit.h"

static int wait_for_ever(void *argument) {
    mt_test_child_ready();
    for (;;)
        pause();
    return 0;
}

static void stops_the_process(void **state) {
    pid_t pid = mt_test_child_start(wait_for_ever, NULL);
    struct mt_alarm *alarm = mt_alarm_create(pid, 20);
    int status;
    assert_non_null(alarm);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    assert_true(mt_alarm_has_rung(alarm));
    mt_alarm_destroy(alarm);
    mt_test_child_end(pid);
}

static void sends_nothing_afterwards(void **state) {
    pid_t pid = mt_test_child_start(wait_for_ever, NULL);
    struct mt_alarm *alarm = mt_alarm_create(pid, 60000);
    assert_non_null(alarm);
    assert_false(mt_alarm_has_rung(alarm));
    mt_alarm_destroy(alarm); /* does not wait for the time to be over */
    mt_alarm_destroy(NULL);
    assert_int_equal(waitpid(pid, NULL, WUNTRACED | WNOHANG), 0);
    mt_test_child_end(pid);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stops_the_process),
        cmocka_unit_test(sends_nothing_afterwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
