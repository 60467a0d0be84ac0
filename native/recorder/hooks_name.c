/* Names that a program gives to its threads, so that the image has them at once; those given from outside are seen a
 * little later (account.c re-reads them now and then). */
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>

#include "recorder/gate.h"
#include "recorder/hooks.h"
#include "recorder/real.h"
#include "recorder/thread.h"

int prctl(int option, ...) {
    unsigned long arguments[4];
    va_list list;
    va_start(list, option);
    for (unsigned i = 0; i < 4; i++)
        arguments[i] = va_arg(list, unsigned long);
    va_end(list);
    if (__builtin_expect(!mt_started, 0))
        mt_start_up();
    int result = mt_real.prctl(option, arguments[0], arguments[1], arguments[2], arguments[3]);
    if (option == PR_SET_NAME && result == 0 && mt_self_pointer != NULL)
        mt_self_refresh_name(mt_self_pointer);
    return result;
}

int pthread_setname_np(pthread_t thread, const char *name) {
    if (__builtin_expect(!mt_started, 0))
        mt_start_up();
    int error = mt_real.pthread_setname_np(thread, name);
    struct mt_self *self = error == 0 && memtrace_image.state == MT_RECORDING_ON ? mt_self() : NULL;
    if (self != NULL && self->image.operation == MT_IDLE)
        mt_thread_rename(self, (uint64_t)thread, name);
    return error;
}
