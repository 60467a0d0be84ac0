#include "recorder/steps.h"

#include <stddef.h>

#include "recorder/memory.h"
#include "recorder/pool.h"
#include "recorder/python.h"
#include "recorder/python_stops.h"
#include "recorder/window.h"

#define THREADS 64 /* that measured functions run in at a time */
#define LINES_SHIFT 8
#define LINES_MAX (16u << LINES_SHIFT)

/* A measured frame that executes a line. */
struct line_frame {
    uint64_t frame;
    struct mt_python_line *row; /* of the line; NULL: there was no room for one */
    struct mt_window window;    /* since the line began */
    struct line_frame *outer;
};

/* A thread that measured frames, or a call with a stop, are in. */
struct track {
    struct mt_self *self; /* NULL: unused */
    struct line_frame *innermost;
    uint64_t called;       /* frame of a call that is to stop at its first line; 0: none */
    uint32_t called_slots; /* for these */
};

static struct track tracks[THREADS];
static struct line_frame *unused_frames;

static struct {
    enum mt_python_step kind;
    struct mt_self *self;
    uint64_t frame;
    bool returned; /* `frame` is a caller of the one that the step began in */
    uint32_t file, function, line;
    struct mt_window window, after; /* until the frame returned; since then */
} step;

/* --- measured lines -------------------------------------------------------------------------------------------------
 */

static struct mt_python_line *row_of(struct mt_self *self, const struct mt_watched *watched, uint32_t line) {
    struct mt_pool_ref *rows = &mt_python_stops.lines;
    if (rows->stride == 0)
        mt_pool_init(rows, sizeof(struct mt_python_line), LINES_SHIFT);
    for (uint32_t i = 0; i < rows->count; i++) {
        struct mt_python_line *row = mt_pool_at(rows, i);
        if (row->line == line && row->file == watched->file && row->function == watched->function)
            return row;
    }
    bool locked = mt_lock(self);
    struct mt_python_line *row = rows->count < LINES_MAX ? mt_pool_reserve(rows) : NULL;
    if (row != NULL) {
        *row = (struct mt_python_line){.file = watched->file,
                                       .function = watched->function,
                                       .line = line,
                                       .measurement = mt_python_stops.measurement};
        mt_pool_publish(rows);
    }
    mt_unlock(self, locked);
    return row;
}

static struct line_frame *take_frame(struct mt_self *self) {
    if (unused_frames == NULL) {
        bool locked = mt_lock(self);
        struct line_frame *frames = mt_memory_page();
        mt_unlock(self, locked);
        for (size_t i = 0; frames != NULL && i < MT_PAGE / sizeof *frames; i++) {
            frames[i].outer = unused_frames;
            unused_frames = &frames[i];
        }
    }
    struct line_frame *frame = unused_frames;
    if (frame != NULL)
        unused_frames = frame->outer;
    return frame;
}

static struct track *find_track(const struct mt_self *self, bool make) {
    struct track *unused = NULL;
    for (unsigned i = 0; i < THREADS; i++) {
        if (tracks[i].self == self)
            return &tracks[i];
        if (tracks[i].self == NULL && unused == NULL)
            unused = &tracks[i];
    }
    if (!make || unused == NULL)
        return NULL;
    *unused = (struct track){.self = (struct mt_self *)self};
    return unused;
}

static void begin_line(struct mt_self *self, struct line_frame *frame, const struct mt_watched *watched,
                       uint32_t line) {
    frame->row = row_of(self, watched, line);
    mt_window_start(&frame->window);
}

static void end_line(struct line_frame *frame) {
    struct mt_python_line *row = frame->row;
    struct mt_python_window window = mt_window_result(&frame->window);
    if (row == NULL)
        return;
    row->sum.allocated += window.allocated;
    row->sum.freed += window.freed;
    if (window.peak > row->sum.peak)
        row->sum.peak = window.peak;
}

/* The frame ends, or waits as a generator. What it has seen, the line that called it has seen too; but what it
 * allocated is its own lines'. */
static void pop(struct track *track) {
    struct line_frame *frame = track->innermost;
    end_line(frame);
    track->innermost = frame->outer;
    if (frame->outer != NULL)
        mt_window_include(&frame->outer->window, &frame->window);
    frame->outer = unused_frames;
    unused_frames = frame;
}

