#define _GNU_SOURCE 1

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "memtrace.h"

struct mt_alarm {
    pid_t pid;
    struct timespec moment;
    pthread_t waiter;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_off;
    bool has_rung; /* set before the signal is sent: whoever sees the stop finds it set */
};

static void *wait_for_moment(void *context) {
    struct mt_alarm *alarm = context;
    int status = 0;
    pthread_mutex_lock(&alarm->lock);
    while (!alarm->is_off && status == 0)
        status = pthread_cond_clockwait(&alarm->changed, &alarm->lock, CLOCK_MONOTONIC, &alarm->moment);
    if (!alarm->is_off) {
        alarm->has_rung = true;
        kill(alarm->pid, SIGSTOP);
    }
    pthread_mutex_unlock(&alarm->lock);
    return NULL;
}

/* Debuggers count on their signals coming to their own threads. */
static bool start_without_signals(struct mt_alarm *alarm) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&alarm->waiter, NULL, wait_for_moment, alarm) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

struct mt_alarm *mt_alarm_create(int32_t pid, uint32_t milliseconds) {
    struct mt_alarm *alarm = calloc(1, sizeof *alarm);
    if (!alarm)
        return NULL;
    alarm->pid = pid;
    clock_gettime(CLOCK_MONOTONIC, &alarm->moment);
    alarm->moment.tv_sec += milliseconds / 1000;
    alarm->moment.tv_nsec += (long)(milliseconds % 1000) * 1000000;
    if (alarm->moment.tv_nsec >= 1000000000) {
        alarm->moment.tv_nsec -= 1000000000;
        alarm->moment.tv_sec++;
    }
    pthread_mutex_init(&alarm->lock, NULL);
    pthread_cond_init(&alarm->changed, NULL);
    if (!start_without_signals(alarm)) {
        free(alarm);
        return NULL;
    }
    return alarm;
}

int32_t mt_alarm_has_rung(struct mt_alarm *alarm) {
    pthread_mutex_lock(&alarm->lock);
    bool has_rung = alarm->has_rung;
    pthread_mutex_unlock(&alarm->lock);
    return has_rung;
}

void mt_alarm_destroy(struct mt_alarm *alarm) {
    if (!alarm)
        return;
    pthread_mutex_lock(&alarm->lock);
    alarm->is_off = true;
    pthread_cond_signal(&alarm->changed);
    pthread_mutex_unlock(&alarm->lock);
    pthread_join(alarm->waiter, NULL);
    pthread_cond_destroy(&alarm->changed);
    pthread_mutex_destroy(&alarm->lock);
    free(alarm);
}
