#include "commands/selected_thread.h"

#include "commands/session.h"

#define FS_BASE 21 /* of MT_HOST_REGISTERS: what pthread_self() returns */

struct selection {
    uint64_t tid, pthread; /* 0: unknown */
};

static void take_thread(void *context, uint64_t tid, uint32_t selected, const uint64_t registers[MT_HOST_REGISTERS]) {
    struct selection *selection = context;
    if (selected)
        *selection = (struct selection){tid, registers ? registers[FS_BASE] : 0};
}

static bool take_frame(void *context, const struct mt_python_frame *frame, uint32_t number) {
    *(bool *)context = true;
    return false;
}

static bool has_frames(struct mt_python *python, const struct mt_python_thread *thread) {
    bool has = false;
    mt_frames_visit(python, thread, take_frame, &has);
    return has;
}

size_t mt_selected_thread(struct mt_call *call, struct mt_python *python, const struct mt_threads *threads) {
    const struct mt_host *host = mt_session_debugger(call->session);
    struct selection selection = {0};
    if (!host || !host->threads || host->threads(host->context, take_thread, &selection) != 0)
        return SIZE_MAX;
    for (size_t i = 0; i < threads->list.length; i++) {
        const struct mt_python_thread *thread = &threads->list.data[i];
        /* In a container the kernel's number is another one inside than outside. */
        bool is_same = (selection.pthread != 0 && thread->pthread == selection.pthread) ||
                       (selection.pthread == 0 && selection.tid != 0 && thread->tid == selection.tid);
        if (is_same && has_frames(python, thread))
            return i;
    }
    return SIZE_MAX;
}
