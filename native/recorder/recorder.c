/* Start-up, start and stop of recording, fork: the recorder's own life inside the process. */
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "recorder/account.h"
#include "recorder/elf_module.h"
#include "recorder/environment.h"
#include "recorder/gate.h"
#include "recorder/inner.h"
#include "recorder/late_python.h"
#include "recorder/limit.h"
#include "recorder/loader.h"
#include "recorder/marks.h"
#include "recorder/memory.h"
#include "recorder/names.h"
#include "recorder/pymem.h"
#include "recorder/python.h"
#include "recorder/python_stops.h"
#include "recorder/real.h"
#include "recorder/recorder.h"
#include "recorder/stacks.h"
#include "recorder/stops.h"
#include "recorder/thread.h"

/* Initialised, so that it lies in the file's data and its pages are dumped with the library's own; the magic is written
 * last. */
__attribute__((visibility("default"), aligned(4096))) struct mt_image_header memtrace_image = {
    .major = MT_IMAGE_MAJOR,
    .minor = MT_IMAGE_MINOR,
    .header_size = sizeof(struct mt_image_header),
    .shard_count = 1,
};

struct mt_real mt_real;
bool mt_started;

static void resolve_real_functions(void) {
#define RESOLVE(name) *(void **)&mt_real.name = dlsym(RTLD_NEXT, #name)
    RESOLVE(calloc); /* first: dlsym may want it */
    RESOLVE(malloc);
    RESOLVE(free);
    RESOLVE(realloc);
    RESOLVE(reallocarray);
    RESOLVE(posix_memalign);
    RESOLVE(aligned_alloc);
    RESOLVE(memalign);
    RESOLVE(valloc);
    RESOLVE(pvalloc);
    RESOLVE(mmap);
    RESOLVE(munmap);
    RESOLVE(mremap);
    RESOLVE(brk);
    RESOLVE(sbrk);
    RESOLVE(prctl);
    RESOLVE(pthread_setname_np);
    RESOLVE(malloc_usable_size);
    /* These may be missing, which dlsym would say by a text that it allocates. */
    mt_real.free_sized = (void (*)(void *, size_t))mt_elf_symbol(NULL, "free_sized");
    mt_real.free_aligned_sized = (void (*)(void *, size_t, size_t))mt_elf_symbol(NULL, "free_aligned_sized");
#undef RESOLVE
}

void mt_recorder_start(enum mt_level level) {
    struct timespec realtime, monotonic;
    if (memtrace_image.session++ > 0) {
        mt_account_clear();
        mt_marks_clear();
        mt_stops_restart();
    }
    clock_gettime(CLOCK_REALTIME, &realtime);
    clock_gettime(CLOCK_MONOTONIC, &monotonic);
    memtrace_image.start_realtime = (uint64_t)realtime.tv_sec * 1000000000u + (uint64_t)realtime.tv_nsec;
    memtrace_image.start_monotonic = (uint64_t)monotonic.tv_sec * 1000000000u + (uint64_t)monotonic.tv_nsec;
    memtrace_image.clock_monotonic = memtrace_image.start_monotonic;
    memtrace_image.clock_event = 0;
    memtrace_image.level = level;
    memtrace_image.generation = 0;
    if (level == MT_LEVEL_OBJECTS)
        mt_pymem_wrap();
    else
        mt_pymem_unwrap();
    memtrace_image.state = MT_RECORDING_ON;
}

/* `request` and `request_argument`, which a debugger writes at once. */
typedef uint64_t __attribute__((may_alias)) request_words;
_Static_assert(offsetof(struct mt_image_header, request) % 8 == 0 &&
                   offsetof(struct mt_image_header, request_argument) == offsetof(struct mt_image_header, request) + 4,
               "the request's words are one word of 8 bytes");