static void push(struct mt_self *self, struct track *track, uint64_t frame, const struct mt_watched *watched,
                 uint32_t line) {
    struct line_frame *taken = take_frame(self);
    if (taken == NULL)
        return;
    *taken = (struct line_frame){.frame = frame, .outer = track->innermost};
    track->innermost = taken;
    begin_line(self, taken, watched, line);
}

static bool is_caller(uint64_t caller, uint64_t frame) {
    while (frame != 0 && frame != caller)
        frame = mt_python_caller(frame);
    return frame != 0;
}

/* Frames whose end was not told. */
static void drop_gone(struct track *track, uint64_t frame, bool is_new) {
    while (track->innermost != NULL &&
           (track->innermost->frame == frame ? is_new : !is_caller(track->innermost->frame, frame)))
        pop(track);
}

static void measure(struct mt_self *self, struct track *track, uint64_t frame, enum mt_python_event event,
                    const struct mt_watched *watched, uint32_t line) {
    bool is_new = event == MT_EVENT_START || event == MT_EVENT_RESUME;
    drop_gone(track, frame, is_new);
    bool is_known = track->innermost != NULL && track->innermost->frame == frame;
    switch (event) {
    case MT_EVENT_START:
    case MT_EVENT_RESUME:
        push(self, track, frame, watched, line);
        break;
    case MT_EVENT_LINE:
        if (is_known) {
            end_line(track->innermost);
            begin_line(self, track->innermost, watched, line);
        } else {
            push(self, track, frame, watched, line);
        }
        if (track->innermost != NULL && track->innermost->frame == frame && track->innermost->row != NULL)
            track->innermost->row->count++;
        break;
    case MT_EVENT_RETURN:
    case MT_EVENT_YIELD:
    case MT_EVENT_UNWIND:
        if (is_known)
            pop(track);
        break;
    }
}

void mt_steps_measure_from_here(struct mt_self *self, const struct mt_watched *watched, uint32_t line) {
    uint64_t frame = mt_python_innermost(self);
    struct track *track = watched->is_measured ? find_track(self, true) : NULL;
    if (track != NULL && (track->innermost == NULL || track->innermost->frame != frame))
        measure(self, track, frame, MT_EVENT_LINE, watched, line);
}

void mt_steps_measure_end(void) {
    for (unsigned i = 0; i < THREADS; i++)
        while (tracks[i].innermost != NULL)
            pop(&tracks[i]);
}

/* --- windows --------------------------------------------------------------------------------------------------------
 */

static struct mt_window *step_window(void) {
    return step.returned ? &step.after : &step.window;
}

void mt_steps_pause(struct mt_self *self) {
    int64_t highest = mt_window_take_highest(self);
    for (unsigned i = 0; i < THREADS; i++)
        if (tracks[i].innermost != NULL)
            mt_window_see(&tracks[i].innermost->window, highest);
    const struct track *track = find_track(self, false);
    if (track != NULL && track->innermost != NULL)
        mt_window_pause(&track->innermost->window, self);
    if (step.kind != MT_PYTHON_STEP_NONE) {
        mt_window_see(step_window(), highest);
        if (step.self == self)
            mt_window_pause(step_window(), self);
    }
}

void mt_steps_resume(struct mt_self *self) {
    /* What dies while the thread works for us is in the books, and is no fall from a height in any window. */
    mt_window_take_highest(self);
    const struct track *track = find_track(self, false);
    if (track != NULL && track->innermost != NULL)
        mt_window_resume(&track->innermost->window, self);
    if (step.kind != MT_PYTHON_STEP_NONE && step.self == self)
        mt_window_resume(step_window(), self);
}

/* --- steps ----------------------------------------------------------------------------------------------------------
 */

bool mt_steps_is_stepping(void) {
    return step.kind != MT_PYTHON_STEP_NONE;
}

void mt_steps_cancel(void) {
    if (step.kind == MT_PYTHON_STEP_NONE)
        return;
    step.kind = MT_PYTHON_STEP_NONE;
    mt_watched_end_step();
}

/* The frame of the step returns: its caller's next line is the one to stop at. */
static void step_out(struct mt_self *self) {
    if (!step.returned)
        mt_window_start(&step.after);
    step.returned = true;
    step.frame = mt_python_caller(step.frame);
    if (step.frame == 0 || mt_watched_step(self, mt_python_code(step.frame)) == NULL)
        mt_steps_cancel(); /* the thread ends: no line is left to stop at */
}

