#include "attach/tracee.h"

#include <string.h>

/* Whether the instruction that comes next is a system call. */
static bool is_about_to_call(struct mt_tracee *tracee, uint64_t address) {
    static const uint8_t system_call[] = {0x0f, 0x05};
    uint8_t next[sizeof system_call];
    return tracee->target->ops->read(tracee->target, address, next, sizeof next) == sizeof next &&
           !memcmp(next, system_call, sizeof next);
}

struct mt_error *mt_tracee_threads_of(struct mt_tracee *tracee, mt_tracee_threads *ret) {
    struct mt_error *error = tracee->ops->threads(tracee, ret);
    for (size_t i = 0; i < ret->length; i++) {
        struct mt_tracee_thread *thread = &ret->data[i];
        thread->call = (int64_t)thread->registers.orig_rax;
        if (thread->call < 0)
            thread->call = is_about_to_call(tracee, thread->registers.rip) ? (int64_t)thread->registers.rax : -1;
    }
    return error;
}

void mt_tracee_destroy(struct mt_tracee *tracee) {
    if (tracee)
        tracee->ops->destroy(tracee);
}
