#include "python/prove_parts.h"

/* Bounds of what is looked at. */
#define RING_STEPS 1000
#define RING_TYPES 16
#define GC_TAGS ((uint64_t)3) /* of _gc_next and _gc_prev */
/* Debian's 3.13 is compiled so that the collector's heads need no alignment of 8. */
#define VENDOR_SHIFT_OF_GENERATIONS 4

static bool read_link(struct mt_python *python, uint64_t head, bool forwards, uint64_t *ret) {
    uint64_t link;
    if (!(forwards ? READ(PyGC_Head, _gc_next, head, &link) : READ(PyGC_Head, _gc_prev, head, &link)))
        return false;
    *ret = link & ~GC_TAGS;
    return *ret != 0;
}

/* A process may be stopped while it puts an object in or takes one out. Then one link does not lead back, or behind the
 * last object stands one that is not quite in yet (or, backwards, before the first): that is no damage. */
static bool closes(struct mt_python *python, uint64_t ring, bool forwards) {
    unsigned misfits = 0;
    uint64_t before = 0, at = ring, end, next, back;
    if (!read_link(python, ring, !forwards, &end))
        return false;
    for (unsigned i = 0; i < RING_STEPS; i++) {
        if (!read_link(python, at, forwards, &next))
            return before == end;
        bool leads_back = read_link(python, next, !forwards, &back) && back == at;
        if (!leads_back && at == end)
            return true;
        misfits += !leads_back;
        if (misfits > 1 || (i == 0 && misfits > 0))
            return false;
        if (next == ring)
            return true;
        if (i < RING_TYPES && !is_type(python, type_of(python, next + MT_OFFSET(python, PyGC_Head, sizeof))))
            return false;
        before = at;
        at = next;
    }
    return true;
}

static struct mt_error *prove_ring(struct mt_python *python, uint64_t ring, const char *name, unsigned number) {
    uint64_t next;
    if (python->collecting ? !read_link(python, ring, true, &next)
                           : !closes(python, ring, true) && !closes(python, ring, false))
        return FAIL("the collector's %s %u does not close", name, number);
    return NULL;
}

static struct mt_error *prove_generations(struct mt_python *python, uint64_t gc) {
    struct mt_error *error = NULL;
    unsigned count = (unsigned)MT_CONSTANT(L, NUM_GENERATIONS);
    /* 3.14.0 to 3.14.4: young, then an array of two old ones. */
    bool incremental = MT_HAS(L, _gc_runtime_state, young);
    uint64_t stride = incremental ? MT_OFFSET(python, _gc_runtime_state, old_stride)
                                  : MT_OFFSET(python, _gc_runtime_state, generations_stride);
    uint64_t first_old = incremental ? MT_OFFSET(python, _gc_runtime_state, old) : python->generations + stride;
    for (unsigned i = 0; i < count && !error; i++)
        error = prove_ring(python, gc + (i == 0 ? python->generations : first_old + (i - 1) * stride), "generation", i);
    if (!error)
        error = prove_ring(python, gc + MT_OFFSET(python, _gc_runtime_state, permanent_generation),
                           "permanent generation", 0);
    return error;
}

/* Where they really begin: `generation0` points to them. */
static struct mt_error *find_generations(struct mt_python *python, uint64_t gc) {
    uint64_t first;
    if (!MT_HAS(L, _gc_runtime_state, generation0)) {
        python->generations = MT_OFFSET(python, _gc_runtime_state, young);
        return NULL;
    }
    uint64_t known = MT_OFFSET(python, _gc_runtime_state, generations);
    if (!READ(_gc_runtime_state, generation0, gc, &first) ||
        (first != gc + known && first != gc + known - VENDOR_SHIFT_OF_GENERATIONS))
        return FAIL("the collector's generation 0 is elsewhere");
    python->generations = first - gc;
    L->value[MT_FIELD__gc_runtime_state__generations] = (int64_t)python->generations;
    return NULL;
}

struct mt_error *mt_prove_collector(struct mt_python *python) {
    struct mt_error *error = NULL;
    size_t count = python->interpreters.length;
    for (size_t i = 0; i < count && i < INTERPRETERS_LOOKED_AT && !error; i++) {
        uint64_t gc = python->interpreters.data[count - 1 - i] + MT_OFFSET(python, PyInterpreterState, gc);
        uint32_t collecting;
        if (!mt_view_u32(python->view, gc + MT_OFFSET(python, _gc_runtime_state, collecting), &collecting) ||
            collecting > 1)
            return FAIL("whether the collector runs can't be told");
        python->collecting = i == 0 ? collecting != 0 : python->collecting || collecting != 0;
        error = find_generations(python, gc);
        if (!error)
            error = prove_generations(python, gc);
    }
    return error;
}