const char *mt_steps_begin(struct mt_self *caller, struct mt_self *self, enum mt_python_step kind, uint64_t frame,
                           bool is_leaving) {
    if (is_leaving && (kind == MT_PYTHON_STEP_FINISH || mt_python_caller(frame) == 0))
        frame = mt_python_caller(frame);
    if (frame == 0)
        return "this return is the end of the thread's Python code";
    struct mt_watched *watched = mt_watched_step(caller, mt_python_code(frame));
    if (watched == NULL)
        return "too many functions have stops, or memory is out";
    step.kind = kind;
    step.self = self;
    step.frame = frame;
    step.returned = false;
    step.file = watched->file;
    step.function = watched->function;
    step.line = mt_python_line(frame);
    mt_window_start(&step.window);
    mt_window_resume(&step.window, self);
    if (is_leaving && kind == MT_PYTHON_STEP_NEXT)
        step_out(caller);
    return NULL;
}

/* Why the step ends here; 0: it does not. */
static enum mt_python_stop_reason follow(struct mt_self *self, uint64_t frame, enum mt_python_event event) {
    if (step.kind == MT_PYTHON_STEP_NONE || step.self != self || step.frame != frame)
        return 0;
    bool is_next = step.kind == MT_PYTHON_STEP_NEXT;
    switch (event) {
    case MT_EVENT_START:
    case MT_EVENT_RESUME:
        return 0;
    case MT_EVENT_LINE:
        return is_next ? MT_PYTHON_STEPPED : 0;
    case MT_EVENT_YIELD:
        if (is_next)
            step_out(self);
        return 0;
    case MT_EVENT_RETURN:
    case MT_EVENT_UNWIND:
        if (!is_next || mt_python_caller(frame) == 0)
            return event == MT_EVENT_RETURN ? MT_PYTHON_FINISHED : MT_PYTHON_UNWOUND;
        step_out(self);
        return 0;
    }
    return 0;
}

/* Slots that stop here. A call stops at its first line, where a step can begin. */
static uint32_t slots_at(struct track *track, uint64_t frame, enum mt_python_event event,
                         const struct mt_watched *watched, uint32_t line) {
    uint32_t slots = 0;
    if (event == MT_EVENT_START && track != NULL) {
        track->called = 0;
        for (unsigned i = 0; i < MT_PYTHON_STOPS; i++)
            if ((watched->function_slots >> i & 1) != 0 && mt_python_stops.stops[i].kind == MT_PYTHON_STOP_FUNCTION)
                slots |= 1u << i;
        track->called_slots = slots;
        if (slots != 0)
            track->called = frame;
        return 0;
    }
    if (event != MT_EVENT_LINE)
        return 0;
    slots = mt_watched_slots_at(watched, line);
    if (track != NULL && track->called == frame) {
        slots |= track->called_slots;
        track->called = 0;
    }
    return slots;
}

bool mt_steps_event(struct mt_self *self, enum mt_python_event event, struct mt_watched *watched, uint32_t line,
                    struct mt_python_stop_event *ret) {
    uint64_t frame = mt_python_innermost(self);
    if (frame == 0 || mt_python_code(frame) != watched->code)
        return false;
    *ret = (struct mt_python_stop_event){
        .thread = self->index, .file = watched->file, .function = watched->function, .line = line};
    struct track *track = find_track(self, watched->function_slots != 0);
    if (track != NULL && watched->is_measured)
        measure(self, track, frame, event, watched, line);
    ret->reason = follow(self, frame, event);
    ret->slots = slots_at(track, frame, event, watched, line);
    if (track != NULL && track->innermost == NULL && track->called == 0)
        track->self = NULL;
    if (ret->reason == 0 && ret->slots != 0)
        ret->reason = MT_PYTHON_REACHED;
    if (ret->reason == 0)
        return false;
    if (step.kind != MT_PYTHON_STEP_NONE) {
        ret->from_file = step.file;
        ret->from_function = step.function;
        ret->from_line = step.line;
        ret->returned = step.returned;
        ret->from = mt_window_result(&step.window);
        if (step.returned)
            ret->after = mt_window_result(&step.after);
        mt_steps_cancel();
    }
    return true;
}