void mt_obey_request(void) {
    if (memtrace_image.state == MT_RECORDING_DORMANT) { /* for want of memory perhaps: no table may be there */
        memtrace_image.request = MT_REQUEST_NONE;
        return;
    }
    struct mt_self *self = mt_self();
    if (self == NULL || self->image.operation != MT_IDLE)
        return;
    self->image.operation = MT_OP_ALLOCATE; /* nothing of ours is recorded meanwhile */
    bool locked = mt_lock(self);
    request_words *words = (request_words *)&memtrace_image.request;
    uint64_t asked = __atomic_load_n(words, __ATOMIC_ACQUIRE);
    uint32_t request = (uint32_t)asked, argument = (uint32_t)(asked >> 32);
    if (request == MT_REQUEST_START && memtrace_image.state != MT_RECORDING_ON)
        mt_recorder_start(argument == MT_LEVEL_HEAP ? MT_LEVEL_HEAP : MT_LEVEL_OBJECTS);
    else if (memtrace_image.state == MT_RECORDING_ON) {
        if ((request == MT_REQUEST_MARK && argument == 0) ||
            ((request == MT_REQUEST_MARK || request == MT_REQUEST_STOP) && argument == memtrace_image.generation + 1))
            mt_mark_set();
        if (request == MT_REQUEST_STOP) {
            memtrace_image.state = MT_RECORDING_STOPPED;
            mt_python_stops_end();
        }
    }
    /* Taken back only now, so that at no instant it is neither asked for nor done; unless a debugger has asked for
     * something else meanwhile. */
    __atomic_compare_exchange_n(words, &asked, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    mt_unlock(self, locked);
    /* It stands until CPython can be asked; a mark that was asked for is set, and is not asked for again. */
    if (!mt_python_stops_look()) {
        uint64_t nothing = 0;
        __atomic_compare_exchange_n(words, &nothing, MT_REQUEST_PYTHON, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    }
    self->image.operation = MT_IDLE;
}

static void before_fork(void) {
    mt_lock_for_fork();
}

static void after_fork_in_parent(void) {
    mt_unlock_after_fork(false);
    if (mt_self_pointer != NULL && mt_stops_is_to_tell(mt_self_pointer))
        mt_stops_tell(mt_self_pointer);
}

static void after_fork_in_child(void) {
    mt_unlock_after_fork(true);
    mt_python_stops_end();
    if (mt_python_stops.request != mt_python_stops.obeyed && memtrace_image.request == MT_REQUEST_NONE)
        memtrace_image.request = MT_REQUEST_PYTHON;
    mt_record_abandoned(mt_self_pointer);
}

static bool build_image(void) {
    struct mt_image_header *image = &memtrace_image;
    const char *single_threaded = mt_elf_symbol(NULL, "__libc_single_threaded");
    if (single_threaded != NULL)
        mt_single_threaded = single_threaded;
    image->self = (uint64_t)image;
    image->pid = (uint32_t)getpid();
    image->stop_hook = (uint64_t)memtrace_stop_hook;
    image->python_stops = (uint64_t)&mt_python_stops;
    mt_names_init();
    if (!mt_stacks_init() || !mt_account_init()) {
        image->state = MT_RECORDING_DORMANT;
        image->dropped[MT_DROP_MEMORY]++;
    }
    memcpy(image->magic, MT_IMAGE_MAGIC, sizeof image->magic);
    return image->state != MT_RECORDING_DORMANT;
}

bool mt_recorder_build(void) {
    static bool is_built, has_memory;
    if (is_built)
        return has_memory;
    is_built = true;
    mt_loader_init();
    mt_inner_add((const void *)mt_real.malloc);
    mt_inner_add((const void *)mt_start_up); /* ourselves: a wrapped allocator may end in a jump to malloc */
    has_memory = build_image();
    return has_memory;
}

void mt_recorder_prepare(void) {
    static bool is_prepared;
    if (!is_prepared)
        pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
    is_prepared = true;
    if (memtrace_image.python_state != MT_PYTHON_NONE)
        return;
    if (mt_python_find(NULL)) {
        mt_python_stops_find(NULL);
        mt_pymem_find(NULL);
    } else {
        mt_late_python_init();
    }
}

/* Runs once: when the library was preloaded, at the first call of a hook or from the constructor, when only one thread
 * is there; else when it is attached. */
void mt_start_up(void) {
    static bool entered;
    if (entered)
        return;
    entered = true;
    resolve_real_functions();
    mt_started = true;
    if (!mt_loader_is_of_start())
        return;
    memtrace_image.hooked = MT_HOOKED_FIRST;

    struct mt_wishes wishes;
    mt_environment_read(&wishes);
    if (mt_recorder_build()) {
        if (!wishes.for_us) {
            memtrace_image.state = MT_RECORDING_DORMANT;
        } else {
            mt_recorder_prepare();
            memtrace_image.level = wishes.level;
            mt_limit_init();
            memtrace_stop_hook(NULL); /* a debugger that waits there writes its stops, before anything is recorded */
            if (wishes.start)
                mt_recorder_start(wishes.level);
        }
    }
    mt_environment_restore(&wishes);
}

__attribute__((constructor)) static void construct(void) {
    if (!mt_started && mt_loader_is_of_start())
        mt_start_up();
}
